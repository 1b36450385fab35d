"""The dashboard on a real socket: pages, sessions, the admin interface behind it, streams."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import trio

from actors.counted import ActorView
from daemon.dashboard import streams
from daemon.dashboard.access import MAX_FAILURES_PER_MINUTE, LoginGrant
from daemon.dashboard.sessions import OpenSessions
from daemon.operate.levels import LEVELS, Level
from daemon.web.http1 import Limits
from tests.daemon.dashboard.browser import Behind
from tests.support.ledgers import DEMO
from tests.support.patience import PATIENCE_SECONDS, until


@pytest.fixture
async def behind() -> AsyncIterator[Behind]:
    async with Behind(hosts=("majlis.example.com",)).open() as opened:
        yield opened


# Pages


async def test_pages_need_no_login_and_forbid_other_origins(behind: Behind) -> None:
    page = await behind.ask("GET", "/", headers={"Sec-Fetch-Site": "cross-site"})
    assert page.status == 200 and page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    for words in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'"):
        assert words in policy
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    known = await behind.ask("GET", "/", headers={"If-None-Match": page.headers["etag"]})
    assert (known.status, known.body) == (304, "")
    head = await behind.ask("HEAD", "/")
    assert (head.status, head.body) == (200, "")
    assert (await behind.ask("GET", "/static/index.html")).status == 200


@pytest.mark.parametrize(
    "path",
    ["/static/", "/static/nothing.js", "/static/..%2Fdoor.py", "/static/../door.py", "/etc/passwd", "/v2"],
)
async def test_other_paths_are_not_found(behind: Behind, path: str) -> None:
    answer = await behind.ask("GET", path)
    assert (answer.status, answer.reason) == (404, "no_route")
    assert answer.headers["cache-control"] == "no-store"


async def test_pages_are_read_only(behind: Behind) -> None:
    assert (await behind.ask("POST", "/", {})).status == 405
    assert (await behind.ask("DELETE", "/static/index.html", {})).status == 405


# Sessions


async def test_a_link_opens_a_session_once(behind: Behind) -> None:
    token = behind.access.link(LoginGrant("operate", "uid 1000"))
    opened = await behind.ask("POST", "/session", {"token": token})
    assert opened.status == 200
    assert opened.document == {
        "level": "operate",
        "node": "node-a",
        "version": "0.1.0",
        "instances": ["demo", "other"],
        "playground": True,
        "can_reveal": False,
    }
    name, _, attributes = opened.headers["set-cookie"].partition("=")
    assert name == f"majlis_session_{behind.port}"
    assert attributes.endswith("; Path=/; Max-Age=600; HttpOnly; SameSite=Strict")
    again = await behind.ask("POST", "/session", {"token": token})
    assert (again.status, again.reason) == (401, "login_invalid")
    seen = await behind.ask("GET", "/session", cookie=opened.cookie)
    assert (seen.status, seen.document) == (200, opened.document)
    assert behind.feed.counters["dashboard.opened"] == behind.feed.counters["dashboard.refused"] == 1


async def test_over_https_the_cookie_is_secure(behind: Behind) -> None:
    token = behind.access.link(LoginGrant("read", "uid 1000"))
    headers = {
        "Host": "majlis.example.com",
        "Origin": "https://majlis.example.com",
        "X-Forwarded-Proto": "https",
    }
    opened = await behind.ask("POST", "/session", {"token": token}, headers=headers)
    assert opened.headers["set-cookie"].endswith("; Secure")
    assert opened.cookie.startswith("majlis_session_=")
    assert (await behind.ask("GET", "/session", cookie=opened.cookie, headers=headers)).status == 200


async def test_without_a_session_only_static_pages_are_served(behind: Behind) -> None:
    """Nor with another daemon's cookie, nor with one from before a restart; the error says how to log in."""
    token = behind.access.link(LoginGrant("operate", "uid 1000"))
    right = (await behind.ask("POST", "/session", {"token": token})).cookie
    for cookie in (
        "",
        right.replace("majlis_session_", "majlis_session_1"),
        f"majlis_session_{behind.port}=old",
    ):
        for method, path in (
            ("GET", "/session"),
            ("GET", "/v1/status"),
            ("GET", "/v1/tail"),
            ("POST", "/v1/dead/17/retry"),
            ("GET", "/playground?instance=demo"),
            ("POST", "/playground"),
        ):
            answer = await behind.ask(method, path, cookie=cookie)
            assert (answer.status, answer.reason) == (401, "no_session"), (method, path)
            assert "majlis dashboard" in str(answer.document["message"])
    assert behind.operators.audited == []


async def test_a_session_ends_with_logout_and_with_its_expiry(behind: Behind) -> None:
    cookie = await behind.log_in()
    left = await behind.ask("DELETE", "/session", cookie=cookie)
    assert left.status == 204 and "Max-Age=0" in left.headers["set-cookie"]
    assert (await behind.ask("GET", "/session", cookie=cookie)).status == 401
    cookie = await behind.log_in()
    behind.seconds += 600
    assert (await behind.ask("GET", "/session", cookie=cookie)).status == 401


