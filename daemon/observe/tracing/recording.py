"""One turn as it is seen, event by event, and the trace that comes of it. Pure: time is an argument.

Laws of this file:
1. Every child lies within the root, which begins with the first message of the burst and ends with the turn.
2. It holds numbers, names from the settings, the keyed hash of the conversation, and reasons: no text, no phone number.
3. Times go by a clock that never steps back, from one look at the calendar's: a clock that is set turns no span around.
4. The steps of a turn follow one another. A step that is seen only when it is over began at `mark_ns`, where the step
   before it ended.
5. It is bounded: of a turn that is held for hours the first `MAX_SPANS` steps are kept, and the rest are counted.

Where OpenTelemetry has a name for something, it is used (`gen_ai.*`, `messaging.*`, `error.type`); the others are
`majlis.*`. All of them are listed in `docs/tracing.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import msgspec

from actors.errors import StaleEpoch, Superseded, TurnFailed, TurnRefused, Unavailable
from actors.messages import Asked, Batch, Spent, TurnOutcome
from actors.response_cache import CACHE
from actors.triage import ESCALATION, FALLBACK
from daemon.observe.tracing.spans import Moment, SpanKind, Trace, TraceSpan, Value, word

MAX_SPANS = 200
MAX_MOMENTS = 100
OPENING = frozenset({"settings", "conversation"})
"""Looked up in every attempt; a turn that asks for more is to be answered."""
NO_PROVIDER = frozenset({CACHE, ESCALATION, FALLBACK})
"""Named as the provider of what Majlis says by itself."""

Fields = Mapping[str, object]
TraceOutcome = Literal[TurnOutcome, "left"]
"""`left`: this daemon did not end the turn, for it stopped or lost its lease. Who takes it up goes on in this trace."""


class Model(NamedTuple):
    """Who is behind a provider's name."""

    kind: str
    """In the words of OpenTelemetry: `openai`, `anthropic`, `gcp.gemini`, …"""
    model: str


