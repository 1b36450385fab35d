"""Which instances' events came through the door, noted."""

from __future__ import annotations

from collections.abc import Collection

import trio
import trio.testing

from actors.errors import LedgerUnavailable
from daemon.ingress.witness import Witness
from daemon.observe.feed import EventFeed
from daemon.sweep.arrivals import AGAIN_SECONDS, OurInstances


class MemoryNotes:
    def __init__(self) -> None:
        self.asked: list[set[str]] = []
        self.fails: list[Exception] = []

    async def note_ours(self, instances: Collection[str]) -> Collection[str]:
        await trio.lowlevel.checkpoint()
        self.asked.append(set(instances))
        if self.fails:
            raise self.fails.pop()
        return [name for name in instances if not any(name in before for before in self.asked[:-1])]


async def test_each_event_is_noted_now_and_then_and_no_failure_loses_or_ends_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    witness, notes, feed, joined = Witness(), MemoryNotes(), EventFeed(strict=True), list[float]()
    arrivals = OurInstances(witness.take, notes, lambda: joined.append(trio.current_time()), feed)
    problems = list[object]()
    feed.observe("daemon.problem", lambda _conversation, fields: problems.append(fields["part"]))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(arrivals.run)  # noqa: ASYNC113 - it has no moment at which it is started
        await trio.sleep(10.5)
        assert notes.asked == [], "nothing came"
        notes.fails = [LedgerUnavailable("away")]
        witness.saw("demo", "messages.upsert")
        await trio.sleep(3)
        assert notes.asked == [{"demo"}, {"demo"}], "kept until the ledger has it"
        for _ in range(100):
            witness.saw("demo", "messages.upsert")
            await trio.sleep(0.1)
        assert len(notes.asked) == 2, "a busy instance costs nothing"
        witness.saw("shop", "connection.update")
        await trio.sleep(2)
        assert notes.asked[2:] == [{"shop"}] and len(joined) == 1
        notes.fails = [ValueError("broken")]
        await trio.sleep(AGAIN_SECONDS)
        witness.saw("demo", "messages.upsert")
        await trio.sleep(2)
        witness.saw("new", "messages.upsert")
        await trio.sleep(2)
        assert notes.asked[3:] == [{"demo"}, {"new"}] and problems == ["sweep"]
        nursery.cancel_scope.cancel()
