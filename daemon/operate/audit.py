"""The record of what operators did. Nothing is changed or revealed before its entry is written; then what became of it.

A refused act is no deed: its entry says so.
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from daemon.ledger.records import Records

Outcome = Literal["done", "refused", "failed"]
"""It was done | nothing was changed, for it was refused | something broke, and it may be half done."""


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


class AuditLog(Protocol):
    async def begin(self, entry: AuditEntry) -> int:
        """Write one entry; returns its number. Raises when it cannot, and then nothing is done."""

    async def end(self, number: int, outcome: Outcome, why: str) -> None:
        """Write what became of it; `why` says in a word how, or of which class a refusal or failure is. Raises when it
        cannot."""


class LedgerAudit:
    """The audit table of the database. Both methods raise `LedgerUnavailable`."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def begin(self, entry: AuditEntry) -> int:
        uid = -1 if entry.uid is None else entry.uid
        detail = {"origin": entry.origin, "session": entry.session} if entry.origin else {}
        return await self._records.audit(uid, entry.pid or 0, entry.action, entry.target, detail)

    async def end(self, number: int, outcome: Outcome, why: str) -> None:
        await self._records.audit_outcome(number, outcome, why)
