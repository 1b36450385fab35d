"""Numbers of instances are stored as the door hears them: when they are news, and once a day."""

from __future__ import annotations

from typing import Any, cast

import trio
import trio.testing

from actors.errors import LedgerUnavailable
from daemon.controls.instance_numbers import STORE_AGAIN_SECONDS, STORE_SECONDS, InstanceNumbers
from daemon.ingress.known_instances import KnownInstances
from daemon.stores.postgres import LedgerError
from tests.support.memory import MemoryFeed


class Kept:
    """What the ledger keeps of instances, in memory."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.stored: list[dict[str, str]] = []

    async def store_numbers(self, numbers: dict[str, str]) -> None:
        await trio.lowlevel.checkpoint()
        if self.error is not None:
            raise self.error
        self.stored.append(numbers)


async def test_numbers_are_stored_when_they_are_news_and_once_a_day(
    autojump_clock: trio.testing.MockClock,
) -> None:
    kept, known = Kept(), KnownInstances({"shop"})
    numbers = InstanceNumbers(cast(Any, kept), known, MemoryFeed())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(numbers.run)
        for number in ("966500000001", "966500000001", "966500000002"):
            known.saw_number("shop", number)
            known.saw_number("made up", number)
            await trio.sleep(STORE_SECONDS + 1)
        assert kept.stored == [{"shop": "966500000001"}, {"shop": "966500000002"}]
        await trio.sleep(STORE_AGAIN_SECONDS + 1)
        for error in (LedgerUnavailable("away"), LedgerError("42703", "broken"), None):
            kept.error = error
            known.saw_number("shop", "966500000002")
            await trio.sleep(STORE_SECONDS + 1)
        assert len(kept.stored) == 3, "so that it is known to be in use"
        nursery.cancel_scope.cancel()
