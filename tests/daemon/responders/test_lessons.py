"""What models turn out not to want: read from their refusals, and remembered."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import pytest

from actors.errors import TurnFailed
from actors.messages import HistoryEntry
from actors.prompt import DEFAULT_SYSTEM_PROMPT, ModelRequest
from daemon.responders.batched import SCHEMA
from daemon.responders.dialect import Endpoint, Wishes
from daemon.responders.failures import trouble_of
from daemon.responders.http_provider import HttpProvider
from daemon.responders.lessons import (
    MAX_MODELS,
    SYSTEM_ROLE,
    Lessons,
    adapted,
    lesson_of,
    merged,
    without_system_role,
)
from daemon.web.answer import HttpAnswer
from daemon.web.client import HttpClient
from tests.support.models import dialect_of, prompt
from tests.support.openai_server import FakeOpenAI
from tests.support.providers import RecordedFeed

WISHES = Wishes(temperature=0.2, reasoning_effort="low")
TOLD = ModelRequest("Be brief.", (HistoryEntry("user", "hello"),), schema=SCHEMA)
OPENAI, AZURE = "http://localhost/v1", "https://shop.openai.azure.com/openai/v1"


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI().running() as fake:
        yield fake


def asker(
    server: FakeOpenAI, http: HttpClient, lessons: Lessons, wishes: Wishes = WISHES, name: str = "main"
) -> HttpProvider:
    endpoint = Endpoint(server.model, server.api_key, server.base_url, wishes=wishes)
    return HttpProvider(http, name, dialect_of("openai", endpoint), lessons=lessons)


async def test_what_a_model_refuses_is_left_out_within_the_call_and_in_all_later_ones(
    server: FakeOpenAI, http: HttpClient
) -> None:
    """I14: no turn fails for it; it is told once, whoever asks that model."""
    server.insists |= {"alternation", "no_system", "max_completion_tokens", "own_temperature"}
    feed = RecordedFeed()
    lessons = Lessons(feed)
    server.text_for = lambda asked: "Yes."
    assert (await asker(server, http, lessons).answer(prompt("hello"))).text == "Yes."
    (taken,) = server.questions
    assert "temperature" not in taken.body and "max_tokens" not in taken.body
    assert (taken.body["max_completion_tokens"], taken.body["reasoning_effort"]) == (1_024, "low")
    assert taken.roles == ("user",) and taken.texts[0].startswith(DEFAULT_SYSTEM_PROMPT)
    assert [(name, fields["parameter"]) for name, fields in feed.events] == [
        ("provider.learned", parameter) for parameter in (SYSTEM_ROLE, "max_tokens", "temperature")
    ]
    before = server.requests
    await asker(server, http, lessons, name="another instance's").answer(prompt("again"))
    assert server.requests == before + 1
    assert len(feed.events) == 3


async def test_what_the_settings_add_stays_and_fails(server: FakeOpenAI, http: HttpClient) -> None:
    server.insists.add("own_temperature")
    lessons = Lessons()
    with pytest.raises(TurnFailed) as failure:
        await asker(server, http, lessons, Wishes(extra_body={"temperature": 0.2})).answer(prompt("hello"))
    assert failure.value.reason == "bad_request"
    assert server.requests == 1


async def test_what_did_not_help_is_not_believed(server: FakeOpenAI, http: HttpClient) -> None:
    server.insists.add("own_temperature")
    wishes = Wishes(temperature=0.2, extra_body={"max_tokens": 7})
    server.insists.add("max_completion_tokens")
    lessons = Lessons()
    provider = asker(server, http, lessons, wishes)
    with pytest.raises(TurnFailed):
        await provider.answer(prompt("hello"))
    assert lessons.of(f"{server.base_url}/chat/completions", server.model) == ()


REFUSALS: list[tuple[str, str, int, Mapping[str, object], str | None]] = [
    ("openai", OPENAI, 400, {"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with this "
     "model. Use 'max_completion_tokens' instead.", "code": "invalid_request_body"}}, "max_tokens"),
    ("openai", OPENAI, 400, {"error": {"message": "Unrecognized request argument supplied: reasoning_effort",
     "type": "invalid_request_error", "param": None, "code": None}}, "reasoning_effort"),
    ("openai", AZURE, 422, {"object": "error", "message": {"detail": [{"type": "extra_forbidden", "loc":
     ["body", "max_completion_tokens"], "msg": "Extra inputs are not permitted", "input": 32000}]},
     "type": "invalid_request_error", "param": None, "code": None}, "max_completion_tokens"),
    ("openai", AZURE, 400, {"error": {"message": "Unrecognized request argument supplied: max_completion_tokens",
     "type": "invalid_request_error"}}, "max_completion_tokens"),
    ("openai", OPENAI, 400, {"error": {"message": "Unsupported value: 'reasoning_effort' does not support 'minimal' "
     "with this model.", "param": "reasoning_effort", "code": "unsupported_value"}}, "reasoning_effort"),
    ("openai", OPENAI, 400, {"error": {"message": "Unsupported value: 'messages[0].role' does not support 'system' "
     "with this model.", "param": "messages[0].role", "code": "unsupported_value"}}, SYSTEM_ROLE),
    ("openai", OPENAI, 500, {"error": {"code": 500, "message": "... Error: Jinja Exception: System role not supported",
     "type": "server_error"}}, SYSTEM_ROLE),
    ("openai", OPENAI, 400, {"error": {"message": "This response_format type is unavailable now",
     "type": "invalid_request_error"}}, "response_format"),
    ("openai", OPENAI, 400, {"error": {"message": "This model does not support response format `json_schema`.",
     "type": "invalid_request_error", "param": None}}, "response_format"),
    ("openai", OPENAI, 400, {"error": {"message": "max_tokens is too large: 32768. This model supports at most 16384 "
     "completion tokens.", "param": "max_tokens", "code": "invalid_value"}}, None),
    ("openai", OPENAI, 400, {"error": {"message": "Unsupported parameter: 'stop' is not supported with this model.",
     "param": "stop", "code": "unsupported_parameter"}}, None),
    ("openai", OPENAI, 400, {"error": {"message": "Unsupported image; temperature was fine",
     "param": "messages"}}, None),
    ("anthropic", "https://api.anthropic.com/v1", 400, {"type": "error", "error": {"type": "invalid_request_error",
     "message": "`temperature` may only be set to 1 when thinking is enabled or in adaptive mode."}}, "temperature"),
    ("anthropic", "https://api.anthropic.com/v1", 400, {"type": "error", "error": {"type": "invalid_request_error",
     "message": "This model does not support the effort parameter."}}, "output_config"),
    ("anthropic", "https://api.anthropic.com/v1", 400, {"type": "error", "error": {"type": "invalid_request_error",
     "message": "adaptive thinking is not supported on this model"}}, "thinking"),
    ("anthropic", "https://api.anthropic.com/v1", 400, {"type": "error", "error": {"type": "invalid_request_error",
     "message": "`temperature` and `top_p` cannot both be specified for this model. Please use only one."}},
     "temperature"),
    ("gemini", "https://generativelanguage.googleapis.com/v1beta", 400, {"error": {"code": 400, "message": "Developer "
     "instruction is not enabled for models/gemma-3-27b-it", "status": "INVALID_ARGUMENT"}}, SYSTEM_ROLE),
    ("gemini", "https://generativelanguage.googleapis.com/v1beta", 400, {"error": {"code": 400, "message": "Thinking "
     "level is not supported for this model.", "status": "INVALID_ARGUMENT"}}, "generationConfig.thinkingConfig"),
    ("gemini", "https://generativelanguage.googleapis.com/v1beta", 400, {"error": {"code": 400, "message": "JSON mode "
     "is not enabled for models/gemma-3-27b-it", "status": "INVALID_ARGUMENT"}}, "generationConfig.responseSchema"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "base_url", "status", "body", "lesson"), REFUSALS)
def test_what_a_refusal_teaches(
    kind: str, base_url: str, status: int, body: Mapping[str, object], lesson: str | None
) -> None:
    """And the request without it is another one, with everything else in it."""
    dialect = dialect_of(kind, Endpoint("m", "k", base_url, wishes=WISHES))
    trouble = trouble_of(HttpAnswer(status, {}, _json(body)))
    sent = dialect.body(TOLD)
    assert lesson_of(trouble, sent, dialect.adaptations, has_system=True) == lesson
    if lesson is not None and lesson != SYSTEM_ROLE:
        without = adapted(dialect.body(TOLD), dialect.adaptations, [lesson])
        assert without != sent
        assert lesson_of(trouble, without, dialect.adaptations, has_system=True) != lesson


def test_the_system_text_comes_first_where_there_is_no_system_role() -> None:
    turns = (HistoryEntry("user", "hi"), HistoryEntry("assistant", "Hello!"), HistoryEntry("user", "open?"))
    assert without_system_role(ModelRequest("Be brief.", turns)).turns == (
        HistoryEntry("user", "Be brief.\n\nhi"),
        *turns[1:],
    )
    assert without_system_role(ModelRequest("Be brief.", turns[1:])).turns == (
        HistoryEntry("user", "Be brief."),
        *turns[1:],
    )
    assert without_system_role(ModelRequest("", turns)).turns == turns


def test_what_is_added_wins_member_by_member() -> None:
    body = {"a": {"x": 1, "y": 2}, "b": 3}
    assert merged(body, {"a": {"y": 5}, "c": [1]}) == {"a": {"x": 1, "y": 5}, "b": 3, "c": [1]}
    assert body == {"a": {"x": 1, "y": 2}, "b": 3}


def test_the_memory_is_bounded() -> None:
    lessons = Lessons()
    for number in range(MAX_MODELS + 5):
        lessons.learn("main", "url", f"m{number}", ("temperature",))
    assert lessons.of("url", "m4") == ()
    assert lessons.of("url", f"m{MAX_MODELS + 4}") == ("temperature",)


def _json(body: object) -> bytes:
    return json.dumps(body).encode()
