"""What the Evolution API's records (`findMessages`) show of a send. Pure and total."""

from __future__ import annotations

from actors.identity import canonical_contact
from actors.text import plain_text
from daemon.gateways.lenient import integer
from daemon.web.answer import dig

CLOCK_TOLERANCE_SECONDS = 600
"""How far the gateway's clock may be behind ours while its records still count.

Generous, since a wrong match is nearly impossible (same contact, same text, an id that no other reply owns),
and a missed one doubles a reply.
"""


def records_in(payload: object) -> list[object] | None:
    """The records of a `findMessages` answer, in the shape of any version; None when it is not one."""
    for shape in (payload, dig(payload, "messages"), dig(payload, "messages", "records")):
        if isinstance(shape, list):
            return shape
    return None


def timestamp_of(record: object) -> int | None:
    """Unix seconds; the versions write a number, a string, or a 64-bit number in halves."""
    return integer(dig(record, "messageTimestamp"))


def sent_id(
    records: list[object], contact: str, text: str, since_seconds: int, known_ids: frozenset[str]
) -> str | None:
    """The id under which `text` went to `contact` since then, and which no other reply owns; None without.

    Of several the oldest, because replies are sent in order: an older one that is still unbound was sent before.
    """
    wanted = plain_text(text).strip()
    matches: list[tuple[int, str]] = []
    for record in records:
        message_id, moment = dig(record, "key", "id"), timestamp_of(record)
        if (
            isinstance(message_id, str)
            and message_id
            and message_id not in known_ids
            and moment is not None
            and moment >= since_seconds - CLOCK_TOLERANCE_SECONDS
            and dig(record, "key", "fromMe") is True
            and _is_to(record, contact)
            and plain_text(_text_of(record)).strip() == wanted
        ):
            matches.append((moment, message_id))
    return min(matches)[1] if matches else None


def _is_to(record: object, contact: str) -> bool:
    """The request's filter says so too, but a version that ignores it must not show a stranger's message."""
    jids = (dig(record, "key", "remoteJid"), dig(record, "key", "remoteJidAlt"))
    return any(isinstance(jid, str) and canonical_contact(jid) == contact for jid in jids)


def _text_of(record: object) -> str:
    for path in (("message", "conversation"), ("message", "extendedTextMessage", "text")):
        text = dig(record, *path)
        if isinstance(text, str):
            return text
    return ""
