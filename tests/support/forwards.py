"""What waits to be forwarded, in memory: one `ForwardRows` stands for the database, each daemon has its store on it.

Time is Trio's clock. Passes the same contract tests as the tables.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from math import inf
from typing import Literal

import trio

from actors.errors import LedgerUnavailable
from daemon.forwarding.store import LEASE_SECONDS, PORTION, DueForward, ForwardStore, NoRoom


@dataclass
class Row:
    id: int
    instance: str
    state: Literal["arriving", "waiting", "dead"] = "arriving"
    event: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    places: tuple[int, ...] = ()
    place: int = -1
    size: int = 0
    tries: int = 0
    reason: str = ""
    pieces: dict[int, bytes] = field(default_factory=dict)


@dataclass
class Line:
    """The queue of one instance."""

    due_at: float
    holder: str = ""
    held_until: float = -inf


class ForwardRows:
    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self.taken: dict[int, Row] = {}
        """Every one that was ever taken in, also when it has arrived or was thrown away."""
        self.lines: dict[str, Line] = {}
        self.numbers = count(1)

    def of(self, state: str, instance: str | None = None) -> list[Row]:
        found = (one for one in self.rows.values() if one.state == state)
        return sorted((one for one in found if instance in (None, one.instance)), key=lambda one: one.id)


class MemoryForwards(ForwardStore):
    """The store of one daemon."""

    def __init__(self, shared: ForwardRows, node: str) -> None:
        self._shared = shared
        self._node = node

    async def begin(self, instance: str) -> int:
        await trio.lowlevel.checkpoint()
        number = next(self._shared.numbers)
        self._shared.rows[number] = Row(number, instance)
        return number

    async def add(self, number: int, piece: int, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        row = self._shared.rows.get(number)
        if row is not None and row.state == "arriving":
            row.pieces.setdefault(piece, data)

    async def abandon(self, number: int) -> None:
        await trio.lowlevel.checkpoint()
        row = self._shared.rows.get(number)
        if row is not None and row.state == "arriving":
            del self._shared.rows[number]

    async def take(
        self,
        instance: str,
        event: str,
        headers: dict[str, str],
        places: Sequence[int],
        place: int,
        body: bytes | tuple[int, int],
        bounds: tuple[int, int],
    ) -> NoRoom | None:
        await trio.lowlevel.checkpoint()
        shared, now = self._shared, trio.current_time()
        line = shared.lines.setdefault(instance, Line(now))
        waiting = shared.of("waiting", instance)
        size = len(body) if isinstance(body, bytes) else body[1]
        if _bytes(waiting) + size > bounds[0]:
            return "instance"
        if _bytes(shared.of("waiting")) + _bytes(shared.of("dead")) + size > bounds[1]:
            return "all"
        if isinstance(body, bytes):
            row = Row(next(shared.numbers), instance, pieces={0: body})
            shared.rows[row.id] = row
        else:
            found = shared.rows.get(body[0])
            if found is None or found.state != "arriving":
                return "gone"
            row = found
        row.state, row.event, row.headers, row.size = "waiting", event, headers, size
        row.places, row.place = tuple(places), place
        shared.taken[row.id] = row
        if not waiting:
            line.due_at = now
        return None

    async def claim(self, running: Collection[str], limit: int) -> list[str]:
        await trio.lowlevel.checkpoint()
        now = trio.current_time()
        due = [
            (line.due_at, instance)
            for instance, line in self._shared.lines.items()
            if self._shared.of("waiting", instance)
            and line.due_at <= now
            and instance not in running
            and (line.held_until <= now or line.holder == self._node)
        ]
        claimed = [instance for _, instance in sorted(due)[:limit]]
        for instance in claimed:
            line = self._shared.lines[instance]
            line.holder, line.held_until = self._node, now + LEASE_SECONDS
        return claimed

    async def hold(self, instance: str) -> bool:
        await trio.lowlevel.checkpoint()
        return self._hold(instance)

    async def next(self, instance: str, limit: int, max_bytes: int) -> list[DueForward]:
        await trio.lowlevel.checkpoint()
        found: list[DueForward] = []
        total = 0
        for row in self._shared.of("waiting", instance)[:limit]:
            total += row.size
            if found and total > max_bytes:
                break
            found.append(_due(row))
        return found

    async def piece(self, number: int, piece: int) -> bytes:
        await trio.lowlevel.checkpoint()
        row = self._shared.rows.get(number)
        if row is None or piece not in row.pieces:
            raise LedgerUnavailable("forward_gone")
        return row.pieces[piece]

    async def sent(self, instance: str, number: int) -> bool:
        await trio.lowlevel.checkpoint()
        row = self._shared.rows.get(number)
        if row is not None and row.state == "waiting":
            del self._shared.rows[number]
            self._shared.lines[instance].due_at = trio.current_time()
        return self._hold(instance)

    async def failed(
        self, instance: str, number: int, reason: str, delay_seconds: float, burn: bool = True
    ) -> None:
        await trio.lowlevel.checkpoint()
        line = self._shared.lines.get(instance)
        if line is not None and line.holder == self._node:
            line.due_at, line.holder, line.held_until = trio.current_time() + delay_seconds, "", -inf
        row = self._shared.rows.get(number)
        if row is not None and row.state == "waiting":
            row.tries, row.reason = row.tries + burn, reason

    async def bury(self, instance: str, reason: str, number: int | None = None) -> int:
        await trio.lowlevel.checkpoint()
        rows = [one for one in self._shared.of("waiting", instance) if number in (None, one.id)][:PORTION]
        for row in rows:
            row.state, row.reason, row.tries = "dead", reason, row.tries + (number is not None)
        if (line := self._shared.lines.get(instance)) is not None:
            line.due_at = trio.current_time()
        return len(rows)

    async def release(self, instance: str) -> None:
        await trio.lowlevel.checkpoint()
        line = self._shared.lines.get(instance)
        if line is not None and line.holder == self._node:
            line.holder, line.held_until = "", -inf

    async def retry(self, number: int | None, instance: str | None = None) -> int:
        await trio.lowlevel.checkpoint()
        rows = [one for one in self._shared.of("dead", instance) if number in (None, one.id)][:PORTION]
        for row in rows:
            row.state, row.tries, row.reason = "waiting", 0, ""
            self._shared.lines[row.instance].due_at = trio.current_time()
        return len(rows)

    async def drop(self, number: int) -> str | None:
        await trio.lowlevel.checkpoint()
        row = self._shared.rows.get(number)
        if row is None or row.state == "arriving":
            return None
        del self._shared.rows[number]
        if row.state == "waiting":
            self._shared.lines[row.instance].due_at = trio.current_time()
        return row.instance

    async def forget(self) -> int:
        """Nothing grows old in a test's time."""
        await trio.lowlevel.checkpoint()
        return 0

    def _hold(self, instance: str) -> bool:
        line = self._shared.lines.get(instance)
        if line is None or line.holder != self._node:
            return False
        line.held_until = trio.current_time() + LEASE_SECONDS
        return True


def _bytes(rows: Iterable[Row]) -> int:
    return sum(row.size for row in rows)


def _due(row: Row) -> DueForward:
    return DueForward(
        id=row.id,
        event=row.event,
        headers=row.headers,
        places=row.places,
        place=row.place,
        size=row.size,
        tries=row.tries,
        pieces=len(row.pieces),
        body=row.pieces[0] if len(row.pieces) == 1 else None,
    )
