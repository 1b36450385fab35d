"""A webhook of the Evolution gateway, read. Pure: bytes in, an `Inbound` out.

Laws of this file:

1. `parse_webhook` raises `UnreadablePayload` for what can never be read, and nothing else. Every other oddity is an
   ignored item with a reason from a closed set, fit for a metric label.
2. Each item of the payload comes out once, as a message, as an amendment or as a reason; nothing is dropped without a
   reason, and the reason says what it was.
3. Only the fields of `Message`, `OwnMessage`, `Amendment`, `LateFailure`, `Link` and `Typing` leave this file. The
   payload's `apikey` is a real token and is not read. Anyone may have written its `server_url`: only the origin is
   read, and it counts only if the operator allowed it (`actors/reply.py`).
4. `date_time` is local time that claims to be UTC, and is not read: the time of a message is its `messageTimestamp`.
   `sender` is the account's own number, but for some versions' the author's: it tells whether a quoted message is the
   business's own, is never the author, and is the account's number only where nobody in the payload has it.
5. What the business wrote has the reason `own_message`, and is in `own` as well (`message.py`).
6. The instance that the payload names is told as it is (`Inbound.named`); whether it counts is decided elsewhere.
7. A proxy may have put the payload into another document, as n8n does: {body}, or [{headers, params, query, body}].
   `body` and `data` may be JSON as text.
8. Who types is told by what a chat shows of its one customer: `composing` or `recording`. Whatever else it shows ends
   it, for WhatsApp's `paused` arrives as `available`.
9. An update says that a message failed, but not whose message it was: `fromMe` is false for our own on some channels.
   So each failure is in `failures`, by id alone.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache
from typing import Literal

import msgspec

from actors.identity import MAX_INSTANCE_CHARS
from actors.messages import Message
from actors.reply import origin_of
from daemon.gateways import meta_errors
from daemon.gateways.evolution.amendments import deleted_event, edited_event, updated_event
from daemon.gateways.evolution.context import MAX_ID_CHARS
from daemon.gateways.evolution.identity import number_of, person
from daemon.gateways.evolution.message import Envelope, Read, read_item, read_own
from daemon.gateways.evolution.parts import Unheard
from daemon.gateways.evolution.type_names import bare_name
from daemon.gateways.lenient import (
    JsonObject,
    NotJson,
    NotJsonReason,
    clean,
    decode,
    items,
    mapping,
    text,
)
from daemon.ingress.inbound import (
    Amendment,
    Ignored,
    Inbound,
    LateFailure,
    Link,
    OwnMessage,
    Typing,
    UnreadablePayload,
)
from daemon.ingress.inline_media import SHORT_BYTES

MAX_ADDRESS_CHARS = 512
"""The length of `server_url`; a longer one is cut, and so matches no allowed origin."""
MAX_ITEMS = 1_000
"""The gateway sends one; reading more than this would delay all other work."""
MAX_WRAPPINGS = 2
"""So many documents may be around a payload."""

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

_EVENT_REASONS: dict[str, NoMessage | Unheard] = {
    "send.message.update": "own_message",
    "messages.update": "status_update",
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
_OF_MESSAGES = frozenset({"messages.upsert", "send.message", "messages.edited", "messages.delete"})
EVENTS = frozenset(_EVENT_REASONS) | _OF_MESSAGES
_READ = _OF_MESSAGES | {"messages.update", "connection.update"}
WANTED_EVENTS = tuple(sorted(event.replace(".", "_").upper() for event in _READ))
"""Those that this file reads, as the gateway's settings name them. All others would be acknowledged and ignored."""
OF_TYPING = "PRESENCE_UPDATE"
"""Read as well, and wanted only where a window is held open for it."""
_TYPES = ("composing", "recording")
PROBE = "majlis.probe"
"""No event of the gateway: by it Majlis finds out whether an address leads to itself (`daemon/ingress/witness.py`)."""
_NONCE = re.compile(r"[0-9a-f]{32}")

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
    found = _data_items(document.get("data"))
    if happened in _OF_MESSAGES:
        if len(found) > MAX_ITEMS:
            raise UnreadablePayload("too_many_items")
        read = _read_all(name, happened, found, document, len(body) > SHORT_BYTES)
        return msgspec.structs.replace(read, named=named, own_number=_own_number(document, read))
    if happened == PROBE:
        nonce = text(mapping(document.get("data")).get("nonce"))
        return Inbound(name, happened, named=named, probe=nonce if _NONCE.fullmatch(nonce) else "")
    failures, amendments = _updates(name, found) if happened == "messages.update" else ((), ())
    data = mapping(document.get("data"))
    typing = _typing(name, data) if happened == "presence.update" else None
    connected = happened == "connection.update" and text(data.get("state")) == "open"
    reason = Ignored(event_reason(happened), happened or bare_name(text(document.get("event"))))
    return Inbound(
        name,
        happened,
        ignored=(reason,) if failures or not amendments else (),
        amendments=amendments,
        failures=failures,
        typing=typing,
        named=named,
        connected=connected,
        own_number=number_of(data.get("wuid")) if connected else "",
    )


