"""The record of what operators did. Nothing is changed or revealed before its entry is written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from daemon.ledger.records import Records


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Who asked for a change, or to reveal something."""

    action: str
    target: str
    """Never a phone number: a conversation appears by its label."""
    uid: int | None
    pid: int | None
    origin: str = ""
    """The door it came through; empty: the admin socket. Elsewhere there is neither uid nor pid."""
    session: str = ""
    """One of that door's sessions."""


Record = Callable[[AuditEntry], Awaitable[None]]
"""Writes one entry. Raises when it cannot, and then nothing is done."""


def in_the_ledger(records: Records) -> Record:
    """The audit table of the database. Raises `LedgerUnavailable`."""

    async def record(entry: AuditEntry) -> None:
        uid = -1 if entry.uid is None else entry.uid
        detail = {"origin": entry.origin, "session": entry.session} if entry.origin else {}
        await records.audit(uid, entry.pid or 0, entry.action, entry.target, detail)

    return record
