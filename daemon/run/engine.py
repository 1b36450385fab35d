"""Everything behind the doors: stores, leases, actors and turns, put together and taken through their life."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial

import trio

from actors import contacts
from actors.actor import Services, TurnPolicy
from actors.crash_points import reach
from actors.identity import Conversation
from actors.messages import Message, Receipt, Snapshot
from actors.ports import NewAttempt
from actors.sense import reading as sense
from actors.supervisor import Supervisor
from daemon.config import Settings
from daemon.config.open_doors import OpenDoor
from daemon.controls.amended_messages import MAX_RECENT, AmendedMessages
from daemon.controls.early_messages import EarlyMessages
from daemon.controls.instance_numbers import InstanceNumbers
from daemon.controls.live_settings import LiveSettings
from daemon.controls.replays import NumbersLearned
from daemon.gateways.couriers import Couriers
from daemon.gateways.kind import FeedView
from daemon.gateways.playground import Chats
from daemon.ingress.identity_links import KnownLinks
from daemon.ingress.inbound import OwnMessage
from daemon.ingress.inbox import Behind
from daemon.ingress.known_instances import KnownInstances
from daemon.ingress.lately import Lately
from daemon.ledger import Records
from daemon.ledger.connections import Connections
from daemon.ledger.fitness import LedgerFitness
from daemon.ledger.stored_turns import StoredTurns
from daemon.mirror.arrivals import Arrivals
from daemon.mirror.fitness import MirrorFitness
from daemon.mirror.group_commit import GroupCommit
from daemon.mirror.mirror import RedisMirror
from daemon.mirror.sizes import InstanceSizes
from daemon.mirror.survey import Survey
from daemon.mirror.upkeep import Upkeep
from daemon.observe.feed import EventFeed
from daemon.observe.readiness import Health
from daemon.observe.store_watch import StoreWatch
from daemon.operate.checks import Check, DoctorReport, contained
from daemon.operate.doctor import examine
from daemon.operate.engine_checks import engine_checks
from daemon.operate.former_webhooks import FormerWebhooks
from daemon.operate.peer_checks import Known
from daemon.operate.secrets import SealedSecrets
from daemon.operate.store_checks import postgres_checks, redis_checks
from daemon.partitions.due_poll import poll_due
from daemon.partitions.fencing import FencedOwnership
from daemon.partitions.leases import Leases
from daemon.partitions.open_turns import OpenTurnSearch
from daemon.run import peers
from daemon.run.answering import Answering, Surroundings, secret_keys, turn_permits, wall_ms
from daemon.run.lifecycle import CannotStart
from daemon.run.passthrough import Forwarding
from daemon.run.watchdog import Liveness
from daemon.stores.lane import Lane
from daemon.stores.postgres import Postgres
from daemon.stores.redis import RedisStore
from daemon.tenants import Changes, Tenants
from daemon.tenants.rows import TenantRows
from daemon.web.client import HttpClient
from daemon.web.tls import tls_context

DESK_SHARE = 4
"""One in so many connections of Postgres serves what people look at."""

RECOVERED_AT_ONCE = 5_000
"""Conversations that are picked up before others have their turn: acknowledgements go on meanwhile."""

APPEND_BOUND_SECONDS = 60.0
DUE_BOUND_SECONDS = 60.0
LEASE_BOUND_SECONDS = 90.0
STORE_BOUND_SECONDS = 180.0
"""The longest that one round can take while a store is away, with a margin: beyond it the part hangs."""


class Parts:
    """Everything behind the doors. Made when the stores are running; nothing connects before `open`."""

    def __init__(
        self,
        *,
        settings: Settings,
        live: LiveSettings,
        feed: EventFeed,
        health: Health,
        links: KnownLinks,
        known: KnownInstances,
        node_id: str,
        redis_url: str,
        dsn: str,
        couriers: Couriers,
        chats: Chats,
        recorded: Callable[[NewAttempt, str], NewAttempt],
    ) -> None:
        """`recorded` wraps the attempts so that traces are made of them; it takes this daemon's name as well."""
        self._settings = settings
        self.live = live
        self._feed = feed
        self._health = health
        self._known = known
        self.liveness = Liveness()

        # The stores, and what is read and written there.
        self._redis = _redis(redis_url)
        self.db = Postgres(dsn, max_connections=settings.postgres.pool_size)
        # What people look at, and what is counted for them, must not hold up turns: few connections at once.
        self.desk = desk = Lane(self.db, max(1, settings.postgres.pool_size // DESK_SHARE))
        self.records = Records(self.db)
        self.desk_records = Records(desk)
        self.connections = Connections(self.db)
        self.stored_turns = StoredTurns(desk)
        self.former = FormerWebhooks(self.connections, secret_keys(settings))
        # Three connections: acknowledgements wait for no turn, and neither for what looks at everything.
        appends, looks = self._redis.apart("appends"), self._redis.apart("looks")
        self._looks = looks
        self._mirror = mirror = RedisMirror(self._redis, settings.partitions, appends=appends, looks=looks)
        self.survey = Survey(looks, mirror)
        self.sizes = InstanceSizes(looks)
        self.upkeep = Upkeep(looks, settings.partitions)
        self.arrivals = Arrivals(looks, self.survey, settings.partitions)

        # Which conversations are ours.
        # Leases must not queue behind turns: a connection and short waits of their own.
        self._lease_db = Postgres(dsn, max_connections=1, command_seconds=2, acquire_seconds=3)
        self.leases = Leases(self._lease_db, node_id, settings.partitions)
        self.ownership = FencedOwnership(self.leases, mirror, self.survey, node_id, settings.partitions, feed)

        # A stored message goes to the supervisor, whose turns may store messages again: a circle. The supervisor is
        # made last, and these callables find it when there is a message.
        self._recent = Lately[str](MAX_RECENT)
        self.group = GroupCommit(mirror.append_group, self._stored)
        self.liveness.gauge("append writer", APPEND_BOUND_SECONDS, lambda: self.group.hanging_seconds)
        self.answering = Answering(
            settings=settings,
            live=live,
            feed=feed,
            node_id=node_id,
            db=self.db,
            redis=self._redis,
            records=self.records,
            ownership=self.ownership,
            identities=links,
            couriers=couriers,
            chats=chats,
            around=Surroundings(
                append=self.group.append,
                waiting=self._written_at,
                resume_held=lambda: self.supervisor.resume_held(),  # noqa: PLW0108  as above
                hurry=lambda conversation: self.supervisor.hurry(conversation),  # noqa: PLW0108  as above
                knows=lambda instance: instance in known or not known.is_loaded,
            ),
        )
        self._attempt = recorded(self.answering.attempt, node_id)
        self.permits = turn_permits(live, self.answering.pauses.check)
        self.supervisor = Supervisor(self._services(), self.ownership.owns)
        self.open_turns = OpenTurnSearch(
            self.answering.ledger, self.ownership, self.supervisor, settings.monitor.unfinished_seconds
        )
        self._watch = StoreWatch(self._ledger_fitness(), self._mirror_fitness(), health)

        # Which instances there are, what is set for them, and what that brings with it.
        rows, answering = TenantRows(self.db), self.answering
        others = None if settings.redis.is_embedded else self._redis  # an embedded one has this daemon alone
        self.changes = Changes(rows, others, answering.run_time, known, answering.lookups.drop, feed)
        self.changes.follow(self._end_what_waits)
        self.tenants = Tenants(rows, self.changes, live, answering.board, known, answering.secrets)
        self._numbers = InstanceNumbers(self.records, known, feed)
        self.early = EarlyMessages(self.records, self._append_again, answering.modes.of, feed)
        known.follow(self.early.nudge)
        self.forwarding = Forwarding(
            settings, live, self.db, node_id, self._exists, answering.pauses.held, feed
        )

        # What the doors hand on.
        self.numbers_learned = NumbersLearned(self.records, links, self._append_again, feed)
        self.behind = Behind(
            append=self.group.append,
            append_all=self.group.append_all,
            post=self.group.post,
            conversation_of=AmendedMessages(self.db, self._recent, self.arrivals.waits_in).conversation_of,
            take_over=self._take_over,
            fail_later=self.answering.late_failures.report,
            flush=self.supervisor.flush,
            number_learned=self.numbers_learned.nudge,
            typing=self.supervisor.typing,
        )

    async def open(self) -> None:
        """Make the pools, and read what takes a moment. Connects nowhere."""
        sense.prepare()
        await self.db.open()
        await self._lease_db.open()

    async def start(self, work: trio.Nursery) -> None:
        """Check the stores, take the leases, pick up what was left behind; returns when all that is done."""
        install_id = await self._watch.until_fit()
        self._redis.expect(install_id)
        self._feed.set_install_id(install_id)
        reach("recovering")
        await work.start(self.changes.run)
        await self.answering.start(work)
        await self.forwarding.start(work)
        work.start_soon(self._numbers.run, name="numbers of instances")
        await work.start(self.supervisor.run)
        await work.start(self.group.run)
        work.start_soon(self.numbers_learned.run, name="numbers learned")
        work.start_soon(self.early.run, name="early messages")
        await work.start(self.leases.run, self.liveness.expect("leases", LEASE_BOUND_SECONDS))
        await work.start(
            self.ownership.run,
            self._recover,
            self.supervisor.drop_lost,
            partial(self._health.report, "leases"),
        )
        work.start_soon(
            poll_due,
            self._mirror,
            self.ownership,
            self.supervisor.nudge,
            self.changes.heard,
            self.liveness.expect("due poll", DUE_BOUND_SECONDS),
            name="due poll",
        )
        work.start_soon(
            self._watch.run,
            self.ownership.fence_again,
            self.supervisor.resume_held,
            self.liveness.expect("store watch", STORE_BOUND_SECONDS),
            name="store watch",
        )

    async def _exists(self, instance: str) -> bool:
        return instance in self.live.configured.instances or await self.records.knows_instance(instance)

    async def _written_at(self, conversation: Conversation) -> list[int]:
        """When the messages that wait in a conversation were written, whichever daemon answers it; Unix seconds."""
        snapshot = await self._mirror.load(conversation)
        return [entry.message.sent_at for entry in snapshot.waiting]

    async def _take_over(self, own: OwnMessage, wrote: Sequence[int]) -> bool:
        if own.instance not in self._known:
            await self.early.business_wrote(own)
        return await self.answering.takeovers.begin(own, wrote)

    async def _append_again(self, message: Message) -> Receipt:
        return await self.group.append(message, self.live.window(message.instance))

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
        await self.db.close()
        await self._redis.close()
        await self.answering.aclose()
        await self.forwarding.aclose()

    def at_work(self) -> str:
        """What runs now, for the status line of a service manager."""
        phases = self.supervisor.phases()
        return (
            f"{self.supervisor.open_windows()} conversations wait, {phases['answering']} are being answered"
        )

    async def forget(self) -> None:
        """Rows of instances were changed: have them read again. Raises `LedgerUnavailable`."""
        self.answering.lookups.forget()
        await self.changes.look()

    async def _end_what_waits(self, changed: frozenset[str], _added: frozenset[str]) -> None:
        """What waits in an instance that was removed ends now, by the rule that it is inactive."""
        await trio.lowlevel.checkpoint()
        gone = changed - self.changes.names
        if gone:
            await self.answering.pauses.refresh()  # a pause of theirs ended with them
            for view in self.supervisor.views():
                if view.conversation.instance in gone:
                    self.supervisor.flush(view.conversation)

    async def pending(self, instances: Collection[str]) -> Mapping[str, int]:
        """How many conversations of each have something pending, on any daemon. Raises `MirrorUnavailable`."""
        active = await self.survey.active(range(self._settings.partitions))
        found = Counter(conversation.instance for conversation in active)
        return {instance: found[instance] for instance in instances}

    async def doctor(self, doors: Sequence[OpenDoor], feeds: Sequence[FeedView]) -> DoctorReport:
        """What `majlis doctor` finds from inside the daemon."""
        async with HttpClient(tls=tls_context(self._settings.tls.ca_file)) as http:
            embeddings = peers.embeddings(self._settings, http, self._feed)
            known = Known(self.records.stored_instances, self.records.last_sends, self.connections.addresses)
            return await examine(
                self._settings, http, self._store_checks, embeddings, known, doors, feeds, live=self.live
            )

    async def _store_checks(self) -> Iterable[Check]:
        async def redis() -> Iterable[Check]:
            return redis_checks(await self._watch.redis_problems())

        async def postgres() -> Iterable[Check]:
            problem = await self._watch.postgres_problem()
            return await postgres_checks(self.db, problem, self._settings.embeddings.key)

        async def engines() -> Iterable[Check]:
            return await engine_checks(self._settings, self._redis, self.db)

        async def secrets() -> Iterable[Check]:
            return await SealedSecrets(self.answering.secrets, self.former).checks()

        asks = {"redis": redis, "postgres": postgres, "engines": engines, "secrets": secrets}
        return [check for name, ask in asks.items() for check in await contained(name, ask)]

    def _stored(self, message: Message, receipt: Receipt) -> None:
        """A message is durable, or was already."""
        self._note(message)
        self.supervisor.deliver(message, receipt)

    def _note(self, message: Message) -> None:
        self._recent.note(message.instance, message.id, message.contact)

    async def _recover(self, snapshots: Iterable[Snapshot], unread: Iterable[Conversation]) -> None:
        """Pick up what the mirror may have lost, so that nothing overtakes it, then what it holds."""
        held = list(snapshots)
        for snapshot in held:
            for entry in snapshot.waiting:
                self._note(entry.message)
        await self.open_turns.search_all(held)
        self.supervisor.recover((), unread)
        for at in range(0, len(held), RECOVERED_AT_ONCE):
            self.supervisor.recover(held[at : at + RECOVERED_AT_ONCE])
            await trio.lowlevel.checkpoint()

    def _services(self) -> Services:
        turn = self._settings.turn
        return Services(
            mirror=self._mirror,
            ownership=self.ownership,
            attempt=self._attempt,
            policies=self.live,
            feed=self._feed,
            permits=self.permits,
            policy=TurnPolicy(turn.max_tries, turn.backoff_seconds, turn.max_hold_seconds),
            draw=random.random,
            wall_ms=wall_ms,
            open_turns=self.answering.ledger.open_turns,
            is_sending=self.answering.outbox.is_sending,
            goes_first=self._goes_first,
        )

    def _goes_first(self, conversation: Conversation) -> bool:
        terms = self.live.terms(conversation.instance)
        if terms.escalated_goes_first and conversation in self.answering.escalated:
            return True
        return contacts.has_priority(conversation.contact, terms)

    def _ledger_fitness(self) -> LedgerFitness:
        settings = self._settings
        return LedgerFitness(
            self.db,
            self.records,
            settings.partitions,
            settings.instances,
            migrates=settings.postgres.is_embedded,
        )

    def _mirror_fitness(self) -> MirrorFitness:
        settings = self._settings
        return MirrorFitness(
            self._looks,
            self.survey,
            settings.redis.durability,
            settings.partitions,
            trust_unseen=settings.redis.trust_unseen_settings,
        )


def _redis(url: str) -> RedisStore:
    try:
        return RedisStore(url)
    except ValueError as error:
        raise CannotStart(f"redis.url cannot be used: {error}.") from None
