"""Who may do what through the admin socket, and with how many connections."""

from __future__ import annotations

import grp
import json
import os
import pwd
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from actors.counted import ActorView
from actors.identity import Conversation
from daemon.config import ConfigError, load
from daemon.observe import logs
from daemon.operate import ROUTES
from daemon.operate.levels import Level, Levels, NobodyThere, suffices
from daemon.operate.status import Status, StatusReport
from daemon.web.http1 import HttpServer, Limits, Peer, Request, open_unix_listener
from daemon.web.http1.listeners import peer_of
from daemon.web.http1.stream import DirectStream
from tests.support.operators import Operators
from tests.support.patience import PATIENCE_SECONDS

STRANGER, READER, OPERATOR, CHIEF = 54_321, 54_322, 54_323, 54_324
CREW = 60_001
LEVELS = Levels({"read": [str(READER), f"group:{CREW}"], "operate": [str(OPERATOR)], "admin": [str(CHIEF)]})
CONTACT = "5511999990012"
HELD = Conversation("demo", CONTACT)
LABEL = HELD.label("test install")
PATHS = {
    "{label}": LABEL,
    "{instance}": "demo",
    "{contact}": CONTACT,
    "{id}": "17",
    "{message}": "3EB0C7",
    "{level}": "debug",
    "{flag}": "cache",
    "{change}": "off",
}


def peer(uid: int, gid: int = 1, groups: tuple[int, ...] = ()) -> Peer:
    return Peer("unix", pid=7, uid=uid, gid=gid, groups=groups)


def test_the_owner_and_root_may_do_everything_and_strangers_nothing() -> None:
    assert Levels().of(peer(0)) == Levels().of(peer(os.geteuid())) == "admin"
    assert Levels().of(peer(STRANGER)) is None
    assert Levels().of(Peer("127.0.0.1")) is None  # the user is unknown


def test_the_highest_level_of_any_of_the_peers_ids_counts() -> None:
    assert LEVELS.of(peer(READER)) == "read"
    assert LEVELS.of(peer(STRANGER, gid=CREW)) == "read"
    assert LEVELS.of(peer(STRANGER, groups=(5, CREW))) == "read"
    assert LEVELS.of(peer(OPERATOR, gid=CREW)) == "operate"
    assert LEVELS.of(peer(CHIEF)) == "admin"
    assert suffices("admin", "read") and not suffices("read", "operate")


def test_names_are_looked_up_and_unknown_ones_are_refused() -> None:
    me, mine = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
    found = Levels({"operate": [me, f"group:{mine}"]})
    assert found.of(peer(STRANGER, gid=os.getegid())) == "operate"
    with pytest.raises(
        NobodyThere, match=r"admin\.levels\.read: this machine has no user called nobody-here"
    ):
        Levels({"read": ["nobody-here"]})
    with pytest.raises(NobodyThere, match="no group called nowhere"):
        Levels({"admin": ["group:nowhere"]})


def test_the_settings_give_levels_and_require_open_to_for_a_group(tmp_path: Path) -> None:
    config = tmp_path / "own.yaml"
    config.write_text('admin: {open_to: group, group: 0, levels: {operate: [1001, "group:0"]}}')
    admin = load(config, environment={}).admin
    assert (admin.group, admin.levels.operate, admin.levels.read) == ("0", ("1001", "group:0"), ())
    config.write_text("admin: {group: operators}")
    with pytest.raises(ConfigError, match=r"admin\.open_to: must be group"):
        load(config, environment={})


async def ask(
    operators: Operators, method: str, path: str, who: Peer, query: Mapping[str, str] | None = None
) -> tuple[int, dict[str, object]]:
    api = operators.with_levels(LEVELS)
    segments = tuple(path.split("/")[1:])
    response = await api.handle(Request(method, path, segments, query or {}, {}, b"", who))
    document: dict[str, object] = json.loads(response.body) if response.body else {}
    if response.stream is not None:
        await response.stream.aclose()
    return response.status, document


