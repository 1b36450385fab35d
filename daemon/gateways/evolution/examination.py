"""What `majlis doctor` asks an Evolution API about an instance, and what the answers mean.

At most six small requests, one after another, and together within `DOCTOR_SECONDS`; none of them changes anything. What
the gateway answers is judged and never shown: it holds tokens, addresses with keys, and texts.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from daemon.gateways.evolution.outcome import records_in
from daemon.gateways.evolution.questions import (
    ALWAYS_OPEN,
    BAILEYS,
    BUSINESS,
    Listed,
    NoWebhookRead,
    Questions,
    refused,
    unreachable,
    webhook_of,
)
from daemon.gateways.kind import KnownSends
from daemon.web.answer import dig
from daemon.web.client import HttpClient, HttpFailed
from daemon.web.finding import DOCTOR_SECONDS, Finding

CLOCK_SECONDS = 60.0
"""A gateway's clock that is further off is a warning.

A send that is looked up is dated by the gateway's clock and judged by it, so that stands any difference; but messages
of both sides are put in order by their times, and tokens expire by them. Clocks that are kept differ by less than a
second.
"""
MAX_LOOKED_UP = 3
"""Of our own sends: the gateway may have failed to record one, and it looks through all its records for each."""
FEW_FAILURES = 3
"""Fewer may be the fault of the customers' numbers."""
STATES = ("close", "connecting", "refused")

_NO_RECORDS = Finding(
    "warning",
    "it keeps no records: an unknown send cannot be proven, and what it never delivered cannot be found",
    "Set DATABASE_SAVE_DATA_NEW_MESSAGE=true at the gateway and restart it.",
    topic="records",
)
_RECORDS_FAIL = Finding(
    "warning",
    _NO_RECORDS.detail,
    "Look in the gateway's log for errors of its database: this channel keeps records whatever it is set to.",
    topic="records",
)
_NO_WEBHOOK = Finding(
    "warning",
    "it has no webhook that is switched on",
    "Set one, see README.md; nothing to do where a global webhook, a queue or a proxy brings the messages.",
    topic="webhook",
)
_SWITCHED_OFF = Finding(
    "warning",
    "the webhook that `majlis instance connect` set is switched off, or gone: nothing of it is heard",
    "If nobody meant it, run `majlis instance connect` again.",
    topic="webhook",
)
_NOT_OURS = Finding(
    "warning",
    "its webhook is no longer the one that `majlis instance connect` set: its messages go elsewhere",
    "Run `majlis instance connect` again; it shows where they go, and asks. If they shall stay there, run "
    "`majlis instance rollback NAME --force`.",
    topic="webhook",
)
_NO_MESSAGES = Finding(
    "warning",
    "its webhook leaves out MESSAGES_UPSERT: no customer is heard",
    "Add MESSAGES_UPSERT to the events of the webhook.",
    topic="webhook",
)
_NO_UPDATES = Finding(
    "warning",
    "its webhook leaves out MESSAGES_UPDATE: a reply that fails after it was accepted counts as delivered",
    "Add MESSAGES_UPDATE to the events of the webhook.",
    topic="webhook",
)
_NO_CHANGES = Finding(
    "warning",
    "its webhook leaves out some of MESSAGES_EDITED, MESSAGES_DELETE and SEND_MESSAGE: what customers correct or take "
    "back, or what other software tells them, is not heard",
    "Add MESSAGES_EDITED, MESSAGES_DELETE and SEND_MESSAGE to the events of the webhook.",
    topic="webhook",
)
WANTED = {
    "MESSAGES_UPSERT": _NO_MESSAGES,
    "MESSAGES_UPDATE": _NO_UPDATES,
    "MESSAGES_EDITED": _NO_CHANGES,
    "MESSAGES_DELETE": _NO_CHANGES,
    "SEND_MESSAGE": _NO_CHANGES,
}
"""What it means where the webhook leaves out an event; the first counts."""
_MIXES_UP = Finding(
    "warning",
    f"{BUSINESS} mixes customers up: when several write at once, Evolution gives messages the numbers of others, who "
    "then get the answers; and media that it did not deliver are not in its records, unless it keeps them in S3",
    f"Connect the number as {BAILEYS}, or through Meta's own API behind a proxy (gateway.kind: realtime).",
    topic="channel",
)