async def test_a_new_login_in_the_same_browser_ends_the_previous_session(behind: Behind) -> None:
    first = await behind.log_in("read")
    token = behind.access.link(LoginGrant("admin", "uid 0"))
    second = (await behind.ask("POST", "/session", {"token": token}, cookie=first)).cookie
    assert (await behind.ask("GET", "/session", cookie=first)).status == 401
    assert (await behind.ask("GET", "/session", cookie=second)).document["can_reveal"] is True
    assert len(behind.access.sessions) == 1


async def test_guessed_tokens_get_429_and_valid_ones_still_work(behind: Behind) -> None:
    token = behind.access.link(LoginGrant("operate", "uid 1000"))
    statuses = [
        (await behind.ask("POST", "/session", {"token": f"guess {number}"})).status
        for number in range(MAX_FAILURES_PER_MINUTE + 2)
    ]
    assert statuses == [401] * (MAX_FAILURES_PER_MINUTE - 1) + [429] * 3
    assert (await behind.ask("POST", "/session", {"token": token})).status == 200


@pytest.mark.parametrize("body", [None, [], {}, {"token": 3}, "token"])
async def test_an_invalid_login_body_is_refused_with_a_sentence(behind: Behind, body: object) -> None:
    answer = await behind.ask("POST", "/session", body)
    assert (answer.status, answer.reason) == (400, "bad_body")


async def test_requests_from_another_site_are_refused(behind: Behind) -> None:
    cookie = await behind.log_in("admin")
    foreign = {"Sec-Fetch-Site": "same-site"}
    assert (await behind.ask("GET", "/v1/status", cookie=cookie, headers=foreign)).status == 403
    evil = {"Host": "evil.example.com"}
    assert (await behind.ask("GET", "/v1/status", cookie=cookie, headers=evil)).status == 421
    elsewhere = {"Origin": "http://localhost:3000"}
    assert (await behind.ask("POST", "/v1/dead/17/retry", cookie=cookie, headers=elsewhere)).status == 403
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await behind.ask("POST", "/v1/dead/17/retry", cookie=cookie, headers=form)).status == 415
    assert behind.operators.audited == []


# The admin interface


@pytest.mark.parametrize("level", LEVELS)
async def test_a_session_can_do_what_its_level_allows(behind: Behind, level: Level) -> None:
    cookie = await behind.log_in(level)
    may = {"read": (200, 403, 403), "operate": (200, 200, 403), "admin": (200, 200, 200)}
    behind.operators.actors.show(ActorView(DEMO, "parked", (), None, 0, 0, None, ""))
    flush = f"/v1/conversations/{DEMO.instance}/{DEMO.contact}/flush"
    asked = (("GET", "/v1/status"), ("POST", flush), ("GET", "/v1/actors?reveal=true"))
    answers = [await behind.ask(method, path, cookie=cookie) for method, path in asked]
    assert tuple(answer.status for answer in answers) == may[level]
    for answer in answers:
        if answer.status == 403:
            assert answer.reason == "forbidden" and "majlis dashboard" in str(answer.document["message"])


async def test_changes_are_audited_with_the_session(behind: Behind) -> None:
    behind.operators.actors.show(ActorView(DEMO, "parked", (), None, 0, 0, None, ""))
    cookie = await behind.log_in()
    flush = f"/v1/conversations/{DEMO.instance}/{DEMO.contact}/flush"
    assert (await behind.ask("POST", flush, cookie=cookie)).status == 200
    (entry,) = behind.operators.audited
    assert (entry.action, entry.uid, entry.pid, entry.origin) == ("flush", None, None, "dashboard")
    assert behind.operators.actors.flushed == [DEMO]
    assert len(entry.session) == 6


async def test_a_session_cannot_give_itself_a_new_link(behind: Behind) -> None:
    cookie = await behind.log_in("admin")
    answer = await behind.ask("POST", "/v1/dashboard/login", cookie=cookie)
    assert (answer.status, answer.reason) == (403, "forbidden")


async def test_events_stream_until_the_session_ends(behind: Behind) -> None:
    cookie = await behind.log_in()
    async with await trio.open_tcp_stream("127.0.0.1", behind.port) as stream:
        await stream.send_all(behind.request("GET", "/v1/tail?kind=turn", cookie=cookie))
        await until(lambda: behind.feed.tails == 1)
        behind.feed.emit("turn.done", turn=7)
        received = b""
        while b"turn.done" not in received:
            received += await stream.receive_some()
        assert b"application/x-ndjson" in received
        await behind.ask("DELETE", "/session", cookie=cookie)
        behind.feed.emit("turn.done", turn=8)
        rest = b"".join([piece async for piece in stream])
    assert rest == b"0\r\n\r\n"
    await until(lambda: behind.feed.tails == 0)


