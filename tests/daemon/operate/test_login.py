"""The link to log in to the dashboard."""

from __future__ import annotations

import json

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
