"""A daemon's operations as the admin door sees them, without a daemon; and the door itself, on a real Unix socket."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import TypeVar

import trio

from actors.identity import Conversation
from daemon.admin import (
    ActorView,
    AdminApi,
    AuditEntry,
    Check,
    Conflict,
    ConversationView,
    DeadLetterPage,
    DeadLetterView,
    DoctorReport,
    Flushed,
    IngressCounts,
    MessageView,
    NotFound,
    PartView,
    Ref,
    Status,
    TurnView,
)
from daemon.feed import EventFeed
from daemon.http1 import HttpServer, open_unix_listener

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
        waiting=[message],
        turns=[turn],
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
        self.fails: Exception | None = None

    async def status(self) -> Status:
        return await self._answer(self.now)

    async def actors(self) -> Sequence[ActorView]:
        return await self._answer(self.active)

    async def conversation(self, ref: Ref) -> ConversationView:
        self._refuse_unknown(ref)
        return await self._answer(conversation())

    async def dead_letters(self, limit: int, include_retried: bool) -> DeadLetterPage:
        return await self._answer(DeadLetterPage(open=1, letters=[letter()][:limit]))

    async def dead_letter(self, letter_id: int) -> DeadLetterView:
        if letter_id != 17:
            raise NotFound(f"there is no dead letter {letter_id}; see `majlis dead list`")
        return await self._answer(letter())

    async def retry(self, letter_id: int) -> None:
        if letter_id in self.retried:
            raise Conflict(f"dead letter {letter_id} was retried already")
        await self.dead_letter(letter_id)
        self.retried.append(letter_id)

    async def retry_all(self) -> int:
        self.retried.append(17)
        return await self._answer(1)

    async def flush(self, ref: Ref) -> Flushed:
        self._refuse_unknown(ref)
        self.flushed.append(ref)
        return await self._answer(Flushed(conversation=LABEL, messages=2))

    async def doctor(self) -> DoctorReport:
        return await self._answer(self.report)

    async def audit(self, entry: AuditEntry) -> None:
        self.audited.append(await self._answer(entry))

    async def _answer(self, value: T) -> T:
        await trio.lowlevel.checkpoint()
        if self.fails is not None:
            raise self.fails
        return value

    def _refuse_unknown(self, ref: Ref) -> None:
        if ref not in (HELD, LABEL):
            raise NotFound("no such conversation; see `majlis actors`")


@asynccontextmanager
async def admin_door(directory: Path, operations: FakeOperations, feed: EventFeed) -> AsyncIterator[Path]:
    """The real server with the real routes on a real socket; gives back the socket's path."""
    path = directory / "admin.sock"
    server = HttpServer(AdminApi(operations, feed).handle, name="admin")
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
        for _ in range(1_500):
            if self.feed.tails:
                return
            time.sleep(0.02)
        raise AssertionError("nobody follows")

    def run(self) -> None:
        trio.run(self._serve)

    def wait_until_up(self) -> None:
        assert self._up.wait(10), "the server did not start"

    def stop(self) -> None:
        assert self._token is not None
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._stop.set)

    async def _serve(self) -> None:
        async with admin_door(self._directory, self.operations, self.feed):
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
        thread.join(10)
