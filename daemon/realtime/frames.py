"""The frames of a realtime connection: one JSON object per WebSocket message, identified by its `type`. Pure.

docs/realtime.md explains each of them to authors of clients. A field that is not known here is ignored, so that newer
clients may send more.
"""

from __future__ import annotations

import json
from collections.abc import Container
from typing import Annotated, Literal

import msgspec

from actors.errors import MajlisError
from daemon.gateways.lenient import NotJson, decode_again, mapping

VERSION = 1
MAX_FILTERS = 1_000
"""Entries in one filter of a watcher."""

Id = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)] | Annotated[str, msgspec.Meta(max_length=128)]
Words = Annotated[list[str], msgspec.Meta(max_length=MAX_FILTERS)]


class BadFrame(MajlisError):
    """A client sent what it must not; the connection ends. The frame's content is in neither message nor context."""


class NotAllowed(MajlisError):
    """A client sent a frame that it has no right to send; the connection ends."""


class _Frame(msgspec.Struct, frozen=True, tag_field="type", tag=str.lower):
    pass


# From clients.


class Auth(_Frame, frozen=True):
    """The token of a client that cannot set a header. The first frame, if any."""

    token: str


class Push(_Frame, frozen=True):
    """One payload, as the gateway posts it to the webhook."""

    id: Id
    payload: msgspec.Raw
    instance: str | None = None
    """Takes precedence over the payload's own, as the one in a webhook's path does."""


class Watch(_Frame, frozen=True):
    """Follow the events: those after number `after` of the life `boot`, or only new ones."""

    boot: str = ""
    after: int | None = None
    instances: Words | None = None
    conversations: Words | None = None
    kinds: Words | None = None


class Serve(_Frame, frozen=True):
    """The client delivers replies from now on, on this connection. `finds`: it can look up what it has sent."""

    finds: bool = False


class OutcomeFrame(_Frame, frozen=True, tag="outcome"):
    """What became of the reply that was to be delivered under `key`."""

    key: str
    outcome: Literal["sent", "not_sent", "unknown"]
    message_id: str = ""
    reason: str = ""
    remedy: Literal["retry", "hold", "refuse"] = "retry"
    retry_after_seconds: Annotated[float, msgspec.Meta(ge=0, le=86_400)] | None = None


class EvidenceFrame(_Frame, frozen=True, tag="evidence"):
    """The answer to `find`."""

    id: str
    evidence: Literal["found", "not_found", "cannot_tell"]
    message_id: str = ""


ClientFrame = Auth | Push | Watch | Serve | OutcomeFrame | EvidenceFrame

# From the daemon. Acknowledgements and events are documents of other doors with a `type` added; `deliver` and `find`
# are a gateway's requests to a proxy: see daemon/gateways/realtime.py.


class Hello(_Frame, frozen=True):
    """The first frame to a client that is let in."""

    client: str
    boot: str
    """One life of the daemon; event numbers count within it."""
    seq: int
    """The number of the latest event."""
    instances: list[str] | None
    """The instances that it may see; null: all of them."""
    may_push: bool
    may_watch: bool
    may_deliver: bool
    """Whether it may send `serve`."""
    version: int = VERSION


class Watching(_Frame, frozen=True):
    """Events follow, numbered from `after` + 1. `resumed` is false when earlier ones are missing; `why` says why."""

    boot: str
    after: int
    resumed: bool
    why: Literal["", "restarted", "too_old"] = ""


class Serving(_Frame, frozen=True):
    """Replies come over this connection from now on."""


KINDS: dict[str, type[ClientFrame]] = {
    "auth": Auth,
    "push": Push,
    "watch": Watch,
    "serve": Serve,
    "outcome": OutcomeFrame,
    "evidence": EvidenceFrame,
}
_decoders = {name: msgspec.json.Decoder(kind) for name, kind in KINDS.items()}


class _Kind(msgspec.Struct, frozen=True):
    """A frame of which nothing is made but its type."""

    type: str


_kind = msgspec.json.Decoder(_Kind)


def read(frame: str | bytes, allowed: Container[str], lenient: bool = False) -> ClientFrame:
    """A client's frame, of the types allowed; of any other frame nothing but its type is parsed.

    Args:
      lenient: also read a push that is JSON only to JavaScript; its payload is parsed for that.

    Raises:
      NotAllowed: it is of another type.
      BadFrame: it is none of the frames above.
    """
    data = frame.encode() if isinstance(frame, str) else frame
    try:
        name = _kind.decode(data).type
        if name in KINDS and name not in allowed:
            raise NotAllowed("not_allowed")
        said: ClientFrame = _decoders[name].decode(data)
        return said
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError):
        pass
    if not lenient:
        raise BadFrame("bad_frame")
    return _read_leniently(data)


def _read_leniently(data: bytes) -> Push:
    """JavaScript may write what msgspec refuses, such as half an emoji: no reason to refuse a message."""
    try:
        document = mapping(decode_again(data))
    except NotJson:
        raise BadFrame("bad_frame") from None
    if document.get("type") != "push" or "payload" not in document:
        raise BadFrame("bad_frame")
    payload = msgspec.Raw(json.dumps(document.pop("payload")).encode())
    try:
        push = msgspec.convert({**document, "payload": payload}, Push)
        str(push.id).encode()  # with half an emoji in it, it could not be sent back
        return push
    except (msgspec.ValidationError, UnicodeEncodeError):
        pass
    raise BadFrame("bad_frame")


def encoded(frame: msgspec.Struct) -> str:
    return msgspec.json.encode(frame).decode()


def typed(name: str, document: object) -> str:
    """`document`, an object, as a frame of this type."""
    return msgspec.json.encode({"type": name} | mapping(document) | {"type": name}).decode()
