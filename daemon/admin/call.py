"""What every route of the admin door works with: one request as a `Call`, and the `Desk` that records and masks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from actors.identity import Conversation, canonical_contact
from daemon.admin.masking import shown
from daemon.admin.operations import AuditEntry, Operations, Ref
from daemon.feed import EventFeed
from daemon.http1 import Request, Response, json_response

DEFAULT_LIMIT = 1_000
MAX_LIMIT = 10_000
"""Masking and encoding this many takes the event loop about 50 ms."""

_LABEL = re.compile(r"[0-9a-f]{10}")


class BadQuery(Exception):
    """The request cannot be understood; the text says what is allowed."""


class Call(NamedTuple):
    """One request with the named pieces of its path."""

    request: Request
    named: Mapping[str, str]

    @property
    def reveal(self) -> bool:
        return self.flag("reveal")

    @property
    def ref(self) -> Ref:
        label = self.named.get("label")
        if label is not None:
            if not _LABEL.fullmatch(label):  # a bare phone number, say: it may go into no audit entry
                raise BadQuery(
                    "write a conversation as its label (ten hexadecimal digits), or as INSTANCE/PHONE"
                )
            return label
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

    def number(self, name: str, default: int, maximum: int) -> int:
        """A whole number from 1 to `maximum` in the query."""
        text = self.request.query.get(name, str(default))
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:19]) <= maximum):
            raise BadQuery(f"{name} must be a whole number from 1 to {maximum}")
        return int(text)

    def limit(self) -> int:
        return self.number("limit", DEFAULT_LIMIT, MAX_LIMIT)


class Desk:
    """The daemon as the routes see it. Nothing is changed or revealed before it is recorded here."""

    def __init__(self, operations: Operations, feed: EventFeed) -> None:
        self.operations = operations
        self.feed = feed

    async def audit(self, call: Call, action: str, target: str) -> None:
        """Record who asked for what, before it is done."""
        peer = call.request.peer
        await self.operations.audit(AuditEntry(action=action, target=target, uid=peer.uid, pid=peer.pid))
        self.feed.emit("admin.change", action=action, target=target, uid=peer.uid, pid=peer.pid)

    async def answer(self, call: Call, view: object, target: str) -> Response:
        """`view` as JSON, masked unless revealing was asked for and recorded."""
        if call.reveal:
            await self.audit(call, "reveal", target)
        return json_response(200, shown(view, call.reveal))

    def target(self, ref: Ref) -> str:
        return self.feed.label(ref) if isinstance(ref, Conversation) else ref
