"""A storm over the whole core in memory: every call may fail before or after it took effect, processes die.

Real supervisor, actors, turns and outbox on a mock clock, so that a seed plays minutes in milliseconds and always the
same way. The end is checked against the oracle: what the gateway delivered.

`MAJLIS_STORM_SEEDS=2000 pytest tests/simulation` runs more seeds than the default.
"""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from actors.actor import TurnPolicy
from actors.amendments import amended
from actors.errors import LedgerUnavailable, MirrorUnavailable, TurnFailed, TurnRefused
from actors.instance import InstanceRecord, Mode
from actors.messages import Message
from actors.outbox import OutboxPolicy
from actors.outcome import NotSent, Unknown
from tests.support.memory import clock_ms
from tests.support.world import DEMO, World

SEEDS = range(int(os.environ.get("MAJLIS_STORM_SEEDS", "40")))
MESSAGES = 25
FAULT_RATE = 0.15
LATE_SECONDS = 10.0
"""So long after its outcome was unknown a message may still arrive, and no longer."""


class Storm:
    """One seed: a world, the dice, and whether the sky has cleared."""

    def __init__(self, seed: int, *, with_people: bool = False) -> None:
        """`with_people`: staff take the chat over and hand it back, customers ask for them, answers are refused."""
        self.dice = random.Random(seed)
        self.with_people = with_people
        self.over = False
        self.heard: list[str] = []
        self.world = World(
            turn_policy=TurnPolicy(max_attempts=1000),
            outbox_policy=OutboxPolicy(settle_seconds=LATE_SECONDS, send_seconds=LATE_SECONDS),
        )
        self.world.gateway.fault = self.take_time
        for name in ("load", "freeze", "defer", "commit"):
            self._make_lossy(self.world.mirror, name, MirrorUnavailable)
        for name in (
            "begin",
            "open_turns",
            "unfinished",
            "answer",
            "claim",
            "settle",
            "prove",
            "finish",
            "suppress",
            "drop_rest",
            "bury",
        ):
            self._make_lossy(self.world.ledger, name, LedgerUnavailable)
        self._make_lossy(self.world.responder, "answer", TurnFailed)

    def strikes(self) -> bool:
        return not self.over and self.dice.random() < FAULT_RATE

    def _make_lossy(self, port: object, name: str, error: Callable[[str], Exception]) -> None:
        """The call fails before it does anything, or does all and loses its answer."""
        call: Callable[..., Awaitable[Any]] = getattr(port, name)

        async def lossy(*args: Any) -> Any:
            if self.strikes():
                raise error("before")
            result = await call(*args)
            if self.strikes():
                await trio.sleep(self.dice.random())
                raise error("answer lost")
            return result

        setattr(port, name, lossy)

    async def poll_due(self) -> None:
        """The daemon's backstop, by the mirror's own state."""
        while True:
            await trio.sleep(1)
            for conversation, buffer in list(self.world.mirror.buffers.items()):
                window_over = buffer.waiting and (buffer.deadline_ms or 0) <= clock_ms()
                if buffer.batch is not None or window_over:
                    self.world.supervisor.nudge(conversation)

    async def take_time(self, moment: str) -> None:
        """Connecting takes a while, and so does the answer: a kill may fall into both."""
        await trio.sleep(0 if self.over else self.dice.random() * 0.5)

    def arrange_the_next_send(self) -> None:
        if not self.world.gateway.script and self.strikes():
            arrives = self.dice.choice([False, True, self.dice.random() * (LATE_SECONDS - 0.1)])
            unknown: tuple[bool | float, Unknown | NotSent] = (arrives, Unknown("timed_out"))
            self.world.gateway.script.append(
                self.dice.choice(
                    [
                        unknown,
                        (False, NotSent("connection_closed", "hold")),
                        (False, NotSent("busy", "retry")),
                    ]
                )
            )

    def at_work(self, process: trio.Nursery) -> None:
        """What a daemon runs beside its actors."""
        process.start_soon(self.poll_due)

    async def talk(self) -> list[str]:
        """People write, answers of appends get lost, operators flush, processes are killed."""
        said = [str(number) for number in range(MESSAGES)]
        while said_now := said[len(self.heard) :]:
            async with trio.open_nursery() as process:
                await self.world.start(process)
                self.at_work(process)
                for text in said_now:
                    await self._say(text)
                    if self.dice.random() < 0.08:
                        break
                process.cancel_scope.cancel()
            self.world.restart()
        return said

    async def _say(self, text: str) -> None:
        if self.dice.random() < 0.3:
            self.world.mirror.on_appended = None
        await self.world.say(text)
        self.world.mirror.on_appended = self.world.supervisor.deliver
        self.heard.append(text)
        self.arrange_the_next_send()
        await trio.sleep(self.dice.random() * 4)
        if self.dice.random() < 0.1:
            self.world.supervisor.flush(DEMO)
        if self.with_people:
            self._people_act()

    def _people_act(self) -> None:
        ledger = self.world.ledger
        act = self.dice.choice(["take over", "hand back", "hand back", "refuse", "nothing", "nothing"])
        if act == "take over":
            ledger.taken_over.add(DEMO)
        elif act == "hand back":
            ledger.taken_over.discard(DEMO)
            ledger.hand_back(DEMO)
        elif act == "refuse":
            self.world.responder.script.append(TurnRefused("bad_request"))


