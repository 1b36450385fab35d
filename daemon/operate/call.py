"""What every route of the admin door works with: one request as a `Call`, and the `Desk` that records and masks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import msgspec

from actors.identity import Conversation, canonical_contact
from daemon.observe.feed import EventFeed
from daemon.operate.levels import Level
from daemon.operate.login import Links
from daemon.operate.masking import shown
from daemon.operate.protocol import AuditEntry, Operations, Ref
from daemon.web.http1 import Request, Response, json_response

DEFAULT_LIMIT = 1_000
MAX_LIMIT = 10_000
"""Masking and encoding this many takes the event loop about 50 ms."""

_LABEL = re.compile(r"[0-9a-f]{10}")
BodyT = TypeVar("BodyT")


class BadQuery(Exception):
    """The request cannot be understood; the text says what is allowed."""


class Forbidden(Exception):
    """The peer's level does not suffice; the text says which one does."""


class Caller(NamedTuple):
    """Who asks, and what they may do."""

    level: Level
    origin: str = ""
    """By which door they came; empty: the admin socket, whose kernel tells who they are."""
    session: str = ""
    """Tells one of its sessions from another."""

    @property
    def where_levels_stand(self) -> str:
        """What says who has which level, for a sentence that refuses."""
        if self.origin:
            return "a link of `majlis dashboard` has the level of the user who asks for it"
        return "see admin.levels in the daemon's config.yaml"


class Call(NamedTuple):
    """One request with the named pieces of its path, and who asks."""

    request: Request
    named: Mapping[str, str]
    caller: Caller = Caller("admin")

    @property
    def reveal(self) -> bool:
        """Raises: Forbidden."""
        asked = self.flag("reveal")
        if asked and self.caller.level != "admin":
            raise Forbidden(
                f"phone numbers and texts are shown at level admin alone, and yours is {self.caller.level}: "
                f"ask without --reveal, or {self.caller.where_levels_stand}"
            )
        return asked

    @property
    def ref(self) -> Ref:
        label = self.named.get("label")
        if label is not None:
            return ref(label)
        return Conversation(self.named["instance"], canonical_contact(self.named["contact"]))

    @property
    def instance(self) -> str | None:
        """Of the query; None: all of them."""
        return self.request.query.get("instance") or None

    def id(self, otherwise: str) -> int:
        """The number in the path; `otherwise` is the sentence for what is none."""
        text = self.named["id"]
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise BadQuery(otherwise)
        return int(text)

    def flag(self, name: str) -> bool:
        value = self.request.query.get(name, "false")
        if value not in ("true", "false"):
            raise BadQuery(f"{name} must be true or false")
        return value == "true"

    def number(self, name: str, default: int, maximum: int, minimum: int = 1) -> int:
        """A whole number from `minimum` to `maximum` in the query."""
        text = self.request.query.get(name, str(default))
        if not (text.isascii() and text.isdigit() and minimum <= int(text[:19]) <= maximum):
            raise BadQuery(f"{name} must be a whole number from {minimum} to {maximum}")
        return int(text)

    def word(self, name: str, allowed: tuple[str, ...]) -> str | None:
        """One of `allowed`; None when it is not in the query."""
        value = self.request.query.get(name)
        if value is not None and value not in allowed:
            raise BadQuery(f"{name} must be one of {', '.join(allowed)}")
        return value

    def words(self, name: str) -> tuple[str, ...]:
        """A list with commas between; empty when it is not in the query."""
        return tuple(word for word in self.request.query.get(name, "").split(",") if word)

    def limit(self) -> int:
        return self.number("limit", DEFAULT_LIMIT, MAX_LIMIT)

    def body(self, kind: type[BodyT]) -> BodyT:
        """The JSON of the request, as the struct it must be."""
        try:
            return msgspec.json.decode(self.request.body, type=kind)
        except msgspec.DecodeError as error:
            raise BadQuery(f"the body cannot be read: {error}") from None


def ref(text: str) -> Ref:
    """A conversation as a person writes it. A bare phone number, say, is refused: it may go into no audit entry."""
    instance, slash, contact = text.rpartition("/")
    if slash and instance and contact:
        return Conversation(instance, canonical_contact(contact))
    if not _LABEL.fullmatch(text):
        raise BadQuery("write a conversation as its label (ten hexadecimal digits), or as INSTANCE/PHONE")
    return text


class Desk:
    """The daemon as the routes see it. Nothing is changed or revealed before it is recorded here."""

    def __init__(self, operations: Operations, feed: EventFeed, links: Links | None = None) -> None:
        """Without `links` there is no dashboard."""
        self.operations = operations
        self.feed = feed
        self.links = links

    async def audit(self, call: Call, action: str, target: str) -> None:
        """Record who asked for what, before it is done."""
        peer, caller = call.request.peer, call.caller
        entry = AuditEntry(
            action=action,
            target=target,
            uid=peer.uid,
            pid=peer.pid,
            origin=caller.origin,
            session=caller.session,
        )
        await self.operations.audit(entry)
        who: dict[str, object] = {"uid": peer.uid, "pid": peer.pid}
        if caller.origin:
            who = {"origin": caller.origin, "session": caller.session}
        self.feed.emit("admin.change", None, action=action, target=target, **who)

    async def answer(self, call: Call, view: object, target: str) -> Response:
        """`view` as JSON, masked unless revealing was asked for and recorded."""
        if call.reveal:
            await self.audit(call, "reveal", target)
        return json_response(200, shown(view, call.reveal))

    def target(self, ref: Ref) -> str:
        return self.feed.label(ref) if isinstance(ref, Conversation) else ref
