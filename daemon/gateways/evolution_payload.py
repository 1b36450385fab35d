"""A webhook of the Evolution gateway, read. Pure: bytes in, an `Inbound` out.

Laws of this file:

1. `parse_webhook` raises `UnreadablePayload` for what no later try could make readable, and nothing else.
   Every other oddity is an ignored item with a reason from a closed set, fit for a metric label.
2. Each item of the payload comes out once, as a message or as a reason; nothing is dropped without a word.
3. Only the fields of `Message` and `Link` leave this file. The payload's `apikey` is a real token and its
   `server_url` an address anybody may have written: neither is read.
4. `sender` is the account's own number and `date_time` local time that claims to be UTC: neither is read. The
   time of a message is its `messageTimestamp`.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from actors.errors import MajlisError
from actors.identity import MAX_INSTANCE_CHARS
from actors.messages import Message
from daemon.gateways.evolution_identity import NotAPerson, identify
from daemon.gateways.evolution_text import Content, Unheard, protocol_reason, read_content
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

MAX_ID_CHARS = 256
MAX_ITEMS = 1_000
"""The gateway sends one; so many would hold up everybody else while they are read."""
MAX_SENT_AT = 253_402_300_799
"""The last second of the year 9999: later ones are nonsense, and no date for Postgres."""

_MILLISECONDS_FROM = 100_000_000_000
_EVENT_NAME = re.compile(r"[a-z.]{1,64}")

Unreadable = NotJsonReason | Literal["not_an_object", "no_instance", "bad_instance", "too_many_items"]

Ignored = (
    NotAPerson
    | Unheard
    | Literal[
        "own_message",
        "no_id",
        "bad_id",
        "malformed",
        "no_data",
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
)
"""Why an item is not a message to answer.

Of the chat: `group`, `status_broadcast`, `broadcast`, `newsletter`, `unsupported_sender` (neither a phone
number nor a LID), `no_sender`. Of the message: `own_message` (sent by the account, through the gateway or by
hand), `no_id`, `bad_id` (too long, or not storable), `malformed` (no object, or no key), and what `Unheard`
names. Of the payload: `no_data`, `no_event`, `unsupported_event`, and one word for each family of events that
carries no messages.
"""

_EVENT_REASONS: dict[str, Ignored] = {
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
_EVENTS = frozenset(_EVENT_REASONS) | {"messages.upsert", "messages.edited"}


class UnreadablePayload(MajlisError):
    """No try at this payload can ever succeed: answer 400. Contrast `Inbound.ignored`: read, and done with.

    `reason` is a stable word; the payload's own text is in neither message nor context.
    """

    def __init__(self, reason: Unreadable) -> None:
        super().__init__(reason)
        self.reason: Unreadable = reason


class Link(msgspec.Struct, frozen=True):
    """These two are one person, the gateway says: `lid` is `<digits>@lid`, `phone` a canonical contact."""

    instance: str
    lid: str
    phone: str


class Inbound(msgspec.Struct, frozen=True):
    """What one webhook brought."""

    instance: str
    event: str
    """In the dotted form, `messages.upsert`; empty when none is named, or by no name of an event."""
    messages: tuple[Message, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    """One reason for each item that is not in `messages`."""
    links: tuple[Link, ...] = ()
    """LIDs whose phone numbers this payload told, each once. Learnt from received one-to-one messages."""


def parse_webhook(body: bytes, instance: str | None, event: str | None) -> Inbound:
    """Read one webhook. `instance` and `event` are the parts of the URL's path, where it has them.

    The path's instance wins over the body's, for the operator wrote it. The body's event wins over the
    path's, for it says what `data` is. A lone path segment that is an event's name is taken for that: so the
    gateway posts to `/webhook` when it is told to append the event (`byEvents`).

    Raises:
      UnreadablePayload: see there.
    """
    document = _document(body)
    told = text(document.get("instance")).strip()
    if event is None and instance is not None and told and _dotted(instance) in _EVENTS:
        instance, event = None, instance
    name = told if instance is None else instance.strip()
    if not name and instance is None:
        raise UnreadablePayload("no_instance")
    if not name or name != clean(name, MAX_INSTANCE_CHARS):
        raise UnreadablePayload("bad_instance")
    happened = _dotted(text(document.get("event"))) or _dotted(event or "")
    if happened == "messages.upsert":
        return _upsert(name, happened, _data_items(document.get("data")))
    return Inbound(name, happened, ignored=(_event_reason(happened, mapping(document.get("data"))),))


def _document(body: bytes) -> JsonObject:
    reason: Unreadable = "not_an_object"
    try:
        document = decode(body)
    except NotJson as error:
        document, reason = None, error.reason
    if not isinstance(document, dict):
        raise UnreadablePayload(reason)
    return document


def _dotted(event: str) -> str:
    """`MESSAGES_UPSERT` and `messages-upsert` as `messages.upsert`."""
    if event in _EVENTS:
        return event
    dotted = event.strip().lower().replace("_", ".").replace("-", ".")
    return dotted if _EVENT_NAME.fullmatch(dotted) else ""


def _event_reason(event: str, data: JsonObject) -> Ignored:
    if event == "messages.edited":  # the gateway's name for every protocol message, deletions among them
        return protocol_reason(data)
    return _EVENT_REASONS.get(event, "unsupported_event") if event else "no_event"


def _data_items(data: object) -> list[object]:
    """`data` is one message; other versions send a list, or either of them under `messages`."""
    if isinstance(data, dict) and "key" not in data and data.get("messages"):
        data = data["messages"]
    if isinstance(data, dict):
        return [data] if data else []
    return items(data)


def _upsert(instance: str, event: str, found: list[object]) -> Inbound:
    if len(found) > MAX_ITEMS:
        raise UnreadablePayload("too_many_items")
    read = [_read_item(instance, mapping(item)) for item in found]
    messages = tuple(item for item in read if isinstance(item, Message))
    ignored = tuple(item for item in read if not isinstance(item, Message))
    links = {Link(instance, item.lid, item.contact): None for item in messages if item.lid}
    return Inbound(instance, event, messages, ignored if read else ("no_data",), tuple(links))


def _read_item(instance: str, item: JsonObject) -> Message | Ignored:
    key = mapping(item.get("key"))
    sender = identify(key) if key else "malformed"
    if isinstance(sender, str):
        return sender
    if key.get("fromMe") not in (None, False, "false"):  # when in doubt, own: never answer ourselves
        return "own_message"
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
        quoted_text=content.quoted_text,
    )


def _read_content(item: JsonObject) -> Content | Unheard:
    message = mapping(item.get("message"))
    if not message and item.get("messageStubType"):  # WhatsApp's stand-in for what could not be decrypted
        return "undecryptable"
    return read_content(message, text(item.get("messageType")), mapping(item.get("contextInfo")))


def sent_at(timestamp: object) -> int:
    """Unix seconds of a `messageTimestamp`, which some write in milliseconds; 0 when it tells no time."""
    seconds = integer(timestamp) or 0
    if seconds >= _MILLISECONDS_FROM:
        seconds //= 1000
    return seconds if 0 < seconds <= MAX_SENT_AT else 0
