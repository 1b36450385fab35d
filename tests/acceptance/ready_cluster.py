"""A Postgres cluster as a daemon leaves it that has started once and migrated: made once, copied for each daemon.

Making a cluster costs more than all else of a start. Daemons under the shipped settings begin with nothing, as they do
elsewhere.
"""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import trio
import trio_asyncio

from daemon.ledger import migrate
from tests.support.ledgers import open_postgres
from tests.support.stores import postgres_in_a_thread

_SETTINGS = "recovery_init_sync_method = syncfs\n"
"""After a kill not each of a thousand files is synced by itself."""


def put_cluster(data_dir: Path) -> None:
    """Put a copy where a daemon on `data_dir` looks for its own."""
    data_dir.mkdir(parents=True)
    subprocess.run(["cp", "-a", str(Path(_made().name) / "postgres"), str(data_dir)], check=True)


@cache
def _made() -> TemporaryDirectory[str]:
    """Removed at the end of the process."""
    directory = TemporaryDirectory(prefix="majlis-", dir="/tmp")
    with postgres_in_a_thread(Path(directory.name)) as server:

        async def fill() -> None:
            async with trio_asyncio.open_loop(), open_postgres(server.dsn) as db:
                await migrate(db)

        trio.run(fill)
    with (Path(directory.name) / "postgres" / "postgresql.conf").open("a") as settings:
        settings.write(_SETTINGS)
    return directory
