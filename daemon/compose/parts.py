"""Everything behind the doors: stores, leases, actors and turns, put together and taken through their life."""

from __future__ import annotations

import random
from collections.abc import Iterable
from functools import partial

import trio

from actors.actor import Services, TurnPolicy
from actors.crash_points import reach
from actors.errors import MirrorUnavailable
from actors.fairness import FairSlots
from actors.identity import Conversation
from actors.messages import Message, Receipt, Snapshot
from actors.supervisor import Supervisor
from daemon.admin.views import Check, DoctorReport
from daemon.compose.answering import Answering, wall_ms
from daemon.compose.stores import StoreWatch, postgres_check, redis_checks
from daemon.config import Settings
from daemon.doctor import examine
from daemon.feed import EventFeed
from daemon.health import Health
from daemon.http_client import HttpClient
from daemon.identities import KnownLinks
from daemon.leases import Leases
from daemon.ledger import Records
from daemon.life import CannotStart
from daemon.mirror.group_commit import GroupCommit
from daemon.mirror.mirror import RedisMirror
from daemon.mirror.survey import Survey
from daemon.ownership import FencedOwnership
from daemon.stores.postgres import Postgres
from daemon.stores.redis import RedisStore

DUE_SECONDS = 1.0
"""How often the mirror is asked for what is due. Only a backstop: actors keep their own time."""
RESPONDER_KEEPALIVE_SECONDS = 20.0


class Parts:
    """Everything behind the doors. Made when the stores are running; nothing connects before `open`."""

    def __init__(
        self,
        settings: Settings,
        feed: EventFeed,
        health: Health,
        links: KnownLinks,
        node_id: str,
        redis_url: str,
        dsn: str,
    ) -> None:
        self._settings = settings
        self._feed = feed
        self._health = health
        try:
            self._redis = RedisStore.from_url(redis_url)
        except ValueError as error:
            raise CannotStart(f"redis.url cannot be used: {error}.") from None
        self._db = Postgres(dsn, max_connections=settings.postgres.pool_size)
        # Leases must not queue behind turns: a connection and short waits of their own.
        self._lease_db = Postgres(dsn, max_connections=1, command_seconds=2, acquire_seconds=3)
        self._leases = Leases(self._lease_db, node_id, settings.partitions)
        mirror = RedisMirror(self._redis, settings.partitions)
        self._mirror = mirror
        self.survey = Survey(self._redis, mirror)
        self.records = Records(self._db)
        self.group = GroupCommit(mirror.append_group, self._deliver)
        self.ownership = FencedOwnership(
            self._leases, mirror, self.survey, node_id, settings.partitions, feed
        )
        self.answering = Answering(
            settings=settings,
            feed=feed,
            node_id=node_id,
            db=self._db,
            records=self.records,
            ownership=self.ownership,
            identities=links,
            append=self.group.append,
        )
        self.supervisor = Supervisor(self._services(), self.ownership.owns)
        self._watch = StoreWatch(settings, self._redis, self.survey, self._db, self.records, health)

    async def open(self) -> None:
        """Make the pools. Connects nowhere."""
        await self._db.open()
        await self._lease_db.open()

    async def start(self, work: trio.Nursery) -> None:
        """Check the stores, take the leases, pick up what was left behind; returns when all that is done."""
        install = await self._watch.until_fit()
        self._feed.set_install_id(install.install_id)
        reach("recovering")
        await self.answering.start(work)
        await work.start(self.supervisor.run)
        await work.start(self.group.run)
        await work.start(lambda task_status: self._leases.run(task_status=task_status))
        await work.start(
            self.ownership.run,
            self._recover,
            self.supervisor.drop_lost,
            partial(self._health.report, "leases"),
        )
        work.start_soon(self._poll_due, name="due poll")
        work.start_soon(
            self._watch.run, self.ownership.fence_again, self.supervisor.resume_held, name="store watch"
        )

    async def drain(self) -> None:
        await self.supervisor.drain()

    def halt(self) -> None:
        """End what still runs; it waits in the mirror."""
        left = self.supervisor.stop()
        self._feed.emit("daemon.left", conversations=len(left))

    async def close(self) -> None:
        """Give up leases and connections; each step is bounded by itself."""
        await self.ownership.release()
        await self._lease_db.close()
        await self._db.close()
        await self._redis.close()
        await self.answering.aclose()

    async def doctor(self) -> DoctorReport:
        """What `majlis doctor` finds from inside."""

        async def stores() -> Iterable[Check]:
            redis = redis_checks(await self._watch.redis_problems())
            return [*redis, postgres_check(await self._watch.postgres_problem())]

        async with HttpClient() as http:
            return await examine(self._settings, http, stores)

    def _services(self) -> Services:
        turn = self._settings.turn
        return Services(
            mirror=self._mirror,
            ownership=self.ownership,
            turns=self.answering.turns,
            policies=self._settings,
            feed=self._feed,
            slots=FairSlots(turn.concurrency),
            policy=TurnPolicy(turn.max_tries, turn.backoff_seconds, turn.max_hold_seconds),
            draw=random.random,
            wall_ms=wall_ms,
        )

    def _deliver(self, message: Message, receipt: Receipt) -> None:
        """Called by the group commit for every stored message, before its caller is woken."""
        event = "message.duplicate" if receipt.duplicate else "message.accepted"
        self._feed.emit(event, message.conversation)
        self.supervisor.deliver(message, receipt)

    def _recover(self, snapshots: Iterable[Snapshot], unread: Iterable[Conversation]) -> None:
        self.supervisor.recover(snapshots, unread)
        self.supervisor.resume_held()

    async def _poll_due(self) -> None:
        """The backstop for what no actor knows of: appended by others, or acknowledged as somebody died."""
        while True:
            await trio.sleep(DUE_SECONDS)
            try:
                due, stale = await self._mirror.due(self.ownership.fenced())
            except MirrorUnavailable:
                continue
            if stale:
                self.ownership.fence_again()
            for conversation in due:
                self.supervisor.nudge(conversation)
