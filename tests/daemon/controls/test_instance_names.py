"""The door learns the stored instances on a schedule, and keeps what it knows while the database is away."""

from __future__ import annotations

from typing import Any, cast

import trio
import trio.testing
from daemon.controls.instance_names import REFRESH_SECONDS, STORE_NUMBER_SECONDS, InstanceNames

from actors.errors import LedgerUnavailable
from daemon.ingress.known_instances import KnownInstances
from daemon.stores.postgres import LedgerError
from tests.support.memory import MemoryFeed


class Kept:
    """What the ledger keeps of instances, in memory."""

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ("acme",)
        self.error: Exception | None = None
        self.asked = 0
        self.stored: list[dict[str, str]] = []

    async def store_numbers(self, numbers: dict[str, str]) -> None:
        await trio.lowlevel.checkpoint()
        self.stored.append(numbers)

    async def instance_names(self, limit: int) -> tuple[str, ...]:
        await trio.lowlevel.checkpoint()
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.names[:limit]


async def test_stored_names_are_known_from_the_start_and_read_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    kept, known, feed = Kept(), KnownInstances({"shop"}), MemoryFeed()
    names = InstanceNames(cast(Any, kept), known, feed)
    async with trio.open_nursery() as nursery:
        await nursery.start(names.run)
        assert "acme" in known and "shop" in known
        kept.names = ("demo",)
        await trio.sleep(REFRESH_SECONDS + 1)
        assert "demo" in known and "acme" not in known and kept.asked == 2
        for error in (LedgerUnavailable("away"), LedgerError("42703", "broken")):
            kept.error = error
            await trio.sleep(REFRESH_SECONDS)
            assert "demo" in known and "shop" in known
        kept.error, kept.names = None, ("demo", "new")
        await names.refresh()
        assert "new" in known and kept.asked == 5
        nursery.cancel_scope.cancel()


async def test_a_start_without_the_database_does_not_wait() -> None:
    kept, known = Kept(), KnownInstances({"shop"})
    kept.error = LedgerUnavailable("away")
    async with trio.open_nursery() as nursery:
        with trio.fail_after(5):
            await nursery.start(InstanceNames(cast(Any, kept), known, MemoryFeed()).run)
        assert "shop" in known
        nursery.cancel_scope.cancel()


async def test_numbers_are_stored_when_they_are_news_and_once_a_day(
    autojump_clock: trio.testing.MockClock,
) -> None:
    kept, known = Kept(), KnownInstances({"shop"})
    names = InstanceNames(cast(Any, kept), known, MemoryFeed())
    await names.refresh()
    for number in ("966500000001", "966500000001", "966500000002"):
        known.saw_number("shop", number)
        known.saw_number("made up", number)
        await names.refresh()
    assert kept.stored == [{"shop": "966500000001"}, {"shop": "966500000002"}]
    await names.refresh()
    await trio.sleep(STORE_NUMBER_SECONDS + 1)
    known.saw_number("shop", "966500000002")
    await names.refresh()
    assert len(kept.stored) == 3, "so that it is known to be in use"