async def test_event_streams_are_limited_and_released(
    behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With too many tabs some get no stream, and everything else works for them."""
    monkeypatch.setattr(streams, "MAX_STREAMS", 3)
    monkeypatch.setattr(streams, "MAX_STREAMS_PER_SESSION", 2)
    one, other = await behind.log_in(), await behind.log_in()
    opened = []
    for cookie in (one, one, other):
        stream = await trio.open_tcp_stream("127.0.0.1", behind.port)
        opened.append(stream)
        await stream.send_all(behind.request("GET", "/v1/tail", cookie=cookie))
    await until(lambda: behind.feed.tails == 3)
    for cookie in (one, other):
        full = await behind.ask("GET", "/v1/tail", cookie=cookie)
        assert (full.status, full.reason, full.headers["retry-after"]) == (503, "too_many_streams", "10")
        assert (await behind.ask("GET", "/v1/status", cookie=cookie)).status == 200
    refused = await behind.ask("GET", "/v1/tail?kind=nonsense", cookie=other)
    assert refused.status == 503
    await opened.pop().aclose()
    await until(lambda: behind.feed.tails == 2)
    refused = await behind.ask("GET", "/v1/tail?kind=nonsense", cookie=other)
    assert refused.status == 400
    async with await trio.open_tcp_stream("127.0.0.1", behind.port) as stream:
        await stream.send_all(behind.request("GET", "/v1/tail", cookie=other))
        await until(lambda: behind.feed.tails == 3)
    for stream in opened:
        await stream.aclose()
    await until(lambda: behind.feed.tails == 0)


async def test_a_reader_leaves_others_room_to_follow_events(
    behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has the most streams loses his newest to another, down to an equal share."""
    monkeypatch.setattr(streams, "MAX_STREAMS", 4)
    reader, admin = await behind.log_in("read", "uid 1000"), await behind.log_in("admin", "uid 0")
    async with AsyncExitStack() as tabs:

        async def follow(cookie: str) -> trio.SocketStream:
            tab = await tabs.enter_async_context(await trio.open_tcp_stream("127.0.0.1", behind.port))
            await tab.send_all(behind.request("GET", "/v1/tail", cookie=cookie))
            return tab

        greedy = [await follow(reader) for _ in range(4)]
        await until(lambda: behind.feed.tails == 4)
        for lost in (greedy[3], greedy[2]):
            await follow(admin)
            with trio.fail_after(PATIENCE_SECONDS):
                received = b"".join([piece async for piece in lost])
            assert received.endswith(b"0\r\n\r\n")
            await until(lambda: behind.feed.tails == 4)
        for cookie in (reader, admin):
            assert (await behind.ask("GET", "/v1/tail", cookie=cookie)).status == 503


async def test_a_closed_session_ends_at_once_with_its_streams(behind: Behind) -> None:
    cookie = await behind.log_in()
    sessions = OpenSessions(behind.access, 600.0, lambda: behind.seconds, behind.feed)
    async with await trio.open_tcp_stream("127.0.0.1", behind.port) as stream:
        await stream.send_all(behind.request("GET", "/v1/tail", cookie=cookie))
        await until(lambda: behind.feed.tails == 1)
        behind.seconds += 60
        (view,) = sessions.views()
        assert (view.asked_by, view.open_seconds, view.seconds_left, view.streams) == ("test", 60, 540, 1)
        assert sessions.close([view.session, "other"], "uid 0") == [view.session]
        with trio.fail_after(PATIENCE_SECONDS):
            received = b"".join([piece async for piece in stream])
    assert received.endswith(b"0\r\n\r\n")
    assert (await behind.ask("GET", "/v1/status", cookie=cookie)).reason == "no_session"
    assert behind.feed.counters["dashboard.closed"] == 1 and sessions.views() == []


async def test_a_page_that_reads_too_slowly_is_disconnected() -> None:
    """Nothing waits for it, and its stream no longer counts."""
    async with Behind(Limits(write_seconds=0.2)).open() as behind:
        cookie = await behind.log_in()
        async with await trio.open_tcp_stream("127.0.0.1", behind.port) as stream:
            await stream.send_all(behind.request("GET", "/v1/tail", cookie=cookie))
            await until(lambda: behind.feed.tails == 1)
            with trio.fail_after(PATIENCE_SECONDS):
                while behind.feed.tails:
                    for _ in range(100):
                        behind.feed.emit("daemon.problem", part="x" * 2_000)
                    await trio.sleep(0.01)
            await until(lambda: behind.server.counters.connections == 0)
        assert (await behind.ask("GET", "/v1/status", cookie=cookie)).status == 200


async def test_stopping_ends_event_streams_at_once(behind: Behind) -> None:
    cookie = await behind.log_in()
    async with await trio.open_tcp_stream("127.0.0.1", behind.port) as stream:
        await stream.send_all(behind.request("GET", "/v1/tail", cookie=cookie))
        await until(lambda: behind.feed.tails == 1)
        with trio.fail_after(PATIENCE_SECONDS):
            await behind.server.drain()
            received = b"".join([piece async for piece in stream])
    assert received.endswith(b"0\r\n\r\n")
