"""Traces of turns, where an endpoint for them is configured; else nothing of OpenTelemetry is even imported."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import trio

from actors.ports import NewAttempt
from daemon import package_version
from daemon.config import Settings
from daemon.controls.live_settings import LiveSettings
from daemon.observe.feed import EventFeed
from daemon.observe.tracing.exporter import Exporter
from daemon.observe.tracing.recorder import Recorder
from daemon.observe.tracing.recording import Model
from daemon.observe.tracing.spans import Value
from daemon.responders.kinds import PROVIDERS
from daemon.run.lifecycle import CannotStart
from daemon.web.client import HttpClient
from daemon.web.tls import tls_context

CLOSE_SECONDS = 2.0
"""For the last traces, when everything else has ended."""
RESTART_SECONDS = 5.0
MISSING = (
    "tracing.endpoint is set, but what exporting traces needs is not installed: run `pip install 'majlis[otel]'` "
    "(in a checkout: `make otel`), or set tracing.endpoint to null."
)


class TurnTraces:
    """Records turns from the moment they are wrapped; their traces are sent between `open` and its end.

    Raises:
      CannotStart: an endpoint is set, and the extra `otel` is not installed.
    """

    def __init__(
        self,
        settings: Settings,
        live: LiveSettings,
        feed: EventFeed,
        on_error: Callable[[str, BaseException], None],
    ) -> None:
        self._settings = settings
        self._live = live
        self._feed = feed
        self._on_error = on_error
        self._resource: dict[str, Value] = {
            "service.name": settings.tracing.service_name,
            "service.version": package_version(),
        }
        self._http: HttpClient | None = None
        self._exporter: Exporter | None = None
        if settings.tracing.endpoint is not None:
            self._make(settings.tracing.endpoint)

    def recorded(self, attempt: NewAttempt, node_id: str) -> NewAttempt:
        """The same attempts, recorded if tracing is on."""
        if self._exporter is None:
            return attempt
        self._resource["service.instance.id"] = node_id
        tracing = self._settings.tracing
        recorder = Recorder(self._feed, self._exporter.offer, tracing.sample, self._model_of)
        return recorder.recorded(attempt)

    def spans(self) -> Mapping[str, int]:
        """How many spans were exported, and how many were lost for which reason; nothing where tracing is off."""
        return self._exporter.spans if self._exporter is not None else {}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Send in the background; at the end, send what is left in a bounded time."""
        http, exporter = self._http, self._exporter
        if http is None or exporter is None:
            yield
            return
        async with http, trio.open_nursery() as nursery:
            nursery.start_soon(self._run, exporter, name="traces")
            yield
            exporter.close()
            nursery.cancel_scope.deadline = trio.current_time() + CLOSE_SECONDS
        exporter.give_up()

    async def _run(self, exporter: Exporter) -> None:
        """A bug in here stops nothing but traces, and those for a while."""
        while True:
            try:
                await exporter.run()
                return
            except Exception as error:
                self._on_error("traces", error)
            await trio.sleep(RESTART_SECONDS)

    def _make(self, endpoint: str) -> None:
        try:
            from daemon.observe.tracing.otlp import OtlpCollector, OtlpHttp
        except ImportError as error:
            raise CannotStart(MISSING) from error
        tracing = self._settings.tracing
        headers = {name: value.get_secret_value() for name, value in tracing.headers.items()}
        self._http = http = OtlpHttp(tls=tls_context(self._settings.tls.ca_file))
        self._exporter = Exporter(
            OtlpCollector(http, endpoint, headers, self._resource, tracing.timeout_seconds),
            self._feed,
            every_seconds=tracing.every_seconds,
            max_queued_spans=tracing.max_queued_spans,
            max_batch_spans=tracing.max_batch_spans,
        )

    def _model_of(self, instance: str, provider: str) -> Model:
        for known in self._live.for_instance(instance).responder.providers:
            if known.name == provider:
                return Model(PROVIDERS[known.kind].traced_as or known.kind, known.model or "")
        return Model(provider, "")
