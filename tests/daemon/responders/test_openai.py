"""The chat-completions responder against a server that behaves, and misbehaves, like one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import trio

from actors.errors import TurnFailed, TurnRefused
from actors.messages import HistoryEntry, Prompt
from daemon.http_client import HttpClient
from daemon.responders.openai import DEFAULT_SYSTEM_PROMPT, OpenAiResponder
from tests.support.openai_server import FakeOpenAI, Fault

TIMEOUT_SECONDS = 5.0
SHORT_SECONDS = 0.5
PROMPT = Prompt("demo", ("hello", "are you open?"))


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI().running() as fake:
        yield fake


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    async with HttpClient(keepalive_seconds=5) as client:
        yield client


def responder_at(
    server: FakeOpenAI,
    http: HttpClient,
    *,
    seconds: float = TIMEOUT_SECONDS,
    api_key: str = "model-key",
    system_prompt: str = DEFAULT_SYSTEM_PROMPT,
) -> OpenAiResponder:
    return OpenAiResponder(
        http,
        name="main",
        base_url=f"{server.base_url}/",
        api_key=api_key,
        model="test-model",
        timeout_seconds=seconds,
        system_prompt=system_prompt,
    )


async def test_the_whole_batch_is_asked_as_one_question(server: FakeOpenAI, http: HttpClient) -> None:
    """I4: history, then the batch, in order."""
    history = (HistoryEntry("user", "hi"), HistoryEntry("assistant", "Hello!"))
    await responder_at(server, http).answer(Prompt("demo", PROMPT.messages, history))
    (question,) = server.questions
    assert question.model == "test-model"
    assert question.roles == ("system", "user", "assistant", "user")
    assert question.texts == (DEFAULT_SYSTEM_PROMPT, "hi", "Hello!", "hello\nare you open?")


async def test_without_a_system_prompt_none_is_sent(server: FakeOpenAI, http: HttpClient) -> None:
    await responder_at(server, http, system_prompt="").answer(PROMPT)
    assert server.questions[0].roles == ("user",)


async def test_the_answer_and_what_it_cost(server: FakeOpenAI, http: HttpClient) -> None:
    answer = await responder_at(server, http).answer(PROMPT)
    assert answer.text == "Answer 1: hello\nare you open?"
    assert (answer.provider, answer.model) == ("main", "test-model")
    assert (answer.input_tokens, answer.output_tokens) == (11, 7)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "bad_key"),
        (403, "bad_key"),
        (408, "timed_out"),
        (429, "rate_limited"),
        (500, "overloaded"),
        (502, "overloaded"),
        (503, "overloaded"),
        (504, "timed_out"),
        (529, "overloaded"),
        (302, "unexpected_status"),
        (418, "unexpected_status"),
    ],
)
async def test_statuses_that_another_try_may_mend(
    server: FakeOpenAI, http: HttpClient, status: int, reason: str
) -> None:
    server.order("status", status=status, retry_after="7")
    with pytest.raises(TurnFailed) as failure:
        await responder_at(server, http).answer(PROMPT)
    assert (failure.value.reason, failure.value.retry_after_seconds) == (reason, 7.0)


@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_statuses_that_no_try_can_mend(server: FakeOpenAI, http: HttpClient, status: int) -> None:
    server.order("status", status=status)
    with pytest.raises(TurnRefused) as refusal:
        await responder_at(server, http).answer(PROMPT)
    assert refusal.value.reason == "bad_request"


async def test_without_retry_after_none_is_invented(server: FakeOpenAI, http: HttpClient) -> None:
    server.order("status", status=429)
    with pytest.raises(TurnFailed) as failure:
        await responder_at(server, http).answer(PROMPT)
    assert failure.value.retry_after_seconds is None


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("garbage", "garbage"),
        ("wrong_types", "garbage"),
        ("empty", "garbage"),
        ("no_body", "garbage"),
        ("controls", "garbage"),
        ("huge", "too_large"),
        ("gzip_bomb", "too_large"),
        ("reset", "unreachable"),
        ("truncated", "unreachable"),
    ],
)
async def test_answers_that_are_none(server: FakeOpenAI, http: HttpClient, fault: Fault, reason: str) -> None:
    """I8: bounded; I14: a bad answer fails a try, never the daemon."""
    server.order(fault)
    with pytest.raises(TurnFailed) as failure:
        await responder_at(server, http).answer(PROMPT)
    assert failure.value.reason == reason


@pytest.mark.parametrize(("fault", "fault_seconds"), [("hang", 0.0), ("drip", 0.05), ("slow", 60.0)])
async def test_the_deadline_ends_silence_and_drips(
    server: FakeOpenAI, http: HttpClient, fault: Fault, fault_seconds: float
) -> None:
    """I8."""
    server.order(fault, seconds=fault_seconds)
    with trio.fail_after(TIMEOUT_SECONDS), pytest.raises(TurnFailed) as failure:
        await responder_at(server, http, seconds=SHORT_SECONDS).answer(PROMPT)
    assert failure.value.reason == "timed_out"


async def test_the_content_filter_is_a_refusal(server: FakeOpenAI, http: HttpClient) -> None:
    server.order("filtered")
    with pytest.raises(TurnRefused) as refusal:
        await responder_at(server, http).answer(PROMPT)
    assert refusal.value.reason == "refused_by_policy"


async def test_control_characters_are_dropped_from_an_answer(server: FakeOpenAI, http: HttpClient) -> None:
    """I14: what the ledger could not store never comes near it."""
    server.text_for = lambda asked: "We are\x00 open\ud800.\r\nWelcome! "
    assert (await responder_at(server, http).answer(PROMPT)).text == "We are open.\nWelcome!"


async def test_a_server_that_is_down_is_unreachable_and_then_answers(
    server: FakeOpenAI, http: HttpClient
) -> None:
    """I10: also over a kept connection that died meanwhile."""
    responder = responder_at(server, http)
    await responder.answer(PROMPT)
    await trio.to_thread.run_sync(server.down)
    with pytest.raises(TurnFailed) as failure:
        await responder.answer(PROMPT)
    assert failure.value.reason == "unreachable"
    await trio.to_thread.run_sync(server.up)
    assert (await responder.answer(PROMPT)).text.startswith("Answer 2")


async def test_failures_show_neither_key_nor_text(server: FakeOpenAI, http: HttpClient) -> None:
    """I11."""
    with pytest.raises(TurnFailed) as failure:
        await responder_at(server, http, api_key="k-secret").answer(Prompt("demo", ("text-secret",)))
    assert failure.value.reason == "bad_key"
    assert "secret" not in f"{failure.value!r} {failure.value}"
