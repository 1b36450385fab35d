"""What every responder keeps to, whatever stands behind it (`actors.ports.Responder`)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio

from actors.messages import HistoryEntry, Prompt
from actors.ports import Responder
from daemon.http_client import HttpClient
from daemon.responders.openai import OpenAiResponder
from daemon.responders.rehearsal import RehearsalResponder
from daemon.responders.router import FallbackResponder, RoutedResponder
from tests.support.openai_server import FakeOpenAI

MANY = 20


@pytest.fixture(params=["rehearsal", "openai", "routed", "fallback"])
async def responder(request: pytest.FixtureRequest) -> AsyncIterator[Responder]:
    if request.param == "rehearsal":
        yield RehearsalResponder()
        return
    with FakeOpenAI().running() as server:
        async with HttpClient(keepalive_seconds=5) as http:
            openai = OpenAiResponder(
                http,
                name="main",
                base_url=server.base_url,
                api_key=server.api_key,
                model="m",
                timeout_seconds=10,
            )
            if request.param == "openai":
                yield openai
            elif request.param == "routed":
                yield RoutedResponder(RehearsalResponder(), {"demo": openai})
            else:
                server.order("status", times=1000, status=503)
                yield FallbackResponder([openai, RehearsalResponder()])


@pytest.mark.parametrize(
    "messages", [("hello",), ("مرحبا", "كم السعر؟"), ("😀", "a\nb", "{}"), tuple("abcdefghij" * 5)]
)
async def test_every_message_is_heard_in_order(responder: Responder, messages: tuple[str, ...]) -> None:
    """I4."""
    answer = await responder.answer(Prompt("demo", messages))
    assert answer.text.endswith("\n".join(messages))


async def test_an_answer_names_who_gave_it_and_counts_no_less_than_nothing(responder: Responder) -> None:
    answer = await responder.answer(Prompt("demo", ("hello",), (HistoryEntry("user", "earlier"),)))
    assert answer.provider
    assert min(answer.input_tokens, answer.output_tokens) >= 0


async def test_many_conversations_are_answered_at_once_each_with_its_own_words(responder: Responder) -> None:
    """I9."""
    answers: dict[int, str] = {}

    async def ask(number: int) -> None:
        answers[number] = (await responder.answer(Prompt("demo", (f"question {number}.",)))).text

    async with trio.open_nursery() as nursery:
        for number in range(MANY):
            nursery.start_soon(ask, number)
    assert all(answers[number].endswith(f"question {number}.") for number in range(MANY))
