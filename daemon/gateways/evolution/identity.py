"""Who wrote a message, as each version of the Evolution gateway gives it. Pure.

The same person appears under a phone number or under a LID (WhatsApp's number-hiding id), by version:

| version     | `remoteJid`    | the other one                                      |
| ----------- | -------------- | -------------------------------------------------- |
| 2.2–2.3.0   | LID            | `senderPn` (phone), sometimes missing              |
| 2.3.1–2.3.4 | phone          | `senderPn` (phone), `previousRemoteJid` (LID)      |
| 2.3.5–2.3.6 | LID            | `remoteJidAlt` (phone), sometimes missing          |
| 2.3.7       | phone          | `remoteJidAlt` (phone again): the LID is lost      |
| 2.4         | phone          | `remoteJidAlt` (LID)                               |

That is what webhooks bring. Records keep the key as WhatsApp gave it from 2.3.5 on: the LID, and the phone in
`remoteJidAlt`.

So no field is trusted to hold one kind. The server part of a JID shows what it is, and the first phone number found
is the contact; `addressingMode` adds nothing to that and is not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal

import msgspec

from actors.identity import phone_number
from daemon.gateways.lenient import JsonObject, text

NotAPerson = Literal[
    "group", "status_broadcast", "broadcast", "newsletter", "no_sender", "unsupported_sender"
]

_CHATS: dict[str, NotAPerson] = {"g.us": "group", "broadcast": "broadcast", "newsletter": "newsletter"}
_PHONE_SERVERS = frozenset({"", "s.whatsapp.net", "c.us", "hosted"})
_LID_SERVERS = frozenset({"lid", "hosted.lid"})
_OF_WHATSAPP = frozenset({"0", "server", "16505361212", "13135550002"})
"""WhatsApp itself: announcements, the server, its business account, Meta AI. Never a customer."""
_USER = re.compile(r"[0-9a-z._-]{1,64}")
"""Real ones are digits. Letters do no harm; braces, colons, spaces and control characters would."""
_MAX_REMEMBERED_CHARS = 128
"""No real JID is longer, so that nobody fills the memory with names."""

FIELDS = (
    "remoteJid",
    "remoteJidAlt",
    "senderPn",
    "participantPn",
    "senderLid",
    "previousRemoteJid",
    "participant",
    "participantAlt",
)
"""Where a one-to-one message names its author, the most reliable first. `participant` may be empty."""

_FIELDS_OF_OWN = ("remoteJid", "remoteJidAlt", "previousRemoteJid")
"""Where a message sent by the account names the other side; there the other fields name the account."""


class Sender(msgspec.Struct, frozen=True):
    contact: str
    """The phone number; the LID while the phone number is unknown."""
    lid: str
    """`<digits>@lid` when it is given beside the phone number, else empty."""


def identify(key: JsonObject, own: bool = False) -> Sender | NotAPerson:
    """The author of a received one-to-one message by its `key`, or why there is none to answer.

    For the account's `own` messages: the person they were written to.
    """
    chat = text(key.get("remoteJid")).strip().lower()
    if chat == "status@broadcast":
        return "status_broadcast"
    server = chat.partition("@")[2]
    if server in _CHATS:
        return _CHATS[server]
    if (server not in _PHONE_SERVERS and server not in _LID_SERVERS) or _user_of(chat) in _OF_WHATSAPP:
        return "unsupported_sender"
    phone = lid = ""
    for jid in _jids(key, _FIELDS_OF_OWN if own else FIELDS):
        if jid.endswith("@lid"):
            lid = lid or jid
        else:
            phone = phone or jid
    if phone:
        return Sender(phone, lid)
    if lid:
        return Sender(lid, "")
    return "unsupported_sender" if chat else "no_sender"


def people_of(key: JsonObject) -> frozenset[str]:
    """Every name that the author of a received one-to-one message has in its `key`."""
    return frozenset(_jids(key, FIELDS))


def person(jid: str) -> str:
    """Who a JID is, spelled as in `people_of`; empty: nobody."""
    return next(_jids({"remoteJid": jid}, ("remoteJid",)), "")


def _jids(key: JsonObject, fields: tuple[str, ...]) -> Iterator[str]:
    """Every person's JID in these fields of `key`, canonical."""
    for field in fields:
        jid = key.get(field)
        if not jid or not isinstance(jid, str):
            continue
        if name := _remembered(jid) if len(jid) <= _MAX_REMEMBERED_CHARS else _canonical(jid):
            yield name


def _canonical(jid: str) -> str:
    """A person's JID, canonical; empty: it is nobody's."""
    user, _, server = jid.strip().lower().partition("@")
    user = _user_of(user)
    if _USER.fullmatch(user) is None:
        return ""
    # What `_USER` lets through is what `canonical_contact` would make of it.
    if server in _PHONE_SERVERS:
        return user
    return f"{user}@lid" if server in _LID_SERVERS else ""


_remembered = lru_cache(4096)(_canonical)
"""A key names its author twice or more, and who writes once writes again."""


def _user_of(jid: str) -> str:
    return jid.partition("@")[0].partition(":")[0].removeprefix("+")


def number_of(jid: object) -> str:
    """The phone number of an account by its JID; empty: it names none."""
    user, _, server = text(jid).strip().lower().partition("@")
    return (phone_number(_user_of(user)) or "") if server in ("s.whatsapp.net", "c.us") else ""