class Recording:
    """One turn. Each event comes with the moment at which it was seen, seconds of a clock that never steps back."""

    def __init__(
        self,
        trace_id: bytes,
        batch: Batch,
        label: str,
        model_of: Callable[[str], Model],
        now: float,
        wall_ns: int,
    ) -> None:
        """`wall_ns` is the calendar's time at `now`."""
        self.batch = batch.number
        self._tries_seen = 1
        self._is_over = False
        self._trace_id = trace_id
        self._label = label
        self._model_of = model_of
        self._built = TraceBuilder(now, wall_ns)
        self._built.attempt = batch.attempts + 1
        self._start_ns = self._window(batch, wall_ns)
        self._asking = False
        self._asked_ns = wall_ns
        self._last_failure = self._died_of = ""
        self._attributes: dict[str, Value] = {
            "majlis.instance": batch.conversation.instance,
            "majlis.conversation": label,
            "majlis.batch": batch.number,
            "majlis.window.closed_by": batch.why,
            "messaging.system": "whatsapp",
            "messaging.operation.type": "process",
            "messaging.batch.message_count": len(batch.entries),
        }

    @property
    def found_ended(self) -> bool:
        """The turn was at its end before its first attempt here began: there is nothing to export."""
        return self._tries_seen == 1 and not self._is_over

    def begin(self, now: float, batch: Batch) -> None:
        """One more attempt begins, or the batch is buried."""
        self._tries_seen += 1
        self._built.mark_ns = self._built.at(now)
        self._built.attempt = batch.attempts + 1
        self._attributes["messaging.batch.message_count"] = len(batch.entries)
        self._asking = False

    def failed(self, now: float, error: BaseException) -> None:
        """The attempt ended and the turn did not. What is no `Exception` (a stop) says nothing of the turn."""
        match error:
            case TurnFailed() | TurnRefused():
                last = error.asked[-1] if error.asked else None
                told = (last.failure if last else error.reason) == self._last_failure
                if self._asking and not told:
                    self._call(self._built.at(now), _of(last), last.failure if last else error.reason)
                self._built.note(now, "try failed", error.reason)
            case Superseded():
                if self._asking:
                    self._call(self._built.at(now), {}, "superseded")
                self._built.note(now, "superseded", "superseded")
            case Unavailable():
                self._built.note(now, "held", error)
            case StaleEpoch():
                self._built.note(now, "lease lost", "stale_epoch")
            case Exception():
                self._built.note(now, "try failed", type(error).__name__)

    def close(self, now: float, outcome: TraceOutcome) -> Trace:
        """The trace, as far as it was seen."""
        attributes = {
            **self._attributes,
            "majlis.turn.outcome": outcome,
            "majlis.turn.tries": self._built.attempt,
        }
        error = (self._died_of or "unknown") if outcome == "dead" else ""
        return self._built.close(self._trace_id, "majlis.turn", self._start_ns, now, attributes, error)

    # The events, by `EVENTS`

    def started(self, _now: float, fields: Fields) -> None:
        self._attributes["majlis.turn.id"] = _whole(fields.get("turn"))

    def looked_up(self, now: float, fields: Fields) -> None:
        built, end_ns, spans = self._built, self._built.at(now), fields.get("waterfall")
        origin_ns = end_ns - _ns(fields.get("total_ms"))
        lookups = dict(spans) if isinstance(spans, Mapping) else {}
        for name, (started_ms, took_ms, outcome) in lookups.items():
            if outcome != "skipped":
                start_ns = max(built.mark_ns, origin_ns + _ns(started_ms))
                looked_up: dict[str, Value] = {"majlis.lookup": name, "majlis.lookup.outcome": outcome}
                error = "" if outcome == "ok" else outcome
                built.add(
                    f"lookup {name}", start_ns, min(end_ns, start_ns + _ns(took_ms)), looked_up, error=error
                )
        if skipped := [name for name, (_, _, outcome) in lookups.items() if outcome == "skipped"]:
            self._attributes["majlis.lookups.skipped"] = skipped
        built.mark_ns = self._asked_ns = end_ns
        self._asking, self._last_failure = bool(lookups.keys() - OPENING), ""

    def provider_failed(self, now: float, fields: Fields) -> None:
        self._last_failure = str(fields.get("reason"))
        self._call(self._built.at(now), fields, self._last_failure)

    def answered(self, now: float, fields: Fields) -> None:
        provider = str(fields.get("provider"))
        if provider not in NO_PROVIDER:
            # The event comes when the reply is stored; the provider was done before.
            self._call(self._asked_ns + _ns(fields.get("took_ms")), {**fields, **_own(fields)})
        self._attributes["majlis.answer.by"] = provider
        self._attributes["majlis.reply.parts"] = _whole(fields.get("parts"))
        self._asking, self._built.mark_ns = False, self._built.at(now)

    def sent(self, now: float, fields: Fields) -> None:
        self._part(now, fields, "sent")

    def not_sent(self, now: float, fields: Fields) -> None:
        self._part(now, fields, "not_sent", word(fields.get("reason")))

    def unknown(self, now: float, fields: Fields) -> None:
        self._part(now, fields, "unknown", word(fields.get("reason")))

    def reconciled(self, now: float, fields: Fields) -> None:
        self._part(now, fields, "reconciled")

    def resent(self, now: float, fields: Fields) -> None:
        self._built.note(now, "part is sent again", fields.get("reason"))

    def escalated(self, now: float, fields: Fields) -> None:
        self._built.note(now, "escalated", fields.get("reason"))

    def limited(self, now: float, fields: Fields) -> None:
        self._built.note(now, "limit reached", fields.get("reason"))

    def ended(self, _now: float, fields: Fields) -> None:
        self._is_over = True
        if (rule := fields.get("rule")) is not None:
            self._attributes["majlis.turn.rule"] = word(rule)
        self._died_of = word(fields.get("reason", ""))

    # The steps

    def _window(self, batch: Batch, wall_ns: int) -> int:
        """Record the window; returns its start. Its times are the mirror's, whose clock may be ahead of ours."""
        end_ns = min(wall_ns, batch.frozen_at_ms * 1_000_000)
        start_ns = end_ns - max(0, batch.frozen_at_ms - batch.opened_at_ms) * 1_000_000
        closed_by: dict[str, Value] = {
            "majlis.window.closed_by": batch.why,
            "messaging.batch.message_count": len(batch.entries),
        }
        self._built.add("window", start_ns, end_ns, closed_by)
        return start_ns

    def _call(self, end_ns: int, fields: Fields, error: str = "") -> None:
        """One call to a provider; which one is not known of a question that was refused, or shared with others."""
        attributes: dict[str, Value] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.conversation.id": self._label,
        }
        name, provider = "chat", fields.get("provider")
        if isinstance(provider, str):
            known = self._model_of(provider)
            attributes |= {"majlis.provider": provider, "gen_ai.provider.name": known.kind}
            if known.model:
                name, attributes["gen_ai.request.model"] = f"chat {known.model}", known.model
        if not error or "input_tokens" in fields:
            attributes["gen_ai.usage.input_tokens"] = _whole(fields.get("input_tokens"))
            attributes["gen_ai.usage.output_tokens"] = _whole(fields.get("output_tokens"))
            attributes["majlis.cost"] = _whole(fields.get("cost_micros")) / 1e6
        self._built.step(name, end_ns, attributes, "client", word(error))

    def _part(self, now: float, fields: Fields, outcome: str, error: str = "") -> None:
        """One part of the reply, from its claim in the ledger to its settling there."""
        attributes: dict[str, Value] = {
            "majlis.part": _whole(fields.get("part")) + 1,
            "majlis.send.outcome": outcome,
        }
        if (took_ms := fields.get("took_ms")) is not None:
            attributes["majlis.send.gateway_ms"] = _whole(took_ms)
        self._asking = False
        self._built.step("send part", self._built.at(now), attributes, "client", error)


