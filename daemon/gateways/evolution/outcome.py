"""What the Evolution API's answers and its records (`findMessages`) prove about a send. Pure and total: never an error.

The HTTP status means almost nothing there: the same 400 may mean that the message was never sent, or that it was sent
and then could not be stored. So the message text decides, and it is read in this order:

1. A database error first. The gateway stores a message *after* it has sent it, and the error may quote the
   stored row, that is the customer's text, which may contain any of the phrases looked for below.
2. Then Meta's error object, which the gateway hands on when its channel is WHATSAPP-BUSINESS: with status 201, and with
   others. Its code decides; `meta_errors.py` has the table.
3. Then the phrases that the gateway is known to use before anything is sent.
4. Then the few statuses that by themselves prove that nothing was handled.
5. Everything else is `Unknown`. So is a 2xx without a message's id: a login page answers 200 too. So are 500, 502, 503
   and 504: a proxy answers these for a request that never reached the gateway, and for one whose answer got lost on
   the way back.
"""

from __future__ import annotations

from actors.identity import canonical_contact
from actors.outcome import NotSent, SendOutcome, Sent, Unknown
from actors.text import plain_text
from daemon.gateways import evidence, meta_errors
from daemon.gateways.evidence import SentRecord
from daemon.gateways.lenient import integer
from daemon.web.answer import dig, readable_json

_NEVER_HANDLED: dict[int, NotSent] = {
    # Something in front of the gateway redirects: base_url is wrong. (303 proves nothing: it answers a POST that was
    # handled.)
    301: NotSent("redirected", "hold"),
    302: NotSent("redirected", "hold"),
    307: NotSent("redirected", "hold"),
    308: NotSent("redirected", "hold"),
    401: NotSent("bad_key", "hold"),
    403: NotSent("bad_key", "hold"),
    404: NotSent("no_such_route", "hold"),
    405: NotSent("no_such_route", "hold"),
    413: NotSent("too_large", "refuse"),
}


def classify(status: int, body: bytes, retry_after_seconds: float | None = None) -> SendOutcome:
    """What such an answer proves about the send."""
    payload = readable_json(body)
    if 200 <= status < 300:
        return _accepted(payload, retry_after_seconds)
    words = body.decode("utf-8", "replace")
    if "prisma" in words.lower():
        stored_after_sending = "message.create()" in words
        return Unknown(
            "sent_but_unrecorded" if stored_after_sending else "gateway_database_failed",
            may_resend=not stored_after_sending,
        )
    if (refused := _meta_error(payload)) is not None:
        return meta_errors.refusal(refused, status, retry_after_seconds)
    if status == 429:
        return NotSent("rate_limited", "hold", retry_after_seconds)
    proven = _said_before_sending(payload) or _NEVER_HANDLED.get(status)
    return proven or Unknown(
        f"gateway_answered_{status}" if 100 <= status < 600 else "gateway_answered_nonsense"
    )


def _accepted(payload: object, retry_after_seconds: float | None) -> SendOutcome:
    given = dig(payload, "key", "id")
    message_id = plain_text(given) if isinstance(given, str) else ""
    if message_id:
        return Sent(message_id)
    if (refused := _meta_error(payload)) is not None:
        return meta_errors.refusal(refused, retry_after_seconds=retry_after_seconds)
    return Unknown("accepted_without_id")


def _meta_error(payload: object) -> meta_errors.MetaError | None:
    for found in (payload, *_leaves(dig(payload, "response", "message"))):
        error = meta_errors.find_error(found)
        if error is not None:
            return error
    return None


def _said_before_sending(payload: object) -> NotSent | None:
    if dig(payload, "code") == "LICENSE_REQUIRED":
        return NotSent("licence_required", "hold")
    messages = list(_leaves(dig(payload, "response", "message")))
    if any(isinstance(entry, dict) and entry.get("exists") is False for entry in messages):
        return NotSent("not_on_whatsapp", "refuse")
    said = [entry for entry in messages if isinstance(entry, str)]
    for phrase, outcome in _PHRASES.items():
        if any(phrase in entry for entry in said):
            return outcome
    return None


