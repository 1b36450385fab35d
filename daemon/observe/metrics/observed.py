"""What must be recorded as it happens: how long things took, and what each instance used.

Everything else is counted already, by the feed, the ingress and the breakers, and is read when a scrape asks for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import trio

from actors.identity import Conversation
from daemon.observe.feed import EventFeed
from daemon.observe.metrics.catalogue import METRICS
from daemon.observe.metrics.tally import Histogram, Histograms, Labelled, Names

MAX_INSTANCES = 500
"""Instances with a label of their own. Made-up names in a webhook's path never get as far as a turn."""
MAX_PROVIDERS = 100
MAX_LOOKUPS = 100
MAX_REASONS = 100
LAG_EVERY_SECONDS = 0.25


def _bounds(metric: str) -> tuple[float, ...]:
    return METRICS[metric].buckets


class Observed:
    """Fed by the event feed, by the ingress and by `watch_loop`."""

    def __init__(self, feed: EventFeed) -> None:
        self.statuses = Labelled()
        self.ack = Histogram(_bounds("majlis_ack_seconds"))
        self.lateness = Histogram(_bounds("majlis_window_lateness_seconds"))
        self.lag = Histogram(_bounds("majlis_event_loop_lag_seconds"))
        self.stages = Histograms(_bounds("majlis_turn_stage_seconds"), limit=10)
        self.lookups = Histograms(_bounds("majlis_lookup_seconds"), MAX_LOOKUPS)
        self.lookup_outcomes = Labelled()
        self.tokens = Labelled()
        self.cost_micros = Labelled()
        self.cache_questions = Labelled()
        self.provider_failures = Labelled()
        self.typing = Labelled()
        self._instances = Names(MAX_INSTANCES)
        self._lookups = Names(MAX_LOOKUPS)
        self._providers = Names(MAX_PROVIDERS)
        self._reasons = Names(MAX_REASONS)
        feed.observe("window.closed", self._closed)
        feed.observe("turn.lookups", self._looked_up)
        feed.observe("turn.answered", self._answered)
        feed.observe("turn.spent", self._paid)
        feed.observe("turn.done", self._done)
        feed.observe("part.sent", self._sent)
        feed.observe("provider.failed", self._provider_failed)

    def webhook(self, status: int, seconds: float) -> None:
        """One webhook was answered; what is refused quickly must not make the acknowledgements look quick."""
        self.statuses[str(status),] += 1
        if status == 200:
            self.ack.observe(seconds)

    def typing_told(self) -> dict[str, int]:
        """Windows that closed since the start, by what the gateway had told of typing: see the metric."""
        found = Counter[str]()
        for (_instance, told), windows in self.typing.items():
            found[told] += round(windows)
        return dict(found)

    def _closed(self, conversation: Conversation | None, fields: Mapping[str, object]) -> None:
        late_ms, typed_ms = fields.get("late_ms"), fields.get("typed_ms")
        if isinstance(late_ms, int | float):
            self.lateness.observe(late_ms / 1000)
        told = "nothing" if not isinstance(typed_ms, int) else "extended" if typed_ms else "told"
        self.typing[self._instances.of(conversation.instance if conversation else ""), told] += 1

    def _looked_up(self, _conversation: Conversation | None, fields: Mapping[str, object]) -> None:
        self._stage("lookups", fields.get("total_ms"))
        lookups = fields.get("waterfall")
        if not isinstance(lookups, Mapping):
            return
        for lookup, (_started_ms, took_ms, outcome) in lookups.items():
            name = self._lookups.of(lookup)
            self.lookup_outcomes[name, outcome] += 1
            if outcome != "skipped":
                self.lookups.observe(name, took_ms / 1000)

    def _answered(self, conversation: Conversation | None, fields: Mapping[str, object]) -> None:
        self._stage("responder", fields.get("took_ms") or None)
        self._paid(conversation, fields)

    def _paid(self, conversation: Conversation | None, fields: Mapping[str, object]) -> None:
        instance = self._instances.of(conversation.instance if conversation else "")
        self._add(self.tokens, (instance, "input"), fields.get("input_tokens"))
        self._add(self.tokens, (instance, "output"), fields.get("output_tokens"))
        self._add(self.cost_micros, (instance,), fields.get("cost_micros"))
        if looked := fields.get("cache"):
            self.cache_questions[self._reasons.of(str(looked)),] += 1

    def _done(self, _conversation: Conversation | None, fields: Mapping[str, object]) -> None:
        self._stage("whole", fields.get("took_ms"))

    def _sent(self, _conversation: Conversation | None, fields: Mapping[str, object]) -> None:
        self._stage("send", fields.get("took_ms"))

    def _provider_failed(self, _conversation: Conversation | None, fields: Mapping[str, object]) -> None:
        provider = self._providers.of(str(fields.get("provider")))
        self.provider_failures[provider, self._reasons.of(str(fields.get("reason")))] += 1

    def _stage(self, stage: str, took_ms: object) -> None:
        if isinstance(took_ms, int | float):
            self.stages.observe(stage, max(0.0, took_ms / 1000))  # a wall clock may step back

    def _add(self, counts: Labelled, labels: tuple[str, ...], amount: object) -> None:
        if isinstance(amount, int) and amount:
            counts[labels] += amount


async def watch_loop(observe: Callable[[float], None]) -> None:
    """Measure until cancelled. Lag means that something held the loop: one long step, or too many short ones."""
    while True:
        due = trio.current_time() + LAG_EVERY_SECONDS
        await trio.sleep_until(due)
        # Trio's clock does not move with the machine's: a lag is never negative.
        observe(max(0.0, trio.current_time() - due))