READ = """
    GET /v1  GET /v1/openapi.json  GET /v1/status  GET /v1/actors  GET /v1/silent  GET /v1/conversations/{label}
    GET /v1/conversations/{instance}/{contact}  GET /v1/turns  GET /v1/turns/{id}  GET /v1/explain/{message}
    GET /v1/cost  GET /v1/kpi  GET /v1/tail  GET /v1/top  GET /v1/tree  GET /v1/config  GET /v1/audit  GET /v1/secrets
    GET /v1/leases  GET /v1/doctor  GET /v1/instances  GET /v1/instances/{instance}
    GET /v1/instances/{instance}/history  GET /v1/instances/{instance}/shadow  GET /v1/connections
    GET /v1/instances/{instance}/connection  GET /v1/log-level  POST /v1/dashboard/login
    GET /v1/dashboard/sessions  POST /v1/dashboard/sessions/close  POST /v1/dashboard/sessions/{session}/close
    GET /v1/flags  GET /v1/dead  GET /v1/dead/{id}  GET /v1/forwards  GET /v1/knowledge/{instance}  GET /v1/cache
"""
OPERATE = """
    POST /v1/conversations/{label}/flush  POST /v1/conversations/{instance}/{contact}/flush
    POST /v1/conversations/{label}/pause  POST /v1/conversations/{instance}/{contact}/pause
    POST /v1/conversations/{label}/resume  POST /v1/conversations/{instance}/{contact}/resume
    POST /v1/instances/{instance}/try  POST /v1/turns/{id}/try  POST /v1/config/{key}/set  POST /v1/config/{key}/unset
    POST /v1/instances/{instance}/flush  POST /v1/flush  POST /v1/instances/{instance}/pause
    POST /v1/instances/{instance}/resume  POST /v1/pause  POST /v1/resume  POST /v1/instances/{instance}/set
    POST /v1/instances/{instance}/restore  POST /v1/reload  POST /v1/flags/{flag}/{change}  POST /v1/dead/retry-all
    POST /v1/dead/{id}/retry  POST /v1/dead/{id}/drop  POST /v1/forwards/retry-all  POST /v1/forwards/{id}/retry
    POST /v1/knowledge/{instance}/files  POST /v1/knowledge/{instance}/files/{id}/chunks
    POST /v1/knowledge/{instance}/files/{id}/ready  POST /v1/knowledge/{instance}/remove  POST /v1/cache/clear
"""
ADMIN = """
    POST /v1/secrets/rotate  POST /v1/instances/{instance}/add  POST /v1/instances/{instance}/remove  POST /v1/apply
    GET /v1/export  POST /v1/instances/{instance}/connect  POST /v1/instances/{instance}/disconnect
    POST /v1/disconnect  GET /v1/instances/{instance}/qr  POST /v1/log-level/{level}  POST /v1/drain
    POST /v1/forwards/{id}/drop
"""
LISTED: Mapping[Level, str] = {"read": READ, "operate": OPERATE, "admin": ADMIN}
NEEDED: dict[tuple[str, str], Level] = {
    (method, path): level
    for level, listed in LISTED.items()
    for method, path in zip(*[iter(listed.split())] * 2, strict=True)
}
"""What the documents promise. A level may forbid more by what is asked: where keys are sent, reveal."""


def test_every_route_has_the_level_that_is_promised() -> None:
    """A new route stands in the table above; to change a level there is a decision."""
    assert {(route.method, route.path): route.level for route in ROUTES} == NEEDED
    assert len(ROUTES) == len(NEEDED), "no route twice"


@pytest.mark.parametrize(
    ("uid", "level"), [(STRANGER, None), (READER, "read"), (OPERATOR, "operate"), (CHIEF, "admin")]
)
async def test_each_route_needs_its_level(operators: Operators, uid: int, level: Level | None) -> None:
    """A refusal is a 403 with a sentence that names both levels, and of a change it is recorded, without a number.

    A sufficient level is never refused for it.
    """
    before, changes = logs.level(), list[str]()
    for (method, pattern), needed in NEEDED.items():
        path = pattern
        for piece, word in PATHS.items():
            path = path.replace(piece, word)
        status, document = await ask(operators, method, path, peer(uid))
        if level is not None and suffices(level, needed):
            assert status != 403, (path, document)
            continue
        assert (status, document["reason"]) == (403, "forbidden"), path
        if level is None:
            assert "you may not use this socket" in str(document["message"])
        else:
            assert f"this needs level {needed}, and yours is {level}" in str(document["message"])
            changes += [f"{method} {pattern}"] if method != "GET" else []
    logs.set_level(before)
    refused = {
        number for number, outcome in operators.outcomes.items() if outcome == ("refused", "Forbidden")
    }
    found = [entry for number, entry in enumerate(operators.audited, start=1) if number in refused]
    assert [entry.action for entry in found] == changes
    assert all(entry.uid == uid and not re.search(r"[0-9]{6}", entry.target) for entry in found)


