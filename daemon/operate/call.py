"""One request as a route sees it: who asks, what is recorded, and how the answer is masked.

The topics' answers hold phone numbers and texts in full. They are masked on the way out, by the names of their fields,
so that a new view cannot forget to.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from actors.errors import LedgerUnavailable
from actors.identity import Conversation
from daemon.observe.feed import EventFeed
from daemon.observe.logs import mask_digits
from daemon.operate.audit import AuditEntry, AuditLog, Outcome
from daemon.operate.levels import Level, suffices
from daemon.operate.stop import StopCause
from daemon.stores.postgres import LedgerError
from daemon.web.http1 import Request, Response, json_response


class Forbidden(Exception):
    """The caller's level is not enough; the text says which one is."""


class Caller(NamedTuple):
    """Who asks, and what they may do."""

    level: Level
    origin: str = ""
    """The door they came through; empty: the admin socket, whose kernel says who they are."""
    session: str = ""
    """Identifies one of that door's sessions."""

    @property
    def where_levels_stand(self) -> str:
        """Where levels are set, for the sentence of a refusal."""
        if self.origin:
            return "a link of `majlis dashboard` has the level of the user who asks for it"
        return "see admin.levels in the daemon's config.yaml"


class AdminCall:
    """One request whose parameters and level have been checked."""

    def __init__(
        self, request: Request, caller: Caller, feed: EventFeed, log: AuditLog, reveal: bool, body: Any
    ) -> None:
        self.caller = caller
        self.peer = request.peer
        self.reveal = reveal
        self.body = body
        """The struct that the route declares; None when it declares none."""
        self._feed = feed
        self._log = log
        self._begun: dict[int, AuditEntry] = {}
        self._became: tuple[Outcome, str] | None = None

    def insist(self, needed: Level, what: str) -> None:
        """Raises: Forbidden, where the caller's level is not enough for `what`."""
        level = self.caller.level
        if not suffices(level, needed):
            raise Forbidden(
                f"{what} needs level {needed}, and yours is {level}: {self.caller.where_levels_stand}"
            )

    async def audit(self, action: str, target: str) -> None:
        """Record who asked for what. Call it before doing it."""
        peer, caller = self.peer, self.caller
        entry = AuditEntry(
            action=action,
            target=target,
            uid=peer.uid,
            pid=peer.pid,
            origin=caller.origin,
            session=caller.session,
        )
        self._begun[await self._log.begin(entry)] = entry

    async def refused(self, action: str, target: str, why: str) -> None:
        """Record an act that was refused before it began; where that cannot be done now, it is refused all the same."""
        with suppress(LedgerUnavailable, LedgerError):
            await self.audit(action, target)
        await self.end("refused", why)

    def became(self, outcome: Outcome, how: str) -> None:
        """Say what came of it, where an answer is not the deed, or an error no refusal; said again, the last counts."""
        self._became = (outcome, how)

    async def end(self, outcome: Outcome, why: str = "") -> None:
        """Record what became of all that was begun, by what was said of it, else by this.

        What cannot be recorded now stays without an outcome.
        """
        begun, self._begun = self._begun, {}
        outcome, why = self._became or (outcome, why)
        for number, entry in begun.items():
            who: dict[str, object] = {"uid": entry.uid, "pid": entry.pid}
            if entry.origin:
                who = {"origin": entry.origin, "session": entry.session}
            event = "admin.change" if outcome == "done" else "admin.undone"
            reason = {} if outcome == "done" else {"reason": outcome}
            self._feed.emit(event, None, action=entry.action, target=entry.target, **reason, **who)
            with suppress(LedgerUnavailable, LedgerError):
                await self._log.end(number, outcome, why)

    @property
    def who(self) -> str:
        """Who asks, in a few words."""
        if self.caller.origin:
            return f"{self.caller.origin} session {self.caller.session}"
        return f"uid {self.peer.uid}"

    @property
    def cause(self) -> StopCause:
        """Who asks, for a stop."""
        if self.caller.origin:
            return StopCause(origin=self.caller.origin, session=self.caller.session)
        return StopCause(uid=self.peer.uid, pid=self.peer.pid)

    async def answer(self, view: object, target: str) -> Response:
        """`view` as JSON: masked, unless the caller asked to reveal it, which is recorded."""
        if self.reveal:
            await self.audit("reveal", target)
        document: object = msgspec.to_builtins(view)
        return json_response(200, document if self.reveal else _masked(document))

    def target(self, ref: Conversation | str) -> str:
        """A conversation's name in the audit log."""
        return self._feed.label(ref) if isinstance(ref, Conversation) else ref


def iso(moment: datetime) -> str:
    """A time as every answer writes it: UTC, with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _mask_contact(contact: str) -> str:
    """`…12`: enough to tell two contacts apart in a list, too little to call them."""
    number, at, server = contact.partition("@")
    return f"…{number[-2:]}{at}{server}"


def _mask_text(text: str) -> str:
    return f"({len(text)} characters)"


_MASKS = {
    "contact": _mask_contact,
    "text": _mask_text,
    "detail": mask_digits,
    "why": mask_digits,
    "requested_fields": mask_digits,  # a model wrote them
}


def _masked(value: object) -> object:
    if isinstance(value, dict):
        return {key: _field(str(key), item) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return value


def _field(name: str, value: object) -> object:
    mask = _MASKS.get(name)
    if mask is not None and isinstance(value, str):
        return mask(value)
    if mask is not None and isinstance(value, list):
        return [_field(name, item) for item in value]
    return _masked(value)
