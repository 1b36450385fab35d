"""The part of Socket.IO (v5 over Engine.IO v4) that a listener needs. Pure: texts in, packets out.

An Engine.IO packet is one digit and its data. A Socket.IO packet travels as a message, `4`, and is a digit, the
namespace unless it is `/`, perhaps a number, and JSON. An event with binary parts announces how many frames of those
follow; the JSON holds placeholders in their place.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from daemon.gateways.lenient import NotJson, decode, integer, items, mapping, text

PONG = "3"

PacketKind = Literal["open", "close", "ping", "connected", "disconnected", "event", "refused", "other"]

_ENGINE: dict[str, PacketKind] = {"0": "open", "1": "close", "2": "ping"}
_SOCKET: dict[str, PacketKind] = {
    "0": "connected",
    "1": "disconnected",
    "2": "event",
    "4": "refused",
    "5": "event",
}
_PACKET = re.compile(r"(?:(\d{1,4})-)?(?:(/[^,]*),)?(?:\d+)?(.*)", re.DOTALL)


class Packet(msgspec.Struct, frozen=True):
    kind: PacketKind
    namespace: str = "/"
    event: str = ""
    data: object = None
    """Of an event: its first argument. Else the document that came along, if any."""
    attachments: int = 0
    """Binary frames that follow and belong to it."""


def read(message: str) -> Packet:
    """Read one text frame. What cannot be read is `other`: there is no way to report it to the sender."""
    engine = _ENGINE.get(message[:1])
    if engine is not None:
        return Packet(engine, data=_json(message[1:]))
    kind = _SOCKET.get(message[1:2])
    found = _PACKET.fullmatch(message[2:])
    if message[:1] != "4" or kind is None or found is None:
        return Packet("other")
    attachments, namespace, document = found[1], found[2] or "/", _json(found[3])
    if kind != "event":
        return Packet(kind, namespace, data=document)
    arguments = items(document)
    event = text(arguments[0]) if arguments else ""
    data = arguments[1] if len(arguments) > 1 else None
    return Packet(kind, namespace, event, data, int(attachments or 0))


def connect(namespace: str) -> str:
    """Ask for the events of a namespace."""
    return "40" if namespace == "/" else f"40{namespace},"


def silence_seconds(opened: Packet, default: float) -> float:
    """How long the server may be silent before it counts as gone, by its own `open` packet."""
    offered = mapping(opened.data)
    interval, grace = integer(offered.get("pingInterval")), integer(offered.get("pingTimeout"))
    return default if not interval or not grace else min((interval + grace) / 1000, default)


def _json(document: str) -> object:
    if not document:
        return None
    try:
        return decode(document.encode("utf-8", "replace"))
    except NotJson:
        return None
