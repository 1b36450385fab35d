"""Which conversations this daemon acts for: the partitions it holds a lease of *and* has fenced in Redis.

A lease alone is not enough: until its epoch is written into the mirror, a former owner could still freeze and
commit there. So a gained partition is first fenced, then recovered, and only then acted for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

import trio

from actors.errors import LeaseUncertain, LedgerUnavailable, MirrorUnavailable, StaleEpoch
from actors.identity import Conversation
from actors.messages import Snapshot
from actors.ports import Feed
from daemon.mirror.mirror import RedisMirror
from daemon.mirror.survey import Survey
from daemon.partitions.leases import LeaseChange, Leases
from daemon.stores.postgres import LedgerError

RETRY_SECONDS = 1.0
_LOST = (
    "Redis has lost the locks of some partitions, and with them what waited there (keys were deleted): restore it; only"
    " if the data is lost for good, stop Majlis and run `majlis migrate --adopt-redis`."
)
_REFUSED = (
    "Redis holds a higher epoch for some partitions than Postgres gave out, so one of the two was restored from an"
    " older backup: restore both from the same moment, or stop Majlis and run `majlis migrate --adopt-redis`."
)


class FencedOwnership:
    """Implements `actors.ports.Ownership` over leases and fences.

    `recover` is called with the conversations that a gained partition holds; `lost` when partitions went away.
    """

    def __init__(
        self, leases: Leases, mirror: RedisMirror, survey: Survey, node_id: str, partitions: int, feed: Feed
    ) -> None:
        self._leases = leases
        self._mirror = mirror
        self._survey = survey
        self._node_id = node_id
        self._partitions = partitions
        self._feed = feed
        self._fenced: dict[int, int] = {}
        self._changed = trio.Event()
        self._doubted = False
        self._releasing = False
        leases.on_change(self._on_change)

    def epoch(self, conversation: Conversation) -> int:
        epoch = self._leases.epoch(conversation)
        if self._fenced.get(conversation.partition(self._partitions)) != epoch:
            raise LeaseUncertain("partition_not_fenced_yet")
        return epoch

    def owns(self, conversation: Conversation) -> bool:
        """Whether messages of this conversation are ours to answer, now or as soon as the lease is certain."""
        try:
            self._leases.epoch(conversation)
        except LeaseUncertain:
            return True
        except StaleEpoch:
            return False
        return True

    def fenced(self) -> dict[int, int]:
        """Partition → epoch of all we act for."""
        return dict(self._fenced)

    def elsewhere(self) -> dict[str, int]:
        """How many partitions other daemons hold, by their node ids."""
        return dict(self._leases.elsewhere)

    def fence_again(self) -> None:
        """Redis was away, or a fence in it is gone: write all of them again. Running turns go on meanwhile."""
        self._doubted = True
        self._changed.set()

    async def release(self) -> None:
        """Give everything up, so that others take over at once."""
        self._releasing = True
        await self._leases.release()

    async def run(
        self,
        recover: Callable[[Iterable[Snapshot], Iterable[Conversation]], Awaitable[None]],
        lost: Callable[[], None],
        report: Callable[[tuple[str, ...]], None],
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Follow the leases until cancelled; started when everything held was recovered once.

        Args:
          recover: picks up the conversations of partitions that were fenced just now.
          lost: stops what runs in partitions that are no longer ours.
          report: gets the reasons that keep partitions from being ours; an empty tuple when there are none, or when
            another daemon holds them by now.
        """
        started = False
        while True:
            self._changed = trio.Event()
            held = self._leases.held()
            self._fenced = {part: epoch for part, epoch in self._fenced.items() if held.get(part) == epoch}
            lost()
            gained = {
                part: epoch for part, epoch in held.items() if self._doubted or part not in self._fenced
            }
            if not gained:
                report(
                    ()
                )  # what kept us from partitions is no concern of ours once they are another daemon's
            elif not await self._fence_and_recover(gained, recover, report):
                await trio.sleep(RETRY_SECONDS)
                continue
            if not started:
                started = True
                task_status.started()
            await self._changed.wait()

    async def _fence_and_recover(
        self,
        gained: dict[int, int],
        recover: Callable[[Iterable[Snapshot], Iterable[Conversation]], Awaitable[None]],
        report: Callable[[tuple[str, ...]], None],
    ) -> bool:
        try:
            refused = await self._mirror.fence(gained, self._node_id)
            report(await self._reasons(refused))
            mine = {partition: epoch for partition, epoch in gained.items() if partition not in refused}
            if not mine and not self._doubted:
                return False  # nothing new is ours: a recovery each second would end every hold of the others
            self._feed.emit("recovery.started", partitions=len(mine))
            snapshots, unread = await self._survey.recover(mine)
        except (MirrorUnavailable, LedgerUnavailable, LedgerError):
            return False
        self._doubted = False
        kept = {partition: epoch for partition, epoch in self._fenced.items() if partition not in refused}
        self._fenced = {**kept, **mine}
        await recover(snapshots, unread)
        self._feed.emit("recovery.finished", conversations=len(snapshots) + len(unread))
        return not refused

    async def _reasons(self, refused: Mapping[int, int]) -> tuple[str, ...]:
        """Why partitions were refused, if anybody has to do something about it.

        A higher epoch in Redis is nearly always a successor's, which Postgres knows and of which our leases hear next.
        """
        minted = await self._leases.minted(refused) if any(refused.values()) else {}
        is_corrupt = any(epoch > minted.get(partition, 0) for partition, epoch in refused.items())
        return (*((_LOST,) if 0 in refused.values() else ()), *((_REFUSED,) if is_corrupt else ()))

    def _on_change(self, change: LeaseChange) -> None:
        if change.gained:
            self._feed.emit("lease.gained", partitions=len(change.gained))
        lost = change.lost - change.gained.keys()
        if lost:
            event = "lease.released" if self._releasing else "lease.lost"
            self._feed.emit(event, partitions=len(lost))
        self._changed.set()