@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_is_lost_doubled_or_reordered(autojump_clock: MockClock, seed: int) -> None:
    """I2, I3, I4, I6, I10, I13."""
    storm = Storm(seed)
    said = await storm.talk()
    storm.over = True
    storm.world.gateway.script.clear()
    async with trio.open_nursery() as process:
        await storm.world.start(process)
        process.start_soon(storm.poll_due)
        await trio.sleep(300)
        process.cancel_scope.cancel()
    ended = [text for _, texts in storm.world.mirror.outcomes for text in texts]
    assert ended == said
    # Two sends in a row of unknown outcome end as a dead letter, never as a third send.
    assert set(storm.world.ledger.dead()) <= {"send_unresolved"}
    answered = [
        text for outcome, texts in storm.world.mirror.outcomes if outcome == "answered" for text in texts
    ]
    delivered = [text for reply in storm.world.replies for text in reply.partition(": ")[2].split("\n")]
    assert delivered == answered


FALLBACK, A_PERSON = "we will be back", "a person comes"


@pytest.mark.parametrize("seed", SEEDS)
async def test_people_and_refusals_in_a_storm_lose_nothing_and_say_nothing_twice(
    autojump_clock: MockClock, seed: int
) -> None:
    """I2, I3, I6: every message has its end, and each reply is delivered at most once for each turn that owns it."""
    storm = Storm(seed, with_people=True)
    storm.world.ledger.records["demo"] = InstanceRecord(
        escalation_enabled=True,
        escalation_keywords=("7",),
        escalated_message=A_PERSON,
        fallback_message=FALLBACK,
    )
    said = await storm.talk()
    storm.over = True
    storm.world.gateway.script.clear()
    storm.world.responder.script.clear()
    async with trio.open_nursery() as process:
        await storm.world.start(process)
        process.start_soon(storm.poll_due)
        await trio.sleep(300)
        process.cancel_scope.cancel()
    assert [text for _, texts in storm.world.mirror.outcomes for text in texts] == said
    heard = [reply for reply in storm.world.replies if reply.startswith("Heard")]
    assert len(set(heard)) == len(heard)
    rows = storm.world.ledger.rows.values()
    for own_words in (FALLBACK, A_PERSON):
        owners = sum(row.reply is not None and row.reply.answer.text == own_words for row in rows)
        assert storm.world.replies.count(own_words) <= owners
    assert {row.turn.state for row in rows} <= {"done", "suppressed", "dead"}
    assert set(storm.world.ledger.dead()) <= {"send_unresolved", "bad_request"}


