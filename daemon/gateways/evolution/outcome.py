"""What the Evolution API's answers prove. Pure and total: any status, any body, never an error.

The HTTP status says almost nothing there: the same 400 is given for a message that was never sent and for one
that was sent and then could not be stored. So the message text decides, and it is read in this order:

1. A database error first. The gateway stores a message *after* it has sent it, and the error may quote the
   stored row, that is the customer's text, which may contain any of the phrases looked for below.
2. Then the phrases that the gateway is known to say before anything is sent.
3. Then the few statuses that by themselves prove that nothing was handled.
4. Everything else is `Unknown`, also 500, 502, 503 and 504: a proxy gives these for a request that never
   reached the gateway and for one whose answer got lost on the way back.
"""

from __future__ import annotations

from actors.outcome import NotSent, SendOutcome, Sent, Unknown
from actors.text import plain_text
from daemon.web.answer import dig, readable_json

_NEVER_HANDLED: dict[int, NotSent] = {
    # Something in front of the gateway points elsewhere: base_url is wrong. (303 is no proof: it
    # answers a POST that was done.)
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
    """What is known of a send that was answered so."""
    payload = readable_json(body)
    if 200 <= status < 300:
        return _accepted(status, payload)
    words = body.decode("utf-8", "replace")
    if "prisma" in words.lower():
        stored_after_sending = "message.create()" in words
        return Unknown(
            "sent_but_unrecorded" if stored_after_sending else "gateway_database_failed",
            may_resend=not stored_after_sending,
        )
    if status == 429:
        return NotSent("rate_limited", "hold", retry_after_seconds)
    proven = _said_before_sending(payload) or _NEVER_HANDLED.get(status)
    return proven or Unknown(
        f"gateway_answered_{status}" if 100 <= status < 600 else "gateway_answered_nonsense"
    )


def _accepted(status: int, payload: object) -> SendOutcome:
    told = dig(payload, "key", "id")
    message_id = plain_text(told) if isinstance(told, str) else ""
    if message_id:
        return Sent(message_id)
    # 201 is the gateway's own word for "sent", so it is never sent again; its records may tell under which id.
    # Another 2xx without a message is no such word: a login page or a wrong base_url answers 200 too.
    return Unknown("accepted_without_id", may_resend=status != 201)


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
    # `waInstances[name].textMessage(…)` with nothing under that name: it failed on the way to the send. Other
    # undefined properties are no such proof, they also fail behind the send.
    "Cannot read properties of undefined (reading 'textMessage')": NotSent("instance_not_loaded", "hold"),
}


def _leaves(message: object, depth: int = 3) -> list[object]:
    """The gateway says a string, a list of strings, a list of lists of strings or a list of objects."""
    if isinstance(message, list) and depth:
        return [leaf for entry in message for leaf in _leaves(entry, depth - 1)]
    return [message]
