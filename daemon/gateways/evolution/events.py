"""The events that an Evolution gateway posts, by name; for those without messages, why they are not for us. Pure."""

from __future__ import annotations

import re
from typing import Literal

from daemon.gateways.evolution.text import Unheard, protocol_reason
from daemon.gateways.lenient import JsonObject

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
