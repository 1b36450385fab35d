"""What operators did, and what became of it: the audit log, read."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from daemon.ledger.records import Records
from daemon.ledger.rows import AuditRow
from daemon.operate.call import AdminCall, iso
from daemon.operate.parameters import DEFAULT_LIMIT, Limit, Parameters
from daemon.operate.route import Route
from daemon.web.http1 import Response, json_response


class AuditView(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    at: str
    who: str
    """`uid 1000`, or `dashboard session a1b2c3`."""
    action: str
    target: str
    outcome: Literal["done", "refused", "failed", ""]
    """Empty: it is not known, for the daemon ended before it was."""
    reason: str = ""
    """How, in a word or two; of a refusal or failure, mostly its class."""


class AuditPage(msgspec.Struct, frozen=True, kw_only=True):
    entries: list[AuditView]
    """The latest first."""


class AuditQuery(Parameters, frozen=True, kw_only=True):
    limit: Limit = DEFAULT_LIMIT
    action: Annotated[
        str, Meta(description="Only actions whose name begins with this, e.g. pause or dead.")
    ] = ""


class Audit:
    """Reads the log. Every method may raise `LedgerUnavailable`."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def page(self, limit: int, action: str = "") -> AuditPage:
        return AuditPage(entries=[_view(row) for row in await self._records.audited(limit, action)])


def _view(row: AuditRow) -> AuditView:
    who = f"{row.origin} session {row.session}" if row.origin else f"uid {row.uid}"
    return AuditView(
        id=row.id,
        at=iso(row.at),
        who=who,
        action=row.action,
        target=row.target,
        outcome=row.outcome,
        reason=row.why,
    )


async def _list(audit: Audit, call: AdminCall, asked: AuditQuery) -> Response:
    """What operators did and revealed, the latest first, and what became of it."""
    return json_response(200, await audit.page(asked.limit, asked.action))


ROUTES = (Route("GET", "/v1/audit", Audit, _list, "read", AuditPage, AuditQuery),)
