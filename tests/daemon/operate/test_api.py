"""The admin interface as a whole: the real server, routes and topics on a real Unix socket, over a real ledger."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
import trio

from actors.counted import ActorView, Phase
from actors.errors import LedgerUnavailable
from actors.identity import Conversation
from actors.messages import Message, Waiting
from daemon.operate import ROUTES
from daemon.operate.audit import AuditEntry, LedgerAudit
from daemon.operate.audit_log import Audit
from daemon.operate.status import StatusReport
from daemon.web.http1 import Peer, Request
from tests.support.ledgers import batch
from tests.support.operators import INSTALL, Operators, admin_door

CONTACT = "5511999990012"
TEXT = "how much is a room for two nights"
HELD = Conversation("demo", CONTACT)
LABEL = HELD.label(INSTALL)


class Door:
    """A client of the door, and what is behind it."""

    def __init__(self, socket: Path, operators: Operators) -> None:
        self.socket = socket
        self.operators = operators
        self.turn = self.letter = 0
        """The numbers of the turn and dead letter that `furnished` made."""

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
async def door(operators: Operators, tmp_path: Path) -> AsyncIterator[Door]:
    with trio.fail_after(60):
        async with admin_door(tmp_path, operators.api.handle) as socket:
            yield Door(socket, operators)


@pytest.fixture
async def furnished(door: Door) -> Door:
    """One conversation in which a message waits, with a turn, a dead letter and an escalation."""
    operators, ledger = door.operators, door.operators.world.ledger
    waiting = (Waiting(4, 1_000, Message(*HELD, "W1", TEXT, 1_000)),)
    operators.actors.show(ActorView(HELD, "waiting", waiting, None, 0, 0, 4.0, "window open"))
    turn = await ledger.begin(batch(TEXT, conversation=HELD, id_prefix="3EB0"), 1)
    await ledger.bury(turn, 1, "not_on_whatsapp", f"no account for {CONTACT}")
    await operators.takeovers.begin(HELD, 60)
    door.turn = turn.id
    (letter,) = (await operators.letters.page(10, include_ended=False)).letters
    door.letter = letter.id
    return door


async def test_the_socket_is_for_its_owner_alone(door: Door) -> None:
    await door.get("/v1/status")
    assert door.socket.stat().st_mode & 0o777 == 0o600


async def test_another_user_is_refused_by_the_uid_that_the_kernel_reports() -> None:
    peer = Peer("unix", pid=1, uid=54321, gid=1)
    request = Request("GET", "/v1/status", ("v1", "status"), {}, {}, b"", peer)
    assert (await Operators().api.handle(request)).status == 403


async def test_status_answers_with_every_field(door: Door) -> None:
    counters = door.operators.counters
    counters.acked, counters.duplicates = 1204, 7
    counters.ignored.update({"group": 12, "reaction": 3})
    status, document = await door.get("/v1/status")
    assert status == 200
    assert document["ready"] is True and document["stores"] == {"redis": "ok", "postgres": "ok"}
    assert document["ingress"] == {
        "accepted": 1204,
        "duplicate": 7,
        "ignored": {"group": 12, "reaction": 3},
        "refused": {},
        "forwarded": 0,
        "unreadable": 0,
        "unauthorized": 0,
        "lost": [],
        "unknown": [],
        "overruled": {},
    }
    assert document["warnings"] == []


async def test_every_route_is_listed_with_its_help(door: Door) -> None:
    _, document = await door.get("/v1")
    routes = document["routes"]
    assert isinstance(routes, list) and len(routes) == len(ROUTES)
    assert all(route["help"].endswith(".") for route in routes)


async def test_actors_are_sorted_by_urgency_and_can_be_filtered_and_limited(door: Door) -> None:
    def view(contact: str, phase: Phase, left: float | None = None, instance: str = "acme") -> ActorView:
        return ActorView(Conversation(instance, contact), phase, (), None, 0, 0, left, "")

    door.operators.actors.show(
        view("1", "waiting", 9.0),
        view("2", "waiting", 1.0),
        view("3", "idle"),
        view("4", "parked"),
        view("5", "holding", instance="other"),
    )
    _, page = await door.get("/v1/actors")
    actors = page["actors"]
    assert isinstance(actors, list)
    assert [(one["state"], one["closes_in_seconds"]) for one in actors] == [
        ("parked", None),
        ("holding", None),
        ("waiting", 1.0),
        ("waiting", 9.0),
        ("idle", None),
    ]
    _, page = await door.get("/v1/actors?state=waiting&instance=acme&limit=1")
    assert (page["total"], page["matching"]) == (5, 2)
    assert isinstance(page["actors"], list) and len(page["actors"]) == 1


@pytest.mark.parametrize(
    "target",
    [
        "/v1/actors",
        f"/v1/conversations/{LABEL}",
        f"/v1/conversations/demo/{CONTACT}",
        "/v1/silent",
        "/v1/turns",
        "/v1/turns/{turn}",
        "/v1/dead",
        "/v1/dead/{letter}",
        "/v1/explain/W1",
        "/v1/top",
    ],
)
async def test_phones_and_texts_are_masked_unless_revealed_and_a_reveal_is_recorded(
    furnished: Door, target: str
) -> None:
    """I11."""
    target = target.format(turn=furnished.turn, letter=furnished.letter)
    _, body = await furnished.ask("GET", target)
    assert CONTACT not in body and TEXT not in body and "…12" in body
    assert furnished.operators.audited == []
    _, body = await furnished.ask("GET", f"{target}?reveal=true")
    assert CONTACT in body
    (entry,) = furnished.operators.audited
    assert entry.action == "reveal" and entry.uid is not None and entry.pid is not None
    assert CONTACT not in entry.target


@pytest.mark.parametrize("contact", [CONTACT, f"%2B{CONTACT}", f"{CONTACT}%3A3%40s.whatsapp.net"])
async def test_a_conversation_is_found_by_every_spelling_of_its_phone(furnished: Door, contact: str) -> None:
    status, document = await furnished.post(f"/v1/conversations/demo/{contact}/flush")
    assert (status, document) == (200, {"conversation": LABEL, "messages": 1})
    assert furnished.operators.actors.flushed == [HELD]


async def test_a_change_is_recorded_before_it_is_made_with_who_asked(furnished: Door) -> None:
    """I11: the record names the conversation by its label."""
    letter = furnished.letter
    for target in (
        f"/v1/conversations/demo/{CONTACT}/flush",
        f"/v1/dead/{letter}/retry",
        "/v1/dead/retry-all",
        f"/v1/conversations/demo/{CONTACT}/pause?seconds=60",
        f"/v1/conversations/{LABEL}/resume",
        "/v1/flags/cache/off?instance=demo",
        "/v1/flags/parallel/on",
        "/v1/flags/cache/clear?instance=demo",
        "/v1/reload",
    ):
        assert (await furnished.post(target))[0] == 200, target
    operators = furnished.operators
    actions = [(entry.action, entry.target) for entry in operators.audited]
    assert actions == [
        ("flush", LABEL),
        ("dead.retry", f"dead letter {letter}"),
        ("dead.retry_all", "dead letters"),
        ("pause", LABEL),
        ("resume", LABEL),
        ("flags.set", "cache off, instance demo"),
        ("flags.set", "parallel on, this daemon"),
        ("flags.clear", "cache clear, instance demo"),
        ("reload", "settings"),
    ]
    assert operators.feed.counters["admin.change"] == len(actions)


async def test_audit_entries_are_stored_in_the_ledger(operators: Operators) -> None:
    log = LedgerAudit(operators.records)
    first = await log.begin(AuditEntry(action="flush", target=LABEL, uid=0, pid=7))
    entry = AuditEntry(
        action="reveal", target="turn 7", uid=None, pid=None, origin="dashboard", session="a1b2c3"
    )
    second = await log.begin(entry)
    await log.end(first, "refused", "Missing")
    rows = await operators.db.fetch(
        "SELECT uid, pid, action, target, detail::text FROM majlis_audit ORDER BY id"
    )
    assert [tuple(row.values())[:4] for row in rows] == [(0, 7, "flush", LABEL), (-1, 0, "reveal", "turn 7")]
    assert json.loads(rows[1]["detail"]) == {"origin": "dashboard", "session": "a1b2c3"}
    shown = await Audit(operators.records).page(10)
    assert [(one.id, one.who, one.action, one.outcome, one.reason) for one in shown.entries] == [
        (second, "dashboard session a1b2c3", "reveal", "", ""),
        (first, "uid 0", "flush", "refused", "Missing"),
    ]
    assert [one.id for one in (await Audit(operators.records).page(10, "rev")).entries] == [second]


async def test_a_refused_act_is_no_deed(furnished: Door) -> None:
    """The log says what became of each, whatever way it ended."""
    assert (await furnished.post(f"/v1/conversations/{LABEL}/flush"))[0] == 200
    assert (await furnished.post("/v1/instances/nobody/pause"))[0] == 404
    furnished.operators.append_fails[CONTACT] = RuntimeError("broken")
    assert (await furnished.post(f"/v1/dead/{furnished.letter}/retry"))[0] == 500
    operators = furnished.operators
    assert list(operators.outcomes.values()) == [
        ("done", ""),
        ("refused", "Missing"),
        ("failed", "RuntimeError"),
    ]
    assert operators.feed.counters["admin.change"] == 1
    assert operators.feed.reasons("admin.undone") == {"refused": 1, "failed": 1}


@pytest.mark.parametrize("contact", ["anna", "12", "055 111 0007", "+0551110007"])
async def test_a_command_for_nobody_is_refused(furnished: Door, contact: str) -> None:
    """It would silence nobody and look as if it had."""
    for act in ("pause", "resume", "flush"):
        status, document = await furnished.post(f"/v1/conversations/demo/{quote(contact)}/{act}")
        assert status == 404 and "write it with its country code" in str(document["message"])
    assert furnished.operators.audited == []
    assert (await furnished.ask("GET", f"/v1/conversations/demo/{quote(contact)}"))[0] == 404


async def test_a_take_over_of_somebody_who_never_wrote_says_so(furnished: Door) -> None:
    said = [
        (await furnished.post(f"/v1/conversations/demo/{contact}/pause"))[1].get("has_written")
        for contact in (CONTACT, quote("+966 55 111 0007"))
    ]
    assert said == [True, False]
    rows = await furnished.operators.db.fetch("SELECT contact FROM majlis_takeovers ORDER BY contact")
    assert "966551110007" in [row["contact"] for row in rows]


async def test_a_change_that_cannot_be_recorded_is_not_made(furnished: Door) -> None:
    furnished.operators.audit_fails = LedgerUnavailable("postgres is away")
    status, document = await furnished.post(f"/v1/conversations/{LABEL}/flush")
    assert status == 503 and "postgres is away" in str(document["message"])
    assert furnished.operators.actors.flushed == []
    status, body = await furnished.ask("GET", f"/v1/conversations/{LABEL}?reveal=true")
    assert status == 503 and CONTACT not in body


@pytest.mark.parametrize(
    ("method", "target", "status", "words"),
    [
        ("GET", "/v1/nothing", 404, "GET /v1 lists all routes"),
        ("GET", "/v1/conversations/", 404, "lists all routes"),
        ("POST", "/v1/status", 405, "use GET here"),
        ("GET", "/v1/dead/99999", 404, "no dead letter 99999"),
        ("GET", "/v1/dead/x", 400, "id must be the number of a dead letter"),
        ("GET", f"/v1/dead/-{'9' * 40}", 400, "id must be the number of a dead letter"),
        ("GET", "/v1/actors?limit=0", 400, "limit must be a whole number from 1 to 10000"),
        ("GET", f"/v1/actors?offset=-{'9' * 40}", 400, "offset must be a whole number from 0 to 1000000"),
        ("GET", "/v1/actors?state=bored", 400, "state must be one of waiting"),
        ("GET", "/v1/actors?reveal=yes", 400, "reveal must be true or false"),
        ("GET", "/v1/conversations/demo/966500000099", 404, "There is no conversation"),
        ("GET", "/v1/turns/99999", 404, "no turn of this number"),
        ("GET", "/v1/turns/x", 400, "id must be the number of a turn"),
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
        ("POST", "/v1/flags/parallel/up", 400, "change must be one of on, off, clear"),
        ("POST", "/v1/log-level/loud", 400, "level must be one of debug, info, warning, error"),
        (
            "POST",
            f"/v1/conversations/{CONTACT}/flush",
            400,
            "write a conversation as its label, or as INSTANCE/PHONE",
        ),
    ],
)
async def test_a_refusal_is_a_sentence(door: Door, method: str, target: str, status: int, words: str) -> None:
    found, body = await door.ask(method, target)
    assert found == status and words in json.loads(body)["message"]
    assert door.operators.audited == []


async def test_repeating_a_change_that_can_be_made_once_is_a_conflict(furnished: Door) -> None:
    await furnished.post("/v1/flags/cache/off")
    for target in (
        f"/v1/conversations/{LABEL}/resume",
        "/v1/flags/cache/clear",
        f"/v1/dead/{furnished.letter}/retry",
    ):
        await furnished.post(target)
        status, document = await furnished.post(target)
        assert (status, document["reason"]) == (409, "conflict")


async def test_an_internal_error_shows_only_its_class_and_the_door_stays_open(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I11, I14."""

    async def breaks(self: StatusReport) -> object:
        raise ZeroDivisionError(CONTACT)

    monkeypatch.setattr(StatusReport, "now", breaks)
    status, body = await door.ask("GET", "/v1/status")
    assert status == 500 and "ZeroDivisionError" in body and CONTACT not in body
    assert door.operators.feed.counters["admin.failed"] == 1
    monkeypatch.undo()
    assert (await door.get("/v1/status"))[0] == 200


async def test_a_ledger_that_is_away_is_reported_in_a_sentence(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> object:
        raise LedgerUnavailable("postgres is away")

    monkeypatch.setattr(door.operators.records, "usage", away)
    status, document = await door.get("/v1/cost")
    assert status == 503 and "try again: postgres is away" in str(document["message"])


async def test_tail_streams_events_as_lines(door: Door) -> None:
    async with await trio.open_unix_socket(str(door.socket)) as stream:
        await stream.send_all(_request("GET", "/v1/tail"))
        received = await stream.receive_some()
        door.operators.feed.emit("turn.done", HELD, batch=1)
        door.operators.feed.emit("turn.dead", HELD, reason="refused")
        while b"turn.dead" not in received:
            received += await stream.receive_some()
    assert b"application/x-ndjson" in received
    events = [json.loads(line) for line in received.splitlines() if line.startswith(b"{")]
    assert [event["event"] for event in events] == ["turn.done", "turn.dead"]
    assert CONTACT.encode() not in received
