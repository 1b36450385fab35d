"""What chat completions have of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import TurnFailed, TurnRefused
from actors.messages import HistoryEntry
from actors.prompt import EARLIER, ModelRequest
from daemon.responders.batched import SCHEMA
from daemon.responders.dialect import Endpoint, Wishes, count
from daemon.responders.error_words import FailureKind
from daemon.responders.failures import kind_of, trouble_inside, trouble_of
from daemon.responders.openai import OpenAi
from daemon.web.answer import HttpAnswer
from daemon.web.client import HttpClient
from tests.support.models import SERVERS, dialect_of, prompt, provider_at
from tests.support.openai_server import FakeOpenAI, completion

TOLD = ModelRequest("Be brief.", (HistoryEntry("user", "hello"),))


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI().running() as fake:
        yield fake


@pytest.mark.parametrize(
    ("base_url", "bound"),
    [
        (None, "max_completion_tokens"),
        ("https://eu.api.openai.com/v1", "max_completion_tokens"),
        ("https://shop.openai.azure.com/openai/v1", "max_completion_tokens"),
        ("http://localhost:11434/v1", "max_tokens"),
        ("https://openai.com.example/v1", "max_tokens"),
    ],
)
def test_the_token_bound_has_the_name_that_the_server_knows(base_url: str | None, bound: str) -> None:
    body = OpenAi(Endpoint("m", base_url=base_url, max_output_tokens=50)).body(TOLD)
    assert body[bound] == 50
    assert set(body) == {"model", "messages", bound}


def test_a_schema_is_asked_for_strictly() -> None:
    body = OpenAi(Endpoint("m")).body(ModelRequest("", TOLD.turns, 3, SCHEMA))
    schema = {"name": "answers", "strict": True, "schema": SCHEMA}
    assert body["response_format"] == {"type": "json_schema", "json_schema": schema}


def test_what_the_settings_wish_is_sent() -> None:
    body = OpenAi(Endpoint("m", wishes=Wishes(0.0, "none"))).body(TOLD)
    assert (body["temperature"], body["reasoning_effort"]) == (0.0, "none")


def test_texts_of_one_side_are_lines_of_one_message() -> None:
    turns = (HistoryEntry("assistant", "Hello!"), HistoryEntry("user", "hi"), HistoryEntry("user", "open?"))
    assert OpenAi(Endpoint("m")).body(ModelRequest("Be brief.", turns))["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": EARLIER},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "hi\nopen?"},
    ]


async def test_a_refused_call_for_several_conversations_tells_what_it_cost(
    server: FakeOpenAI, http: HttpClient
) -> None:
    server.order(
        "status", status=200, body={**completion(None), "choices": [{"message": {"refusal": "No."}}]}
    )
    with pytest.raises(TurnRefused) as refusal:
        await provider_at(server, http).answer_together({"a": prompt("one"), "b": prompt("two")})
    assert (refusal.value.spent.input_tokens, refusal.value.spent.output_tokens) == (11, 7)


def test_without_a_key_no_header_is_sent() -> None:
    assert OpenAi(Endpoint("m")).headers == {}
    assert OpenAi(Endpoint("m", "k")).headers == {"authorization": "Bearer k"}


@pytest.mark.parametrize(
    "error",
    [
        {"type": "insufficient_quota", "code": "insufficient_quota"},
        {"type": "insufficient_quota", "code": None},
        {"type": "billing_not_active", "code": "billing_not_active"},
    ],
)
async def test_an_account_without_money_is_not_waited_for(
    server: FakeOpenAI, http: HttpClient, error: dict[str, object]
) -> None:
    server.order(
        "status", status=429, body={"error": {"message": "You exceeded your current quota", **error}}
    )
    with pytest.raises(TurnFailed) as failure:
        await provider_at(server, http).answer(prompt("hello"))
    assert failure.value.reason == "bad_key"


@pytest.mark.parametrize("code", ["content_filter", "invalid_prompt"])
async def test_a_flagged_question_is_refused_by_policy(
    server: FakeOpenAI, http: HttpClient, code: str
) -> None:
    server.order("status", status=400, body={"error": {"type": "invalid_request_error", "code": code}})
    with pytest.raises(TurnRefused) as refusal:
        await provider_at(server, http).answer(prompt("hello"))
    assert refusal.value.reason == "refused_by_policy"


def test_an_empty_error_beside_an_answer_is_none() -> None:
    assert trouble_inside({**completion("Yes."), "error": {"message": "", "type": "", "code": None}}) is None


def test_what_is_repeated_from_the_question_is_not_read() -> None:
    """A customer's words in an error decide nothing."""
    error = {
        "message": "Invalid value",
        "type": "invalid_request_error",
        "input": "content policy, our safety system",
    }
    answer = HttpAnswer(
        400, {}, json.dumps({"error": error, "messages": [{"message": "was flagged for"}]}).encode()
    )
    assert kind_of(trouble_of(answer)) == "bad_request"


def test_a_spoken_refusal_is_a_refusal() -> None:
    message = {"content": None, "refusal": "I cannot help with that."}
    assert OpenAi(Endpoint("m")).read({"choices": [{"message": message}]}).refused


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Yes.", "Yes."),
        ([{"type": "text", "text": "Ye"}, {"type": "text", "text": "s."}], "Yes."),
        ([{"type": "image"}, "loose", {"text": "Yes."}], "Yes."),
        (None, ""),
        (7, ""),
    ],
)
def test_content_as_text_and_as_parts(content: object, text: str) -> None:
    completion = OpenAi(Endpoint("m")).read({"choices": [{"message": {"content": content}}]})
    assert completion.text == text


@pytest.mark.parametrize(
    ("value", "tokens"),
    [(3, 3), (0, 0), ("3", 0), (None, 0), (True, 0), (2**40, 0), (-1, 0), (1.5, 0), ([], 0)],
)
def test_token_counts_are_not_trusted(value: object, tokens: int) -> None:
    assert count(value) == tokens


NAMES = st.sampled_from(
    [
        *(
            "choices",
            "message",
            "content",
            "text",
            "usage",
            "model",
            "refusal",
            "finish_reason",
            "error",
            "code",
        ),
        *("candidates", "parts", "finishReason", "promptFeedback", "usageMetadata", "details", "retryDelay"),
        *("stop_reason", "type", "status", "thought"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)


@pytest.mark.parametrize("kind", list(SERVERS))
@given(payload=JSON, status=st.integers(100, 599))
def test_any_json_is_read_or_judged(kind: str, payload: object, status: int) -> None:
    """I14: of every dialect."""
    dialect = dialect_of(kind, Endpoint("m", "k"))
    completion = dialect.read(payload)
    assert isinstance(completion.text, str)
    answer = HttpAnswer(status, {}, json.dumps(payload).encode())
    for trouble in (trouble_of(answer), trouble_inside(payload)):
        if trouble is not None:
            assert (dialect.verdict(trouble) or kind_of(trouble)) in get_args(FailureKind)
    wish = dialect.retry_after_seconds(payload)
    assert wish is None or wish >= 0
    json.dumps([dialect.url, dialect.probe_url])
