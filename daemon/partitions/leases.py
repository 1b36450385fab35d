"""Which partitions this daemon may act for. Postgres mints the epochs; a local gate closes before a lease ends.

Laws of this file:

1. A lease is counted from the moment its request was *started*, by a clock that goes on while the machine is suspended,
   and ends one margin before the database's: a daemon that was paused finds its gate closed before another daemon can
   own the partition.
   A closed gate means "uncertain", not "lost": only the database decides that a lease is lost.
2. An epoch is used only if the database confirmed it. An answer that was lost is asked for again.
3. Taking over makes a new epoch; renewing keeps it. Renewing also works after `until`, until another daemon takes over.
4. One statement takes, one renews; rows are locked in order and a row in use is skipped, not waited for.

Give it a `Postgres` of its own with one connection and short waits (`max_connections=1`, `command_seconds=2`,
`acquire_seconds=3`): a lease must not queue behind turns, one lost renewal must leave time for another, and a release
must come after the renewal that is under way.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import trio

from actors.errors import LeaseUncertain, LedgerUnavailable, StaleEpoch
from actors.identity import Conversation
from daemon.stores.postgres import LedgerError, Postgres

_TAKE = """
    WITH free AS (
        SELECT partition FROM majlis_partitions
        WHERE partition < $4 AND (
            until < now()
            OR (owner = $1 AND incarnation <> $2 AND $5)
            OR (incarnation = $2 AND partition <> ALL ($6)))
        ORDER BY partition FOR UPDATE SKIP LOCKED
    )
    UPDATE majlis_partitions p
    SET epoch = epoch + 1, owner = $1, incarnation = $2, until = now() + make_interval(secs => $3)
    FROM free WHERE p.partition = free.partition
    RETURNING p.partition, p.epoch
"""
"""Takes what is free or expired, what this node held before it died (asked once, at start), and what this very
daemon took in a request whose answer was lost."""

_RENEW = """
    WITH mine AS (
        SELECT p.partition
        FROM majlis_partitions p
        JOIN unnest($2::int[], $3::bigint[]) AS held (partition, epoch) USING (partition, epoch)
        WHERE p.incarnation = $1
        ORDER BY p.partition FOR NO KEY UPDATE OF p
    )
    UPDATE majlis_partitions p SET until = now() + make_interval(secs => $4)
    FROM mine WHERE p.partition = mine.partition
    RETURNING p.partition
"""


_RELEASE = "UPDATE majlis_partitions SET until = now() - interval '1 second' WHERE incarnation = $1"


_MINTED = "SELECT partition, epoch FROM majlis_partitions WHERE partition = ANY ($1::int[])"


_ELSEWHERE = """
    SELECT owner, count(*)::int AS partitions FROM majlis_partitions
    WHERE partition < $2 AND incarnation <> $1 AND until > now() GROUP BY owner ORDER BY owner
"""


_RAISE = """
    UPDATE majlis_partitions p SET epoch = known.epoch
    FROM unnest($1::int[], $2::bigint[]) AS known (partition, epoch)
    WHERE p.partition = known.partition AND p.epoch < known.epoch
"""


async def raise_epochs(db: Postgres, known: Mapping[int, int]) -> None:
    """After a restore: mint no epoch below what the mirror has seen. Raises `LedgerUnavailable`."""
    await db.fetch(_RAISE, list(known.keys()), list(known.values()))


def boot_seconds() -> float:
    """Seconds since the machine started. `CLOCK_MONOTONIC` stands still while it is suspended, and leases do not."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class LeaseChange(msgspec.Struct, frozen=True):
    """What the database answered. A partition that came back under a new epoch is in both."""

    gained: Mapping[int, int]
    """Partition → the epoch to act under."""
    lost: frozenset[int]


class _Lease(msgspec.Struct, frozen=True):
    epoch: int
    open_until: float
    """By the clock of `Leases`."""


