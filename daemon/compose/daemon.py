"""One daemon, put together. Reads as it starts: doors → stores → checks → leases → recovery → ready."""

from __future__ import annotations

import gc
import random
import secrets
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import msgspec
import trio

from actors.actor import Services, TurnPolicy
from actors.crash_points import reach
from actors.errors import MirrorUnavailable
from actors.fairness import FairSlots
from actors.identity import Conversation, is_lid
from actors.messages import Message, Receipt, Snapshot
from actors.outbox import Outbox, OutboxPolicy
from actors.supervisor import Supervisor
from actors.turn import TurnRunner
from daemon import banner
from daemon.admin import AdminApi
from daemon.admin.views import Check, DoctorReport
from daemon.compose import peers
from daemon.compose.stores import StoreWatch, postgres_check, redis_checks, start_embedded
from daemon.config import Settings
from daemon.doctor import examine
from daemon.feed import EventFeed
from daemon.gateways.evolution_payload import Link, parse_webhook
from daemon.health import Health
from daemon.http1 import HttpServer, Limits, UnixListener
from daemon.http_client import HttpClient
from daemon.identities import KnownLinks
from daemon.ingress import Ingress, SharedToken, open_door
from daemon.leases import Leases
from daemon.ledger import PostgresLedger, Records
from daemon.life import AdminDoor, CannotStart, Life
from daemon.lookups import PostgresLookups
from daemon.mirror.group_commit import GroupCommit
from daemon.mirror.mirror import RedisMirror
from daemon.mirror.survey import Survey
from daemon.operations import DaemonOperations
from daemon.ownership import FencedOwnership
from daemon.quarantine import Quarantine
from daemon.stores.postgres import Postgres
from daemon.stores.redis import RedisStore

DUE_SECONDS = 1.0
"""How often the mirror is asked for what is due. Only a backstop: actors keep their own time."""
ADMIN_CONNECTIONS = 16
RESPONDER_KEEPALIVE_SECONDS = 20.0


