"""The link to log in to the dashboard, and who is logged in."""

from __future__ import annotations

import json

import pytest

from actors.errors import LedgerUnavailable
from daemon.operate.call import Caller
from daemon.web.http1 import Peer, Request
from tests.support.operators import LINK, Operators

REQUEST = Request(
    "POST", "/v1/dashboard/login", ("v1", "dashboard", "login"), {}, {}, b"", Peer("unix", uid=0, pid=7)
)


async def test_a_link_has_the_level_of_its_caller_and_is_recorded() -> None:
    operators = Operators()
    answer = await operators.api.answer(REQUEST, Caller("operate"))
    document = json.loads(answer.body)
    assert (answer.status, document["url"], document["level"]) == (200, LINK, "operate")
    assert [(entry.action, entry.target) for entry in operators.audited] == [
        ("dashboard-login", "level operate")
    ]


async def test_without_a_dashboard_there_is_no_link() -> None:
    operators = Operators()
    operators.no_dashboard = "dashboard.listen is null."
    answer = await operators.api.answer(REQUEST, Caller("admin"))
    assert answer.status == 409 and b"dashboard.listen is null" in answer.body


async def test_a_session_of_the_dashboard_cannot_prolong_itself() -> None:
    operators = Operators()
    answer = await operators.api.answer(REQUEST, Caller("admin", "dashboard", "a1b2c3"))
    assert answer.status == 403 and operators.audited == []


# Sessions


def asking(method: str, path: str, uid: int = 1000) -> Request:
    return Request(method, path, tuple(path.split("/")[1:]), {}, {}, b"", Peer("unix", uid=uid, pid=7))


SESSIONS = "/v1/dashboard/sessions"


def with_browsers() -> Operators:
    operators = Operators()
    operators.browsers.log_in("aaaaaa", "admin", "uid 0")
    operators.browsers.log_in("bbbbbb", "read", "uid 1000")
    operators.browsers.log_in("cccccc", "read", "uid 1000")
    return operators


async def test_everyone_may_see_who_is_logged_in() -> None:
    answer = await with_browsers().api.answer(asking("GET", SESSIONS), Caller("read"))
    listed = json.loads(answer.body)["sessions"]
    assert [(each["session"], each["asked_by"], each["streams"]) for each in listed] == [
        ("aaaaaa", "uid 0", 1),
        ("bbbbbb", "uid 1000", 1),
        ("cccccc", "uid 1000", 1),
    ]
    assert [each["may_close"] for each in listed] == [False, True, True]
    assert not any(each["is_yours"] for each in listed)  # the caller is no browser


@pytest.mark.parametrize(
    ("caller", "closed"),
    [
        (Caller("admin"), "aaaaaa bbbbbb cccccc"),
        (Caller("operate"), "bbbbbb cccccc"),  # by uid 1000
        (Caller("read", "dashboard", "bbbbbb"), "bbbbbb cccccc"),
        (Caller("read", "dashboard", "ended!"), ""),
    ],
)
async def test_others_than_admins_close_only_their_own_sessions(caller: Caller, closed: str) -> None:
    operators = with_browsers()
    for session in ("aaaaaa", "bbbbbb"):
        answer = await operators.api.answer(asking("POST", f"{SESSIONS}/{session}/close"), caller)
        assert answer.status == (200 if session in closed else 403)
    done = [name for name, _ in operators.browsers.closed]
    assert [entry.target for entry in operators.audited] == [f"session {name}" for name in done]
    operators = with_browsers()
    answer = await operators.api.answer(asking("POST", f"{SESSIONS}/close"), caller)
    assert json.loads(answer.body)["closed"] == closed.split()
    by = "session bbbbbb" if caller.origin else "uid 1000"
    assert operators.browsers.closed == [(name, by) for name in closed.split()]
    assert [entry.action for entry in operators.audited] == ["dashboard-close"]


async def test_no_session_is_closed_that_is_not_there_or_unrecorded() -> None:
    operators = with_browsers()
    answer = await operators.api.answer(asking("POST", f"{SESSIONS}/dddddd/close"), Caller("admin"))
    assert answer.status == 404 and b"majlis dashboard sessions" in answer.body
    operators.audit_fails = LedgerUnavailable("away")
    answer = await operators.api.answer(asking("POST", f"{SESSIONS}/aaaaaa/close"), Caller("admin"))
    assert answer.status == 503 and operators.browsers.closed == []
