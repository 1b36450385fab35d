"""A task that a driver started by itself fails: the daemon goes on."""

from __future__ import annotations

import asyncio

import trio_asyncio

from daemon.run.driver_tasks import contain_driver_tasks
from tests.support.memory import MemoryFeed
from tests.support.patience import until


async def fail() -> None:
    """As a driver says goodbye on a connection that is broken already."""
    raise BrokenPipeError


async def leave_behind() -> None:
    asyncio.get_running_loop().create_task(fail())


async def test_a_drivers_own_task_that_fails_ends_nobody() -> None:
    """I14."""
    feed = MemoryFeed()
    async with trio_asyncio.open_loop():
        contain_driver_tasks(feed)
        await trio_asyncio.aio_as_trio(leave_behind)()
        await until(lambda: feed.events)
    assert feed.events == [("daemon.problem", None, {"part": "driver", "error": "BrokenPipeError"})]
