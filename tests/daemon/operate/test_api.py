"""The admin door: the real server and routes on a real Unix socket, a daemon's operations behind it faked."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from actors.errors import LedgerUnavailable
from daemon.observe.feed import EventFeed
from daemon.operate import ROUTES, AdminApi, AuditEntry
from daemon.web.http1 import Peer, Request
from tests.daemon.operate.fake_operations import CONTACT, HELD, LABEL, TEXT, FakeOperations, actor, admin_door


class Door:
    """A client of the door, and what is behind it."""

    def __init__(self, socket: Path, operations: FakeOperations, feed: EventFeed) -> None:
        self.socket = socket
        self.operations = operations
        self.feed = feed

    async def ask(self, method: str, target: str) -> tuple[int, str]:
        """The status and the body of one exchange."""
        async with await trio.open_unix_socket(str(self.socket)) as stream:
            await stream.send_all(_request(method, target))
            answer = b"".join([piece async for piece in stream])
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()

    async def get(self, target: str) -> tuple[int, dict[str, object]]:
        status, body = await self.ask("GET", target)
        document: dict[str, object] = json.loads(body)
        return status, document

    async def post(self, target: str) -> tuple[int, dict[str, object]]:
        status, body = await self.ask("POST", target)
        document: dict[str, object] = json.loads(body)
        return status, document


def _request(method: str, target: str) -> bytes:
    length = "Content-Length: 0\r\n" if method == "POST" else ""
    return f"{method} {target} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n{length}\r\n".encode()


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    operations, feed = FakeOperations(), EventFeed(strict=True)
    feed.set_install_id("test install")
    with trio.fail_after(60):
        async with admin_door(tmp_path, operations, feed) as socket:
            yield Door(socket, operations, feed)


async def test_the_socket_is_for_its_owner_alone(door: Door) -> None:
    await door.get("/v1/status")
    assert door.socket.stat().st_mode & 0o777 == 0o600


async def test_another_user_is_refused_by_the_kernels_word() -> None:
    request = Request(
        "GET", "/v1/status", ("v1", "status"), {}, {}, b"", Peer("unix", pid=1, uid=54321, gid=1)
    )
    response = await AdminApi(FakeOperations(), EventFeed(strict=True)).handle(request)
    assert response.status == 403


async def test_status_is_told_whole(door: Door) -> None:
    status, document = await door.get("/v1/status")
    assert status == 200
    assert document["ready"] is True and document["stores"] == {"redis": "ok", "postgres": "ok"}
    assert document["ingress"] == {
        "accepted": 1204,
        "duplicate": 7,
        "ignored": {"group": 12, "reaction": 3},
        "refused": {},
        "unreadable": 0,
        "unauthorized": 0,
    }


async def test_every_route_is_listed_with_its_help(door: Door) -> None:
    _, document = await door.get("/v1")
    routes = document["routes"]
    assert isinstance(routes, list) and len(routes) == len(ROUTES)
    assert all(route["help"].endswith(".") for route in routes)


async def test_actors_come_by_urgency_and_can_be_filtered_and_limited(door: Door) -> None:
    door.operations.active = [
        actor(9),
        actor(1),
        actor(state="idle"),
        actor(state="parked"),
        actor(instance="other", state="holding"),
    ]
    _, page = await door.get("/v1/actors")
    actors = page["actors"]
    assert isinstance(actors, list)
    assert [(one["state"], one["closes_in_seconds"]) for one in actors] == [
        ("parked", 0.0),
        ("holding", 0.0),
        ("waiting", 1.0),
        ("waiting", 9.0),
        ("idle", 0.0),
    ]
    _, page = await door.get("/v1/actors?state=waiting&instance=acme&limit=1")
    assert (page["total"], page["matching"]) == (5, 2)
    assert isinstance(page["actors"], list) and len(page["actors"]) == 1


@pytest.mark.parametrize(
    "target",
    [
        "/v1/actors",
        f"/v1/conversations/{LABEL}",
        f"/v1/conversations/acme/{CONTACT}",
        "/v1/silent",
        "/v1/turns/7",
        "/v1/dead",
        "/v1/dead/17",
    ],
)
async def test_phones_and_texts_are_masked_unless_asked_for_and_then_it_is_recorded(
    door: Door, target: str
) -> None:
    """I11."""
    _, body = await door.ask("GET", target)
    assert CONTACT not in body and TEXT not in body and "…12" in body
    assert door.operations.audited == []
    _, body = await door.ask("GET", f"{target}?reveal=true")
    assert CONTACT in body
    (entry,) = door.operations.audited
    assert entry.action == "reveal" and entry.uid is not None and entry.pid is not None
    assert CONTACT not in entry.target


@pytest.mark.parametrize("contact", [CONTACT, f"%2B{CONTACT}", f"{CONTACT}%3A3%40s.whatsapp.net"])
async def test_a_conversation_is_found_by_every_spelling_of_its_phone(door: Door, contact: str) -> None:
    status, document = await door.post(f"/v1/conversations/acme/{contact}/flush")
    assert (status, document) == (200, {"conversation": LABEL, "messages": 2})
    assert door.operations.flushed == [HELD]


async def test_a_change_is_recorded_before_it_is_made_with_who_asked(door: Door) -> None:
    """I11: the record names the conversation by its label."""
    await door.post(f"/v1/conversations/acme/{CONTACT}/flush")
    await door.post("/v1/dead/17/retry")
    await door.post("/v1/dead/retry-all")
    await door.post(f"/v1/conversations/acme/{CONTACT}/pause?seconds=60")
    await door.post(f"/v1/conversations/{LABEL}/resume")
    await door.post("/v1/flags/cache/off?instance=acme")
    await door.post("/v1/flags/parallel/on")
    await door.post("/v1/flags/cache/clear?instance=acme")
    await door.post("/v1/reload")
    actions = [(entry.action, entry.target) for entry in door.operations.audited]
    assert actions == [
        ("flush", HELD.label("test install")),
        ("dead.retry", "dead letter 17"),
        ("dead.retry_all", "dead letters"),
        ("pause", HELD.label("test install")),
        ("resume", LABEL),
        ("flags.set", "cache off, instance acme"),
        ("flags.set", "parallel on, this daemon"),
        ("flags.clear", "cache clear, instance acme"),
        ("reload", "settings"),
    ]
    assert door.feed.counters["admin.change"] == len(actions)
    assert door.operations.paused == [(HELD, 60)] and door.operations.resumed == [LABEL]
    assert door.operations.set == {("parallel", None): True} and door.operations.reloads == 1


async def test_what_cannot_be_recorded_is_not_done(tmp_path: Path) -> None:
    class NoAudit(FakeOperations):
        async def audit(self, entry: AuditEntry) -> None:
            await trio.lowlevel.checkpoint()
            raise LedgerUnavailable("postgres is away")

    operations, feed = NoAudit(), EventFeed(strict=True)
    with trio.fail_after(60):
        async with admin_door(tmp_path, operations, feed) as socket:
            status, document = await Door(socket, operations, feed).post(f"/v1/conversations/{LABEL}/flush")
    assert status == 503 and "postgres is away" in str(document["message"])
    assert operations.flushed == []


@pytest.mark.parametrize(
    ("method", "target", "status", "words"),
    [
        ("GET", "/v1/nothing", 404, "GET /v1 lists all routes"),
        ("GET", "/v1/conversations/", 404, "lists all routes"),
        ("POST", "/v1/status", 405, "use GET here"),
        ("GET", "/v1/dead/99", 404, "no dead letter 99"),
        ("GET", "/v1/dead/x", 400, "known by its number"),
        ("GET", "/v1/actors?limit=0", 400, "limit must be a whole number from 1"),
        ("GET", "/v1/actors?state=bored", 400, "state must be one of waiting"),
        ("GET", "/v1/actors?reveal=yes", 400, "reveal must be true or false"),
        ("GET", "/v1/conversations/acme/999", 404, "no such conversation"),
        ("GET", "/v1/turns/8", 404, "no such turn"),
        ("GET", "/v1/turns/x", 400, "a turn is known by its number"),
        ("GET", "/v1/cost?days=0", 400, "days must be a whole number from 1 to 366"),
        ("POST", f"/v1/conversations/{LABEL}/pause?seconds=0", 400, "seconds must be a whole number"),
        (
            "POST",
            f"/v1/conversations/{LABEL}/pause?seconds={'9' * 30}",
            400,
            "seconds must be a whole number",
        ),
        (
            "POST",
            "/v1/flags/parralel/on",
            400,
            "one of parallel, cache, knowledge, batching, escalation, takeover",
        ),
        ("POST", "/v1/flags/parallel/up", 400, "write /on, /off or /clear"),
        ("POST", f"/v1/conversations/{CONTACT}/flush", 400, "write a conversation as its label"),
    ],
)
async def test_a_refusal_is_a_sentence(door: Door, method: str, target: str, status: int, words: str) -> None:
    found, body = await door.ask(method, target)
    assert found == status and words in json.loads(body)["message"]
    assert door.operations.audited == []


async def test_what_cannot_be_undone_twice_conflicts(door: Door) -> None:
    for target in (f"/v1/conversations/{LABEL}/resume", "/v1/flags/cache/clear"):
        await door.post(target)
        status, document = await door.post(target)
        assert (status, document["reason"]) == (409, "conflict")


async def test_cost_is_told_by_instance_and_days(door: Door) -> None:
    _, document = await door.get("/v1/cost?instance=shop&days=30")
    assert document["days"] == 30
    assert [row["instance"] for row in document["rows"]] == ["shop"]  # type: ignore[attr-defined]


async def test_a_second_retry_conflicts(door: Door) -> None:
    await door.post("/v1/dead/17/retry")
    status, document = await door.post("/v1/dead/17/retry")
    assert (status, document["reason"]) == (409, "conflict")


async def test_what_breaks_inside_is_told_by_class_alone_and_the_door_stays_open(door: Door) -> None:
    """I11, I14."""
    door.operations.fails = ZeroDivisionError(CONTACT)
    status, body = await door.ask("GET", f"/v1/conversations/acme/{CONTACT}")
    assert status == 500 and "ZeroDivisionError" in body and CONTACT not in body
    assert door.feed.counters["admin.failed"] == 1
    door.operations.fails = LedgerUnavailable("postgres is away")
    status, document = await door.get("/v1/status")
    assert status == 503 and "try again" in str(document["message"])
    door.operations.fails = None
    assert (await door.get("/v1/status"))[0] == 200


async def test_tail_streams_events_as_lines(door: Door) -> None:
    async with await trio.open_unix_socket(str(door.socket)) as stream:
        await stream.send_all(_request("GET", "/v1/tail"))
        received = await stream.receive_some()
        door.feed.emit("turn.done", HELD, batch=1)
        door.feed.emit("turn.dead", HELD, reason="refused")
        while b"turn.dead" not in received:
            received += await stream.receive_some()
    assert b"application/x-ndjson" in received
    events = [json.loads(line) for line in received.splitlines() if line.startswith(b"{")]
    assert [event["event"] for event in events] == ["turn.done", "turn.dead"]
    assert CONTACT.encode() not in received
