"""The weather of the storms: every call may fail before or after it took effect, processes die.

Real supervisor, actors, turns and outbox on a mock clock, so that a seed plays minutes in milliseconds and always the
same way.

`MAJLIS_STORM_SEEDS=2000 pytest tests/simulation` plays more seeds than the default; `MAJLIS_STORM_SEEDS=5000-7000`
plays these.
"""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable, Callable
from typing import Any

import trio
import trio._core._run as scheduler

from actors.actor import TurnPolicy
from actors.errors import LedgerUnavailable, MirrorUnavailable, TurnFailed, TurnRefused
from actors.messages import WindowPolicy
from actors.outbox import OutboxPolicy
from actors.outcome import NotSent, Unknown
from tests.support.memory import clock_ms
from tests.support.world import DEMO, World


def _seeds(asked: str) -> range:
    first, _, end = asked.rpartition("-")
    return range(int(first or 0), int(end))


SEEDS = _seeds(os.environ.get("MAJLIS_STORM_SEEDS", "40"))
MESSAGES = 25
FAULT_RATE = 0.15
LATE_SECONDS = 10.0
"""So long after its outcome was unknown a message may still arrive, and no longer."""


class Storm:
    """One seed: a world, the dice, and whether the sky has cleared."""

    def __init__(self, seed: int, *, with_people: bool = False) -> None:
        """`with_people`: staff take the chat over and hand it back, customers ask for them, answers are refused."""
        self.dice = random.Random(seed)
        scheduler._r.seed(seed)
        self.with_people = with_people
        self.over = False
        self.heard: list[str] = []
        self.patience = random.Random(seed) if seed % 4 > 1 else None
        """Half of the customers are seen typing, and half of these are heard by quiet."""
        self.world = World(
            policy=WindowPolicy(kind="quiet", quiet_seconds=3.0, max_seconds=15.0)
            if seed % 4 > 2
            else WindowPolicy(),
            turn_policy=TurnPolicy(max_attempts=1000),
            outbox_policy=OutboxPolicy(settle_seconds=LATE_SECONDS, send_seconds=LATE_SECONDS),
        )
        self.world.gateway.fault = self.take_time
        for name in ("load", "freeze", "defer", "commit"):
            self.make_lossy(self.world.mirror, name, MirrorUnavailable)
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
            self.make_lossy(self.world.ledger, name, LedgerUnavailable)
        self.make_lossy(self.world.responder, "answer", TurnFailed)

    def strikes(self) -> bool:
        return not self.over and self.dice.random() < FAULT_RATE

    def make_lossy(self, port: object, name: str, error: Callable[[str], Exception]) -> None:
        """The call fails before it does anything, or does all and loses its answer."""
        call: Callable[..., Awaitable[Any]] = getattr(port, name)

        async def lossy(*args: Any, **more: Any) -> Any:
            if self.strikes():
                raise error("before")
            result = await call(*args, **more)
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
        await self.bring(text)
        self.heard.append(text)
        self.arrange_the_next_send()
        await trio.sleep(self.dice.random() * 4)
        if self.dice.random() < 0.1:
            self.world.supervisor.flush(DEMO)
        if self.patience is not None and self.patience.random() < 0.4:
            self.world.supervisor.typing(DEMO, self.patience.random() < 0.6)
        if self.with_people:
            self._people_act()

    async def bring(self, text: str) -> None:
        """What the door does with one message, until it is acknowledged."""
        if self.dice.random() < 0.3:
            self.world.mirror.on_appended = None
        await self.world.say(text)
        self.world.mirror.on_appended = self.world.supervisor.deliver

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
