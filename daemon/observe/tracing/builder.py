"""A trace under construction: spans and moments as they come, at times that fit together. Pure.

Laws of this file:
1. Times go by a clock that never steps back, from one look at the calendar's: one that is set turns no span around.
2. The steps of a turn follow one another. What is told only when it is over began at `mark_ns`, where the one before it
   ended.
3. It is bounded: of a turn that is held for hours the first `MAX_SPANS` steps are kept, and the rest are counted.
"""

from __future__ import annotations

from collections.abc import Mapping

from daemon.observe.tracing.spans import Moment, SpanKind, Trace, TraceSpan, Value, word

MAX_SPANS = 200
MAX_MOMENTS = 100


class Builder:
    """Times are told as seconds of that clock, and kept as Unix nanoseconds."""

    def __init__(self, now: float, wall_ns: int) -> None:
        """`wall_ns` is the calendar's time at `now`."""
        self._origin, self._wall_ns = now, wall_ns
        self._spans: list[TraceSpan] = []
        self._moments: list[Moment] = []
        self._left_out = 0
        self.attempt = 1
        """The try under way; every step tells it."""
        self.mark_ns = wall_ns
        """Where the next step begins."""

    def at(self, now: float) -> int:
        return self._wall_ns + round((now - self._origin) * 1e9)

    def add(
        self,
        name: str,
        start_ns: int,
        end_ns: int,
        told: Mapping[str, Value],
        kind: SpanKind = "internal",
        error: str = "",
    ) -> None:
        """One step."""
        if len(self._spans) >= MAX_SPANS:
            self._left_out += 1
            return
        told = {**told, "majlis.try": self.attempt, **({"error.type": error} if error else {})}
        end_ns = max(start_ns, end_ns)
        span = TraceSpan(name=name, start_ns=start_ns, end_ns=end_ns, attributes=told, kind=kind, error=error)
        self._spans.append(span)

    def step(
        self, name: str, end_ns: int, told: Mapping[str, Value], kind: SpanKind = "internal", error: str = ""
    ) -> None:
        """One step, from the end of the one before it."""
        end_ns = max(self.mark_ns, end_ns)
        self.add(name, self.mark_ns, end_ns, told, kind, error)
        self.mark_ns = end_ns

    def note(self, now: float, name: str, reason: object) -> None:
        """Something that took no time."""
        if len(self._moments) >= MAX_MOMENTS:
            self._left_out += 1
            return
        told: dict[str, Value] = {"majlis.reason": word(reason), "majlis.try": self.attempt}
        self._moments.append(Moment(name, self.at(now), told))

    def close(
        self,
        trace_id: bytes,
        name: str,
        start_ns: int,
        now: float,
        told: Mapping[str, Value],
        error: str = "",
    ) -> Trace:
        """The trace: one root, and all steps within it."""
        left_out = {"majlis.left_out": self._left_out} if self._left_out else {}
        root = TraceSpan(
            name=name,
            start_ns=start_ns,
            end_ns=max(self.at(now), self.mark_ns),
            attributes={**told, **left_out, **({"error.type": error} if error else {})},
            kind="consumer",
            error=error,
            moments=tuple(self._moments),
        )
        return Trace(trace_id, root, tuple(self._spans))
