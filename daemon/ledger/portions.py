"""Deletes rows a portion at a time: a short statement holds its locks briefly, and turns go between two of them."""

from __future__ import annotations

import trio

from daemon.stores.postgres import Postgres

PAUSE_SECONDS = 0.05


async def delete_in_portions(db: Postgres, sql: str, portion: int, *args: object) -> int:
    """Run `sql`, which deletes as many rows as its first parameter says and counts them, until it finds fewer.

    Returns how many are gone. What somebody works with it has to skip (SKIP LOCKED).
    """
    total = 0
    while True:
        count: int = await db.value(sql, portion, *args)
        total += count
        if count < portion:
            return total
        await trio.sleep(PAUSE_SECONDS)
