"""A trace collector that reads the OpenTelemetry protocol, records what arrives, and misbehaves on demand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2 as wire

from tests.support.http_faults import Exchange, FaultServer, Request

Fault = Literal["status", "hang", "drip", "endless", "garbage", "reset", "reject", "json", "redirect"]
PROTOBUF = {"content-type": "application/x-protobuf"}
TAKEN: tuple[Fault, ...] = ("reject", "json", "garbage", "drip", "endless")
"""Faults after which the spans were accepted all the same."""


@dataclass(frozen=True)
class SeenSpan:
    """One span as a collector sees it."""

    trace: str
    id: str
    parent: str
    name: str
    kind: str
    start_ns: int
    end_ns: int
    attributes: dict[str, object]
    error: str | None
    """The message of the error status; None if it is no error."""
    moments: tuple[tuple[str, int, dict[str, object]], ...]
    resource: dict[str, object]


@dataclass(frozen=True)
class Taken:
    """One request that was read."""

    path: str
    headers: dict[str, str]
    body: bytes


class FakeCollector(FaultServer):
    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Taken] = []
        """All requests, including those that were then refused."""
        self._spans: list[SeenSpan] = []
        self._orders: list[tuple[Fault, int, dict[str, str]]] = []

    def order(
        self, fault: Fault, times: int = 1, *, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        """Order faults for the next requests. `status` of a `reject` is the number of spans."""
        with self.lock:
            self._orders += [(fault, status, headers or {})] * times

    @property
    def spans(self) -> list[SeenSpan]:
        """The accepted spans."""
        with self.lock:
            return list(self._spans)

    @property
    def traces(self) -> dict[str, list[SeenSpan]]:
        """The accepted spans by trace; the root comes first."""
        found: dict[str, list[SeenSpan]] = {}
        for span in sorted(self.spans, key=lambda span: (span.parent != "", span.start_ns)):
            found.setdefault(span.trace, []).append(span)
        return found

    def bytes_seen(self) -> bytes:
        """Every body ever sent here."""
        with self.lock:
            return b"".join(repr(taken.headers).encode() + taken.body for taken in self.requests)

    async def handle(self, request: Request, exchange: Exchange) -> None:
        spans = read_spans(request.body)
        with self.changed:
            fault, number, headers = self._orders.pop(0) if self._orders else ("", 200, {})
            self.requests.append(Taken(request.path, dict(request.headers), request.body))
            if fault in TAKEN or not fault:
                self._spans += spans
            self.changed.notify_all()
        match fault:
            case "status" | "redirect":
                await exchange.answer(number, b"", headers)
            case "hang":
                await exchange.hang()
            case "drip":
                await exchange.drip(200, b"x" * 10_000, 0.05)
            case "endless":
                await exchange.answer(200, b"x" * 2**20, headers)
            case "garbage":
                await exchange.answer(200, b"<html>It works!</html>", {"content-type": "text/html"})
            case "reset":
                exchange.reset()
            case "json":
                document = {"partialSuccess": {"rejectedSpans": str(number)}} if number != 200 else {}
                await exchange.answer_json(200, document)
            case _:
                answer = ExportTraceServiceResponse()
                answer.partial_success.rejected_spans = number if fault == "reject" else 0
                await exchange.answer(200, answer.SerializeToString(), PROTOBUF)


def read_spans(body: bytes) -> list[SeenSpan]:
    """Decode the spans of one request; raises if it violates the protocol."""
    request = ExportTraceServiceRequest()
    request.ParseFromString(body)
    return [
        _seen(span, _attributes(group.resource.attributes))
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def _seen(span: wire.Span, resource: dict[str, object]) -> SeenSpan:
    assert (len(span.trace_id), len(span.span_id), len(span.parent_span_id)) in ((16, 8, 8), (16, 8, 0))
    failed = span.status.code == wire.Status.STATUS_CODE_ERROR
    return SeenSpan(
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        name=span.name,
        kind=wire.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=_attributes(span.attributes),
        error=span.status.message if failed else None,
        moments=tuple(
            (event.name, event.time_unix_nano, _attributes(event.attributes)) for event in span.events
        ),
        resource=resource,
    )


def _attributes(attributes: object) -> dict[str, object]:
    return {pair.key: _value(pair.value) for pair in attributes if isinstance(pair, KeyValue)}  # type: ignore[attr-defined]


def _value(value: AnyValue) -> object:
    if value.HasField("array_value"):
        return [_value(item) for item in value.array_value.values]
    return getattr(value, str(value.WhichOneof("value")))
