"""One daemon, put together. Reads as it starts: doors → stores → checks → leases → recovery → ready."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

import trio

from actors.identity import Conversation
from daemon.config import Settings
from daemon.config.credentials import AuthSettings
from daemon.config.open_doors import Listening, OpenDoor, open_doors
from daemon.config.outlived import outlived
from daemon.controls.live_settings import LiveSettings
from daemon.forwarding.taking import Taking
from daemon.ingress import inline_media
from daemon.ingress.access import DoorTokens, SharedToken, closed_door, open_door
from daemon.ingress.at_once import WebhooksAtOnce
from daemon.ingress.counters import IngressCounters, IngressObservers
from daemon.ingress.credentials import Allows, SharedKeys
from daemon.ingress.identity_links import KnownLinks
from daemon.ingress.inbox import DurableInbox
from daemon.ingress.known_instances import KnownInstances
from daemon.ingress.quarantine import Quarantine
from daemon.ingress.webhooks import Ingress
from daemon.ingress.witness import Witness
from daemon.ledger.retention import Retention
from daemon.observe.feed import NO_LABEL, EventFeed
from daemon.observe.readiness import Health
from daemon.operate import door_credentials
from daemon.operate.connect_look import ConnectDoor
from daemon.operate.status import Doors
from daemon.operate.stop import Stop
from daemon.partitions.node_id import node_id_in
from daemon.run import banner, peers
from daemon.run.dashboard import Dashboard
from daemon.run.engine import Parts
from daemon.run.gateway_feeds import GatewayFeeds
from daemon.run.inside import Inside
from daemon.run.late import Late
from daemon.run.lifecycle import AdminDoor, CannotStart, DoorListeners, Life, cannot_write
from daemon.run.observing import Observing
from daemon.run.operating import levels, operating
from daemon.run.passthrough import taking
from daemon.run.process import settle_memory, tidy_after_floods
from daemon.run.realtime import RealtimeDoor
from daemon.run.stores import start_embedded
from daemon.run.sweeping import Sweeping
from daemon.run.systemd import ServiceManager
from daemon.run.watchdog import Watchdog
from daemon.web.client import HttpClient
from daemon.web.http1 import (
    Front,
    HttpCounters,
    HttpServer,
    LargeBodies,
    Limits,
    Request,
    TrustedProxies,
    UnixListener,
    address_of,
    bodies_within,
)
from daemon.web.tls import tls_context

ADMIN_LIMITS = Limits(max_connections=16, max_connections_per_user=8, max_body_bytes=512 * 1024)


class Daemon:
    """The doors exist from the start and refuse until `Inside` is there."""

    def __init__(self, settings: Settings, feed: EventFeed, manager: ServiceManager) -> None:
        self._settings = settings
        self._live = LiveSettings(settings)
        self._feed = feed
        self._has_manager = manager.is_there
        self._inside: Late[Inside] = Late()
        self._stop = Stop()
        self._addresses: tuple[str, ...] = (settings.ingress.listen,)
        self._health = Health(feed)
        self._watchdog = Watchdog(
            manager, self._health, feed, at_work=self._at_work, late=self._late, reload=self._reload
        )
        self._levels = levels(settings)
        self._admin = AdminDoor(self._health, self._inside.part(lambda inside: inside.operating.api))
        self._links = KnownLinks()
        self._known = KnownInstances(settings.instances)
        behind = self._inside.part(lambda inside: inside.parts.behind)
        self._inbox = DurableInbox(self._links, behind, self._live.window, self._live.terms)
        self._witness = Witness(self._prove)
        self._ingress_counters, self._http_counters = IngressCounters(), HttpCounters()
        self._observing = Observing(
            settings,
            self._live,
            feed,
            self._ingress_counters,
            self._http_counters,
            self._inside.part(lambda inside: inside.sources),
            self._broke,
        )
        self._taking = taking(
            settings, self._live, feed, self._inside.part(lambda inside: inside.parts.forwarding)
        )
        self._quarantine = Quarantine(settings.data_dir / "quarantine", self._quarantine_failed)
        self._ingress = Ingress(
            reader=peers.reader(self._live, self._known),
            inbox=self._inbox,
            readiness=self._health.readiness,
            quarantine=self._quarantine.store,
            authorize=DoorTokens(
                _to_all(settings),
                self._live.own_credentials,
                self._known,
                _shared_keys(settings.ingress.auth),
            ),
            metrics=self._observing.exposition,
            observers=IngressObservers(
                feed.emit,
                self._observing.webhook,
                self._witness.saw,
                self._witness.asked,
                self._ingress_counters,
            ),
            forwards=self._taking,
        )
        receive = self._ingress.receive
        self._limits = _limits(settings, self._taking)
        self._bodies = bodies_within(self._limits)
        self._realtime = RealtimeDoor(
            settings, self._live, feed, receive, self._resume_held, self._broke, bodies=self._bodies
        )
        self._feeds = GatewayFeeds(
            self._live,
            self._known,
            feed,
            partial(receive, comes_again=False),
            self._broke,
            settings.tls.ca_file,
        )
        self._dashboard = Dashboard(
            settings, self._live, feed, self._ingress.take, self._admin, self._inside, self._broke
        )

    async def live(
        self,
        listeners: DoorListeners,
        admin: UnixListener,
        door_is_held: bool = False,
    ) -> int:
        """Run until a signal ends it; returns the exit status.

        `door_is_held`: a service manager keeps the listeners' sockets open when we end.
        """
        self._addresses = tuple(map(address_of, listeners))
        life = Life(
            ingress=HttpServer(
                self._ingress.handle,
                self._limits,
                self._broke,
                "ingress",
                self._ingress.gate,
                self._bodies,
                self._ingress.rejected,
                Front(
                    WebhooksAtOnce(self._ingress, self._inbox.post, partial(self._broke, "ingress")),
                    TrustedProxies(self._settings.ingress.trusted_proxies),
                    counters=self._http_counters,
                ),
            ),
            admin=HttpServer(self._admin.handle, ADMIN_LIMITS, self._broke, "admin", gate=self.is_operator),
            health=self._health,
            feed=self._feed,
            drain_seconds=self._settings.drain_seconds,
            bring_up=self._bring_up,
            on_ready=self._on_ready,
            watchdog=self._watchdog,
            stop=self._stop,
            door_is_held=door_is_held,
        )
        async with (
            self._observing.traces.open(),
            self._realtime.open(),
            self._feeds.open(),
            self._dashboard.open(),
        ):
            return await life.run(listeners, admin)

    def _kept_node_id(self) -> str:
        directory = self._settings.data_dir
        try:
            return node_id_in(directory)
        except OSError as error:
            raise CannotStart(cannot_write(directory, "node_id", error)) from error

    async def _bring_up(self, stores: trio.Nursery) -> Parts:
        redis_url, dsn = await start_embedded(self._settings, self._feed, stores)
        node_id = self._settings.node_id or self._kept_node_id()
        parts = Parts(
            settings=self._settings,
            live=self._live,
            feed=self._feed,
            health=self._health,
            links=self._links,
            known=self._known,
            node_id=node_id,
            redis_url=redis_url,
            dsn=dsn,
            couriers=self._realtime.couriers,
            chats=self._dashboard.chats,
            recorded=self._observing.traces.recorded,
        )
        await parts.open()
        alerts, targets = self._observing.alerts(node_id), self._observing.targets(parts, node_id)
        sweeping = Sweeping(
            self._settings, self._feed, self._health, parts, self._inbox, self._witness.take, node_id
        )
        kept_days, owned = self._settings.retention.kept, parts.ownership.fenced
        retention = Retention(parts.db, kept_days, owned, self._quarantine.forget, self._feed)
        operators = operating(
            self._settings,
            node_id,
            self._feed,
            self._health,
            parts,
            doors=self._doors(),
            alerts=alerts,
            sweep=sweeping.view,
            tables=retention.sizes,
            latencies=self._observing.latencies,
            typing=self._observing.typing,
            targets=targets,
            allowed=self._levels,
            append=self._inbox.accept,
            connect_door=ConnectDoor(lambda: self._addresses[0], self._witness, self._new_client),
            new_link=self._dashboard.site.new,
            sessions=self._dashboard.sessions,
            stop=self._stop,
        )
        inside = Inside(
            node_id=node_id,
            parts=parts,
            operating=operators,
            sources=self._observing.sources_of(parts, operators.figures, alerts, targets),
            playground=self._dashboard.playground(parts.ownership.owns, self._live.window),
            sweeping=sweeping,
            retention=retention,
        )
        self._inside.fill(inside)
        return parts

    def _prove(self, instance: str, nonce: str) -> str:
        """Keyed with the installation's id, so that no other Majlis can make it; of no conversation, for no contact
        has a space."""
        proof = self._feed.label(Conversation(instance, f"probe {nonce}"))
        return "" if proof == NO_LABEL else proof

    def _new_client(self) -> HttpClient:
        return HttpClient(tls=tls_context(self._settings.tls.ca_file))

    def _doors(self) -> Doors:
        return Doors(
            self._addresses[0],
            self._ingress_counters,
            self._realtime.view,
            self._feeds.views,
            self._dashboard.site.view,
            self._open_doors,
            tuple(outlived(self._settings)),
            partial(door_credentials.for_all, self._live),
        )

    def _open_doors(self) -> tuple[OpenDoor, ...]:
        listening = Listening(self._addresses, self._dashboard.site.listening, self._realtime.listening)
        return open_doors(self._settings, listening)

    def _on_ready(self, work: trio.Nursery) -> None:
        inside = self._inside.value
        assert inside is not None
        self._observing.start(work, inside.sources)
        work.start_soon(inside.sweeping.run, name="sweep")
        work.start_soon(inside.retention.run, name="retention")
        settle_memory()
        work.start_soon(tidy_after_floods, lambda: self._bodies.large_bytes, name="memory")
        # Under a service manager this goes to the journal, whose readers may not be operators: no link there.
        greeting = self._dashboard.greeting(with_link=not self._has_manager)
        doors = self._open_doors()
        old = list(outlived(self._settings))
        warnings = [*(door.sentence for door in doors), *old]
        banner.show(self._settings, self._live.window, self._addresses[0], greeting, warnings)
        for advice in old:
            self._feed.emit("setting.outlived", advice=advice)
        for door in doors:
            self._feed.emit("door.open", door=door.door, danger=door.danger, advice=door.advice)

    def _at_work(self) -> str:
        inside = self._inside.value
        return "no store is up yet" if inside is None else inside.parts.at_work()

    def _late(self) -> tuple[str, ...]:
        inside = self._inside.value
        return () if inside is None else inside.parts.liveness.late()

    def _resume_held(self) -> None:
        inside = self._inside.value
        if inside is not None:
            inside.parts.supervisor.resume_held()

    async def _reload(self) -> None:
        inside = self._inside.value
        if inside is not None:
            await inside.operating.reload()

    def is_operator(self, request: Request) -> bool | str:
        """Who may do nothing has no place of his own at the admin door, and no operator takes another's."""
        peer = request.peer
        return self._levels.of(peer) is not None and (peer.uid in (0, os.geteuid()) or f"uid {peer.uid}")

    def _broke(self, server: str, error: BaseException) -> None:
        # Only the class: the error's text may quote a request.
        self._feed.emit("daemon.problem", part=server, error=type(error).__name__)

    def _quarantine_failed(self, error: OSError) -> None:
        self._feed.emit("daemon.problem", part="quarantine", error=error.strerror)


def _to_all(settings: Settings) -> Callable[[Request], Allows | None]:
    """Who may post for every instance, beside whoever has a shared key."""
    auth = settings.ingress.auth
    if auth.tokens:
        return SharedToken(auth.tokens)
    return open_door if auth.mode_in_force == "none" else closed_door


def _shared_keys(auth: AuthSettings) -> SharedKeys:
    return SharedKeys(auth.jwt_keys, auth.signing_keys)


def _limits(settings: Settings, taking: Taking) -> Limits:
    ingress = settings.ingress
    return Limits(
        max_head_bytes=ingress.max_head_bytes,
        head_seconds=ingress.head_seconds,
        max_body_bytes=ingress.max_body_bytes,
        body_seconds=ingress.body_seconds,
        large=LargeBodies(ingress.max_media_bytes, inline_media.of_webhook, taking.keep),
        max_bytes_in_flight=ingress.max_bytes_in_flight,
        max_unproven_bytes=ingress.max_unproven_bytes,
        max_connections=ingress.max_connections,
        max_connections_per_address=ingress.max_connections_per_address,
    )
