"""A webhook of the Evolution gateway, read. Pure: bytes in, an `Inbound` out.

Laws of this file:

1. `parse_webhook` raises `UnreadablePayload` for what can never be read, and nothing else. Every other oddity is an
   ignored item with a reason from a closed set, fit for a metric label.
2. Each item of the payload comes out once, as a message or as a reason; nothing is dropped without a reason.
3. Only the fields of `Message`, `OwnMessage`, `LateFailure` and `Link` leave this file. The payload's `apikey` is a
   real token and is not read. Anyone may have written its `server_url`: only the origin is read, and it counts only if
   the operator allowed it (`actors/reply.py`).
4. `date_time` is local time that claims to be UTC, and is not read: the time of a message is its `messageTimestamp`.
   `sender` is the account's own number, but for some versions' the author's: it is never the author, and the account's
   number only where it is nobody's who wrote or was written to.
5. What a person of the business wrote from the phone is not to be answered, so it has the reason `own_message`. But it
   shows that a person speaks there, so it is in `own` as well. These are not in `own`: what was sent through the
   gateway (another event), what says nothing (a reaction, a call), and what might not be our own.
6. The instance that the payload names is told as it is (`Inbound.named`); whether it counts is decided elsewhere.
7. An update says that a message failed, but not whose message it was: `fromMe` is false for our own on some channels.
   So each failure is in `failures`, by id alone.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

import msgspec

from actors.identity import MAX_INSTANCE_CHARS
from actors.messages import Context, Message
from actors.reply import origin_of
from daemon.gateways import meta_errors
from daemon.gateways.evolution.identity import NotAPerson, identify, number_of
from daemon.gateways.evolution.parts import Unheard, protocol_reason
from daemon.gateways.evolution.text import Content, read_content
from daemon.gateways.lenient import (
    JsonObject,
    NotJson,
    NotJsonReason,
    clean,
    decode,
    integer,
    items,
    line,
    mapping,
    text,
)
from daemon.ingress.inbound import Inbound, LateFailure, Link, OwnMessage, UnreadablePayload
from daemon.ingress.inline_media import SHORT_BYTES, was_cut

MAX_ID_CHARS = 256
MAX_ADDRESS_CHARS = 512
"""The length of `server_url`; a longer one is cut, and so matches no allowed origin."""
MAX_ITEMS = 1_000
"""The gateway sends one; reading more than this would delay all other work."""
MAX_SENT_AT = 253_402_300_799
"""The last second of the year 9999: later times are nonsense, and Postgres has no date for them."""

_MILLISECONDS_FROM = 100_000_000_000

_TELEPHONES = ("android", "ios", "desktop")
_OF_THE_GATEWAY = ("3EB0", "BAE5")
"""So begin the ids that the gateway makes; some versions take the length of such an id for a telephone's."""

NoMessage = Literal[
    "own_message",
    "no_event",
    "unsupported_event",
    "status_update",
    "presence",
    "connection",
    "history",
    "contacts",
    "chats",
    "groups",
    "labels",
]
"""Why an event brings no message: one word for each family. `own_message`: sent through the gateway itself."""

Unreadable = NotJsonReason | Literal["not_an_object", "no_instance", "bad_instance", "too_many_items"]

Ignored = NotAPerson | Unheard | NoMessage | Literal["own_message", "no_id", "bad_id", "malformed", "no_data"]
"""Why an item is not a message to answer.

Of the chat: `group`, `status_broadcast`, `broadcast`, `newsletter`, `unsupported_sender` (neither a phone
number nor a LID), `no_sender`. Of the message: `own_message` (sent by the account, through the gateway or by
hand), `no_id`, `bad_id` (too long, or not storable), `malformed` (no object, or no key), and what `Unheard`
names. Of the payload: `no_data`, and what `NoMessage` names.
"""


_EVENT_REASONS: dict[str, NoMessage | Unheard] = {
    "send.message": "own_message",
    "send.message.update": "own_message",
    "messages.update": "status_update",
    "messages.delete": "deleted",
    "messages.set": "history",
    "messaging.history.set": "history",
    "presence.update": "presence",
    "connection.update": "connection",
    "status.instance": "connection",
    "logout.instance": "connection",
    "remove.instance": "connection",
    "qrcode.updated": "connection",
    "application.startup": "connection",
    "contacts.set": "contacts",
    "contacts.upsert": "contacts",
    "contacts.update": "contacts",
    "chats.set": "chats",
    "chats.upsert": "chats",
    "chats.update": "chats",
    "chats.delete": "chats",
    "groups.upsert": "groups",
    "groups.update": "groups",
    "group.update": "groups",
    "group.participants.update": "groups",
    "labels.edit": "labels",
    "labels.association": "labels",
    "call": "call",
}
EVENTS = frozenset(_EVENT_REASONS) | {"messages.upsert", "messages.edited"}