class Daemon:
    """The doors exist from the start and refuse until the rest, `Parts`, is up."""

    def __init__(self, settings: Settings, feed: EventFeed) -> None:
        self._settings = settings
        self._feed = feed
        self._health = Health(feed)
        self._links = KnownLinks()
        self._door = AdminDoor(self._health)
        self._listen = settings.ingress.listen
        self._parts: Parts | None = None
        tokens = settings.ingress.auth.tokens
        self._ingress = Ingress(
            parse=parse_webhook,
            accept=self._accept,
            learn=self._learn,
            readiness=self._health.readiness,
            quarantine=Quarantine(settings.data_dir / "quarantine", self._quarantine_failed).store,
            authorize=SharedToken(tokens) if tokens else open_door,
        )

    async def live(self, listeners: list[trio.SocketListener], admin: UnixListener) -> int:
        """Run until a signal ends it; gives back the exit status."""
        self._listen = _address(listeners[0])
        ingress = HttpServer(self._ingress.handle, _limits(self._settings), self._broke, "ingress")
        life = Life(
            ingress=ingress,
            admin=HttpServer(
                self._door.handle, Limits(max_connections=ADMIN_CONNECTIONS), self._broke, "admin"
            ),
            health=self._health,
            feed=self._feed,
            drain_seconds=self._settings.drain_seconds,
            bring_up=self._bring_up,
            on_ready=self._on_ready,
        )
        return await life.run(listeners, admin)

    async def _bring_up(self, stores: trio.Nursery) -> Parts:
        redis_url, dsn = await start_embedded(self._settings, self._feed, stores)
        node_id = self._settings.node_id or _node_id(self._settings.data_dir)
        parts = Parts(self._settings, self._feed, self._health, self._links, node_id, redis_url, dsn)
        await parts.open()
        operations = DaemonOperations(
            settings=self._settings,
            node_id=node_id,
            health=self._health,
            supervisor=parts.supervisor,
            ownership=parts.ownership,
            survey=parts.survey,
            records=parts.records,
            counters=self._ingress.counters,
            append=self._accept,
            label=self._feed.label,
            listen=self._listen,
            feed=self._feed,
            doctor=parts.doctor,
        )
        self._door.handler = AdminApi(operations, self._feed).handle
        self._parts = parts
        return parts

    def _on_ready(self) -> None:
        # What stands now stays: the collector need not look at it again. And with thousands of messages in flight its
        # default of a look every 700 objects finds nothing but costs a seventh of the processor.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 20)
        banner.show(self._settings, self._listen)

    async def _accept(self, message: Message) -> Receipt:
        """Make one message durable; its conversation hears of it before we do."""
        if self._parts is None:
            raise MirrorUnavailable("starting")
        reach("request_read")
        message = self._with_phone(message)
        receipt = await self._parts.group.append(message, self._settings.window(message.instance))
        reach("appended")
        return receipt

    def _with_phone(self, message: Message) -> Message:
        """A LID whose phone number is known goes straight to the phone's conversation."""
        if not is_lid(message.contact):
            return message
        phone = self._links.phone_of(message.instance, message.contact)
        if phone is None:
            return message
        return msgspec.structs.replace(message, contact=phone, lid=message.contact)

    def _learn(self, link: Link) -> None:
        """A LID's phone number: what waits under the LID moves to the phone's conversation now."""
        if self._links.learn(link.instance, link.lid, link.phone) and self._parts is not None:
            self._parts.supervisor.flush(Conversation(link.instance, link.lid))

    def _broke(self, server: str, error: BaseException) -> None:
        # The class alone: its text may quote a request.
        self._feed.emit("daemon.problem", part=server, error=type(error).__name__)

    def _quarantine_failed(self, error: OSError) -> None:
        self._feed.emit("daemon.problem", part="quarantine", error=error.strerror)


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
        self._gateway_http = HttpClient()
        self._responder_http = HttpClient(keepalive_seconds=RESPONDER_KEEPALIVE_SECONDS)
        self._leases = Leases(self._lease_db, node_id, settings.partitions)
        mirror = RedisMirror(self._redis, settings.partitions)
        self._mirror = mirror
        self.survey = Survey(self._redis, mirror)
        self.records = Records(self._db)
        self.group = GroupCommit(mirror.append_group, self._deliver)
        self.ownership = FencedOwnership(
            self._leases, mirror, self.survey, node_id, settings.partitions, feed
        )
        self.supervisor = Supervisor(self._services(links), self.ownership.owns)
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
        await self._gateway_http.aclose()
        await self._responder_http.aclose()

    async def doctor(self) -> DoctorReport:
        """What `majlis doctor` finds from inside."""

        async def stores() -> Iterable[Check]:
            redis = redis_checks(await self._watch.redis_problems())
            return [*redis, postgres_check(await self._watch.postgres_problem())]

        async with HttpClient() as http:
            return await examine(self._settings, http, stores)

    def _services(self, links: KnownLinks) -> Services:
        settings, feed = self._settings, self._feed
        ledger = PostgresLedger(self._db, settings.partitions)
        outbox = Outbox(
            ledger,
            peers.gateways(settings, self._gateway_http),
            self.ownership,
            feed,
            _wall_ms,
            partial(_outbox_policy, settings),
        )
        lookups = PostgresLookups(
            self._db,
            duplicate_window_seconds=settings.turn.duplicate_seconds,
            history_tokens=settings.turn.history_tokens,
        )
        responder = peers.responders(settings, self._responder_http)
        turn = settings.turn
        return Services(
            mirror=self._mirror,
            ownership=self.ownership,
            turns=TurnRunner(self.group.append, ledger, lookups, responder, outbox, links, settings, feed),
            policies=settings,
            feed=feed,
            slots=FairSlots(turn.concurrency),
            policy=TurnPolicy(turn.max_tries, turn.backoff_seconds, turn.max_hold_seconds),
            draw=random.random,
            wall_ms=_wall_ms,
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


def _outbox_policy(settings: Settings, instance: str) -> OutboxPolicy:
    gateway = settings.for_instance(instance).gateway
    return OutboxPolicy(gateway.on_unresolved, gateway.settle_seconds, gateway.timeout_seconds)


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _limits(settings: Settings) -> Limits:
    ingress = settings.ingress
    return Limits(
        max_head_bytes=ingress.max_head_bytes,
        head_seconds=ingress.head_seconds,
        max_body_bytes=ingress.max_body_bytes,
        body_seconds=ingress.body_seconds,
        max_connections=ingress.max_connections,
        max_connections_per_address=ingress.max_connections_per_address,
    )


def _address(listener: trio.SocketListener) -> str:
    """Where we listen in truth: the port may have been 0."""
    host, port = listener.socket.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _node_id(data_dir: Path) -> str:
    """This place's name among the daemons; it survives restarts, so that its leases come back at once."""
    path = data_dir / "node_id"
    if not path.exists():
        beside = path.with_suffix(".new")
        beside.write_text(secrets.token_hex(8))
        beside.replace(path)
    return path.read_text().strip()
