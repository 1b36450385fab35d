"""Where each metric's value comes from at the moment of a scrape. Nothing here waits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import get_args

import msgspec

from actors.targets import TargetState
from daemon.ingress.counters import IngressCounters
from daemon.observe.feed import EventFeed
from daemon.observe.metrics.observed import MAX_INSTANCES, MAX_PROVIDERS, Observed
from daemon.observe.metrics.tally import Histogram, Histograms, Labelled, Names
from daemon.observe.monitor import Monitor
from daemon.observe.orphans import OrphanSearch
from daemon.observe.target_watch import TargetWatch
from daemon.observe.vitals import Figures, Vitals, VitalSigns
from daemon.partitions.open_turns import OpenTurnSearch
from daemon.responders.breaker import ProviderView
from daemon.web.http1 import HttpCounters

Labels = tuple[str, ...]
"""The values of the labels, in their order; a metric without labels has one row, `()`."""
MetricRows = Iterable[tuple[Labels, float | Histogram]]

SENDS = ("sent", "not_sent", "unknown", "reconciled", "resent", "failed_later")
OUTCOMES = {
    "answered": "turn.done",
    "suppressed": "turn.suppressed",
    "dead": "turn.dead",
    "moved": "turn.moved",
}
LEFT_ALONE = ("open", "half_open")


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """What exists once the stores run."""

    vitals: VitalSigns
    providers: Callable[[], Sequence[ProviderView]]
    alerts: Callable[[], Mapping[str, bool]]
    """Every alert, and whether it is up."""
    monitor: Monitor
    orphans: OrphanSearch
    open_turns: OpenTurnSearch
    targets: TargetWatch
    spans: Callable[[], Mapping[str, int]] = dict
    """Of traces, by what became of them; empty where tracing is off."""


def of_the_doors(
    feed: EventFeed, observed: Observed, ingress: IngressCounters, http: HttpCounters
) -> dict[str, MetricRows]:
    """Counted from the first moment on."""
    return {
        "majlis_webhooks_total": observed.statuses.items(),
        "majlis_ack_seconds": _only(observed.ack),
        "majlis_messages_total": _by(
            {
                "accepted": ingress.acked,
                "duplicate": ingress.duplicates,
                "amended": ingress.amended,
                "ignored": ingress.ignored.total(),
                "forwarded": ingress.forwarded,
            }
        ),
        "majlis_ignored_total": _by(ingress.ignored),
        "majlis_refused_total": _by(ingress.refused),
        "majlis_unreadable_total": _one(ingress.unreadable),
        "majlis_unauthorized_total": _one(ingress.unauthorized),
        "majlis_webhooks_lost_total": _by(ingress.lost.by_reason),
        "majlis_unknown_instance_messages_total": _one(ingress.unknown.messages),
        "majlis_event_loop_lag_seconds": _only(observed.lag),
        "majlis_observer_failures_total": _one(feed.observer_failures),
        "majlis_http_connections": _one(http.connections),
        "majlis_http_refused_connections_total": _one(http.refused_connections),
        "majlis_http_rejected_total": _by(http.rejected),
    }


def of_the_turns(feed: EventFeed, observed: Observed) -> dict[str, MetricRows]:
    """From the events: counted by the feed, or as they were observed."""
    counts, reasons = feed.counters, feed.reasons
    return {
        "majlis_swept_total": _by(reasons("message.swept")),
        "majlis_sweeps_total": _by({"done": counts["sweep.done"], "failed": counts["sweep.failed"]}),
        "majlis_window_lateness_seconds": _only(observed.lateness),
        "majlis_windows_closed_total": _by(reasons("window.closed")),
        "majlis_typing_windows_total": observed.typing.items(),
        "majlis_turns_ended_total": _by({outcome: counts[event] for outcome, event in OUTCOMES.items()}),
        "majlis_turns_resumed_total": _one(counts["turn.resumed"]),
        "majlis_suppressed_total": _by(reasons("turn.suppressed")),
        "majlis_failed_tries_total": _by(reasons("turn.failed")),
        "majlis_crashed_tries_total": _one(counts["turn.crashed"]),
        "majlis_holds_total": _by(reasons("turn.held")),
        "majlis_dead_letters_total": _by(reasons("turn.dead")),
        "majlis_turn_stage_seconds": _each(observed.stages),
        "majlis_lookup_seconds": _each(observed.lookups),
        "majlis_lookups_total": observed.lookup_outcomes.items(),
        "majlis_escalations_total": _by(reasons("turn.escalated")),
        "majlis_limits_reached_total": _by(reasons("limit.reached")),
        "majlis_answers_total": _by(reasons("turn.answered")),
        "majlis_answers_cut_total": _by(reasons("answer.cut")),
        "majlis_cache_hits_total": _one(reasons("turn.answered").get("cache", 0)),
        "majlis_cache_questions_total": observed.cache_questions.items(),
        "majlis_tokens_total": observed.tokens.items(),
        "majlis_cost_total": [(labels, micros / 1e6) for labels, micros in observed.cost_micros.items()],
        "majlis_sends_total": _by({outcome: counts[f"part.{outcome}"] for outcome in SENDS}),
        "majlis_forwards_total": _by({end: counts[f"forward.{end}"] for end in ("sent", "failed", "dead")}),
        "majlis_sends_failed_total": _by(reasons("part.not_sent")),
        "majlis_leases_lost_total": _one(counts["lease.lost"]),
        "majlis_actor_crashes_total": _one(counts["actor.crashed"]),
        "majlis_problems_total": _by(reasons("daemon.problem")),
    }


def of_the_parts(sources: Sources, observed: Observed) -> dict[str, MetricRows]:
    calls, opened = Labelled(observed.provider_failures), Labelled()
    names = Names(MAX_PROVIDERS)
    for view in sources.providers():
        provider = names.of(view.name)
        calls[provider, "ok"] += view.succeeded
        # Several instances may have a provider of this name: one that is left alone is enough.
        opened[provider,] = max(opened[provider,], int(view.state in LEFT_ALONE))
    return {
        "majlis_provider_calls_total": calls.items(),
        "majlis_provider_open": opened.items(),
        "majlis_red_flag": _by(sources.alerts()),
        "majlis_orphans_total": _one(sources.orphans.found),
        "majlis_unfinished_turns": _one(sources.open_turns.old),
        "majlis_monitor_sweeps_total": _one(sources.monitor.sweeps),
        "majlis_trace_spans_total": _by(sources.spans()),
        **_of_the_targets(sources.targets),
    }


def _of_the_targets(watch: TargetWatch) -> dict[str, MetricRows]:
    """Of a target that cannot be judged there is nothing, rather than zeros."""
    verdicts = watch.latest.verdicts if watch.latest else ()
    names, sizes = Names(MAX_INSTANCES), Labelled()
    for instance, size in (watch.sizes.latest or {}).items():
        sizes[names.of(instance),] += size.bytes
    return {
        "majlis_target_value": [((one.name,), one.target) for one in verdicts],
        "majlis_target_actual": [((one.name,), one.actual) for one in verdicts if one.actual is not None],
        "majlis_target_samples": [((one.name,), float(one.samples)) for one in verdicts],
        "majlis_target_state": [
            ((one.name, state), float(state == one.state))
            for one in verdicts
            for state in get_args(TargetState)
        ],
        "majlis_mirror_instance_bytes": sizes.items(),
    }


def of_the_vitals(vitals: Vitals) -> dict[str, MetricRows]:
    """What needs no store first; the rest when the stores answered in time."""
    leases, redis = vitals.leases, vitals.redis_memory
    rows: dict[str, MetricRows] = {
        "majlis_appends_waiting": _one(vitals.appends_waiting),
        "majlis_lease_renewals_total": _by(
            {"ok": leases.renewals - leases.failures, "failed": leases.failures}
        ),
        "majlis_snapshot_complete": _one(vitals.figures is not None),
    }
    if vitals.memory_share is not None:
        rows["majlis_memory_used_ratio"] = _one(vitals.memory_share)
    if redis is not None:
        rows["majlis_redis_memory_used_bytes"] = _one(redis.used_bytes)
        rows["majlis_redis_memory_limit_bytes"] = _one(redis.limit_bytes)
    return rows if vitals.figures is None else rows | _of_the_figures(vitals.figures, leases.certain)


def _of_the_figures(figures: Figures, certain: int) -> dict[str, MetricRows]:
    """What `majlis status` shows. Of a store that is away there is nothing, rather than zeros."""
    turns = {
        "running": figures.running_turns,
        "queued": figures.queued_turns,
        "held": figures.held_turns,
        "retrying": figures.deferred_turns,
        "parked": figures.parked,
    }
    partitions = {"owned": figures.partitions_owned, "certain": certain, "all": figures.partitions_total}
    rows: dict[str, MetricRows] = {
        "majlis_ready": _one(figures.ready),
        "majlis_uptime_seconds": _one(figures.uptime_seconds),
        "majlis_open_windows": _one(figures.open_windows),
        "majlis_active_conversations": _one(figures.active),
        "majlis_turns": _by(turns),
        "majlis_partitions": _by(partitions),
        "majlis_store_healthy": _by({name: text == "ok" for name, text in figures.stores.items()}),
    }
    if figures.stores.get("redis") == "ok":
        rows["majlis_waiting_messages"] = _one(figures.waiting_messages)
        rows["majlis_oldest_waiting_seconds"] = _one(figures.oldest_waiting_seconds or 0.0)
    if figures.stores.get("postgres") == "ok":
        rows["majlis_dead_letters_open"] = _one(figures.dead_letters_open)
        rows["majlis_notices_waiting"] = _one(figures.notices_waiting)
        rows["majlis_notices_given_up"] = _one(figures.notices_given_up)
        rows["majlis_forwards_waiting"] = _one(figures.forwards_waiting)
        rows["majlis_forwards_waiting_bytes"] = _one(figures.forwards_bytes)
        rows["majlis_forwards_oldest_seconds"] = _one(figures.forwards_oldest_seconds or 0.0)
        rows["majlis_forwards_dead"] = _one(figures.forwards_dead)
    return rows


def _one(value: float) -> MetricRows:
    return [((), float(value))]


def _only(histogram: Histogram) -> MetricRows:
    return [((), histogram)]


def _each(histograms: Histograms) -> MetricRows:
    return [((name,), each) for name, each in sorted(histograms.by_name.items())]


def _by(counts: Mapping[str, int]) -> MetricRows:
    return [((reason,), float(count)) for reason, count in sorted(counts.items())]