class Forgetful(Storm):
    """A storm in which the mirror falls back to an older copy of itself; what it forgot may be delivered again."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._older = copy.deepcopy(self.world.mirror.buffers)

    async def fall_back(self) -> None:
        """A power cut, a replica that is promoted, a backup: at any moment, under living actors too."""
        while not self.over:
            await trio.sleep(self.dice.random() * 12)
            if self.dice.random() < 0.5:
                self._older = copy.deepcopy(self.world.mirror.buffers)
            elif not self.over:
                self.world.mirror.buffers = copy.deepcopy(self._older)

    async def name_unfinished(self) -> None:
        """The monitor's rounds."""
        while True:
            await trio.sleep(10)
            with suppress(LedgerUnavailable):
                await self.world.name_unfinished()

    async def talk(self) -> list[str]:
        async with trio.open_nursery() as weather:
            weather.start_soon(self.fall_back)
            said = await super().talk()
            weather.cancel_scope.cancel()
        return said

    def at_work(self, process: trio.Nursery) -> None:
        super().at_work(process)
        process.start_soon(self.name_unfinished)


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_mirror_that_loses_its_tail_costs_and_doubles_nothing(
    autojump_clock: MockClock, seed: int
) -> None:
    """I2, I6: what the ledger had begun ends by itself; what only the mirror had waits there or comes once more."""
    storm = Forgetful(seed)
    said = await storm.talk()
    storm.over = True
    storm.world.gateway.script.clear()
    async with trio.open_nursery() as process:
        await storm.world.start(process)
        storm.at_work(process)
        await trio.sleep(300)
        begun = {text for row in storm.world.ledger.rows.values() for text in row.batch.text.split("\n")}
        assert all(not row.is_open for row in storm.world.ledger.rows.values()), "a turn is left unfinished"
        for text in said:  # a gateway repeats what it has no answer for, and sometimes everything
            if text not in begun or storm.dice.random() < 0.3:
                await storm.world.say(text)
        await trio.sleep(300)
        process.cancel_scope.cancel()
    rows = storm.world.ledger.rows.values()
    assert all(not row.is_open for row in rows)
    own = [text for row in rows if row.turn.rule != "duplicate" for text in row.batch.text.split("\n")]
    assert sorted(own, key=int) == said, "each message belongs to exactly one turn"
    assert set(storm.world.ledger.dead()) <= {"send_unresolved"}
    answered = [text for row in rows if row.turn.state == "done" for text in row.batch.text.split("\n")]
    delivered = [text for reply in storm.world.replies for text in reply.partition(": ")[2].split("\n")]
    assert len(set(delivered)) == len(delivered), "a message was answered twice"
    assert set(answered) <= set(delivered)


