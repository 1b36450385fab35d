"""The playground over HTTP: messages go in as webhooks; who may write, and what is refused."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from actors.errors import LedgerUnavailable
from daemon.dashboard.playground import MAX_MESSAGES_PER_MINUTE, MAX_TEXT_CHARS
from daemon.gateways.playground import Line
from daemon.ingress.answers import Readiness
from tests.daemon.dashboard.browser import Behind, customer


@pytest.fixture
async def behind() -> AsyncIterator[Behind]:
    async with Behind().open() as opened:
        yield opened


async def test_a_message_goes_in_as_a_webhook_and_the_answer_comes_back(behind: Behind) -> None:
    cookie = await behind.log_in()
    shown = await behind.ask("GET", "/playground?instance=demo", cookie=cookie)
    assert shown.status == 200 and shown.document["messages"] == []
    assert (shown.document["window_seconds"], shown.document["max_messages"]) == (2.0, 5)
    conversation = customer(shown)
    assert conversation.partition(4) == 3, "this daemon's own"
    assert shown.document["label"] == behind.feed.label(conversation)
    said = await behind.ask("POST", "/playground", {"instance": "demo", "text": "مرحبا, hello"}, cookie)
    assert said.status == 200 and said.document["label"] == shown.document["label"]
    (message,) = behind.accepted
    assert (message.conversation, message.text, message.id) == (
        conversation,
        "مرحبا, hello",
        said.document["id"],
    )
    assert message.server_origin == "" and message.lid == ""
    behind.chats.say(conversation, Line("R", "majlis", "Heard 1", 5))
    shown = await behind.ask("GET", "/playground?instance=demo", cookie=cookie)
    messages = shown.document["messages"]
    assert isinstance(messages, list)
    assert [(one["id"], one["from"], one["text"]) for one in messages] == [
        (said.document["id"], "customer", "مرحبا, hello"),
        ("R", "majlis", "Heard 1"),
    ]


async def test_customers_belong_to_one_session_and_one_instance(behind: Behind) -> None:
    one, other = await behind.log_in(), await behind.log_in()
    asked = [(one, "demo"), (one, "demo"), (one, "other"), (other, "demo")]
    shown = [await behind.ask("GET", f"/playground?instance={name}", cookie=cookie) for cookie, name in asked]
    found = [customer(answer) for answer in shown]
    assert found[0] == found[1] and len(set(found)) == 3
    renewed = await behind.ask("POST", "/playground/new", {"instance": "demo"}, one)
    assert customer(renewed) not in found and renewed.document["messages"] == []
    await behind.ask("POST", "/playground", {"instance": "demo", "text": "hello"}, other)
    assert behind.accepted[0].conversation == found[3]


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"instance": "demo", "text": " \n"}, 400, "bad_text"),
        ({"instance": "demo", "text": "x" * (MAX_TEXT_CHARS + 1)}, 400, "bad_text"),
        ({"instance": "nobody", "text": "hello"}, 404, "no_such_instance"),
        ({"instance": "", "text": "hello"}, 404, "no_such_instance"),
        ({"text": "hello"}, 400, "bad_body"),
        ({"instance": "demo", "text": 5}, 400, "bad_body"),
        ("hello", 400, "bad_body"),
    ],
)
async def test_invalid_messages_are_refused_with_a_sentence(
    behind: Behind, body: object, status: int, reason: str
) -> None:
    cookie = await behind.log_in()
    answer = await behind.ask("POST", "/playground", body, cookie)
    assert (answer.status, answer.reason) == (status, reason)
    assert behind.accepted == []


async def test_a_message_that_was_not_stored_is_not_shown(behind: Behind) -> None:
    cookie = await behind.log_in()
    behind.mirror_is_away = True
    away = await behind.ask("POST", "/playground", {"instance": "demo", "text": "hello"}, cookie)
    assert (away.status, away.reason) == (503, "mirror_unavailable")
    assert away.headers["retry-after"] and "Redis" in str(away.document["message"])
    behind.readiness = Readiness(False, ("Majlis is starting.",))
    starting = await behind.ask("POST", "/playground", {"instance": "demo", "text": "hello"}, cookie)
    assert (starting.status, starting.reason) == (503, "not_ready")
    shown = await behind.ask("GET", "/playground?instance=demo", cookie=cookie)
    assert shown.document["messages"] == []


async def test_messages_per_minute_are_limited(behind: Behind) -> None:
    cookie, other = await behind.log_in(), await behind.log_in()
    said = {"instance": "demo", "text": "hello"}
    statuses = [
        (await behind.ask("POST", "/playground", said, cookie)).status for _ in range(MAX_MESSAGES_PER_MINUTE)
    ]
    assert set(statuses) == {200}
    much = await behind.ask("POST", "/playground", said, cookie)
    assert (much.status, much.reason) == (429, "too_many_messages") and much.headers["retry-after"]
    assert (await behind.ask("POST", "/playground", said, other)).status == 200


async def test_the_playground_needs_level_operate(behind: Behind) -> None:
    cookie = await behind.log_in("read")
    for method, path in (
        ("GET", "/playground?instance=demo"),
        ("POST", "/playground"),
        ("POST", "/playground/new"),
    ):
        answer = await behind.ask(method, path, {"instance": "demo", "text": "hello"}, cookie)
        assert (answer.status, answer.reason) == (403, "forbidden")
    assert behind.accepted == []


async def test_an_unavailable_ledger_is_reported_in_a_sentence(
    behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_instance: str) -> bool:
        raise LedgerUnavailable("Postgres is away")

    async def broken(_instance: str) -> bool:
        raise RuntimeError("a text that must not be shown")

    cookie = await behind.log_in()
    monkeypatch.setattr(behind.playground, "_knows", away)
    answer = await behind.ask("GET", "/playground?instance=demo", cookie=cookie)
    assert (answer.status, answer.reason) == (503, "unavailable")
    monkeypatch.setattr(behind.playground, "_knows", broken)
    answer = await behind.ask("GET", "/playground?instance=demo", cookie=cookie)
    assert (answer.status, answer.reason) == (500, "failed")
    assert "must not be shown" not in json.dumps(answer.document)
    assert behind.feed.counters["admin.failed"] == 1
