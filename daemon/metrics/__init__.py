"""Numbers for Prometheus: what is counted, where it comes from, how it is told."""

from daemon.metrics.exposition import Exposition
from daemon.metrics.loop_lag import watch_loop
from daemon.metrics.observed import Observed
from daemon.metrics.pulled import Sources

__all__ = ["Exposition", "Observed", "Sources", "watch_loop"]