class Changing(Storm):
    """A storm in which people react, edit and delete what they said, and send albums."""

    async def _say(self, text: str) -> None:
        await super()._say(text)
        for number in range(self.dice.choice([0, 0, 1, 2])):
            self._sent += 1
            await self._tell(self._something(text, f"{text}.{number}"))
            await trio.sleep(self.dice.random() * 3)

    _sent = 0

    def _something(self, text: str, id: str) -> Message:
        target = f"id-{self.dice.choice([*self.heard, text])}-{DEMO.contact}"
        plain = Message(*DEMO, id, f"said {id}", clock_ms() // 1000)
        kinds: list[dict[str, object]] = [
            {"kind": "edit", "amends": target},
            {"kind": "edit", "amends": target},
            {"kind": "deletion", "amends": target, "text": ""},
            {"kind": "reaction", "aside": "reaction"},
            {"album": f"of {text}"},
            {"album": id, "album_size": 2},
        ]
        return msgspec.structs.replace(plain, **self.dice.choice(kinds))

    async def _tell(self, message: Message) -> None:
        """As any message: the gateway may repeat it, and nobody may hear of it before the due poll."""
        if self.dice.random() < 0.3:
            self.world.mirror.on_appended = None
        for _ in range(self.dice.choice([1, 1, 2])):
            await self.world.mirror.append(message, self.world.policy)
        self.world.mirror.on_appended = self.world.supervisor.deliver


@pytest.mark.parametrize("seed", SEEDS[::2])
async def test_edits_deletions_asides_and_albums_keep_every_law(autojump_clock: MockClock, seed: int) -> None:
    """I2, I3, I4, I6, I7, I10: killed between append and freeze, during the turn, or anywhere else."""
    storm = Changing(seed)
    said = await storm.talk()
    storm.over = True
    storm.world.gateway.script.clear()
    async with trio.open_nursery() as process:
        await storm.world.start(process)
        process.start_soon(storm.poll_due)
        await trio.sleep(300)
        process.cancel_scope.cancel()
    entries = storm.world.mirror.buffers[DEMO].entries
    assert len(entries) == len({entry.message.id for entry in entries}) == len(said) + storm._sent
    rows = [row for row in storm.world.ledger.rows.values() if not row.turn.moved_to]
    batches = [row.batch for row in rows]
    assert [entry.seq for batch in batches for entry in batch.entries] == [entry.seq for entry in entries], (
        "each belongs to exactly one turn, in order"
    )
    wanted = []
    for row in rows:
        came = tuple(entry for entry in entries if row.batch.lo <= entry.seq <= row.batch.hi)
        asked = amended(msgspec.structs.replace(row.batch, entries=came)).asked
        assert (row.turn.state == "suppressed") == (not asked.entries)
        if row.turn.state == "done":
            wanted.append(asked.text)
    assert [_words(reply) for reply in storm.world.replies] == wanted
    assert set(storm.world.ledger.dead()) <= {"send_unresolved"}


class Switching(Storm):
    """A storm in which an operator changes the instance's mode at any moment."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.modes: dict[str, Mode] = {}
        """In which mode each text was heard."""

    async def _say(self, text: str) -> None:
        self.modes[text] = self.world.term.mode
        await super()._say(text)

    def at_work(self, process: trio.Nursery) -> None:
        super().at_work(process)
        process.start_soon(self.switch)

    async def switch(self) -> None:
        while not self.over:
            modes: list[Mode] = ["live", "live", "shadow", "passthrough", "off"]
            self.world.term = msgspec.structs.replace(self.world.term, mode=self.dice.choice(modes))
            await trio.sleep(self.dice.random() * 15)


@pytest.mark.parametrize("seed", SEEDS[::2])
async def test_changes_of_mode_lose_nothing_and_say_nothing_that_was_heard_in_silence(
    autojump_clock: MockClock, seed: int
) -> None:
    """I2, I3, I6: killed at any moment, each message has its end; nothing heard in shadow or off is ever delivered."""
    storm = Switching(seed)
    said = await storm.talk()
    storm.over = True
    storm.world.term = msgspec.structs.replace(storm.world.term, mode="live")
    storm.world.gateway.script.clear()
    async with trio.open_nursery() as process:
        await storm.world.start(process)
        process.start_soon(storm.poll_due)
        await trio.sleep(300)
        process.cancel_scope.cancel()
    assert [text for _, texts in storm.world.mirror.outcomes for text in texts] == said
    rows = list(storm.world.ledger.rows.values())
    assert [message.text for row in rows for message in row.batch.messages] == said
    delivered = [text for reply in storm.world.replies for text in reply.partition(": ")[2].split("\n")]
    assert len(set(delivered)) == len(delivered)
    assert {storm.modes[text] for text in delivered} <= {"live", "passthrough"}
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


def _words(reply: str) -> str:
    """What the reply repeats, without the lines that say what a message refers to."""
    heard = reply.partition(": ")[2].splitlines()
    return "\n".join(line for line in heard if not line.startswith("[corrects"))