async def test_only_admins_may_reveal_phone_numbers_and_texts() -> None:
    operators = Operators()
    operators.actors.show(ActorView(HELD, "idle", (), None, 0, 0, None, ""))
    for uid in (READER, OPERATOR):
        status, document = await ask(operators, "GET", "/v1/actors", peer(uid), {"reveal": "true"})
        assert status == 403 and "only level admin may see phone numbers and texts" in str(
            document["message"]
        )
        assert CONTACT not in json.dumps(document)
    status, document = await ask(operators, "GET", "/v1/actors", peer(CHIEF), {"reveal": "true"})
    assert status == 200 and CONTACT in json.dumps(document)


async def test_a_parameter_that_a_route_does_not_know_is_refused_by_name() -> None:
    status, document = await ask(Operators(), "GET", "/v1/actors", peer(READER), {"limt": "3"})
    assert status == 400
    assert document["message"] == (
        "limt is not a parameter of this request; use state, instance, sort, offset, limit, reveal"
    )


async def test_an_answer_that_takes_too_long_is_stopped(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stuck(self: StatusReport) -> Status:
        await trio.sleep_forever()

    monkeypatch.setattr(StatusReport, "now", stuck)
    request = Request("GET", "/v1/status", ("v1", "status"), {}, {}, b"", peer(0))
    response = await Operators().api.handle(request)
    assert response.status == 503 and b"took longer than 25 s" in response.body
    assert autojump_clock.current_time() == 25


async def test_the_kernel_reports_the_groups_of_the_peer(tmp_path: Path) -> None:
    async with connected(tmp_path / "sock", 0o600, None) as stream:
        found = peer_of(stream)
    assert (found.uid, found.gid, found.pid) == (os.geteuid(), os.getegid(), os.getpid())
    assert set(found.groups) == set(os.getgroups())


async def test_the_socket_can_be_opened_to_a_group(tmp_path: Path) -> None:
    path = tmp_path / "sock"
    async with connected(path, 0o660, os.getegid()):
        assert path.stat().st_mode & 0o777 == 0o660 and path.stat().st_gid == os.getegid()


@asynccontextmanager
async def connected(path: Path, mode: int, group: int | None) -> AsyncIterator[DirectStream]:
    """The server's side of a connection."""
    listener = open_unix_listener(path, mode, group)
    try:
        async with await trio.open_unix_socket(str(path)):
            accepted = DirectStream.taking_over(await listener.accept())
            yield accepted
            await accepted.aclose()
    finally:
        await listener.aclose()


async def test_one_user_cannot_use_up_all_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user with a low level or none must not keep the operators out, and all of them together not the owner."""
    comes, path = [READER], tmp_path / "sock"
    monkeypatch.setattr("daemon.web.http1.server.peer_of", lambda _: peer(comes[0]))
    api = Operators().with_levels(LEVELS)
    server = HttpServer(api.handle, Limits(max_connections=6, max_connections_per_user=2), name="admin")
    with trio.fail_after(PATIENCE_SECONDS):
        async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
            await nursery.start(server.serve, [open_unix_listener(path)])

            async def status() -> bytes:
                stream = await stack.enter_async_context(await trio.open_unix_socket(str(path)))
                await stream.send_all(b"GET /v1/log-level HTTP/1.1\r\nHost: admin\r\n\r\n")
                answer = await stream.receive_some()
                return bytes(answer[9:12])

            assert [await status() for _ in range(3)] == [b"200", b"200", b"503"]
            comes[0] = OPERATOR
            assert await status() == b"200"
            comes[0] = os.geteuid()
            # The owner has what is left of the places, and as many again.
            assert [await status() for _ in range(10)] == [b"200"] * (3 + 6) + [b"503"]
            nursery.cancel_scope.cancel()


async def test_a_reader_of_events_that_is_too_slow_is_cut_off(tmp_path: Path) -> None:
    """The connection ends, and the daemon goes on without waiting for it."""
    operators = Operators()
    feed = operators.feed
    server = HttpServer(operators.api.handle, Limits(write_seconds=0.2), name="admin")
    path = tmp_path / "sock"
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            await nursery.start(server.serve, [open_unix_listener(path)])
            async with await trio.open_unix_socket(str(path)) as stream:
                await stream.send_all(b"GET /v1/tail HTTP/1.1\r\nHost: admin\r\n\r\n")
                while not feed.tails:
                    await trio.testing.wait_all_tasks_blocked(0.01)
                while server.counters.connections:  # it never reads
                    for _ in range(200):
                        feed.emit("daemon.problem", part="x" * 200, error="Any")
                    await trio.sleep(0.01)
                assert not feed.tails
            nursery.cancel_scope.cancel()
