"""One daemon, put together. Reads as it starts: doors → stores → checks → leases → recovery → ready."""

from __future__ import annotations

import gc
import secrets
from pathlib import Path

import msgspec
import trio

from actors.crash_points import reach
from actors.errors import MirrorUnavailable
from actors.identity import Conversation, is_lid
from actors.messages import Message, Receipt
from daemon import banner
from daemon.admin import AdminApi
from daemon.compose.parts import Parts
from daemon.compose.stores import start_embedded
from daemon.config import Settings
from daemon.feed import EventFeed
from daemon.gateways.evolution_payload import Link, OwnMessage, parse_webhook
from daemon.health import Health
from daemon.http1 import HttpServer, Limits, UnixListener
from daemon.identities import KnownLinks
from daemon.ingress import Ingress, SharedToken, open_door
from daemon.life import AdminDoor, Life
from daemon.operations import DaemonOperations
from daemon.quarantine import Quarantine

ADMIN_CONNECTIONS = 16


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
            take_over=self._take_over,
            readiness=self._health.readiness,
            quarantine=Quarantine(settings.data_dir / "quarantine", self._quarantine_failed).store,
            authorize=SharedToken(tokens) if tokens else open_door,
            emit=feed.emit,
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
            board=parts.answering.board,
            forget=parts.answering.lookups.forget,
            pause=parts.answering.takeovers.pause,
            providers=parts.answering.responder.views,
            library=parts.answering.library,
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

    async def _take_over(self, own: OwnMessage) -> bool:
        """A person of the business wrote: silence in that chat, durably."""
        if self._parts is None:
            raise MirrorUnavailable("starting")
        return await self._parts.answering.takeovers.begin(own)

    def _broke(self, server: str, error: BaseException) -> None:
        # The class alone: its text may quote a request.
        self._feed.emit("daemon.problem", part=server, error=type(error).__name__)

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
