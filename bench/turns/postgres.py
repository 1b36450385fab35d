"""A peer's Postgres: the same program with the same settings as the daemon's embedded one, until it is told to end.

A file `READY` in its folder says that it takes connections.
"""

from __future__ import annotations

import signal
import sys
from functools import partial
from pathlib import Path

import trio

from daemon.stores.embedded_postgres import run_embedded_postgres

READY = "postgres.ready"


async def _run(home: Path) -> None:
    async with trio.open_nursery() as nursery:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            await nursery.start(partial(run_embedded_postgres, home, on_event=lambda *_: None))
            await (trio.Path(home) / READY).touch()
            async for _ in signals:
                nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(_run, Path(sys.argv[1]))
