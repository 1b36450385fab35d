"""Notices to the business: for staff a WhatsApp message, for software a JSON document. Pure.

They are for the business alone, so they name the customer. Nothing of them goes to a log.
A webhook's address may carry a key, so it is not in a notice: it stays in the settings, and the notice says where.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from actors.escalation import staff_text, told_reason
from actors.identity import is_playground
from actors.instance import Terms
from actors.limits import Reached
from actors.machines import Pace
from actors.messages import Batch
from actors.ports import Notice
from actors.text import plain_text

MAX_QUOTED_CHARS = 500
REFERENCE = "config:"
ESCALATION_WEBHOOK = f"{REFERENCE}escalation.notify_webhook"
ALERT_WEBHOOK = f"{REFERENCE}alerts.webhook"
"""Where a webhook's address is found: these settings of the notice's instance, or of the daemon where it has none."""


def escalated(batch: Batch, reason: str, terms: Terms) -> tuple[Notice, ...]:
    """One notice for each staff number, and one for the webhook; none that calls a person to the playground."""
    instance, contact = batch.conversation
    if is_playground(contact):
        return ()
    quoted = plain_text(batch.text[:MAX_QUOTED_CHARS])
    text = f"{instance}: +{contact} {staff_text(reason)}\n\n{quoted}"
    staff = tuple(Notice("whatsapp", instance, number, text) for number in terms.notify_numbers)
    if not terms.has_notify_webhook:
        return staff
    document = {
        "event": "escalated",
        "instance": instance,
        "contact": contact,
        "reason": told_reason(reason, terms.reason_names),
        "rule": reason,
        "text": quoted,
        "batch": batch.number,
    }
    return (*staff, Notice("webhook", instance, ESCALATION_WEBHOOK, _json(document)))


def limit_reached(instance: str, reached: Reached, terms: Terms, day: str) -> tuple[Notice, ...]:
    """The alert that an instance reached a limit: once a `day` (a UTC date) for each kind."""
    if not terms.has_alert_webhook:
        return ()
    document = {
        "event": "limit_reached",
        "instance": instance,
        "limit": reached.kind,
        "policy": reached.policy,
        "day": day,
    }
    once = f"limit/{reached.kind}/{day}/{instance}"
    return (Notice("webhook", instance, ALERT_WEBHOOK, _json(document), once),)


def too_old(instance: str, terms: Terms, now: datetime) -> tuple[Notice, ...]:
    """The alert that messages came which were too old to be answered: once an hour for each instance."""
    hour = now.strftime("%Y-%m-%dT%H")
    document = {
        "event": "too_old",
        "instance": instance,
        "hour": hour,
        "advice": "majlis dead list shows those that nobody answered; majlis dead retry answers them",
    }
    return _alert_of(instance, document, terms, f"too_old/{hour}/{instance}")


def busy(instance: str, label: str, pace: Pace, terms: Terms, hour: str) -> tuple[Notice, ...]:
    """The alert that one contact gets too many replies: once an `hour` (UTC) for each conversation, by its `label`."""
    document = {
        "event": "conversation_busy",
        "instance": instance,
        "conversation": label,
        "replies": pace.replies,
        "within_seconds": terms.machines.within_seconds,
        "hour": hour,
    }
    return _alert_of(instance, document, terms, f"busy/{label}/{hour}/{instance}")


def machine(instance: str, label: str, turn_id: int, pace: Pace, terms: Terms) -> tuple[Notice, ...]:
    """The alert that a silence to another machine began with this turn, and how to end it."""
    document = {
        "event": "conversation_machine",
        "instance": instance,
        "conversation": label,
        "signs": pace.signs,
        "silence_seconds": pace.silence_seconds,
        "resume": f"majlis resume {label}",
    }
    return _alert_of(instance, document, terms, f"machine/{turn_id}")


def _alert_of(instance: str, document: Mapping[str, object], terms: Terms, once: str) -> tuple[Notice, ...]:
    if not terms.has_alert_webhook:
        return ()
    return (Notice("webhook", instance, ALERT_WEBHOOK, _json(document), once),)


def alert(
    flag: str,
    change: str,
    value: float | None,
    threshold: float,
    node_id: str,
    shared: bool,
    day: str,
    nth: int = 1,
) -> Notice:
    """That an alert was raised or cleared, for the `nth` time on this `day` (a UTC date).

    Each is stored once, for all daemons together where it is `shared`, also when a restarted daemon counts from one
    again.
    """
    document = {
        "event": "red_flag",
        "flag": flag,
        "change": change,
        "value": value,
        "threshold": threshold,
        "node_id": node_id,
        "day": day,
    }
    whose = "" if shared else f"/{node_id}"
    again = f"/{nth}" if nth > 1 else ""
    return Notice("webhook", "", ALERT_WEBHOOK, _json(document), f"flag/{flag}/{change}/{day}{whose}{again}")


def _json(document: Mapping[str, object]) -> str:
    return msgspec.json.encode(document).decode()
