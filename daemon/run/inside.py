"""What exists only once the stores run, all of it together."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.dashboard.playground import Playground
from daemon.observe.metrics import Sources
from daemon.operate import AdminApi
from daemon.operate.conversations import DaemonOperations
from daemon.run.engine import Parts


@dataclass(frozen=True)
class Inside:
    """Kept in one `Late`, of which every door asks what it needs."""

    node_id: str
    parts: Parts
    operations: DaemonOperations
    api: AdminApi
    sources: Sources
    """Of the metrics; its monitor is not running yet."""
    playground: Playground
