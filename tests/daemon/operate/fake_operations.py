"""A daemon's operations as the admin door sees them, without a daemon; and the door itself, on a real Unix socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import TypeVar

import msgspec
import trio

from actors.identity import Conversation
from actors.lookups import Span
from daemon.observe.feed import EventFeed
from daemon.operate import (
    FLAGS,
    ActorView,
    AdminApi,
    AuditEntry,
    Check,
    Conflict,
    ConversationView,
    CostReport,
    CostRow,
    DeadLetterPage,
    DeadLetterView,
    DoctorReport,
    EscalationView,
    FlagPage,
    FlagView,
    Flushed,
    IngressCounts,
    InstanceFlag,
    MessageView,
    NotFound,
    PartView,
    Paused,
    PauseView,
    ProviderView,
    Ref,
    Reloaded,
    Resumed,
    SilentView,
    Status,
    TurnDetail,
    TurnView,
)
from daemon.operate.knowledge import Library
from daemon.operate.levels import Level
from daemon.operate.login import Links, LoginLink
from daemon.web.http1 import HttpServer, open_unix_listener
from tests.daemon.operate.fake_inside import FakeControl, FakeInsight
from tests.daemon.operate.fake_library import FakeLibrary
from tests.support.patience import PATIENCE_SECONDS, wait_until

T = TypeVar("T")

CONTACT = "5511999990012"
TEXT = "how much is a room for two nights"
LABEL = "3fa9c01b22"
HELD = Conversation("acme", CONTACT)


def status() -> Status:
    return Status(
        ready=True,
        version="0.1.0",
        node_id="node-a",
        pid=4242,
        uptime_seconds=11_520.4,
        listen="127.0.0.1:8080",
        stores={"redis": "ok", "postgres": "ok"},
        partitions_owned=256,
        partitions_total=256,
        active=12,
        open_windows=3,
        running_turns=2,
        acknowledged=1204,
        answered=310,
        suppressed=3,
        dead=1,
        waiting_messages=14,
        oldest_waiting_seconds=6.23,
        dead_letters_open=1,
        taken_over=2,
        escalated=4,
        notices_waiting=1,
        suppressed_by_rule={"duplicate": 2, "taken_over": 1},
        cache_hits=12,
        limits_reached={"cost_per_day": 1},
        providers=[
            ProviderView(name="main", state="closed", calls=300),
            ProviderView(name="backup", state="open", failures=5, last_reason="timed_out", wait_seconds=12.0),
        ],
        ingress=IngressCounts(accepted=1204, duplicate=7, ignored={"group": 12, "reaction": 3}, refused={}),
    )


def actor(index: int = 0, **changes: object) -> ActorView:
    fields = {
        "conversation": LABEL,
        "instance": "acme",
        "contact": CONTACT,
        "state": "waiting",
        "waiting_messages": 2,
        "closes_in_seconds": float(index),
        "why": "the burst is being heard out",
    }
    return ActorView(**{**fields, **changes})  # type: ignore[arg-type]


def conversation() -> ConversationView:
    part = PartView(number=1, state="sent", text="A room is 80 a night.", gateway_id="3EB0AB")
    turn = TurnView(
        id=7,
        batch=1,
        state="done",
        closed_by="timeout",
        messages=3,
        cost=0.000412,
        started_at="2026-01-01T10:00:00Z",
        parts=[part],
    )
    message = MessageView(id="3EB0C7", text=TEXT, seq=4, arrived_at="2026-01-01T10:01:00Z")
    return ConversationView(
        conversation=LABEL,
        instance="acme",
        contact=CONTACT,
        partition=17,
        epoch=3,
        state="holding",
        why="the gateway is down",
        closes_in_seconds=4.0,
        tries=1,
        batch=2,
        taken_over=PauseView(since="2026-01-01T10:00:30Z", until="2026-01-01T14:00:30Z"),
        escalated=EscalationView(since="2026-01-01T09:30:00Z", why="asks_for_human"),
        waiting=[message],
        turns=[turn],
    )


def silent() -> list[SilentView]:
    paused, escalated = conversation().taken_over, conversation().escalated
    return [
        SilentView(
            conversation=LABEL, instance="acme", contact=CONTACT, taken_over=paused, escalated=escalated
        ),
        SilentView(
            conversation="0123456789",
            instance="shop",
            contact=CONTACT,
            taken_over=PauseView(since="2026-01-01T10:00:30Z", until="2026-01-01T14:00:30Z", heeded=False),
            escalated=EscalationView(since="2026-01-01T09:30:00Z", heeded=False),
        ),
    ]


def turn_detail() -> TurnDetail:
    return TurnDetail(
        conversation=LABEL,
        instance="acme",
        contact=CONTACT,
        turn=TurnView(
            id=7,
            batch=1,
            state="done",
            closed_by="timeout",
            messages=1,
            tries=1,
            provider="main",
            model="small",
            input_tokens=812,
            output_tokens=64,
            cost=0.000412,
            confidence=0.82,
            needs_data_collection=True,
            requested_fields=["full name", f"is it {CONTACT}"],
            started_at="2026-01-01T10:00:00Z",
            ended_at="2026-01-01T10:00:02Z",
            parts=[PartView(number=0, state="sent", text="A room is 80 a night.", gateway_id="3EB0AB")],
        ),
        messages=[MessageView(id="3EB0C7", text=TEXT)],
        waterfall=[
            Span("instance", "settings", 0.0, 10.0, "ok"),
            Span("history", "facts", 10.0, 30.0, "ok"),
            Span("interactions", "facts", 10.0, 20.0, "failed", "LedgerUnavailable"),
            Span("usage", "facts", 10.0, 0.0, "skipped"),
            Span("main", "responder", 40.0, 60.0, "ok"),
        ],
    )


def cost_report(days: int = 7) -> CostReport:
    used = {"answers": 12, "cached": 3, "input_tokens": 9_000, "output_tokens": 800, "cost": 1.25}
    rows = [CostRow(instance=name, day="2026-01-31", **used) for name in ("acme", "shop")]  # type: ignore[arg-type]
    return CostReport(
        days=days, answers=24, cached=6, input_tokens=18_000, output_tokens=1_600, cost=2.5, rows=rows
    )


def letter() -> DeadLetterView:
    return DeadLetterView(
        id=17,
        conversation=LABEL,
        instance="acme",
        contact=CONTACT,
        batch=2,
        reason="not_on_whatsapp",
        detail=f"no account for {CONTACT}",
        tries=3,
        buried_at="2026-01-01T10:02:00Z",
        messages=[MessageView(id="3EB0C7", text=TEXT)],
    )


class FakeOperations:
    """Answers from fixed data; keeps what was asked of it. `fails` makes everything unavailable or worse."""

    def __init__(self) -> None:
        self.now = status()
        self.active: list[ActorView] = [actor()]
        self.report = DoctorReport(checks=[Check(name="redis", state="ok", detail="answers")])
        self.audited: list[AuditEntry] = []
        self.flushed: list[Ref] = []
        self.retried: list[int] = []
        self.resumed: list[Ref] = []
        self.paused: list[tuple[Ref, int | None]] = []
        self.set: dict[tuple[str, str | None], bool] = {}
        self.reloads = 0
        self.library: Library = FakeLibrary()
        self.insight = FakeInsight()
        self.control = FakeControl()
        self.dropped: list[int] = []
        self.fails: Exception | None = None

    async def status(self) -> Status:
        return await self._answer(self.now)

    async def actors(self) -> Sequence[ActorView]:
        return await self._answer(self.active)

    async def silent(self) -> Sequence[SilentView]:
        return await self._answer(silent())

    async def conversation(self, ref: Ref) -> ConversationView:
        self._refuse_unknown(ref)
        return await self._answer(conversation())

    async def dead_letters(self, limit: int, include_retried: bool) -> DeadLetterPage:
        return await self._answer(DeadLetterPage(open=1, letters=[letter()][:limit]))

    async def dead_letter(self, dead_letter_id: int) -> DeadLetterView:
        if dead_letter_id != 17:
            raise NotFound(f"there is no dead letter {dead_letter_id}; see `majlis dead list`")
        return await self._answer(letter())

    async def retry(self, dead_letter_id: int) -> None:
        if dead_letter_id in self.retried:
            raise Conflict(f"dead letter {dead_letter_id} was retried already")
        await self.dead_letter(dead_letter_id)
        self.retried.append(dead_letter_id)

    async def retry_all(self) -> int:
        self.retried.append(17)
        return await self._answer(1)

    async def drop(self, dead_letter_id: int) -> None:
        if dead_letter_id in self.dropped:
            raise Conflict(f"dead letter {dead_letter_id} was dropped already")
        await self.dead_letter(dead_letter_id)
        self.dropped.append(dead_letter_id)

    async def flush(self, ref: Ref) -> Flushed:
        self._refuse_unknown(ref)
        self.flushed.append(ref)
        return await self._answer(Flushed(conversation=LABEL, messages=2))

    async def turn(self, turn_id: int) -> TurnDetail:
        if turn_id != 7:
            raise NotFound("there is no such turn; see `majlis show` of its conversation")
        return await self._answer(turn_detail())

    async def cost(self, instance: str | None, days: int) -> CostReport:
        report = cost_report(days)
        rows = [row for row in report.rows if instance in (None, row.instance)]
        return await self._answer(msgspec.structs.replace(report, rows=rows))

    async def pause(self, ref: Ref, seconds: int | None) -> Paused:
        self._refuse_unknown(ref)
        stood = bool(self.paused)
        self.paused.append((ref, seconds))
        return await self._answer(Paused(conversation=LABEL, until="2026-01-01T14:00:00Z", stood=stood))

    async def resume(self, ref: Ref) -> Resumed:
        self._refuse_unknown(ref)
        if ref in self.resumed:
            raise Conflict(f"there is nothing to resume in {LABEL}")
        self.resumed.append(ref)
        return await self._answer(
            Resumed(conversation=LABEL, escalated=True, taken_over=True, state="parked")
        )

    async def flags(self) -> FlagPage:
        return await self._answer(self._flag_page())

    async def set_flag(self, flag: str, value: bool, instance: str | None) -> FlagPage:
        self.set[flag, instance] = value
        return await self._answer(self._flag_page())

    async def clear_flag(self, flag: str, instance: str | None) -> FlagPage:
        if self.set.pop((flag, instance), None) is None:
            raise Conflict(f"{flag} is not set there")
        return await self._answer(self._flag_page())

    async def reload(self) -> Reloaded:
        self.reloads += 1
        return await self._answer(Reloaded(flags=len(self.set)))

    async def doctor(self) -> DoctorReport:
        return await self._answer(self.report)

    async def audit(self, entry: AuditEntry) -> None:
        self.audited.append(await self._answer(entry))

    def _flag_page(self) -> FlagPage:
        views = []
        for flag in FLAGS:
            apart = [
                InstanceFlag(instance=name, value=value, set=True)
                for (of, name), value in self.set.items()
                if of == flag and name is not None
            ]
            mine = self.set.get((flag, None))
            holds = True if mine is None else mine
            views.append(FlagView(flag=flag, configured=True, daemon=mine, effective=holds, instances=apart))
        return FlagPage(node_id="node-a", flags=views)

    async def _answer(self, value: T) -> T:
        await trio.lowlevel.checkpoint()
        if self.fails is not None:
            raise self.fails
        return value

    def _refuse_unknown(self, ref: Ref) -> None:
        if ref not in (HELD, LABEL):
            raise NotFound("no such conversation; see `majlis actors`")


class FakeLinks:
    """A dashboard that gives out the same link again and again."""

    def __init__(self) -> None:
        self.problem = ""
        self.others: list[str] = []

    def new(self, level: Level, asked_by: str) -> LoginLink:
        if self.problem:
            raise Conflict(f"The dashboard is not served: {self.problem}")
        url = "http://127.0.0.1:8089/#login=token"
        return LoginLink(url=url, others=self.others, level=level, seconds=3_600.0)


@asynccontextmanager
async def admin_door(
    directory: Path, operations: FakeOperations, feed: EventFeed, links: Links | None = None
) -> AsyncIterator[Path]:
    """The real server with the real routes on a real socket; gives back the socket's path."""
    path = directory / "admin.sock"
    server = HttpServer(AdminApi(operations, feed, links=links).handle, name="admin")
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, [open_unix_listener(path)])
        try:
            yield path
        finally:
            nursery.cancel_scope.cancel()


