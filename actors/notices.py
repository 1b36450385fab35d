"""Notices to the business: for staff a WhatsApp message, for software a JSON document. Pure.

They are for the business alone, so they name the customer. Nothing of them goes to a log.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from actors.escalation import staff_text
from actors.identity import is_playground
from actors.instance import Terms
from actors.limits import Reached
from actors.messages import Batch
from actors.ports import Notice
from actors.text import plain_text

MAX_QUOTED_CHARS = 500


def escalated(batch: Batch, reason: str, terms: Terms) -> tuple[Notice, ...]:
    """One notice for each staff number, and one for the webhook; none that calls a person to the playground."""
    instance, contact = batch.conversation
    if is_playground(contact):
        return ()
    quoted = plain_text(batch.text[:MAX_QUOTED_CHARS])
    text = f"{instance}: +{contact} {staff_text(reason)}\n\n{quoted}"
    staff = tuple(Notice("whatsapp", instance, number, text) for number in terms.notify_numbers)
    if not terms.notify_webhook:
        return staff
    document = {
        "event": "escalated",
        "instance": instance,
        "contact": contact,
        "reason": reason,
        "text": quoted,
        "batch": batch.number,
    }
    return (*staff, Notice("webhook", instance, terms.notify_webhook, _json(document)))


def limit_reached(instance: str, reached: Reached, terms: Terms, day: str) -> tuple[Notice, ...]:
    """The alert that an instance reached a limit: once a `day` (a UTC date) for each kind."""
    if not terms.alert_webhook:
        return ()
    document = {
        "event": "limit_reached",
        "instance": instance,
        "limit": reached.kind,
        "policy": reached.policy,
        "day": day,
    }
    once = f"limit/{reached.kind}/{day}/{instance}"
    return (Notice("webhook", instance, terms.alert_webhook, _json(document), once),)


def alert(
    flag: str,
    change: str,
    value: float | None,
    threshold: float,
    node_id: str,
    shared: bool,
    target: str,
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
    return Notice("webhook", "", target, _json(document), f"flag/{flag}/{change}/{day}{whose}{again}")


def _json(document: Mapping[str, object]) -> str:
    return msgspec.json.encode(document).decode()