class Leases:
    """Implements `actors.ports.Ownership`.

    `node_id` names this daemon's place and survives a restart: a daemon that comes back takes its partitions at once.
    `clock` counts seconds, also those in which the machine sleeps.
    """

    def __init__(
        self,
        db: Postgres,
        node_id: str,
        partitions: int,
        *,
        ttl_seconds: float = 10.0,
        renew_seconds: float = 3.0,
        margin_seconds: float = 1.0,
        clock: Callable[[], float] = boot_seconds,
    ) -> None:
        self._db = db
        self._node_id = node_id
        self._incarnation = secrets.token_hex(8)
        self._partitions = partitions
        self._ttl_seconds = ttl_seconds
        self._renew_seconds = renew_seconds
        self._margin_seconds = margin_seconds
        self._clock = clock
        self._leases: dict[int, _Lease] = {}
        self._listeners: list[Callable[[LeaseChange], None]] = []
        self._took_back = False
        self._released = False
        self.elsewhere: Mapping[str, int] = {}
        """Node id → how many partitions that daemon held when the database was last asked. Empty while all are here."""
        self.renewals = 0
        """Attempts to renew and take that ended, since the start."""
        self.failures = 0
        """Of these, the ones that failed: Postgres was away, slow, or refused."""

    def epoch(self, conversation: Conversation) -> int:
        """The epoch to act under.

        Raises:
          LeaseUncertain: the lease is so near its end that an act might outlive it; it may be renewed.
          StaleEpoch: the partition is not ours.
        """
        lease = self._leases.get(conversation.partition(self._partitions))
        if lease is None:
            raise StaleEpoch("this daemon holds no lease for the partition")
        if self._clock() >= lease.open_until:
            raise LeaseUncertain("lease_uncertain")
        return lease.epoch

    def held(self) -> dict[int, int]:
        """Partition → epoch of every lease that is not known to be lost."""
        return {number: lease.epoch for number, lease in self._leases.items()}

    def certain(self) -> int:
        """How many partitions may be acted for at this moment."""
        now = self._clock()
        return sum(now < lease.open_until for lease in self._leases.values())

    def on_change(self, listener: Callable[[LeaseChange], None]) -> None:
        """Have `listener` called, synchronously, whenever partitions are gained or lost."""
        self._listeners.append(listener)

    async def run(
        self,
        turned: Callable[[], None] = lambda: None,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Take and renew until cancelled or released; started when Postgres has answered once.

        While Postgres is away this goes on trying: the gate closes by itself and opens again with the next renewal.

        Args:
          turned: called at the end of each attempt, however it ended.
        """
        answered = False
        while not self._released:
            next_at = trio.current_time() + self._renew_seconds
            failed = await self._attempt()
            # Counted together and only now: a scrape between two counts would see a success that is taken back later.
            self.renewals += 1
            self.failures += failed
            turned()
            if failed:
                await trio.sleep(self._renew_seconds / 3)
                continue
            if not answered:
                task_status.started()
                answered = True
            await trio.sleep_until(next_at)

    async def _attempt(self) -> bool:
        """Whether it failed."""
        try:
            await self.refresh()
        except (LedgerUnavailable, LedgerError):
            return True
        return False

    async def refresh(self) -> None:
        """Renew what is held and take what is free, once. Raises `LedgerUnavailable`."""
        await self._renew()
        await self._take()
        await self._look_elsewhere()

    async def minted(self, partitions: Iterable[int]) -> dict[int, int]:
        """The epochs that Postgres has given out, to any daemon. Raises `LedgerUnavailable`."""
        rows = await self._db.fetch(_MINTED, list(partitions))
        return {row["partition"]: row["epoch"] for row in rows}

    async def release(self) -> None:
        """Give everything up, so that others take over at once. The gate closes before the database is updated.

        Best effort: where the database cannot be reached, the leases run out by themselves.
        """
        self._released = True
        self._change({})
        try:
            await self._db.fetch(_RELEASE, self._incarnation)
        except LedgerUnavailable:
            return

    async def _renew(self) -> None:
        before = self._leases
        if not before or self._released:
            return
        open_until = self._open_until()
        epochs = [lease.epoch for lease in before.values()]
        rows = await self._db.fetch(_RENEW, self._incarnation, list(before), epochs, self._ttl_seconds)
        kept = {row["partition"] for row in rows}
        self._change({n: _Lease(lease.epoch, open_until) for n, lease in before.items() if n in kept})

    async def _take(self) -> None:
        if self._released or len(self._leases) == self._partitions:
            return
        open_until = self._open_until()
        rows = await self._db.fetch(
            _TAKE,
            self._node_id,
            self._incarnation,
            self._ttl_seconds,
            self._partitions,
            not self._took_back,
            list(self._leases),
        )
        self._took_back = True
        taken = {row["partition"]: _Lease(row["epoch"], open_until) for row in rows}
        self._change(self._leases | taken)

    async def _look_elsewhere(self) -> None:
        rows: Sequence[Mapping[str, Any]] = ()
        if len(self._leases) < self._partitions:
            rows = await self._db.fetch(_ELSEWHERE, self._incarnation, self._partitions)
        self.elsewhere = {row["owner"]: row["partitions"] for row in rows}

    def _open_until(self) -> float:
        return self._clock() + self._ttl_seconds - self._margin_seconds

    def _change(self, leases: dict[int, _Lease]) -> None:
        before, after = self._leases, ({} if self._released else leases)
        gained = {n: new.epoch for n, new in after.items() if n not in before or before[n].epoch != new.epoch}
        lost = frozenset(n for n, old in before.items() if n not in after or after[n].epoch != old.epoch)
        self._leases = after
        if gained or lost:
            for listener in self._listeners:
                listener(LeaseChange(gained, lost))
