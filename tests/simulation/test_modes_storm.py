"""A storm in which an operator changes the mode of an instance, its secrets cannot be opened for a while, and the
system that its webhooks are forwarded to fails. Two oracles: what the gateway delivered, and what reached it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from itertools import count
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import trio
from pydantic import SecretStr
from trio.testing import MockClock

from actors.errors import LedgerUnavailable
from actors.instance import Mode
from daemon.config import PassthroughSettings
from daemon.controls.pauses import EVERYBODY, PauseBoard
from daemon.forwarding.forwarder import Forwarder, Outside
from daemon.forwarding.spool import Spools
from daemon.forwarding.taking import Taking
from daemon.ingress.forwards import Came, Parcel
from daemon.ledger import Records
from daemon.observe.feed import EventFeed
from daemon.web.answer import HttpAnswer
from daemon.web.client import DeliveryUnknown, HttpClient, NotDelivered
from tests.simulation.storm import SEEDS, Storm
from tests.support.forwards import ForwardRows, MemoryForwards
from tests.support.world import DEMO

NAME = DEMO.instance
PLENTY = 1 << 30
STOPPED_SECONDS, STOPPED_RATE = 60.0, 0.05
"""A daemon stands still for longer than its lease, while it waits for an answer."""
SEALED_SECONDS = 30.0
SETTLED_SECONDS = 600.0
"""Longer than any rest after a failure, and what waits for it."""


class OldSystem(HttpClient):
    """Takes what is forwarded, unless the weather is against it; the answer may be lost all the same."""

    def __init__(self, storm: Switching) -> None:
        self._storm = storm
        self.is_away = False
        self.came: list[bytes] = []
        """All that reached it, repeats too."""

    async def post_pieces(
        self,
        url: str,
        pieces: AsyncGenerator[bytes, None],
        headers: Mapping[str, bytes],
        deadline_seconds: float,
    ) -> HttpAnswer:
        storm = self._storm
        storm.must_not_be_held("forwarded")
        async with aclosing(pieces):
            body = b"".join([piece async for piece in pieces])
        fault = ""
        if self.is_away or storm.strikes():
            fault = storm.dice.choice(["refuses", "hangs", "fails", "lost", "final"])
        await storm.take_time("forward")
        if fault == "refuses":
            raise NotDelivered("connect_failed")
        if fault in ("", "lost"):
            self.came.append(body)
        if storm.dice.random() < STOPPED_RATE:
            await trio.sleep(STOPPED_SECONDS)
        if fault in ("hangs", "lost"):
            await trio.sleep(deadline_seconds)
            raise DeliveryUnknown("timed_out")
        await storm.take_time("answer")
        refused = 404 if fault == "final" and not self.is_away else 503
        return HttpAnswer(refused if fault else 200, {}, b"")


class Switching(Storm):
    """A storm with changes of mode, holds, and forwards by two daemons, of which one is never killed."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.modes: dict[str, Mode] = {}
        """In which mode each text was heard, and acknowledged."""
        self.in_doubt: set[str] = set()
        """Came again, because nobody was told that it was kept for the other system; it may have been."""
        self.wrong: list[str] = []
        self.rows = ForwardRows()
        self.old = OldSystem(self)
        self._has_address = True
        self.is_sealed = False
        self._serials = count(1)
        self._feed = EventFeed(strict=True)
        self._feed.set_install_id("install")
        self._board = self._new_board()
        self._stores = {node: MemoryForwards(self.rows, node) for node in ("one", "other")}
        for store in self._stores.values():
            for name in ("take", "claim", "hold", "next", "sent", "failed", "bury", "release"):
                self.make_lossy(store, name, LedgerUnavailable)
        self.other = self._forwarder("other")
        self.world.gate = self._gate
        self._freeze = self.world.mirror.freeze
        setattr(self.world.mirror, "freeze", self._watched)  # noqa: B010  as `make_lossy` does
        self.world.restart()

    def must_not_be_held(self, what: str) -> None:
        if self._held(NAME):
            self.wrong.append(f"{what} while the instance is held")

    async def bring(self, text: str) -> None:
        """The gateway repeats what is not acknowledged; it goes by the mode of that moment."""
        while True:
            mode = self.modes[text] = self.world.term.mode
            if mode != "passthrough":
                await super().bring(text)
                return
            try:
                for _ in range(self.dice.choice([1, 2, 4])):  # its statuses, and who is typing
                    body = f"{text} {next(self._serials)}".encode()
                    await self._taking.take(Parcel(NAME, "", body, Came()))
                return
            except LedgerUnavailable:
                self.in_doubt.add(text)
                await trio.sleep(self.dice.random() * 5)

    def at_work(self, process: trio.Nursery) -> None:
        super().at_work(process)
        self._board = self._new_board()
        forwarder, other = self._forwarder("one"), self.other
        self._taking = Taking(
            store=lambda: self._stores["one"],
            spools=Spools(Path("/dev/null"), 0),
            is_passed=lambda _: self.world.term.mode == "passthrough",
            is_anyone=lambda: True,
            is_wanted=lambda _name, _event: True,
            bounds=lambda _: (PLENTY, PLENTY),
            nudge=lambda name: self.dice.choice((forwarder, other)).nudge(name),
            feed=self._feed,
        )
        process.start_soon(forwarder.run)
        process.start_soon(self._open_secrets)

    async def talk(self) -> list[str]:
        async with trio.open_nursery() as weather:
            weather.start_soon(self._change)
            weather.start_soon(self.other.run)
            said = await super().talk()
            weather.cancel_scope.cancel()
        return said

    def clear_up(self) -> None:
        self.over = True
        self.old.is_away, self.is_sealed = False, self.dice.random() < 0.5
        self._has_address = True
        self.world.term = msgspec.structs.replace(self.world.term, mode="live")
        self.world.gateway.script.clear()

    async def _change(self) -> None:
        modes: list[Mode] = ["live", "live", "shadow", "passthrough", "passthrough", "off"]
        while True:
            self.world.term = msgspec.structs.replace(self.world.term, mode=self.dice.choice(modes))
            self.is_sealed = self.dice.random() < 0.2
            self.old.is_away = self.dice.random() < 0.3
            self._has_address = self.dice.random() > 0.1
            await trio.sleep(self.dice.random() * 15)

    async def _open_secrets(self) -> None:
        """As a daemon does: at its start every instance is held, until its secrets have been read."""
        board = self._board
        while True:
            await trio.sleep(self.dice.random() * 3)
            board.hold({NAME: "responder.api_key cannot be opened"} if self.is_sealed else {})

    def _new_board(self) -> PauseBoard:
        board = PauseBoard(cast("Records", None), self._feed, wake=self._wake)
        board.hold({EVERYBODY: "secrets are not read yet"})
        return board

    def _forwarder(self, node: str) -> Forwarder:
        around = Outside(
            settings=lambda _: PassthroughSettings(
                url=SecretStr("http://old.example.com") if self._has_address else None
            ),
            exists=self._exists,
            hop=lambda: "hop",
            held=self._held,
            draw=self.dice.random,
        )
        return Forwarder(self._stores[node], self.old, around, self._feed)

    # Each process has a board and a supervisor of its own.

    def _gate(self, instance: str) -> None:
        self._board.check(instance)

    def _held(self, instance: str) -> str:
        return self._board.held(instance)

    def _wake(self) -> None:
        self.world.supervisor.resume_held()

    async def _exists(self, _instance: str) -> bool:
        await trio.lowlevel.checkpoint()
        return True

    async def _watched(self, *args: Any) -> Any:
        self.must_not_be_held("frozen")
        return await self._freeze(*args)


