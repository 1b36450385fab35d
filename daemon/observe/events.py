"""The event catalogue: every event that is logged, counted and shown by `majlis tail`, in one table.

Names are `subject.what_happened` and stable: people alert on them. A new event is one line here.
"""

from __future__ import annotations

from typing import NamedTuple

from daemon.observe.logs import LevelName


class Event(NamedTuple):
    level: LevelName
    meaning: str
    counted_by: str = "reason"
    """The field by whose values it is counted apart."""
    log_every_seconds: float = 0.0
    """At most one log line in this time for each value that it is counted by; the next line says how many were left
    out (`left_out`). 0: every one is logged. For what strangers can cause as often as they like."""


EVENTS: dict[str, Event] = {
    # The daemon's own life
    "daemon.starting": Event("info", "the process is up and reads its settings"),
    "settings.exposed": Event(
        "warning", "secrets stand in the command line, which every user of the machine can read (`keys`)"
    ),
    "daemon.ready": Event("info", "webhooks are accepted"),
    "daemon.not_ready": Event("warning", "webhooks get 503; `reasons` says why"),
    "door.open": Event(
        "warning",
        "a door is open to more than this machine (`door`); `danger` and `advice` say what to write",
        "door",
    ),
    "setting.outlived": Event(
        "warning", "a setting is honoured and has a better one; `advice` says what to write"
    ),
    "daemon.draining": Event(
        "info",
        "a stop was requested: no new work, running turns go on for a while. `why`: `signal`, with its name, or "
        "`command`, with the uid and pid of `majlis drain`, or the dashboard's session",
        counted_by="why",
    ),
    "daemon.cut_short": Event(
        "warning",
        "a second signal (`signal`) ends the process at once; what ran is taken up by the next start",
    ),
    "daemon.stopped": Event("info", "the process ends; unanswered messages wait in the mirror"),
    "daemon.crashed": Event("error", "an unexpected error ended the process; restart it, nothing is lost"),
    "daemon.left": Event("info", "conversations that wait in the mirror for the next start"),
    "daemon.stalled": Event("error", "parts of the daemon hang (`parts`); the watchdog is no longer fed"),
    "daemon.problem": Event("error", "a part of the daemon failed and is restarted", counted_by="part"),
    # Stores
    "store.starting": Event("info", "an embedded store is being started"),
    "store.creating": Event("info", "an embedded store is created"),
    "store.waiting": Event("info", "an embedded store is slow to start; `sign` says what it is doing"),
    "store.moving": Event(
        "info", "an embedded store is taken to another engine; `step` says what is being done"
    ),
    "store.stopped": Event("info", "an embedded store was stopped"),
    "store.stuck": Event("error", "an embedded store did not stop when asked to"),
    "store.ready": Event("info", "a store answers and is as strong as configured"),
    "store.died": Event("error", "an embedded store ended unexpectedly"),
    "store.problem": Event(
        "error", "a store is away, full or weaker than configured; `problem` says what to change"
    ),
    "store.recovered": Event("info", "a store that had a problem is fit again"),
    # Ownership and recovery
    "lease.gained": Event("info", "this daemon now owns partitions"),
    "lease.lost": Event("warning", "this daemon no longer owns partitions and stops acting for them"),
    "lease.released": Event("info", "this daemon is stopping and gives its partitions up"),
    "recovery.started": Event("info", "conversations that were left waiting are being picked up"),
    "recovery.finished": Event("info", "all of them have an actor or a timer again"),
    # Webhooks
    "message.accepted": Event("debug", "stored durably and acknowledged"),
    "message.media_dropped": Event(
        "debug", "its media came in the webhook itself, too large to keep; stored without them"
    ),
    "message.aside": Event(
        "debug",
        "stored, and nothing to answer by itself (`reason`): a reaction, or backlog, which was older than "
        "`ingress.max_age_seconds` when it arrived",
    ),
    "message.duplicate": Event("debug", "its id is known already; acknowledged, nothing stored"),
    "message.ignored": Event(
        "debug",
        "acknowledged and not for us (`reason`): a group, an own message, a call; `type` is the gateway's name of it",
    ),
    "message.refused": Event("debug", "not acknowledged (`reason`); the gateway sends it again"),
    "payload.unreadable": Event(
        "warning", "a webhook that can never be read; kept aside, answered 400", log_every_seconds=60
    ),
    "webhook.refused": Event(
        "warning",
        "a webhook was refused for good (`reason`), its messages are lost; `advice` says what to do; one line a minute "
        "for each reason, `left_out` counts the others",
        log_every_seconds=60,
    ),
    "instance.unknown": Event(
        "warning",
        "customers of an instance wrote that nobody has set up; `advice` says what to do; one line a minute for each "
        "instance",
        "instance",
        log_every_seconds=60.0,
    ),
    "instance.early_messages": Event(
        "info", "an instance was set up, and what its customers had written within a day before is answered"
    ),
    "webhook.mismatch": Event(
        "warning",
        "a webhook's path names another known instance (`path`) than its payload, which wins (`instance`); one line a "
        "minute for each",
        counted_by="instance",
        log_every_seconds=60,
    ),
    # Mode passthrough
    "passthrough.began": Event(
        "info",
        "the first webhook of an instance came that is forwarded, since the start or a change of its mode",
    ),
    "forward.sent": Event(
        "debug", "a webhook of an instance in mode `passthrough` arrived at the other address"
    ),
    "forward.failed": Event(
        "warning",
        "a webhook did not arrive there (`reason`), or there is no address (`no_address`: set passthrough.url); it is "
        "tried again in `seconds`, and those after it wait",
    ),
    "forward.dead": Event(
        "error",
        "webhooks are given up (`reason`), and the next ones go on: `majlis forwards --dead` lists them, `majlis "
        "forwards retry` forwards them after all",
    ),
    "forward.retried": Event("info", "an operator lets dead webhooks be forwarded after all (`webhooks`)"),
    "forward.dropped": Event("info", "an operator threw away a webhook that was to be forwarded"),
    # Turns
    "window.closed": Event(
        "debug",
        "a window closed and its messages were frozen into a batch (`why`: timeout, quiet, count, flush, drain); "
        "`typed_ms`: how long it was held open for typing, where the gateway had told of any",
        counted_by="why",
    ),
    "turn.started": Event("debug", "the turn of a batch begins"),
    "turn.resumed": Event(
        "warning", "an unfinished turn of the ledger, which the mirror had lost, is taken up again"
    ),
    "lookup.failed": Event(
        "warning", "an optional lookup failed; the turn goes on with its default", counted_by="outcome"
    ),
    "turn.lookups": Event("info", "how long the lookups of a turn took, each of them, and which failed"),
    "turn.escalated": Event("info", "the conversation waits for a person (`reason`)"),
    "limit.reached": Event(
        "warning", "an instance or a contact reached its limit (`reason`); `policy` says what follows"
    ),
    "limit.near": Event(
        "info",
        "an instance has used a share of a daily budget that is to be told, or its answers cost more than they should "
        "(`reason`, `share`); one line an hour for each instance",
        counted_by="instance",
        log_every_seconds=3600,
    ),
    "turn.shortened": Event(
        "warning",
        "a conversation was too long for the provider, and it was asked with less of the history or of the files "
        "(`rounds`)",
        counted_by="provider",
    ),
    "turn.spent": Event("debug", "an attempt that failed (`reason`) had cost tokens all the same"),
    "turn.uncounted": Event(
        "warning", "what a failed attempt had cost could not be counted (`error`)", counted_by="error"
    ),
    "answer.cut": Event(
        "warning",
        "an answer ends before its end (`reason`: length, filter, error); what there is of it is sent",
    ),
    "turn.answered": Event(
        "debug",
        "the responder answered; the reply is stored, not yet sent; `cache`: how the cache answered, or why not",
        counted_by="provider",
    ),
    "part.sent": Event("debug", "one part of a reply reached the gateway"),
    "part.not_sent": Event("warning", "the gateway proved that one part of a reply was not sent"),
    "part.unknown": Event("warning", "it is unknown whether one part of a reply was sent; it is looked up"),
    "part.reconciled": Event("info", "whether such a part was sent was found out"),
    "part.resent": Event("warning", "a part of which that stayed unknown is sent once more"),
    "part.failed_later": Event(
        "error", "the gateway says that a part it had confirmed failed (`reason`): its turn is a dead letter"
    ),
    "turn.done": Event(
        "info", "the batch is answered; by Majlis itself where it has a `rule`", counted_by="rule"
    ),
    "turn.suppressed": Event("info", "the batch ended without an answer, by a named rule", counted_by="rule"),
    "turn.failed": Event("warning", "one attempt failed; another follows"),
    "turn.crashed": Event("error", "an attempt failed unexpectedly; it counts, and another follows"),
    "turn.held": Event("warning", "the turn waits (`reason`); that does not count as an attempt"),
    "turn.dead": Event("error", "the batch became a dead letter: see `majlis dead list`"),
    "turn.moved": Event("info", "the messages moved to the conversation of the phone number behind a LID"),
    "conversation.taken_over": Event(
        "info",
        "Majlis is silent in a conversation for `seconds` (`by`: a person who wrote there, an agent in Chatwoot, other "
        "software, a command of staff there, an operator)",
        counted_by="by",
    ),
    "conversation.take_over_lifted": Event(
        "info",
        "Majlis is no longer silent: what was taken for a person's message is automatic (`by`: greeting, announcement)",
        counted_by="by",
    ),
    "message.of_business": Event(
        "debug",
        "the business wrote in a chat, and that does not silence Majlis (`verdict`: greeting, announcement, listed, "
        "history, resume, stale, ignored)",
        counted_by="verdict",
    ),
    "contact.opted_out": Event(
        "info", "a customer wrote a stop word: Majlis is silent there until a start word"
    ),
    "contact.opted_in": Event(
        "info", "a customer wrote a start word, or an operator ended the silence (`by`)"
    ),
    "conversation.busy": Event(
        "warning", "one contact got very many replies lately (`replies`): see `majlis show`"
    ),
    "conversation.machine": Event(
        "warning",
        "another machine seems to speak in a conversation (`signs`): Majlis is silent there for `seconds`, "
        "`majlis resume` ends it",
    ),
    "notice.sent": Event("info", "a notice reached the business (`kind`: whatsapp, webhook)"),
    "notice.failed": Event("warning", "a notice could not be delivered (`reason`); it is tried again"),
    "notice.given_up": Event("error", "a notice is not tried again; it stays in the ledger"),
    "notice.withheld": Event(
        "info",
        "no notice was sent (`reason`): the customer is one of the `playground`'s, or was heard in mode `shadow`",
    ),
    # Responders
    "provider.failed": Event(
        "warning", "one call to a provider failed (`reason`); the next provider is asked"
    ),
    "provider.opened": Event(
        "warning", "a provider failed too often and gets no calls for a while (`seconds`)"
    ),
    "provider.rejecting": Event(
        "warning",
        "a provider turned down one call after another (`reason`): its settings want a look; it is asked all the same",
    ),
    "provider.learned": Event(
        "info",
        "a model refuses a `parameter` as it was sent (`system`: the role); from now on it is left out, or called by "
        "its other name",
        counted_by="parameter",
    ),
    "provider.closed": Event("info", "a provider that got no calls answers again"),
    "responder.batched": Event(
        "debug",
        "several conversations shared one call; `alone`: how many were then asked one by one; `reason`: why "
        "the call was refused",
    ),
    # Actors
    "actor.started": Event("debug", "a conversation became active"),
    "actor.left": Event("debug", "a conversation has nothing left to do and leaves memory"),
    "actor.crashed": Event("error", "a conversation's actor failed unexpectedly"),
    "actor.restarted": Event("warning", "an actor that crashed runs again, from the mirror"),
    "actor.stale": Event("info", "another daemon owns the conversation now; its actor here stops"),
    "actor.parked": Event(
        "error",
        "an actor failed too often and rests until a store is back, it is flushed, or the daemon restarts",
    ),
    # Operators
    "admin.change": Event("info", "an operator changed something through the admin socket"),
    "admin.undone": Event(
        "info",
        "what an operator wanted was not done: `refused`, nothing was changed, or `failed`, it may be half done",
    ),
    "admin.failed": Event("error", "the daemon failed to answer an admin request"),
    "knowledge.changed": Event("info", "a file of an instance was added or removed (`change`)"),
    "calibration.measured": Event(
        "info",
        "thresholds `auto` were measured for the embedding model: `similarity`, `floor`, by so many `texts`",
    ),
    "calibration.failed": Event(
        "warning", "they could not be measured (`reason`); tried again, at least every ten minutes"
    ),
    "embeddings.failed": Event("warning", "no vector for a question (`reason`); only words are compared"),
    "housekeeping.done": Event(
        "debug", "expired answers, old vectors, abandoned loads and old verdicts were deleted"
    ),
    "housekeeping.failed": Event("warning", "they could not be deleted; it is tried again in ten minutes"),
    "retention.done": Event(
        "info", "what was older than `retention` says was deleted: how much of each kind"
    ),
    "retention.failed": Event(
        "warning", "it could not be deleted or measured (`kind`, `error`); tried again in an hour", "kind"
    ),
    "flags.changed": Event("info", "a feature flag was set or cleared, here or by another daemon (`scope`)"),
    "settings.changed": Event(
        "info",
        "a setting was set or unset at run time (`change`), here or by another daemon (`key`, `scope`, `by`)",
        "change",
    ),
    "instance.added": Event(
        "info", "an instance is there that was not before (`instance`, `version`)", "instance"
    ),
    "instance.changed": Event(
        "info",
        "what is set for an instance was changed, here, by another daemon or in SQL (`version`)",
        "instance",
    ),
    "instance.removed": Event("info", "an instance was removed, and is not answered any more", "instance"),
    "settings.left_out": Event(
        "warning",
        "a setting that was made at run time does not fit and is not in force (`key`, `scope`, `why`)",
    ),
    "settings.reload_failed": Event(
        "warning",
        "instances, flags and settings could not be read again; what was read before stays in force",
    ),
    "settings.reloaded": Event(
        "info", "instances, flags and run-time settings were read again from the database"
    ),
    "conversation.handed_back": Event(
        "info",
        "Majlis answers again: escalation, take-over or silence to a machine is over (`by`: operator, staff in the "
        "chat, timeout)",
    ),
    "instance.mode": Event("info", "an instance is in another mode from now on (`mode`)", counted_by="mode"),
    "pause.began": Event(
        "warning",
        "an operator paused an instance (`instance`, or `all`), or it is held: no turn of it begins",
    ),
    "pause.ended": Event("info", "the pause of an instance ended: its turns begin again"),
    "secret.shut": Event(
        "error", "a stored secret (`key`) of an `instance` cannot be opened: the instance is held (`why`)"
    ),
    "secret.opened": Event(
        "info", "every secret of an `instance` that could not be opened can be, or is gone"
    ),
    "dead.retried": Event("info", "a dead letter was retried: its messages are queued again"),
    "dead.dropped": Event("info", "a dead letter was dropped: it is kept, and will not be answered"),
    # The sweep of the gateways' records
    "gateway.connected": Event("debug", "a webhook says that an instance is connected to WhatsApp"),
    "message.swept": Event(
        "info",
        "a message that no webhook brought was found in the gateway's records (`reason`: missed, it is answered; "
        "too_old or already_answered, it is history only)",
    ),
    "sweep.done": Event("debug", "an instance's records were compared with what was heard"),
    "sweep.failed": Event(
        "warning",
        "an instance's records could not be compared (`reason`); it is tried again, and reported once",
    ),
    "sweep.gap": Event(
        "error",
        "records from `since` to `until` were not all read (`reason`): a message in them may stay unheard",
    ),
    # Gateway feeds
    "gateway.feed_up": Event("info", "the gateway's own feed of an instance hears that instance"),
    "gateway.feed_waiting": Event(
        "info",
        "the gateway took the feed's connection, and will tell it nothing before the instance's first event, which "
        "is lost: the sweep finds it",
    ),
    "gateway.feed_down": Event(
        "warning",
        "the feed was lost or cannot be had (`reason`, which `majlis status` shows too; `certificate_not_believed`: "
        "see `tls.ca_file`); what happens until it is back never comes",
    ),
    "gateway.feed_lost": Event(
        "error",
        "an event of the feed was lost: it was too large, or more came than could wait to be stored",
        counted_by="instance",
    ),
    # The realtime door
    "realtime.connected": Event("info", "a client connected at the realtime door"),
    "realtime.left": Event("info", "a client left, or had to (`reason`)"),
    "realtime.dropped": Event(
        "warning",
        "a client read too slowly and was dropped (`client`); nothing was waited for",
        counted_by="client",
    ),
    "realtime.refused": Event("warning", "a client was not let in at the realtime door (`reason`)"),
    # The dashboard
    "dashboard.opened": Event(
        "info",
        "a session was logged in at the dashboard (`may`: its level; `asked_by`: who asked for its link)",
    ),
    "dashboard.closed": Event(
        "info", "a session was logged out of the dashboard (`by`: its user, or who closed it)"
    ),
    "dashboard.refused": Event(
        "warning", "a login at the dashboard was refused: the link was used up, too old or made up"
    ),
    "dashboard.unavailable": Event(
        "warning",
        "the dashboard's address cannot be had; the daemon runs on without it (`problem` says what to change)",
    ),
    # Traces
    "traces.failed": Event(
        "warning", "the collector does not take traces (`reason`); turns go on, `waiting_spans` wait"
    ),
    "traces.recovered": Event("info", "the collector takes traces again"),
    "traces.dropped": Event("warning", "so many `spans` of traces are lost (`reason`)"),
    # The monitor
    "flag.raised": Event(
        "warning", "an alert (`flag`) was raised: its `value` is above its `threshold`", counted_by="flag"
    ),
    "flag.cleared": Event("info", "an alert (`flag`) was cleared", counted_by="flag"),
    "orphan.rearmed": Event("warning", "a conversation waited without an actor or a timer and has one again"),
    "mirror.tidied": Event(
        "info", "entries of conversations with nothing pending were removed from the mirror"
    ),
}
