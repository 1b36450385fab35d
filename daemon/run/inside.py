"""What exists only once the stores run, all of it together."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.dashboard.playground import Playground
from daemon.ledger.retention import Retention
from daemon.observe.metrics import Sources
from daemon.run.engine import Parts
from daemon.run.operating import Operating
from daemon.run.sweeping import Sweeping


@dataclass(frozen=True)
class Inside:
    """Kept in one `Late`, of which every door asks what it needs."""

    node_id: str
    parts: Parts
    operating: Operating
    sources: Sources
    """Of the metrics; its monitor is not running yet."""
    playground: Playground
    sweeping: Sweeping
    retention: Retention
