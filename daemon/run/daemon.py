"""One daemon, put together. Reads as it starts: doors → stores → checks → leases → recovery → ready."""

from __future__ import annotations

import gc
import secrets
from functools import partial
from pathlib import Path

import msgspec
import trio

from actors.crash_points import reach
from actors.errors import MirrorUnavailable
from actors.identity import Conversation, is_lid
from actors.messages import Message, Receipt
from daemon.config import Settings
from daemon.gateways.evolution.payload import Link, OwnMessage, parse_webhook
from daemon.ingress.identity_links import KnownLinks
from daemon.ingress.quarantine import Quarantine
from daemon.ingress.webhooks import Ingress, SharedToken, open_door
from daemon.observe.feed import EventFeed
from daemon.observe.latencies import Latencies
from daemon.observe.readiness import Health
from daemon.operate.status import Doors
from daemon.run import banner
from daemon.run.dashboard import Dashboard
from daemon.run.engine import Parts
from daemon.run.gateway_feeds import GatewayFeeds
from daemon.run.lifecycle import AdminDoor, Life
from daemon.run.observing import Watching
from daemon.run.operating import Operating, levels, operating
from daemon.run.realtime import RealtimeDoor
from daemon.run.stores import start_embedded
from daemon.run.systemd import ServiceManager
from daemon.run.watchdog import Watchdog
from daemon.web.http1 import HttpServer, Limits, UnixListener

ADMIN_LIMITS = Limits(max_connections=16, max_connections_per_user=8, max_body_bytes=64 * 1024)


