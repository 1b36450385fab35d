"""Every metric there is, in one table: `docs/metrics.md` shows the same.

Names are stable: people alert on them. A new metric is one entry here and one where its value comes from; a test fails
for one that is exported and not here, or here and not exported. No label ever names a contact.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

MetricKind = Literal["counter", "gauge", "histogram"]

FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
SLOW = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metric(NamedTuple):
    kind: MetricKind
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds, of a histogram."""


METRICS: dict[str, Metric] = {
    # Webhooks
    "majlis_webhooks_total": Metric("counter", "Webhooks, by the status of their answer", ("status",)),
    "majlis_ack_seconds": Metric("histogram", "Time from a read webhook to its 200", buckets=FAST),
    "majlis_messages_total": Metric(
        "counter",
        "Messages of webhooks that were answered 200: accepted, duplicate, amended (edited, deleted) or ignored; of "
        "instances in mode passthrough, webhooks: forwarded",
        ("outcome",),
    ),
    "majlis_ignored_total": Metric(
        "counter", "Messages that were acknowledged and are not for us", ("reason",)
    ),
    "majlis_refused_total": Metric(
        "counter", "Webhooks answered 503; the gateway sends them again", ("reason",)
    ),
    "majlis_unreadable_total": Metric("counter", "Webhooks that can never be read; kept in the quarantine"),
    "majlis_unauthorized_total": Metric("counter", "Webhooks with a wrong token or none; they are lost"),
    "majlis_unknown_instance_messages_total": Metric(
        "counter", "Messages of customers of instances that nobody has set up"
    ),
    "majlis_webhooks_lost_total": Metric(
        "counter", "Webhooks that were refused for good; their messages are lost", ("reason",)
    ),
    "majlis_http_connections": Metric("gauge", "Connections of the ingress open now"),
    "majlis_http_refused_connections_total": Metric("counter", "Connections beyond a bound, answered 503"),
    "majlis_http_rejected_total": Metric(
        "counter", "Requests that broke the protocol or a limit of the ingress", ("reason",)
    ),
    "majlis_swept_total": Metric(
        "counter",
        "Messages found in the gateways' records alone: missed, too_old or already_answered",
        ("reason",),
    ),
    "majlis_sweeps_total": Metric(
        "counter",
        "Comparisons of an instance's records with what was heard: done, or failing after it had gone well",
        ("outcome",),
    ),
    # Windows
    "majlis_window_lateness_seconds": Metric(
        "histogram", "From the end of a window to its freeze in Redis", buckets=FAST
    ),
    "majlis_windows_closed_total": Metric("counter", "Windows that closed", ("why",)),
    "majlis_typing_windows_total": Metric(
        "counter",
        "Windows that closed, by what the gateway told of their customer's typing: nothing, told, or extended: it held "
        "the window open",
        ("whatsapp_instance", "typing"),
    ),
    "majlis_open_windows": Metric("gauge", "Conversations in which messages wait to be answered"),
    "majlis_active_conversations": Metric("gauge", "Conversations with an actor in memory"),
    "majlis_waiting_messages": Metric("gauge", "Messages that are acknowledged and whose turn has not ended"),
    "majlis_oldest_waiting_seconds": Metric("gauge", "Age of the oldest of them; 0 when none waits"),
    "majlis_appends_waiting": Metric("gauge", "Messages that wait to be stored before their acknowledgement"),
    # Turns
    "majlis_turns": Metric("gauge", "Turns now: running, queued, held, retrying or parked", ("state",)),
    "majlis_turns_ended_total": Metric(
        "counter", "Turns that ended: answered, suppressed, dead or moved", ("fate",)
    ),
    "majlis_turns_resumed_total": Metric(
        "counter", "Unfinished turns that the mirror had lost and that were taken up again"
    ),
    "majlis_suppressed_total": Metric("counter", "Turns that ended without an answer", ("rule",)),
    "majlis_failed_tries_total": Metric(
        "counter", "Attempts that failed and are followed by another", ("reason",)
    ),
    "majlis_crashed_tries_total": Metric("counter", "Attempts that failed unexpectedly"),
    "majlis_holds_total": Metric("counter", "Waits for a gateway or a store that is away", ("reason",)),
    "majlis_dead_letters_total": Metric("counter", "Turns that became dead letters", ("reason",)),
    "majlis_dead_letters_open": Metric(
        "gauge", "Dead letters in the ledger that were neither retried nor dropped"
    ),
    "majlis_turn_stage_seconds": Metric(
        "histogram", "Stages of turns: lookups, responder, send (each part), whole", ("stage",), SLOW
    ),
    "majlis_lookup_seconds": Metric("histogram", "Lookups that ran", ("lookup",), FAST),
    "majlis_lookups_total": Metric(
        "counter", "Lookups: ok, failed, timed_out or skipped", ("lookup", "outcome")
    ),
    "majlis_escalations_total": Metric("counter", "Conversations given to a person", ("reason",)),
    "majlis_limits_reached_total": Metric(
        "counter", "Limits that an instance or a contact reached", ("limit",)
    ),
    # Responders
    "majlis_answers_total": Metric(
        "counter", "Answers by their source: a provider, cache, escalation or fallback", ("provider",)
    ),
    "majlis_answers_cut_total": Metric(
        "counter", "Answers that end before their end: length, filter or error", ("reason",)
    ),
    "majlis_cache_hits_total": Metric("counter", "Answers from the response cache"),
    "majlis_cache_questions_total": Metric(
        "counter", "Questions by how the response cache answered them, or why it did not", ("outcome",)
    ),
    "majlis_provider_calls_total": Metric(
        "counter", "Calls to providers that ended: ok, or the reason of the failure", ("provider", "outcome")
    ),
    "majlis_provider_open": Metric(
        "gauge", "1 while a provider gets no calls, or one on trial", ("provider",)
    ),
    "majlis_tokens_total": Metric(
        "counter", "Tokens: input or output, of answers in vain too", ("whatsapp_instance", "direction")
    ),
    "majlis_cost_total": Metric(
        "counter",
        "Cost, in the currency of the providers' prices, of answers in vain too",
        ("whatsapp_instance",),
    ),
    # Sends
    "majlis_sends_total": Metric(
        "counter", "Sends of parts: sent, not_sent, unknown, reconciled, resent or failed_later", ("outcome",)
    ),
    "majlis_sends_failed_total": Metric("counter", "Sends that the gateway did not take", ("reason",)),
    "majlis_notices_waiting": Metric("gauge", "Notices that are still to be sent to the business"),
    "majlis_notices_given_up": Metric("gauge", "Notices that are not tried again"),
    # Mode passthrough
    "majlis_forwards_total": Metric(
        "counter",
        "Attempts to forward webhooks that were sent or failed, and webhooks that are dead",
        ("outcome",),
    ),
    "majlis_forwards_waiting": Metric("gauge", "Webhooks that are still to be forwarded"),
    "majlis_forwards_waiting_bytes": Metric("gauge", "Bytes of the webhooks that are still to be forwarded"),
    "majlis_forwards_oldest_seconds": Metric(
        "gauge", "How long the first webhook that is to be forwarded has waited"
    ),
    "majlis_forwards_dead": Metric("gauge", "Webhooks that could not be forwarded and are kept"),
    # Ownership, stores and the process
    "majlis_ready": Metric("gauge", "1 while webhooks are accepted"),
    "majlis_partitions": Metric(
        "gauge", "Partitions: owned, certain (their lease is not near its end) or all", ("state",)
    ),
    "majlis_lease_renewals_total": Metric("counter", "Lease renewals: ok or failed", ("outcome",)),
    "majlis_leases_lost_total": Metric(
        "counter", "Times that partitions went to another daemon or were in doubt"
    ),
    "majlis_store_healthy": Metric(
        "gauge", "1 while a store answers and is as strong as configured", ("store",)
    ),
    "majlis_redis_memory_used_bytes": Metric("gauge", "Memory that Redis uses"),
    "majlis_redis_memory_limit_bytes": Metric("gauge", "Memory that Redis may use"),
    "majlis_memory_used_ratio": Metric(
        "gauge", "Share of the memory of the control group or machine that is in use"
    ),
    "majlis_event_loop_lag_seconds": Metric(
        "histogram", "How late the event loop runs a task that is due", buckets=FAST
    ),
    "majlis_actor_crashes_total": Metric("counter", "Actors of conversations that failed unexpectedly"),
    "majlis_problems_total": Metric(
        "counter", "Times that a part of the daemon failed and was restarted", ("part",)
    ),
    "majlis_uptime_seconds": Metric("gauge", "Time since the start of the daemon"),
    # The monitor, and this page itself
    "majlis_red_flag": Metric("gauge", "1 while an alert is raised", ("flag",)),
    "majlis_target_value": Metric("gauge", "What is aimed at", ("target",)),
    "majlis_target_actual": Metric(
        "gauge", "What was measured of it, in targets.period_seconds", ("target",)
    ),
    "majlis_target_samples": Metric("gauge", "How many samples that is from", ("target",)),
    "majlis_target_state": Metric(
        "gauge",
        "1 for the state it is in: reached, missed or unknown (too little traffic to say)",
        ("target", "state"),
    ),
    "majlis_mirror_instance_bytes": Metric(
        "gauge", "Memory of Redis that an instance's conversations take", ("whatsapp_instance",)
    ),
    "majlis_orphans_total": Metric("counter", "Conversations that were forgotten and picked up again"),
    "majlis_unfinished_turns": Metric("gauge", "Old unfinished turns that no conversation works on"),
    "majlis_monitor_sweeps_total": Metric("counter", "Sweeps of the monitor"),
    "majlis_trace_spans_total": Metric(
        "counter", "Spans of traces: exported, or why they were dropped", ("outcome",)
    ),
    "majlis_observer_failures_total": Metric("counter", "Events from which a metric could not be derived"),
    "majlis_snapshot_complete": Metric(
        "gauge", "1 when all of this could be read in time; else metrics that need a store are missing"
    ),
}
