"""What Anthropic's messages have of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actors.errors import TurnFailed
from actors.messages import HistoryEntry
from actors.prompt import ModelRequest
from daemon.responders.anthropic import Anthropic
from daemon.responders.dialect import Endpoint, Wishes
from daemon.web.client import HttpClient
from tests.support.anthropic_server import FakeAnthropic, error
from tests.support.models import prompt, provider_at


@pytest.fixture
def server() -> Iterator[FakeAnthropic]:
    with FakeAnthropic().running() as fake:
        yield fake


def test_the_request_has_its_address_and_headers() -> None:
    dialect = Anthropic(Endpoint("claude-x", "k", max_output_tokens=50))
    assert dialect.url == "https://api.anthropic.com/v1/messages"
    assert dialect.probe_url == "https://api.anthropic.com/v1/models/claude-x"
    assert dialect.headers == {"x-api-key": "k", "anthropic-version": "2023-06-01"}


@pytest.mark.parametrize(
    "base_url",
    [
        "https://api.anthropic.com",
        "https://api.anthropic.com/",
        "https://api.anthropic.com/v1",
        "https://api.anthropic.com/v1/messages",
    ],
)
def test_the_address_may_lack_its_version_as_for_its_own_clients(base_url: str) -> None:
    assert Anthropic(Endpoint("m", base_url=base_url)).url == "https://api.anthropic.com/v1/messages"


@pytest.mark.parametrize(
    ("effort", "sent"),
    [
        (None, {}),
        ("none", {"thinking": {"type": "disabled"}}),
        ("minimal", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}),
        ("max", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}),
    ],
)
def test_the_effort_has_the_form_of_this_api(effort: str | None, sent: dict[str, object]) -> None:
    turns = (HistoryEntry("user", "hi"),)
    body = Anthropic(Endpoint("m", wishes=Wishes(0.5, effort))).body(ModelRequest("", turns))
    assert body.pop("temperature") == 0.5
    assert {
        name: value for name, value in body.items() if name not in ("model", "max_tokens", "messages")
    } == sent


def test_texts_of_one_side_are_blocks_of_one_message() -> None:
    turns = (HistoryEntry("user", "hi"), HistoryEntry("user", "open?"))
    body = Anthropic(Endpoint("m", max_output_tokens=50)).body(ModelRequest("Be brief.", turns, 2))
    blocks = [{"type": "text", "text": "hi"}, {"type": "text", "text": "open?"}]
    assert body == {
        "model": "m",
        "max_tokens": 100,
        "system": "Be brief.",
        "messages": [{"role": "user", "content": blocks}],
    }


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [
        ("authentication_error", 401, "bad_key"),
        ("billing_error", 402, "bad_key"),
        ("permission_error", 403, "bad_key"),
        ("not_found_error", 404, "not_found"),
        ("rate_limit_error", 429, "rate_limited"),
        ("api_error", 500, "server_error"),
        ("overloaded_error", 529, "overloaded"),
        ("overloaded_error", 400, "overloaded"),
        ("timeout_error", 504, "timed_out"),
        ("request_too_large", 413, "too_long"),
        ("invalid_request_error", 400, "bad_request"),
        ("a_new_error", 503, "overloaded"),
    ],
)
async def test_errors_are_recognised_by_their_type(
    server: FakeAnthropic, http: HttpClient, kind: str, status: int, reason: str
) -> None:
    server.order("status", status=status, body=error(kind))
    with pytest.raises(TurnFailed) as failure:
        await provider_at(server, http).answer(prompt("hello"))
    assert failure.value.reason == reason


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, error("invalid_request_error", "Your credit balance is too low to access the Anthropic API.")),
        (400, error("invalid_request_error", "You have reached your specified API usage limits.")),
        (429, error("rate_limit_error", error_code="enforced_spend_limit_reached")),
    ],
)
async def test_an_account_without_money_is_not_a_refusal_of_the_prompt(
    server: FakeAnthropic, http: HttpClient, status: int, body: object
) -> None:
    server.order("status", status=status, body=body)
    with pytest.raises(TurnFailed) as failure:
        await provider_at(server, http).answer(prompt("hello"))
    assert failure.value.reason == "bad_key"


def test_blocks_without_text_are_left_out() -> None:
    blocks = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Yes."}]
    completion = Anthropic(Endpoint("m")).read({"content": blocks, "stop_reason": "end_turn"})
    assert completion.text == "Yes."
