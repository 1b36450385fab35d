"""Metrics for Prometheus: which there are, where their values come from, and the page that serves them."""

from daemon.observe.metrics.exposition import Exposition
from daemon.observe.metrics.observed import Observed, watch_loop
from daemon.observe.metrics.pulled import Sources

__all__ = ["Exposition", "Observed", "Sources", "watch_loop"]
