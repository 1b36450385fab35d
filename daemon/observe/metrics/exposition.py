"""`GET /metrics`: everything in the text format of Prometheus.

It does not take the webhooks' token: a scraper should not be able to post messages, and the page holds no contact, text
or key. It has a token of its own, `metrics.token`, for a port that strangers can reach.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator

import trio
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from daemon.config import MetricsSettings
from daemon.ingress.counters import IngressCounters
from daemon.observe.feed import EventFeed
from daemon.observe.metrics import pulled
from daemon.observe.metrics.catalogue import METRICS
from daemon.observe.metrics.observed import Observed
from daemon.observe.metrics.tally import Histogram
from daemon.web.http1 import HttpCounters, Request, Response, error_response

MAX_AGE_SECONDS = 2.0
"""How old what the stores say may be: a scraper that comes more often costs them nothing more."""
MAX_RENDERING = 4
"""Pages made at once; a further one waits its turn."""


class Exposition:
    """Has what the doors count from the first moment on, and the rest once the stores run.

    Args:
      sources: None until the stores run.
    """

    def __init__(
        self,
        settings: MetricsSettings,
        feed: EventFeed,
        observed: Observed,
        ingress: IngressCounters,
        http: HttpCounters,
        sources: Callable[[], pulled.Sources | None],
    ) -> None:
        token = settings.token
        self._token = token.get_secret_value().encode() if token else b""
        self._feed = feed
        self._observed = observed
        self._ingress = ingress
        self._http = http
        self._sources = sources
        self._slots = trio.CapacityLimiter(MAX_RENDERING)

    async def respond(self, request: Request) -> Response:
        if not self._may_read(request):
            return error_response(401, "wrong_or_missing_token", {"WWW-Authenticate": "Bearer"})
        text = await self.text()
        return Response(200, text, content_type=CONTENT_TYPE_PLAIN_0_0_4)

    async def text(self) -> bytes:
        """The whole page."""
        families = _Families(tuple(_families(await self._rows())))
        # Writing it out takes milliseconds with many instances: not on the loop.
        return await trio.to_thread.run_sync(families.text, limiter=self._slots)

    async def _rows(self) -> dict[str, pulled.MetricRows]:
        sources = self._sources()
        vitals = await sources.vitals.read(MAX_AGE_SECONDS) if sources is not None else None
        rows: dict[str, pulled.MetricRows] = {"majlis_snapshot_complete": [((), 0.0)]}
        rows |= pulled.of_the_doors(self._feed, self._observed, self._ingress, self._http)
        rows |= pulled.of_the_turns(self._feed, self._observed)
        if sources is not None:
            rows |= pulled.of_the_parts(sources, self._observed)
        if vitals is not None:
            rows |= pulled.of_the_vitals(vitals)
        return rows

    def _may_read(self, request: Request) -> bool:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if not self._token:
            return True
        return scheme.lower() == "bearer" and hmac.compare_digest(
            given.strip().encode("latin-1"), self._token
        )


class _Families(Collector):
    """What was gathered, as prometheus-client wants it; beside it, what it knows of the process itself."""

    def __init__(self, families: tuple[Family, ...]) -> None:
        self._families = families

    def collect(self) -> Iterator[Family]:
        yield from self._families

    def text(self) -> bytes:
        registry = CollectorRegistry()
        registry.register(self)
        ProcessCollector(registry=registry)
        return generate_latest(registry)


def _families(rows: dict[str, pulled.MetricRows]) -> Iterator[Family]:
    """In the order of the catalogue. Raises `KeyError` for a name that is not in it."""
    order = {name: place for place, name in enumerate(METRICS)}
    for name in sorted(rows, key=order.__getitem__):
        yield _family(name, rows[name])


def _family(name: str, rows: pulled.MetricRows) -> Family:
    metric = METRICS[name]
    if metric.kind == "histogram":
        histogram = HistogramMetricFamily(name, metric.meaning, labels=metric.labels)
        for labels, each in rows:
            assert isinstance(each, Histogram)
            histogram.add_metric(labels, each.buckets(), each.total)
        return histogram
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(name, metric.meaning, labels=metric.labels)
    for labels, value in rows:
        assert not isinstance(value, Histogram)
        family.add_metric(labels, value)
    return family
