"""The operators' side for tests: every real topic, over a real ledger, and the door on a real Unix socket.

What the supervisor, the mirror and the leases would show stands in lists, so that a test says in a line what there is
to see. Without a ledger everything is there all the same, and only what needs none can be asked.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any, TypeVar, cast

import trio
import trio_asyncio

from actors.counted import ActorView
from actors.errors import Conflict, MirrorUnavailable
from actors.fairness import FairSlots
from actors.identity import Conversation
from actors.messages import Answer, Message, Prompt, Receipt
from actors.permits import TurnPermits
from daemon.config import Settings
from daemon.config.open_doors import OpenDoor
from daemon.config.sections import TakeoverSettings
from daemon.controls.feature_flags import StoredFlags
from daemon.controls.live_settings import LiveSettings
from daemon.controls.pauses import PauseBoard
from daemon.controls.run_time import RunTime
from daemon.controls.stored_settings import StoredSettings
from daemon.controls.takeovers import Takeovers
from daemon.forwarding.store import ForwardStore
from daemon.ingress.counters import IngressCounters
from daemon.ingress.known_instances import KnownInstances
from daemon.ingress.witness import Witness
from daemon.knowledge.library import PostgresLibrary
from daemon.ledger import Records
from daemon.ledger.connections import Connections
from daemon.ledger.secret_rows import SecretRows
from daemon.ledger.shadows import Shadows
from daemon.ledger.stored_turns import StoredTurns
from daemon.ledger.target_records import TargetRecords
from daemon.lookups import PostgresLookups
from daemon.lookups.drafts import DraftPrompts
from daemon.mirror.arrivals import Arrival
from daemon.mirror.sizes import InstanceSize
from daemon.mirror.survey import Totals
from daemon.observe.alerts import AlertView
from daemon.observe.feed import EventFeed
from daemon.observe.latencies import Latencies
from daemon.observe.minutes import Minutes
from daemon.observe.readiness import Health
from daemon.observe.target_watch import TargetWatch
from daemon.operate import AdminApi
from daemon.operate.actors import Actors
from daemon.operate.audit import AuditEntry, Outcome
from daemon.operate.audit_log import Audit
from daemon.operate.checks import Check, DoctorReport
from daemon.operate.connect_look import ConnectDoor
from daemon.operate.connecting import Connecting
from daemon.operate.connections import ConnectionBoard, Left
from daemon.operate.control import Control
from daemon.operate.conversations import Conversations
from daemon.operate.cost import Costs
from daemon.operate.dead_letters import DeadLetters
from daemon.operate.declared import DeclaredInstances
from daemon.operate.directory import Directory
from daemon.operate.doctor import Doctor
from daemon.operate.drafts import Drafts
from daemon.operate.explain import Explainer
from daemon.operate.feature_flags import FlagBoard
from daemon.operate.former_webhooks import FormerWebhooks
from daemon.operate.forwards import ForwardDesk
from daemon.operate.instances import Instances
from daemon.operate.knowledge import KnowledgeFiles
from daemon.operate.kpi import Kpis
from daemon.operate.leases import LeaseTable
from daemon.operate.levels import Level, Levels
from daemon.operate.login import DashboardLogin, LoggedIn, LoginLink
from daemon.operate.secrets import SealedSecrets
from daemon.operate.settings import SettingsInForce
from daemon.operate.shadow import ShadowBoard
from daemon.operate.status import Doors, Gauges, StatusReport, Watched
from daemon.operate.stop import Stop
from daemon.operate.tail import EventTail
from daemon.operate.takeovers import OperatorTakeovers
from daemon.operate.task_tree import TaskTree
from daemon.operate.tenants import InstanceBook
from daemon.operate.top import Top
from daemon.operate.turns import Turns
from daemon.operate.unanswered import Silencing
from daemon.responders.breaker import ProviderView
from daemon.stores.postgres import Postgres
from daemon.sweep.view import SweepView
from daemon.tenants import Changes, Tenants
from daemon.tenants.rows import TenantRows
from daemon.tenants.secret_keys import SecretKeys
from daemon.tenants.secrets import Secrets
from daemon.web.client import HttpClient
from daemon.web.http1 import HttpServer, Request, Response, open_unix_listener
from tests.support.ledgers import LedgerWorld, nothing_waits, open_postgres, prepare

T = TypeVar("T")

INSTALL = "test install"
NODE = "node-a"
SEALING_KEYS = (bytes(32), bytes([1]) * 32)
"""The first one seals."""
LINK = "http://127.0.0.1:8089/#login=token"
NOW_MS = 1_800_000_000_000


class ListedActors:
    """The supervisor as operators see it."""

    def __init__(self) -> None:
        self.active: dict[Conversation, ActorView] = {}
        self.flushed: list[Conversation] = []
        self.oldest: float | None = None
        """Seconds for which the first message has waited."""

    def show(self, *views: ActorView) -> None:
        """These are in memory now, and no others."""
        self.active = {view.conversation: view for view in views}

    def views(self) -> Sequence[ActorView]:
        return list(self.active.values())

    def view(self, conversation: Conversation) -> ActorView | None:
        return self.active.get(conversation)

    def phases(self) -> Counter[str]:
        return Counter(view.phase for view in self.views())

    def open_windows(self) -> int:
        return sum(bool(view.waiting) for view in self.views())

    def waiting_messages(self) -> int:
        return sum(len(view.waiting) + view.batch_messages for view in self.views())

    def oldest_seconds(self) -> float | None:
        return self.oldest

    def flush(self, conversation: Conversation) -> bool:
        self.flushed.append(conversation)
        return True

    def hurry(self, conversation: Conversation) -> str:
        view = self.active.get(conversation)
        if view is None or view.phase not in ("parked", "holding") or view.held_by == "pause":
            return ""
        self.flushed.append(conversation)
        return view.phase


class ListedMirror:
    """What Redis would say: counts, and where a message arrived."""

    def __init__(self) -> None:
        self.counted = Totals()
        self.arrivals: list[Arrival] = []
        self.is_away = False

    async def totals(self, partitions: Iterable[int]) -> Totals:
        return await self.answer(self.counted)

    async def find(self, message_id: str, instance: str | None) -> list[Arrival]:
        return await self.answer(self.arrivals)

    async def arrival(self, conversation: Conversation, message_id: str) -> Arrival | None:
        return await self.answer(None)

    async def answer(self, value: T) -> T:
        await trio.lowlevel.checkpoint()
        if self.is_away:
            raise MirrorUnavailable("away")
        return value


class ListedSizes:
    """What a walk through Redis found; None: it goes on."""

    def __init__(self) -> None:
        self.latest: Mapping[str, InstanceSize] | None = None
        self.shared_bytes = 0


class ListedBrowsers:
    """Who is logged in at the dashboard."""

    def __init__(self) -> None:
        self.logged_in: list[LoggedIn] = []
        self.closed: list[tuple[str, str]] = []
        """Who was logged out, and by whom."""

    def log_in(self, session: str, level: Level, asked_by: str) -> None:
        self.logged_in.append(
            LoggedIn(
                session=session,
                level=level,
                asked_by=asked_by,
                open_seconds=90.0,
                idle_seconds=5.0,
                seconds_left=3_600.0,
                streams=1,
            )
        )

    def views(self) -> list[LoggedIn]:
        return list(self.logged_in)

    def close(self, names: Collection[str], by: str) -> list[str]:
        gone = [view.session for view in self.logged_in if view.session in names]
        self.logged_in = [view for view in self.logged_in if view.session not in gone]
        self.closed += [(name, by) for name in gone]
        return gone


class Operators:
    """Every topic by name, what it looks at, and `api`, which answers with all of them."""

    def __init__(
        self, db: Postgres | None = None, settings: Settings | None = None, started: bool = True
    ) -> None:
        self.settings = settings or Settings()
        self.db = db or Postgres("postgresql://nowhere/nothing")
        self.world = LedgerWorld(self.db)
        self.records = Records(self.db)
        self.feed = EventFeed(strict=True)
        self.feed.set_install_id(INSTALL)
        self.health = Health(self.feed)
        if db is None:
            self.health.report("postgres", ("There is no Postgres here.",))
        if started:
            self.health.started()
        self.actors = ListedActors()
        self.mirror = ListedMirror()
        self.sizes = ListedSizes()
        self.fences: Mapping[int, int] = {}
        self.live = LiveSettings(self.settings)
        self.pauses = PauseBoard(self.records, self.feed)
        self.secret_keys = SecretKeys(SEALING_KEYS)
        self.secrets = Secrets(SecretRows(self.db), self.secret_keys, self.pauses.hold, self.feed)
        self.run_time = RunTime(self.records, NODE)
        self.pauses.hold({})  # as after the first reading
        self.run_time.follow(self.secrets.take)
        self.stored_settings = StoredSettings(
            self.records, self.run_time, self.live, self.feed, self.secrets.opened
        )
        self.stored_flags = StoredFlags(self.records, self.run_time, self.live, self.feed)
        self.known = KnownInstances(self.settings.instances)
        self.lookups_dropped: set[str] = set()
        rows = TenantRows(self.db)
        self.changes = Changes(rows, None, self.run_time, self.known, self.lookups_dropped.update, self.feed)
        self.tenants = Tenants(rows, self.changes, self.live, self.stored_flags, self.known, self.secrets)
        self.permits = TurnPermits(FairSlots(1_000), FairSlots(4))
        self.providers: list[ProviderView] = []
        self.alerts: list[AlertView] = []
        self.swept: SweepView | None = None
        self.counters = IngressCounters()
        self.library = PostgresLibrary(self.db, None, self.feed)
        self.report = DoctorReport(checks=[Check(name="redis", state="ok", detail="answers")])
        self._stand_in()
        self._wire()

    def _stand_in(self) -> None:
        """What is there in place of a browser, the audit log, the responder and the door."""
        self.links: list[str] = []
        """Of a dashboard: other names of the page."""
        self.no_dashboard = ""
        self.browsers = ListedBrowsers()
        self.audited: list[AuditEntry] = []
        self.audit_fails: Exception | None = None
        self.outcomes: dict[int, tuple[Outcome, str]] = {}
        """What became of each entry, by its number."""
        self.prompts: list[Prompt] = []
        """What the responder was given."""
        self.ask_fails: Exception | None = None
        self.appended: list[Message] = []
        self.append_fails: dict[str, Exception] = {}
        """By contact."""
        self.open_doors: Sequence[OpenDoor] = ()
        self.forgotten = 0
        self.stop = Stop()
        self.witness = Witness(self.prove)
        self.listen = "127.0.0.1:8080"

    def _wire(self) -> None:
        feed, health, records, label = self.feed, self.health, self.records, self.feed.label
        supervisor, mirror, settings = cast(Any, self.actors), cast(Any, self.mirror), self.settings
        stored_turns = StoredTurns(self.db)
        watched = Watched(
            self.pauses.standing, lambda: self.providers, lambda: self.alerts, lambda: self.swept
        )
        directory = Directory(self.live, health, supervisor, records, label)
        begin = Takeovers(
            self.db,
            self.stored_flags,
            self._takeover,
            feed,
            lambda own: False,
            nothing_waits,
            supervisor.hurry,
        ).take_over
        self.gauges = Gauges(self.live, health, supervisor, cast(Any, self), mirror, records, self.permits)
        self.status = StatusReport(
            NODE,
            health,
            self.gauges,
            feed,
            watched,
            Doors("127.0.0.1:8080", self.counters, open=lambda: self.open_doors),
            self.stop,
        )
        self.listed = Actors(supervisor, label)
        self.conversations = Conversations(
            directory, supervisor, self.stored_flags, settings, self.fenced, settings.partitions
        )
        self.takeovers = OperatorTakeovers(
            self.live, directory, supervisor, records, self.stored_flags, self.pauses, begin, feed
        )
        self.turns = Turns(records, stored_turns, label)
        self.explainer = Explainer(settings, health, supervisor, stored_turns, mirror, self.pauses, feed)
        lookups = PostgresLookups(self.db)
        prompts = DraftPrompts(self.db, lookups, self.stored_flags, self.live.terms, 800, lambda: NOW_MS)
        self.drafts = Drafts(prompts, self._ask, records, label)
        self.costs = Costs(records, self.live.terms)
        minutes = Minutes(lambda: 0, lambda: 0, lambda: 0)
        self.watch = TargetWatch(
            settings.targets,
            TargetRecords(self.db),
            minutes,
            cast(Any, self.sizes),
            feed,
            NODE,
            lambda: datetime.now(UTC),
        )
        self.kpis = Kpis(self.watch)
        self.top = Top(self.live, NODE, health, supervisor, self.permits, Latencies(feed), feed, watched)
        self.leases = LeaseTable(NODE, self.fenced, stored_turns)
        self.instances = Instances(records, supervisor, self.pauses)
        self.shadows = ShadowBoard(
            Shadows(self.db), records.knows_instance, lambda name: self.live.terms(name).mode, label
        )
        self.connections = Connections(self.db)
        door = ConnectDoor(lambda: self.listen, self.witness, HttpClient)
        self.former = FormerWebhooks(self.connections, self.secret_keys)
        # Without the store of settings: the shared token is shown.
        self.connecting = Connecting(self.live, records, self.connections, self.former, door)
        self.connection_board = ConnectionBoard(
            self.connecting,
            self.connections,
            self.witness,
            Left(self._pending, ForwardStore(self.db, "node").waiting),
        )
        self.control = Control(
            settings, supervisor, self.run_time, self.pauses, feed, self.stop.ask, self._forget
        )
        self.flags = FlagBoard(records, self.stored_flags, self.tenants)
        self.unanswered = Silencing(self.connections, self.live)
        self.in_force = SettingsInForce(
            self.live, self.stored_settings, self.stored_flags, records, self.tenants, self.unanswered
        )
        self.book = InstanceBook(
            self.tenants,
            self.live,
            self.pauses,
            self.connections,
            ForwardStore(self.db, NODE),
            self.unanswered,
        )
        self.letters = DeadLetters(records, self._append, label, feed)
        self.forwards = ForwardDesk(ForwardStore(self.db, NODE), feed, lambda: None)
        self.api = self.with_levels(None)

    def with_levels(self, levels: Levels | None, **more: Any) -> AdminApi:
        """The same behind other levels."""
        topics = (
            self.status, self.listed, self.conversations, self.takeovers, self.turns, self.explainer, self.costs,
            self.top, self.leases, self.instances, self.shadows, self.control, self.flags, self.letters, self.forwards,
            self.connection_board,
            EventTail(self.feed, self._country), TaskTree(self.feed.label), self.in_force, self.book,
            SealedSecrets(self.secrets, self.former),
            DeclaredInstances(self.tenants, self.unanswered), Doctor(self._examine),
            Audit(self.records), self.drafts, self.kpis, DashboardLogin(self._new_link, self.browsers),
            KnowledgeFiles(self.library, self.control.reload),
        )  # fmt: skip
        return AdminApi(topics, self.feed, self, levels, **more)

    def fenced(self) -> Mapping[int, int]:
        return self.fences

    def prove(self, instance: str, nonce: str) -> str:
        return self.feed.label(Conversation(instance, f"probe {nonce}"))

    async def _pending(self, instances: Collection[str]) -> Mapping[str, int]:
        counted = Counter(view.conversation.instance for view in self.actors.views())
        return await self.mirror.answer({name: counted[name] for name in instances})

    def elsewhere(self) -> Mapping[str, int]:
        return {}

    def _takeover(self, instance: str) -> TakeoverSettings:
        return self.live.for_instance(instance).takeover

    def _country(self, instance: str) -> str:
        return self.live.for_instance(instance).country

    async def begin(self, entry: AuditEntry) -> int:
        """The audit log."""
        await trio.lowlevel.checkpoint()
        if self.audit_fails is not None:
            raise self.audit_fails
        self.audited.append(entry)
        return len(self.audited)

    async def end(self, number: int, outcome: Outcome, why: str) -> None:
        await trio.lowlevel.checkpoint()
        if self.audit_fails is not None:
            raise self.audit_fails
        self.outcomes[number] = (outcome, why)

    async def _ask(self, prompt: Prompt) -> Answer:
        """The responder."""
        await trio.lowlevel.checkpoint()
        self.prompts.append(prompt)
        if self.ask_fails is not None:
            raise self.ask_fails
        said = f"{prompt.system_prompt}: {prompt.text}"
        return Answer(said, "main", "m-1", input_tokens=10, output_tokens=5, cost_micros=2_000)

    async def _append(self, message: Message) -> Receipt:
        await trio.lowlevel.checkpoint()
        if message.contact in self.append_fails:
            raise self.append_fails[message.contact]
        self.appended.append(message)
        return Receipt(False, len(self.appended), 0, 0, 0, 1, False)

    async def _examine(self) -> DoctorReport:
        await trio.lowlevel.checkpoint()
        return self.report

    def _new_link(self, level: Level, asked_by: str) -> LoginLink:
        if self.no_dashboard:
            raise Conflict(f"The dashboard is not served: {self.no_dashboard}")
        return LoginLink(url=LINK, others=self.links, level=level, seconds=3_600.0)

    async def _forget(self) -> None:
        await trio.lowlevel.checkpoint()
        self.forgotten += 1


@asynccontextmanager
async def open_operators(
    dsn: str, settings: Settings | None = None, started: bool = True
) -> AsyncIterator[Operators]:
    """Over a migrated database with nothing in it."""
    async with trio_asyncio.open_loop(), open_postgres(dsn) as db:
        await prepare(db)
        yield Operators(db, settings, started)


@asynccontextmanager
async def admin_door(
    directory: Path, handle: Callable[[Request], Awaitable[Response]]
) -> AsyncIterator[Path]:
    """The real server on a real socket; gives back the socket's path."""
    path = directory / "admin.sock"
    server = HttpServer(handle, name="admin")
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, [open_unix_listener(path)])
        try:
            yield path
        finally:
            nursery.cancel_scope.cancel()


