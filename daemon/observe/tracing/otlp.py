"""OpenTelemetry's protocol over HTTP (OTLP, protobuf): how traces are written, and what a collector's answer means.

The only file that imports `opentelemetry`, and of that only the protocol's messages: no tracer, no global state, no
thread, no handler, nothing read from the environment. What is sent goes through the daemon's own HTTP client, with its
one deadline over all, its bounded answers, and without redirects and proxies. `daemon/run/tracing.py` imports this
file when an endpoint is set, for the package is an optional extra.

What an answer means:

    2xx, an empty or well-formed answer    taken, but for the spans that it names as rejected
    2xx, anything else                     no collector answered: counts as refused, sending it again would not help
    429 502 503 504                        not taken; `Retry-After` honoured
    no connection                          not taken
    lost connection, deadline              unknown
    any other status                       refused
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import trio
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2 as wire

from daemon.observe.tracing.exporter import CollectorAway, CollectorDoubtful, Refused
from daemon.observe.tracing.spans import Moment, SpanKind, Trace, TraceSpan, Value
from daemon.web.answer import HttpAnswer, dig
from daemon.web.client import DeliveryUnknown, HttpClient, NotDelivered

PATH = "/v1/traces"
CONTENT_TYPE = "application/x-protobuf"
MAX_ANSWER_BYTES = 64 * 1024
ASKS_AGAIN = (429, 502, 503, 504)
UNREADABLE = ("too_large", "bad_encoding")
"""What the HTTP client says of an answer that came and cannot be read."""

_KINDS: Mapping[SpanKind, wire.Span.SpanKind.ValueType] = {
    "internal": wire.Span.SPAN_KIND_INTERNAL,
    "client": wire.Span.SPAN_KIND_CLIENT,
    "consumer": wire.Span.SPAN_KIND_CONSUMER,
}


class OtlpHttp(HttpClient):
    """The daemon's HTTP client, for bodies that are not JSON."""

    async def post(
        self, url: str, headers: Mapping[str, str], content: bytes, deadline_seconds: float
    ) -> HttpAnswer:
        """Raises as `post_json` does."""
        return await self._exchange("POST", url, headers, content, deadline_seconds, MAX_ANSWER_BYTES)


class OtlpCollector:
    """One collector.

    Args:
      endpoint: its address, with or without the protocol's path.
      headers: sent with every request; they may hold keys.
      resource: attributes of this daemon.
    """

    def __init__(
        self,
        http: OtlpHttp,
        endpoint: str,
        headers: Mapping[str, str],
        resource: Mapping[str, Value],
        timeout_seconds: float,
    ) -> None:
        base = endpoint.rstrip("/")
        self._url = base if base.endswith(PATH) else base + PATH
        self._http = http
        self._headers = {**headers, "content-type": CONTENT_TYPE, "accept": CONTENT_TYPE}
        self._resource = resource
        self._timeout_seconds = timeout_seconds
        self._slot = trio.CapacityLimiter(1)

    async def take(self, traces: Sequence[Trace]) -> Refused:
        """Raises: CollectorAway, CollectorDoubtful."""
        # Some hundred spans take milliseconds to be written: not on the loop.
        encode = partial(written, self._resource, traces)
        content = await trio.to_thread.run_sync(encode, limiter=self._slot)
        spans = sum(trace.size for trace in traces)
        try:
            answer = await self._http.post(self._url, self._headers, content, self._timeout_seconds)
        except NotDelivered as failure:
            raise CollectorAway(failure.reason) from None
        except DeliveryUnknown as failure:
            if failure.reason in UNREADABLE:
                return Refused(spans, "unreadable_answer")
            raise CollectorDoubtful(failure.reason) from None
        if answer.status in ASKS_AGAIN:
            raise CollectorAway(f"status_{answer.status}", answer.retry_after_seconds)
        if not 200 <= answer.status < 300:
            return Refused(spans, f"status_{answer.status}")
        rejected = _rejected(answer)
        if rejected is None:
            return Refused(spans, "unreadable_answer")
        return Refused(rejected, "rejected_spans" if rejected else "")


def written(resource: Mapping[str, Value], traces: Iterable[Trace]) -> bytes:
    """The body of one request."""
    spans = [span for trace in traces for span in _spans(trace)]
    scope = wire.ScopeSpans(scope=InstrumentationScope(name="majlis"), spans=spans)
    of_this_daemon = Resource(attributes=_attributes(resource))
    request = ExportTraceServiceRequest(
        resource_spans=[wire.ResourceSpans(resource=of_this_daemon, scope_spans=[scope])]
    )
    content: bytes = request.SerializeToString()
    return content


def _spans(trace: Trace) -> Iterable[wire.Span]:
    yield _span(trace.id, trace.root, b"")
    for child in trace.children:
        yield _span(trace.id, child, trace.root.id)


def _span(trace_id: bytes, span: TraceSpan, parent_id: bytes) -> wire.Span:
    status = (
        wire.Status(code=wire.Status.STATUS_CODE_ERROR, message=_text(span.error)) if span.error else None
    )
    return wire.Span(
        trace_id=trace_id,
        span_id=span.id,
        parent_span_id=parent_id,
        flags=1,  # sampled
        name=_text(span.name),
        kind=_KINDS[span.kind],
        start_time_unix_nano=span.start_ns,
        end_time_unix_nano=span.end_ns,
        attributes=_attributes(span.attributes),
        events=[_event(moment) for moment in span.moments],
        status=status,
    )


def _event(moment: Moment) -> wire.Span.Event:
    return wire.Span.Event(
        time_unix_nano=moment.at_ns, name=_text(moment.name), attributes=_attributes(moment.attributes)
    )


def _attributes(attributes: Mapping[str, Value]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in attributes.items()]


def _value(value: Value) -> AnyValue:
    match value:
        case str():
            return AnyValue(string_value=_text(value))
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case _:
            return AnyValue(array_value=ArrayValue(values=[_value(item) for item in value]))


def _text(text: str) -> str:
    """As protobuf takes it: a lone surrogate, in the name of an instance, becomes "?"."""
    return text.encode("utf-8", "replace").decode()


def _rejected(answer: HttpAnswer) -> int | None:
    """How many spans a 2xx rejects; None: no collector answers so. Some answer in JSON, whatever they are sent."""
    if "json" in answer.headers.get("content-type", ""):
        return _rejected_in_json(answer.json())
    response = ExportTraceServiceResponse()
    try:
        response.ParseFromString(answer.body)
    except DecodeError:
        return None
    return int(response.partial_success.rejected_spans)


def _rejected_in_json(document: object) -> int | None:
    rejected = dig(document, "partialSuccess", "rejectedSpans") or 0
    number = str(rejected)  # protobuf's JSON writes whole numbers of this size as strings
    return int(number) if isinstance(document, dict) and number.isdecimal() else None
