"""A Redis and a Postgres for several daemons: `python -m tests.systemd.shared_stores DIR`, until it is stopped."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import trio

from daemon.run.systemd import ServiceManager
from daemon.stores.embedded_postgres import run_embedded_postgres
from daemon.stores.embedded_redis import run_embedded_redis


async def _serve(data_dir: Path) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run_embedded_redis, data_dir, on_event=_tell))
        await nursery.start(partial(run_embedded_postgres, data_dir, on_event=_tell))
        ServiceManager.from_environment(os.environ).ready()


def _tell(event: str, fields: Mapping[str, object]) -> None:
    sys.stderr.write(f"{event} {dict(fields)}\n")


if __name__ == "__main__":
    trio.run(_serve, Path(sys.argv[1]))
