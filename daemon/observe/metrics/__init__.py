"""Numbers for Prometheus: what is counted, where it comes from, how it is told."""

from daemon.observe.metrics.exposition import Exposition
from daemon.observe.metrics.observed import Observed, watch_loop
from daemon.observe.metrics.pulled import Sources

__all__ = ["Exposition", "Observed", "Sources", "watch_loop"]