class Daemon:
    """The doors exist from the start and refuse until the rest, `Parts`, is up."""

    def __init__(self, settings: Settings, feed: EventFeed, manager: ServiceManager) -> None:
        self._settings = settings
        self._feed = feed
        self._health = Health(feed)
        self._watchdog = Watchdog(
            manager, self._health, feed, standing=self._standing, late=self._late, reload=self._reload
        )
        self._operating: Operating | None = None
        self._links = KnownLinks()
        self._door = AdminDoor(self._health)
        self._listen = settings.ingress.listen
        self._parts: Parts | None = None
        self._life: Life | None = None
        self._levels = levels(settings)
        self._watching = Watching(settings, feed, self._broke)
        self._latencies = Latencies(feed)
        tokens = settings.ingress.auth.tokens
        self._ingress = Ingress(
            parse=parse_webhook,
            accept=self._accept,
            learn=self._learn,
            take_over=self._take_over,
            readiness=self._health.readiness,
            quarantine=Quarantine(settings.data_dir / "quarantine", self._quarantine_failed).store,
            authorize=SharedToken(tokens) if tokens else open_door,
            emit=feed.emit,
            measure=self._measure,
        )
        self._realtime = RealtimeDoor(settings, feed, self._ingress.receive, self._resume_held, self._broke)
        receive_once = partial(self._ingress.receive, comes_again=False)
        self._feeds = GatewayFeeds(settings, feed, receive_once, self._broke)
        self._dashboard = Dashboard(settings, feed, self._ingress.receive, self._door.handle, self._broke)
        self._has_manager = manager.is_there
        self._ingress.metrics = self._watching.expose(self._ingress.counters)

    async def live(
        self, listeners: list[trio.SocketListener], admin: UnixListener, door_is_held: bool = False
    ) -> int:
        """Run until a signal ends it; gives back the exit status.

        `door_is_held`: a service manager keeps the listeners' sockets open when we end.
        """
        self._listen = _address(listeners[0])
        ingress = HttpServer(self._ingress.handle, _limits(self._settings), self._broke, "ingress")
        self._watching.serve_at(ingress)
        life = self._life = Life(
            ingress=ingress,
            admin=HttpServer(self._door.handle, ADMIN_LIMITS, self._broke, "admin"),
            health=self._health,
            feed=self._feed,
            drain_seconds=self._settings.drain_seconds,
            bring_up=self._bring_up,
            on_ready=self._on_ready,
            watchdog=self._watchdog,
            door_is_held=door_is_held,
        )
        async with (
            self._watching.traces.open(),
            self._realtime.open(),
            self._feeds.open(),
            self._dashboard.open(),
        ):
            return await life.run(listeners, admin)

    async def _bring_up(self, stores: trio.Nursery) -> Parts:
        redis_url, dsn = await start_embedded(self._settings, self._feed, stores)
        node_id = self._settings.node_id or _node_id(self._settings.data_dir)
        couriers, chats = self._realtime.couriers, self._dashboard.chats
        parts = Parts(
            self._settings,
            self._feed,
            self._health,
            self._links,
            node_id,
            redis_url,
            dsn,
            couriers,
            chats,
            self._watching.traces.watched,
        )
        await parts.open()
        alerts = self._watching.alerts(node_id)
        doors = Doors(
            self._listen,
            self._ingress.counters,
            self._realtime.view,
            self._feeds.views,
            self._dashboard.view,
        )
        self._operating = operating(
            self._settings,
            node_id,
            self._feed,
            self._health,
            parts,
            doors=doors,
            alerts=alerts,
            latencies=self._latencies,
            allowed=self._levels,
            append=self._accept,
            new_link=self._dashboard.new,
            stop=self._end,
        )
        self._watching.join(parts, self._operating.figures, alerts)
        self._dashboard.join(self._operating.api, node_id, parts)
        self._door.handler = self._operating.api.handle
        self._parts = parts
        return parts

    def _end(self) -> None:
        if self._life is not None:
            self._life.stop()

    def _standing(self) -> str:
        return self._parts.standing() if self._parts else "no store is up yet"

    def _late(self) -> tuple[str, ...]:
        return self._parts.progress.late() if self._parts else ()

    async def _reload(self) -> None:
        """SIGHUP: as `majlis reload`."""
        if self._operating is not None:
            await self._operating.reload()

    def _on_ready(self) -> None:
        # What stands now stays: the collector need not look at it again. And with thousands of messages in flight its
        # default of a look every 700 objects finds nothing but costs a seventh of the processor.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 20)
        # Who reads the journal is not who may do what the link allows.
        banner.show(self._settings, self._listen, self._dashboard.greeting(with_link=not self._has_manager))

    async def _accept(self, message: Message) -> Receipt:
        """Make one message durable; its conversation hears of it before we do."""
        if self._parts is None:
            raise MirrorUnavailable("starting")
        reach("request_read")
        message = self._with_phone(message)
        receipt = await self._parts.group.append(message, self._settings.window(message.instance))
        reach("appended")
        return receipt

    def _resume_held(self) -> None:
        """A proxy can deliver again: nobody sits out the rest of a hold."""
        if self._parts is not None:
            self._parts.supervisor.resume_held()

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

    async def _take_over(self, own: OwnMessage) -> bool:
        """A person of the business wrote: silence in that chat, durably."""
        if self._parts is None:
            raise MirrorUnavailable("starting")
        return await self._parts.answering.takeovers.begin(own)

    def _broke(self, server: str, error: BaseException) -> None:
        # The class alone: its text may quote a request.
        self._feed.emit("daemon.problem", part=server, error=type(error).__name__)

    def _measure(self, status: int, seconds: float) -> None:
        self._watching.observed.webhook(status, seconds)
        self._latencies.webhook(status, seconds)

    def _quarantine_failed(self, error: OSError) -> None:
        self._feed.emit("daemon.problem", part="quarantine", error=error.strerror)


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
    address = listener.socket.getsockname()
    if isinstance(address, str):
        return f"unix:{address}"
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _node_id(data_dir: Path) -> str:
    """This place's name among the daemons; it survives restarts, so that its leases come back at once."""
    path = data_dir / "node_id"
    if not path.exists():
        beside = path.with_suffix(".new")
        beside.write_text(secrets.token_hex(8))
        beside.replace(path)
    return path.read_text().strip()