class DoorInThread:
    """The same for synchronous tests: the server runs in a Trio of its own, on another thread."""

    def __init__(self, directory: Path) -> None:
        self.operations = FakeOperations()
        self.links = FakeLinks()
        self.feed = EventFeed(strict=True)
        self.feed.set_install_id("test install")
        self.socket = directory / "admin.sock"
        self._directory = directory
        self._stop = trio.Event()
        self._token: trio.lowlevel.TrioToken | None = None
        self._up = Event()

    def emit(self, event: str, **fields: object) -> None:
        """Emit in the server's thread."""
        assert self._token is not None
        trio.from_thread.run_sync(lambda: self.feed.emit(event, HELD, **fields), trio_token=self._token)

    def wait_for_tail(self) -> None:
        """Until somebody follows the feed."""
        wait_until(lambda: self.feed.tails, "somebody follows")

    def run(self) -> None:
        trio.run(self._serve)

    def wait_until_up(self) -> None:
        assert self._up.wait(PATIENCE_SECONDS), "the server did not start"

    def stop(self) -> None:
        assert self._token is not None
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._stop.set)

    async def _serve(self) -> None:
        async with admin_door(self._directory, self.operations, self.feed, self.links):
            self._token = trio.lowlevel.current_trio_token()
            self._up.set()
            await self._stop.wait()


@contextmanager
def door_in_thread(directory: Path) -> Iterator[DoorInThread]:
    door = DoorInThread(directory)
    thread = Thread(target=door.run, name="admin door", daemon=True)
    thread.start()
    door.wait_until_up()
    try:
        yield door
    finally:
        door.stop()
        thread.join(PATIENCE_SECONDS)