class DoorInThread:
    """The door for synchronous tests: it runs in a Trio of its own, on another thread."""

    operators: Operators

    def __init__(self, directory: Path, dsn: str) -> None:
        self.socket = directory / "admin.sock"
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        """Path and query of every request."""
        self._directory = directory
        self._dsn = dsn
        self._stop = trio.Event()
        self._token: trio.lowlevel.TrioToken | None = None
        self._up = Event()

    def do(self, work: Callable[[], Awaitable[T]]) -> T:
        """Have something done in the server's thread, beside its requests."""
        assert self._token is not None
        return trio.from_thread.run(self._have_done, work, trio_token=self._token)

    def use(self, settings: Settings) -> None:
        """Go on as a daemon with these settings."""
        self.operators = Operators(self.operators.db, settings)

    def emit(self, event: str, conversation: Conversation, **fields: object) -> None:
        async def tell() -> None:
            await trio.lowlevel.checkpoint()
            self.operators.feed.emit(event, conversation, **fields)

        self.do(tell)

    def wait_for_tail(self) -> None:
        """Until somebody follows the feed."""
        for _ in range(1_500):
            if self.operators.feed.tails:
                return
            time.sleep(0.02)
        raise AssertionError("nobody follows")

    def run(self) -> None:
        trio.run(self._serve)

    def wait_until_up(self) -> None:
        assert self._up.wait(60), "the server did not start"

    def stop(self) -> None:
        assert self._token is not None
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._stop.set)

    async def _serve(self) -> None:
        self._jobs, jobs = trio.open_memory_channel[Callable[[], Awaitable[None]]](0)
        async with (
            open_operators(self._dsn) as self.operators,
            admin_door(self._directory, self._handle),
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(self._work, jobs)
            self._token = trio.lowlevel.current_trio_token()
            self._up.set()
            await self._stop.wait()
            nursery.cancel_scope.cancel()

    async def _handle(self, request: Request) -> Response:
        self.asked.append((request.path, dict(request.query)))
        return await self.operators.api.handle(request)

    async def _have_done(self, work: Callable[[], Awaitable[T]]) -> T:
        """asyncpg works where its loop is: in the nursery of the server, not in a task of the caller's thread."""
        done, found = trio.Event(), list[T]()
        failed: list[Exception] = []

        async def job() -> None:
            try:
                found.append(await work())
            except Exception as error:
                failed.append(error)
            done.set()

        await self._jobs.send(job)
        await done.wait()
        if failed:
            raise failed[0]
        return found[0]

    async def _work(self, jobs: trio.MemoryReceiveChannel[Callable[[], Awaitable[None]]]) -> None:
        async for job in jobs:
            await job()


@contextmanager
def door_in_thread(directory: Path, dsn: str) -> Iterator[DoorInThread]:
    door = DoorInThread(directory, dsn)
    thread = Thread(target=door.run, name="admin door", daemon=True)
    thread.start()
    door.wait_until_up()
    try:
        yield door
    finally:
        door.stop()
        thread.join(30)