@pytest.mark.parametrize("seed", SEEDS[::4])
async def test_changes_of_mode_lose_nothing_and_say_nothing_that_was_heard_in_silence(
    autojump_clock: MockClock, seed: int
) -> None:
    """I2, I3, I4, I6, I10: killed at any moment, each message has its end, with us or with the other system; nothing
    heard in shadow or off is ever delivered; what is forwarded arrives in order; while it is held nothing happens."""
    storm = Switching(seed)
    said = await storm.talk()
    storm.clear_up()
    async with trio.open_nursery() as process:
        await storm.world.start(process)
        storm.at_work(process)
        process.start_soon(storm.other.run)
        await trio.sleep(SEALED_SECONDS)
        storm.is_sealed = False
        await trio.sleep(SETTLED_SECONDS)
        process.cancel_scope.cancel()
    assert not storm.wrong
    passed = [text for text in said if storm.modes[text] == "passthrough"]
    _check_what_was_heard(storm, [text for text in said if text not in passed])
    _check_what_was_forwarded(storm, passed)


def _check_what_was_heard(storm: Switching, heard: list[str]) -> None:
    assert [text for _, texts in storm.world.mirror.outcomes for text in texts] == heard
    rows = storm.world.ledger.standing()
    assert [message.text for row in rows for message in row.batch.messages] == heard
    delivered = [text for reply in storm.world.replies for text in reply.partition(": ")[2].split("\n")]
    assert len(set(delivered)) == len(delivered)
    assert {storm.modes[text] for text in delivered} <= {"live"}
    for row in rows:
        asked = {storm.modes[one.text] for one in row.batch.asked.messages}
        assert row.turn.shadow == (asked == {"shadow"})
        assert (row.turn.state, row.turn.rule) in {
            ("done", ""),
            ("done", "off"),
            ("dead", ""),
            ("suppressed", "off"),
            ("suppressed", "shadow"),
        }
        if (row.turn.state, row.turn.rule) == ("done", ""):
            assert {one.text for one in row.batch.asked.messages} <= set(delivered)
    assert set(storm.world.ledger.dead()) <= {"send_unresolved"}


def _check_what_was_forwarded(storm: Switching, passed: list[str]) -> None:
    rows = storm.rows
    assert not rows.of("waiting") and not rows.of("arriving")
    numbers = {row.pieces[0]: number for number, row in rows.taken.items()}
    came = [numbers[body] for body in storm.old.came]
    assert came == sorted(came), "a later one arrived before an earlier one"
    dead = {row.id: row.reason for row in rows.of("dead")}
    assert set(came) | dead.keys() == rows.taken.keys()
    assert set(dead.values()) <= {"answered_404", "answered_503", "connect_failed", "timed_out"}
    ended = [row.pieces[0].decode().split()[0] for row in rows.taken.values()]
    assert set(passed) <= set(ended) <= set(passed) | storm.in_doubt
