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
from actors.instance import LimitPolicy, Terms
from actors.limits import Near, Reached, cost_per_answer
from actors.lookups import Usage
from actors.machines import Pace
from actors.messages import Answer, Batch
from actors.ports import Notice
from actors.text import plain_text

MAX_QUOTED_CHARS = 500
_MICROS = 1_000_000
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


THEN: Mapping[LimitPolicy, str] = {
    "hold": "answers wait until there is room, those of a daily budget until midnight UTC",
    "fallback": "customers get the fallback message",
    "suppress": "customers get no reply",
    "alert": "answers go on",
}
"""What follows when a limit is reached, by its policy."""


def limit_reached(
    instance: str, reached: Reached, usage: Usage, terms: Terms, day: str
) -> tuple[Notice, ...]:
    """The alert that an instance reached a limit: once a `day` (a UTC date) for each kind."""
    document = {
        "event": "limit_reached",
        "instance": instance,
        "limit": reached.kind,
        **_used(reached.kind, reached.used, reached.allowed),
        "policy": reached.policy,
        "then": THEN[reached.policy],
        **_of_the_day(usage, day),
    }
    return _alert_of(instance, document, terms, f"limit/{reached.kind}/{day}/{instance}")


def limit_near(instance: str, near: Near, usage: Usage, terms: Terms, day: str) -> tuple[Notice, ...]:
    """The alert that a share of a budget is used, or that answers cost more than they should: once a `day` for each."""
    document = {
        "event": "limit_near",
        "instance": instance,
        "limit": near.kind,
        **_used(near.kind, near.used, near.allowed),
        "policy": "alert" if near.kind == "cost_per_message" else terms.on_budget,
        "then": THEN["alert" if near.kind == "cost_per_message" else terms.on_budget],
        **_of_the_day(usage, day),
    }
    once = f"near/{near.kind}/{round(100 * near.share)}/{day}/{instance}"
    return _alert_of(instance, document, terms, once)


def _used(kind: str, used: int, allowed: int) -> dict[str, object]:
    """Cost in the currency of the prices, everything else as it is counted."""
    share = round(used / allowed, 3) if allowed else None
    if kind.startswith("cost"):
        return {"used": used / _MICROS, "allowed": allowed / _MICROS, "share": share}
    return {"used": used, "allowed": allowed, "share": share}


def _of_the_day(usage: Usage, day: str) -> dict[str, object]:
    cost_per_message = round(cost_per_answer(usage) / _MICROS, 6)
    return {"answers": usage.answers_today, "cost_per_message": cost_per_message, "day": day}


def answer_cut(instance: str, answer: Answer, terms: Terms, day: str) -> tuple[Notice, ...]:
    """The alert that answers end before their end: once a `day` (a UTC date) for each reason; none for a whole one."""
    if not answer.cut:
        return ()
    advice = {
        "length": f"answers are cut: raise max_output_tokens of provider {answer.provider}, or ask for shorter ones",
        "filter": f"the content filter of provider {answer.provider} ends answers: see its settings",
        "error": f"provider {answer.provider} breaks off in the middle of answers: see its own status",
    }
    document = {
        "event": "answers_cut",
        "instance": instance,
        "reason": answer.cut,
        "provider": answer.provider,
        "model": answer.model,
        "advice": advice[answer.cut],
        "day": day,
    }
    return _alert_of(instance, document, terms, f"cut/{answer.cut}/{day}/{instance}")


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
