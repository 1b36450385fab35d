"""A Postgres cluster as a daemon leaves it that has started once and migrated: made once, copied for each daemon.

Making a cluster costs more than all else of a start. Daemons under the shipped settings begin with nothing, as they do
elsewhere.
"""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.scratch import scratch_dir
from tests.support.stores import migrate_in_a_thread, postgres_in_a_thread

_SETTINGS = "recovery_init_sync_method = syncfs\n"
"""After a kill not each of a thousand files is synced by itself."""


def put_cluster(data_dir: Path) -> None:
    """Put a copy where a daemon on `data_dir` looks for its own."""
    data_dir.mkdir(parents=True)
    subprocess.run(["cp", "-a", str(Path(_made().name) / "postgres"), str(data_dir)], check=True)


@cache
def _made() -> TemporaryDirectory[str]:
    """Removed at the end of the process."""
    directory = TemporaryDirectory(prefix="majlis-", dir=scratch_dir())
    with postgres_in_a_thread(Path(directory.name)) as server:
        migrate_in_a_thread(server.dsn)
    with (Path(directory.name) / "postgres" / "postgresql.conf").open("a") as settings:
        settings.write(_SETTINGS)
    return directory