_PHRASES: dict[str, NotSent] = {
    "Connection Closed": NotSent("connection_closed", "hold"),
    "requires property": NotSent("bad_request", "refuse"),
    "instance does not exist": NotSent("unknown_instance_at_gateway", "hold"),
    # `waInstances[name].textMessage(…)` with nothing under that name: it failed before the send. Other undefined
    # properties prove nothing, because those errors also happen after the send.
    "Cannot read properties of undefined (reading 'textMessage')": NotSent("instance_not_loaded", "hold"),
    # The number is looked up before the send: this instance never connected.
    "Cannot read properties of undefined (reading 'onWhatsApp')": NotSent("instance_not_loaded", "hold"),
}


def _leaves(message: object, depth: int = 3) -> list[object]:
    """The error's text: the gateway writes a string, a list of strings, of lists of strings, or of objects."""
    if isinstance(message, list) and depth:
        return [leaf for entry in message for leaf in _leaves(entry, depth - 1)]
    return [message]


def records_in(payload: object) -> list[object] | None:
    """The records of a `findMessages` answer, in the shape of any version; None when it is not one."""
    for shape in (payload, dig(payload, "messages"), dig(payload, "messages", "records")):
        if isinstance(shape, list):
            return shape
    return None


def newest_first(records: list[object]) -> list[object]:
    """As the gateway wrote them, also within one second.

    It orders them by `messageTimestamp` alone (`fetchMessages`, 2.2.3 to 2.4.0-rc2), so those of one second come in any
    order. Their own ids (cuid) grow with each record; where there are none the order stays.
    """
    return sorted(records, key=_written, reverse=True)


def _written(record: object) -> tuple[int, str]:
    own_id = dig(record, "id")
    return timestamp_of(record) or 0, own_id if isinstance(own_id, str) else ""


def timestamp_of(record: object) -> int | None:
    """Unix seconds; the versions write a number, a string, or a 64-bit number in halves."""
    return integer(dig(record, "messageTimestamp"))


def evidence_from(since_seconds: float, answered_at: float, date_seconds: float | None) -> int:
    """From when on a record may be that of a send, by the gateway's clock, in Unix seconds.

    Args:
      since_seconds: the first claim of the send, by our clock.
      answered_at: when the gateway's answer was here, by our clock.
      date_seconds: what the gateway's clock showed when it answered, if it says so.
    """
    # The answer took its time, and the date has no fraction: the gateway's clock may be further ahead, not less far.
    return evidence.earliest(since_seconds, None if date_seconds is None else date_seconds - answered_at)


def sent_id(
    records: list[object], contact: str, text: str, from_seconds: int, known_ids: frozenset[str]
) -> str | None:
    """The id under which `text` went to `contact`, and which no other reply owns; None if there is none.

    Args:
      from_seconds: older records do not count.
    """
    sent = filter(None, map(_sent, newest_first(records)))
    found = evidence.oldest(sent, contact, text, from_seconds, known_ids)
    return None if found is None else found.id


def _sent(record: object) -> SentRecord | None:
    """A record of a message that the business sent.

    The request filters by contact too, but some versions ignore that: they must not show a stranger's message.
    """
    message_id, moment = dig(record, "key", "id"), timestamp_of(record)
    if not isinstance(message_id, str) or not message_id or moment is None:
        return None
    if dig(record, "key", "fromMe") is not True:
        return None
    jids = (dig(record, "key", "remoteJid"), dig(record, "key", "remoteJidAlt"))
    contacts = tuple(canonical_contact(jid) for jid in jids if isinstance(jid, str))
    return SentRecord(message_id, moment, contacts, _text_of(record))


def _text_of(record: object) -> str:
    for path in (("message", "conversation"), ("message", "extendedTextMessage", "text")):
        text = dig(record, *path)
        if isinstance(text, str):
            return text
    return ""