_EVENT_NAME = re.compile(r"[a-z.]{1,64}")


def parse_webhook(body: bytes, instance: str | None, event: str | None) -> Inbound:
    """Read one webhook, as one of `instance` where that is given; whose it is where it is not, the body says.

    The body's event wins over the path's, because it says what `data` is. An `instance` with an event's name is read as
    the event: the gateway posts that to `/webhook` when it is set to append the event (`byEvents`).

    Raises:
      UnreadablePayload: see there.
    """
    document = _document(body)
    named = text(document.get("instance")).strip()
    if event is None and instance is not None and named and dotted(instance) in EVENTS:
        instance, event = None, instance
    name = named if instance is None else instance.strip()
    if not name and instance is None:
        raise UnreadablePayload("no_instance")
    if not name or name != clean(name, MAX_INSTANCE_CHARS):
        raise UnreadablePayload("bad_instance")
    named = named if named == name or named == clean(named, MAX_INSTANCE_CHARS) else ""
    happened = dotted(text(document.get("event"))) or dotted(event or "")
    if happened == "messages.upsert":
        origin = _origin(text(document.get("server_url"))[:MAX_ADDRESS_CHARS])
        is_long = len(body) > SHORT_BYTES
        read = _upsert(name, named, _data_items(document.get("data")), origin, is_long)
        return msgspec.structs.replace(read, own_number=_own_number(document, read))
    failures = _failures(name, _data_items(document.get("data"))) if happened == "messages.update" else ()
    data = mapping(document.get("data"))
    connected = happened == "connection.update" and text(data.get("state")) == "open"
    reason = event_reason(happened, data)
    return Inbound(
        name,
        happened,
        ignored=(reason,),
        failures=failures,
        named=named,
        connected=connected,
        own_number=number_of(data.get("wuid")) if connected else "",
    )


def _own_number(document: JsonObject, read: Inbound) -> str:
    number = number_of(document.get("sender"))
    others = {one.contact for items in (read.messages, read.own) for one in items}
    return number if number and others and number not in others else ""


def _document(body: bytes) -> JsonObject:
    reason: Unreadable = "not_an_object"
    try:
        document = decode(body)
    except NotJson as error:
        document, reason = None, error.reason
    if not isinstance(document, dict):
        raise UnreadablePayload(reason)
    return document


def _failures(instance: str, found: list[object]) -> tuple[LateFailure, ...]:
    failures = tuple(filter(None, (_failure(instance, mapping(item)) for item in found)))
    if len(failures) > MAX_ITEMS:
        raise UnreadablePayload("too_many_items")
    return failures


def _failure(instance: str, item: JsonObject) -> LateFailure | None:
    status = item.get("status", mapping(item.get("update")).get("status"))
    word = "error" if status == 0 and not isinstance(status, bool) else text(status).strip().lower()
    # Each event has a name of its own for the id; `messageId` is a row of the gateway's database.
    named = (text(item.get("keyId")), text(mapping(item.get("key")).get("id")), text(item.get("id")))
    ids = tuple(dict.fromkeys(one for one in named if one and one == clean(one, MAX_ID_CHARS)))
    if word not in ("failed", "error") or not ids:
        return None
    error = meta_errors.find_error(item)
    return LateFailure(instance, ids, word if error is None else meta_errors.reason_of(error))


def _data_items(data: object) -> list[object]:
    """`data` is one message; other versions send a list, or either of them under `messages`."""
    if isinstance(data, dict) and "key" not in data and data.get("messages"):
        data = data["messages"]
    if isinstance(data, dict):
        return [data] if data else []
    return items(data)


@lru_cache(maxsize=256)
def _origin(address: str) -> str:
    """Cached: one gateway sends the same with every message."""
    return origin_of(clean(address, MAX_ADDRESS_CHARS))


