"""Leases: which daemon owns which partition, under which epoch, and for how much longer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from daemon.ledger.stored_turns import LeaseRow, StoredTurns
from daemon.operate.call import AdminCall
from daemon.operate.parameters import Parameters
from daemon.operate.route import Route
from daemon.web.http1 import Response, json_response


class LeaseOwner(msgspec.Struct, frozen=True, kw_only=True):
    owner: str
    ours: bool
    partitions: int
    seconds_left: float
    """Time left of the lease that ends first."""


class LeaseView(msgspec.Struct, frozen=True, kw_only=True):
    partition: int
    epoch: int
    owner: str = ""
    """Empty: no daemon."""
    seconds_left: float = 0.0
    fenced: bool = False
    """Whether this daemon acts for it, which the mirror enforces."""


class LeasePage(msgspec.Struct, frozen=True, kw_only=True):
    node_id: str
    partitions: int
    held: int
    """How many partitions any daemon owns."""
    fenced: int
    """How many partitions this daemon acts for."""
    owners: list[LeaseOwner]
    leases: list[LeaseView]


class LeaseTable:
    """`fenced` returns the partitions that this daemon acts for, with their epochs."""

    def __init__(
        self, node_id: str, fenced: Callable[[], Mapping[int, int]], stored_turns: StoredTurns
    ) -> None:
        self._node_id = node_id
        self._fenced = fenced
        self._stored_turns = stored_turns

    async def page(self) -> LeasePage:
        """Raises `LedgerUnavailable`."""
        rows, fenced = await self._stored_turns.leases(), self._fenced()
        held: dict[str, list[LeaseRow]] = {}
        for row in rows:
            if _is_held(row):
                held.setdefault(row.owner, []).append(row)
        return LeasePage(
            node_id=self._node_id,
            partitions=len(rows),
            held=sum(map(len, held.values())),
            fenced=len(fenced),
            owners=[
                LeaseOwner(
                    owner=owner,
                    ours=owner == self._node_id,
                    partitions=len(mine),
                    seconds_left=min(row.seconds_left for row in mine),
                )
                for owner, mine in sorted(held.items())
            ],
            leases=[
                LeaseView(
                    partition=row.partition,
                    epoch=row.epoch,
                    owner=row.owner if _is_held(row) else "",
                    seconds_left=row.seconds_left if _is_held(row) else 0.0,
                    fenced=fenced.get(row.partition) == row.epoch,
                )
                for row in rows
            ],
        )


def _is_held(row: LeaseRow) -> bool:
    return bool(row.owner) and row.seconds_left > 0


async def _page(leases: LeaseTable, call: AdminCall, asked: Parameters) -> Response:
    """Which daemon owns which partition, under which epoch, and for how much longer."""
    return json_response(200, await leases.page())


ROUTES = (Route("GET", "/v1/leases", LeaseTable, _page, "read", LeasePage),)
