"""What Gemini's generateContent has of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actors.errors import TurnFailed
from actors.messages import HistoryEntry
from actors.prompt import ModelRequest
from daemon.responders.batched import SCHEMA
from daemon.responders.dialect import Endpoint, Wishes
from daemon.responders.gemini import Gemini
from daemon.web.client import HttpClient
from tests.support.gemini_server import FakeGemini, error, retry_info
from tests.support.models import prompt, provider_at

DIALECT = Gemini(Endpoint("gemini-x", "k", max_output_tokens=50))


@pytest.fixture
def server() -> Iterator[FakeGemini]:
    with FakeGemini().running() as fake:
        yield fake


@pytest.mark.parametrize("model", ["gemini-x", "models/gemini-x"])
def test_the_request_has_its_address_and_headers(model: str) -> None:
    dialect = Gemini(Endpoint(model, "k"))
    at = "https://generativelanguage.googleapis.com/v1beta/models/gemini-x"
    assert (dialect.probe_url, dialect.url) == (at, f"{at}:generateContent")
    assert dialect.headers == {"x-goog-api-key": "k"}


def test_the_request_has_the_form_of_this_api() -> None:
    turns = (HistoryEntry("user", "hi"), HistoryEntry("assistant", "Hello!"), HistoryEntry("user", "open?"))
    assert DIALECT.body(ModelRequest("Be brief.", turns)) == {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}]},
            {"role": "model", "parts": [{"text": "Hello!"}]},
            {"role": "user", "parts": [{"text": "open?"}]},
        ],
        "generationConfig": {"maxOutputTokens": 50},
    }


@pytest.mark.parametrize(
    ("model", "effort", "config"),
    [
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("models/gemini-2.5-pro", "low", {"thinkingBudget": 1024}),
        ("gemini-2.5-flash", "high", {"thinkingBudget": 24576}),
        ("gemini-3-pro", "medium", {"thinkingLevel": "medium"}),
        ("gemini-3-flash", "none", {"thinkingLevel": "minimal"}),
        ("gemini-3-pro", "max", {"thinkingLevel": "high"}),
    ],
)
def test_the_effort_has_the_form_of_this_api(model: str, effort: str, config: dict[str, object]) -> None:
    dialect = Gemini(Endpoint(model, wishes=Wishes(0.5, effort)))
    sent = dialect.body(ModelRequest("", (HistoryEntry("user", "hi"),)))["generationConfig"]
    assert sent == {"maxOutputTokens": 1_024, "temperature": 0.5, "thinkingConfig": config}


def test_a_schema_has_the_form_of_this_api() -> None:
    body = DIALECT.body(ModelRequest("", (HistoryEntry("user", "hi"),), 2, SCHEMA))
    config = body["generationConfig"]
    assert isinstance(config, dict)
    assert (config["maxOutputTokens"], config["responseMimeType"]) == (100, "application/json")
    schema = config["responseSchema"]
    assert set(schema) == {"type", "properties", "required"}
    assert schema["type"] == "OBJECT"
    entry = schema["properties"]["answers"]["items"]
    assert set(entry) == {"type", "properties", "required"}
    assert entry["properties"]["requestedFields"] == {"type": "ARRAY", "items": {"type": "STRING"}}


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [
        ("58s", 58),
        ("45.837906927s", 46),
        ("0s", 0),
        ("90000s", 3600),
        ("soon", None),
        ("-3s", None),
        (7, None),
    ],
)
async def test_the_wait_is_read_from_the_body(
    server: FakeGemini, http: HttpClient, delay: str, seconds: float | None
) -> None:
    body = error(429, "RESOURCE_EXHAUSTED", {"@type": "other"}, retry_info(delay))
    server.order("status", status=429, body=body)
    with pytest.raises(TurnFailed) as failure:
        await provider_at(server, http).answer(prompt("hello"))
    assert (failure.value.reason, failure.value.retry_after_seconds) == ("rate_limited", seconds)


async def test_a_wrong_key_is_a_bad_request_that_says_so(server: FakeGemini, http: HttpClient) -> None:
    with pytest.raises(TurnFailed) as failure:
        await provider_at(server, http, api_key="wrong").answer(prompt("hello"))
    assert failure.value.reason == "bad_key"


@pytest.mark.parametrize(
    ("status", "word", "reason"),
    [
        (400, "FAILED_PRECONDITION", "bad_key"),
        (402, "RESOURCE_EXHAUSTED", "bad_key"),
        (403, "PERMISSION_DENIED", "bad_key"),
        (400, "INVALID_ARGUMENT", "bad_request"),
        (404, "NOT_FOUND", "not_found"),
        (500, "INTERNAL", "server_error"),
        (503, "UNAVAILABLE", "overloaded"),
        (504, "DEADLINE_EXCEEDED", "timed_out"),
    ],
)
async def test_errors_that_another_attempt_or_provider_may_avoid(
    server: FakeGemini, http: HttpClient, status: int, word: str, reason: str
) -> None:
    server.order("status", status=status, body=error(status, word))
    with pytest.raises(TurnFailed) as failure:
        await provider_at(server, http).answer(prompt("hello"))
    assert failure.value.reason == reason


@pytest.mark.parametrize("reason", ["SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"])
def test_a_blocked_answer_is_cut_by_a_filter(reason: str) -> None:
    parts = {"parts": [{"text": "half an"}]}
    assert DIALECT.read({"candidates": [{"content": parts, "finishReason": reason}]}).cut == "filter"


@pytest.mark.parametrize("reason", ["SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT"])
def test_a_blocked_question_is_refused_by_policy(reason: str) -> None:
    assert DIALECT.read({"promptFeedback": {"blockReason": reason}}).refused


def test_thoughts_are_paid_for_and_not_sent() -> None:
    parts = [{"text": "hm", "thought": True}, {"text": "Ye"}, {"text": "s."}]
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 4, "thoughtsTokenCount": 5}
    completion = DIALECT.read(
        {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}], "usageMetadata": usage}
    )
    assert (completion.text, completion.input_tokens, completion.output_tokens) == ("Yes.", 3, 9)