def _upsert(instance: str, named: str, found: list[object], origin: str, is_long: bool) -> Inbound:
    if len(found) > MAX_ITEMS:
        raise UnreadablePayload("too_many_items")
    messages: list[Message] = []
    own: list[OwnMessage] = []
    ignored: list[Ignored] = []
    for item in found:
        read = read_item(instance, mapping(item), origin, is_long)
        if isinstance(read, Message):
            messages.append(read)
        elif isinstance(read, OwnMessage):
            own.append(read)
            ignored.append("own_message")
        else:
            ignored.append(read)
    links = {Link(instance, item.lid, item.contact): None for item in messages if item.lid}
    reasons = tuple(ignored) if found else ("no_data",)
    return Inbound(
        instance, "messages.upsert", tuple(messages), reasons, tuple(links), tuple(own), named=named
    )


def read_item(
    instance: str, item: JsonObject, origin: str = "", is_long: bool = False
) -> Message | OwnMessage | Ignored:
    """One message, as webhooks bring it and records keep it, or why it is none.

    Args:
      is_long: the payload is, so media may have been cut from it.
    """
    key = mapping(item.get("key"))
    from_me = key.get("fromMe")
    if from_me not in (None, False, "false"):
        return _read_own(instance, item, key, from_me)
    sender = identify(key) if key else "malformed"
    if isinstance(sender, str):
        return sender
    message_id = text(key.get("id"))
    if not message_id or message_id != clean(message_id, MAX_ID_CHARS):
        return "bad_id" if message_id else "no_id"
    content = _read_content(item)
    if isinstance(content, str):
        return content
    return Message(
        instance=instance,
        contact=sender.contact,
        id=message_id,
        text=content.text,
        sent_at=sent_at(item.get("messageTimestamp")),
        kind=content.kind,
        lid=sender.lid,
        push_name=line(item.get("pushName")),
        context=(Context("quote", content.quoted_text),) if content.quoted_text else (),
        server_origin=origin,
        media_inline_dropped=is_long and _lost_media(mapping(item.get("message"))),
    )


def _lost_media(message: JsonObject) -> bool:
    """Whether media were cut from it on the way: they stand beside the type of the message, or in it."""
    return any(
        was_cut(value) or (isinstance(value, dict) and any(map(was_cut, value.values())))
        for value in message.values()
    )


def _read_own(instance: str, item: JsonObject, key: JsonObject, from_me: object) -> OwnMessage | Ignored:
    """Whether a message is, or might be, the account's own. When in doubt it is, so that we never answer ourselves.

    But a doubtful one does not silence Majlis either.
    """
    partner = identify(key, own=True)
    if isinstance(partner, str):
        return partner
    message_id = text(key.get("id"))
    content = _read_content(item)
    is_known = bool(message_id) and message_id == clean(message_id, MAX_ID_CHARS)
    if from_me not in (True, "true") or not is_known or isinstance(content, str):
        return "own_message"
    return OwnMessage(
        instance=instance,
        contact=partner.contact,
        lid=partner.lid,
        id=message_id,
        text=content.text,
        sent_at=sent_at(item.get("messageTimestamp")),
        on_phone=text(item.get("source")) in _TELEPHONES and not message_id.startswith(_OF_THE_GATEWAY),
    )


def _read_content(item: JsonObject) -> Content | Unheard:
    message = mapping(item.get("message"))
    if not message and item.get("messageStubType"):  # WhatsApp's stand-in for what could not be decrypted
        return "undecryptable"
    return read_content(message, text(item.get("messageType")), mapping(item.get("contextInfo")))


def sent_at(timestamp: object) -> int:
    """Unix seconds of a `messageTimestamp`, which some write in milliseconds; 0 when it is not a time."""
    seconds = integer(timestamp) or 0
    if seconds >= _MILLISECONDS_FROM:
        seconds //= 1000
    return seconds if 0 < seconds <= MAX_SENT_AT else 0


def dotted(event: str) -> str:
    """`MESSAGES_UPSERT` and `messages-upsert` as `messages.upsert`."""
    if event in EVENTS:
        return event
    name = event.strip().lower().replace("_", ".").replace("-", ".")
    return name if _EVENT_NAME.fullmatch(name) else ""


def event_reason(event: str, data: JsonObject) -> NoMessage | Unheard:
    """Why an event without messages is not for us."""
    if event == "messages.edited":  # the gateway's name for every protocol message, deletions among them
        return protocol_reason(data)
    return _EVENT_REASONS.get(event, "unsupported_event") if event else "no_event"
