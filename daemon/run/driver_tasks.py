"""Tasks that a driver starts by itself, such as asyncpg's farewell to a connection that it replaces.

Nobody waits for them. When one fails, trio-asyncio's own handler would end the daemon with it.
"""

from __future__ import annotations

import asyncio
from typing import Any

import trio_asyncio

from actors.ports import Feed


def contain_driver_tasks(feed: Feed) -> None:
    """From now on such a failure is an event. Call it from Trio, inside the loop."""

    def report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        # Only the class: the error's text may quote a statement.
        feed.emit("daemon.problem", part="driver", error=type(error).__name__ if error else "unknown")

    trio_asyncio.current_loop.get().set_exception_handler(report)