async def examine(
    http: HttpClient,
    base_url: str,
    api_key: str,
    instance: str,
    sends: KnownSends | None,
    by_webhook: bool,
    connected_to: str = "",
) -> Sequence[Finding]:
    """See `GatewayKind.check`.

    Args:
      by_webhook: messages come by a webhook, and not by the gateway's own feed.
    """
    server = Questions(http, base_url, api_key, instance, DOCTOR_SECONDS)
    asked_at = time.time()
    try:
        answer = await server.state()
    except HttpFailed as failure:
        return [unreachable(failure)]
    clock = clock_finding(answer.date_seconds, asked_at, time.time())
    trouble = refused(answer)
    if trouble is not None:
        return [trouble, *clock]
    known = await server.listed(instance)
    kept = await _keeps_records(server, known, sends.ids if sends else ())
    return [
        _able(dig(answer.json(), "instance", "state"), known.channel, kept, sends),
        *clock,
        *([_RECORDS_FAIL if known.channel in ALWAYS_OPEN else _NO_RECORDS] if kept is False else []),
        *(await _webhook(server, connected_to) if by_webhook else []),
        *([_MIXES_UP] if known.channel == BUSINESS else []),
    ]


def _able(state: object, channel: str, kept: bool | None, sends: KnownSends | None) -> Finding:
    """Whether the instance can send, by what the gateway says and by what became of our own sends."""
    if state != "open":
        advice = "Connect the instance at the gateway (scan its QR code)."
        return Finding(
            "problem", f"the phone is {state if state in STATES else 'in an unknown state'}", advice
        )
    constant = channel in ALWAYS_OPEN
    words = [
        f"open, as {channel} always says"
        if constant
        else f"connected ({channel})"
        if channel
        else "connected",
        _counted(sends, constant),
        "" if sends is None else {True: "keeps records", False: "", None: "records: not known yet"}[kept],
    ]
    detail = "; ".join(filter(None, words))
    if sends is None or sends.failed <= sends.sent:
        return Finding("ok", detail)
    advice = "See `majlis dead list`; docs/operations.md says what the reasons mean."
    nothing_left = not sends.sent and sends.failed >= FEW_FAILURES
    return Finding("problem" if nothing_left else "warning", detail, advice)


def _counted(sends: KnownSends | None, constant: bool) -> str:
    """Our own sends of the last day, in words."""
    if sends is None:
        return "only a running Majlis knows whether replies arrive" if constant else ""
    count = sends.sent + sends.failed
    if count == 0:
        return "no reply sent for a day, so not proven" if constant else ""
    if count == 1:
        return f"last reply: failed ({sends.reason})" if sends.failed else "last reply: accepted"
    failed = f"{sends.failed} failed ({sends.reason})" if sends.failed else "none failed"
    return f"last {count} replies: {failed}"


def clock_finding(date_seconds: float | None, asked_at: float, answered_at: float) -> list[Finding]:
    """Whether the gateway's clock is far off; nothing where it does not say. All in Unix seconds.

    The answer's date has no fraction, and was written at some moment between question and answer.
    """
    if date_seconds is None:
        return []
    off = max(date_seconds - answered_at, asked_at - date_seconds - 1)
    if off <= CLOCK_SECONDS:
        return []
    direction = "ahead of" if date_seconds > answered_at else "behind"
    about = f"{off / 60:.0f} min" if off < 7200 else f"{off / 3600:.0f} h"
    advice = "Have both machines keep their clocks (chrony, systemd-timesyncd): messages are ordered by time."
    return [Finding("warning", f"its clock is about {about} {direction} ours", advice, topic="clock")]


async def _keeps_records(server: Questions, known: Listed, ids: Collection[str]) -> bool | None:
    """Whether the gateway records what is sent; None: there is nothing yet to know it by."""
    if known.records == 0 and ids:
        return False
    found: bool | None = None
    for message_id in list(ids)[:MAX_LOOKED_UP]:
        body: dict[str, object] = {"where": {"key": {"id": message_id}}, "page": 1, "offset": 1}
        records = records_in(await server.document(f"/chat/findMessages/{server.name}", body))
        if records is None:
            return None
        if any(dig(record, "key", "id") == message_id for record in records):
            return True
        if records:  # it does not look for ids
            return None
        found = False
    return found


async def _webhook(server: Questions, connected_to: str) -> list[Finding]:
    """What is missing in it. Nothing is said where it cannot be read."""
    try:
        webhook = webhook_of(await server.webhook())
    except (HttpFailed, NoWebhookRead):
        return []
    if webhook is None or not webhook.enabled:
        return [_SWITCHED_OFF if connected_to else _NO_WEBHOOK]
    if connected_to and webhook.url != connected_to:
        return [_NOT_OURS]
    events = webhook.events
    if not events:  # versions before 2 post every event then
        return []
    return [finding for name, finding in WANTED.items() if name not in events][:1]