EVENTS: Mapping[str, Callable[[Recording, float, Fields], None]] = {
    "turn.started": Recording.started,
    "turn.lookups": Recording.looked_up,
    "turn.escalated": Recording.escalated,
    "limit.reached": Recording.limited,
    "provider.failed": Recording.provider_failed,
    "turn.answered": Recording.answered,
    "part.sent": Recording.sent,
    "part.not_sent": Recording.not_sent,
    "part.unknown": Recording.unknown,
    "part.reconciled": Recording.reconciled,
    "part.resent": Recording.resent,
    "turn.done": Recording.ended,
    "turn.suppressed": Recording.ended,
    "turn.dead": Recording.ended,
    "turn.moved": Recording.ended,
}
"""What is to be seen of a turn while it runs."""


def _of(asked: Asked | None) -> dict[str, object]:
    """The call as an event would tell of it; nothing where it is not known."""
    if asked is None:
        return {}
    cost = msgspec.structs.asdict(asked.spent) if asked.spent != Spent() else {}
    return {"provider": asked.provider, **cost}


def _own(fields: Fields) -> dict[str, int]:
    """What the answer itself cost, without those that were asked in vain: each of them has told of its own."""
    in_vain = fields.get("in_vain")
    if not isinstance(in_vain, Mapping):
        return {}
    return {name: _whole(fields.get(name)) - _whole(cost) for name, cost in in_vain.items()}


class TraceBuilder:
    """A trace under construction. Times come as seconds of that clock, and are kept as Unix nanoseconds."""

    def __init__(self, now: float, wall_ns: int) -> None:
        """`wall_ns` is the calendar's time at `now`."""
        self._origin, self._wall_ns = now, wall_ns
        self._spans: list[TraceSpan] = []
        self._moments: list[Moment] = []
        self._left_out = 0
        self.attempt = 1
        """The attempt under way; every step carries it."""
        self.mark_ns = wall_ns
        """Where the next step begins."""

    def at(self, now: float) -> int:
        return self._wall_ns + round((now - self._origin) * 1e9)

    def add(
        self,
        name: str,
        start_ns: int,
        end_ns: int,
        attributes: Mapping[str, Value],
        kind: SpanKind = "internal",
        error: str = "",
    ) -> None:
        """One step."""
        if len(self._spans) >= MAX_SPANS:
            self._left_out += 1
            return
        attributes = {
            **attributes,
            "majlis.try": self.attempt,
            **({"error.type": error} if error else {}),
        }
        end_ns = max(start_ns, end_ns)
        span = TraceSpan(
            name=name, start_ns=start_ns, end_ns=end_ns, attributes=attributes, kind=kind, error=error
        )
        self._spans.append(span)

    def step(
        self,
        name: str,
        end_ns: int,
        attributes: Mapping[str, Value],
        kind: SpanKind = "internal",
        error: str = "",
    ) -> None:
        """One step, from the end of the one before it."""
        end_ns = max(self.mark_ns, end_ns)
        self.add(name, self.mark_ns, end_ns, attributes, kind, error)
        self.mark_ns = end_ns

    def note(self, now: float, name: str, reason: object) -> None:
        """Something that took no time."""
        if len(self._moments) >= MAX_MOMENTS:
            self._left_out += 1
            return
        attributes: dict[str, Value] = {"majlis.reason": word(reason), "majlis.try": self.attempt}
        self._moments.append(Moment(name, self.at(now), attributes))

    def close(
        self,
        trace_id: bytes,
        name: str,
        start_ns: int,
        now: float,
        attributes: Mapping[str, Value],
        error: str = "",
    ) -> Trace:
        """The trace: one root, and all steps within it."""
        left_out = {"majlis.left_out": self._left_out} if self._left_out else {}
        root = TraceSpan(
            name=name,
            start_ns=start_ns,
            end_ns=max(self.at(now), self.mark_ns),
            attributes={**attributes, **left_out, **({"error.type": error} if error else {})},
            kind="consumer",
            error=error,
            moments=tuple(self._moments),
        )
        return Trace(trace_id, root, tuple(self._spans))


def _ns(milliseconds: object) -> int:
    return round(milliseconds * 1e6) if isinstance(milliseconds, int | float) else 0


def _whole(number: object) -> int:
    return number if isinstance(number, int) else 0