def _typing(instance: str, data: JsonObject) -> Typing | None:
    """What it tells of a one-to-one chat; a group's members are nobody's customers."""
    jid, shown = text(data.get("id"))[:MAX_ADDRESS_CHARS], mapping(data.get("presences"))
    contact = _account(jid)
    if not contact or len(shown) > 1:
        return None
    presence = mapping(next(iter(shown.values()), None)).get("lastKnownPresence")
    return Typing(instance, contact, presence in _TYPES)


def _own_number(document: JsonObject, read: Inbound) -> str:
    number = _number(text(document.get("sender"))[:MAX_ADDRESS_CHARS])
    if not number or not (read.messages or read.own):
        return ""
    is_somebodys = any(one.contact == number for items in (read.messages, read.own) for one in items)
    return "" if is_somebodys else number


def _document(body: bytes) -> JsonObject:
    document = _decoded(body)
    for _ in range(MAX_WRAPPINGS):
        if isinstance(document, list) and len(document) == 1:
            document = document[0]
        outer = mapping(document)
        inner = outer.get("body")
        if inner is None or outer.get("data") is not None:
            break
        if isinstance(inner, str):
            inner = _decoded(inner.encode("utf-8", "replace"))
        around = {name: outer[name] for name in ("event", "instance") if outer.get(name) is not None}
        document = {**around, **inner} if isinstance(inner, dict) else inner
    if not isinstance(document, dict):
        raise UnreadablePayload("not_an_object")
    if isinstance(data := document.get("data"), str):
        with suppress(NotJson):  # a word, as some events without a message have
            document = {**document, "data": decode(data.encode("utf-8", "replace"))}
    return document


def _decoded(body: bytes) -> object:
    reason: Unreadable
    try:
        return decode(body)
    except NotJson as error:
        reason = error.reason
    raise UnreadablePayload(reason)


def _updates(instance: str, found: list[object]) -> tuple[tuple[LateFailure, ...], tuple[Amendment, ...]]:
    failures = tuple(filter(None, (_failure(instance, mapping(item)) for item in found)))
    amendments = tuple(filter(None, (updated_event(instance, mapping(item)) for item in found)))
    if len(failures) + len(amendments) > MAX_ITEMS:
        raise UnreadablePayload("too_many_items")
    return failures, amendments


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


@lru_cache(maxsize=256)
def _account(jid: str) -> str:
    """Cached, as `_origin` is."""
    return person(jid)


@lru_cache(maxsize=256)
def _number(jid: str) -> str:
    """Cached, as `_origin` is."""
    return number_of(jid)


def _read_all(instance: str, event: str, found: list[object], document: JsonObject, is_long: bool) -> Inbound:
    envelope = Envelope(
        _origin(text(document.get("server_url"))[:MAX_ADDRESS_CHARS]),
        _account(text(document.get("sender"))[:MAX_ADDRESS_CHARS]),
        is_long,
    )
    messages: list[Message] = []
    own: list[OwnMessage] = []
    amendments: list[Amendment] = []
    ignored: list[Ignored] = []
    for item in map(mapping, found):
        match read := _read_one(instance, event, item, envelope):
            case Message():
                messages.append(read)
            case Amendment():
                amendments.append(read)
            case OwnMessage():
                own.append(read)
                ignored.append(Ignored("own_message", bare_name(text(item.get("messageType")))))
            case _:
                ignored.append(read)
    return Inbound(
        instance,
        event,
        messages=tuple(messages),
        ignored=tuple(ignored) if found else (Ignored("no_data", event),),
        links=tuple({Link(instance, item.lid, item.contact): None for item in messages if item.lid}),
        own=tuple(own),
        amendments=tuple(amendments),
    )


def _read_one(instance: str, event: str, item: JsonObject, envelope: Envelope) -> Read:
    match event:
        case "messages.edited":
            return edited_event(instance, item)
        case "messages.delete":
            return deleted_event(instance, item)
        case "send.message":
            return read_own(instance, item, by_program=True)
    return read_item(instance, item, envelope)


def dotted(event: str) -> str:
    """`MESSAGES_UPSERT` and `messages-upsert` as `messages.upsert`."""
    if event in EVENTS:
        return event
    name = event.strip().lower().replace("_", ".").replace("-", ".")
    return name if _EVENT_NAME.fullmatch(name) else ""


def event_reason(event: str) -> NoMessage | Unheard:
    """Why an event without messages is not for us."""
    return _EVENT_REASONS.get(event, "unsupported_event") if event else "no_event"
