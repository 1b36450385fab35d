"""The sweeping task: it repeats, and survives an unavailable database. What it deletes: `test_library.py`."""

from __future__ import annotations

from typing import Any, cast

import trio
from trio.testing import MockClock

from actors.errors import LedgerUnavailable
from daemon.knowledge.housekeeping import EVERY_SECONDS, PORTION, Housekeeping
from tests.support.memory import MemoryFeed


class Dusty:
    """A database that is unavailable at first, then has this many old rows of each kind."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.asked = 0

    async def value(self, sql: str, portion: int, *args: object) -> int:
        await trio.lowlevel.checkpoint()
        self.asked += 1
        if self.asked == 1:
            raise LedgerUnavailable("postgres_unreachable")
        swept = min(self.rows, portion) if "majlis_answer_cache" in sql else 0
        self.rows -= swept
        return swept


async def test_sweeping_repeats_until_everything_is_deleted(autojump_clock: MockClock) -> None:
    feed, dusty = MemoryFeed(), Dusty(PORTION + 7)
    with trio.move_on_after(EVERY_SECONDS * 2.5):
        await Housekeeping(cast(Any, dusty), feed).run()
    assert feed.events == [
        ("housekeeping.failed", None, {"error": "LedgerUnavailable"}),
        (
            "housekeeping.done",
            None,
            {
                "answers": PORTION + 7,
                "cache_hours": 0,
                "loads": 0,
                "own_messages": 0,
                "overheard": 0,
                "vectors": 0,
            },
        ),
    ]
