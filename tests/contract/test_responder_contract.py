"""The contract of every responder (`actors.ports.Responder`)."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence

import pytest
import trio

from actors.messages import HistoryEntry, Prompt
from actors.ports import Responder
from daemon.responders.batching import BatchingResponder
from daemon.responders.breaker import Breaker, BreakerPolicy
from daemon.responders.provider import Provider
from daemon.responders.rehearsal import RehearsalResponder
from daemon.responders.router import ProviderRouter, RoutedResponder, Seat
from daemon.schema.in_use import InUse
from daemon.web.client import HttpClient
from tests.support.models import SERVERS, provider_at
from tests.support.openai_server import FakeOpenAI
from tests.support.providers import Board, RecordedFeed

MANY = 20


def router(providers: Sequence[Provider], *, weighted: bool = False) -> ProviderRouter:
    seats = [
        Seat(each, Breaker(each.name, BreakerPolicy(), RecordedFeed(), now=trio.current_time))
        for each in providers
    ]
    return ProviderRouter(seats, weighted=weighted, deadline_seconds=30, draw=random.random)


@pytest.fixture(params=["rehearsal", *SERVERS, "routed", "fallback", "weighted", "batching"])
async def responder(request: pytest.FixtureRequest) -> AsyncIterator[Responder]:
    match request.param:
        case "rehearsal":
            yield RehearsalResponder()
        case "batching":
            alone = router([RehearsalResponder()])
            yield BatchingResponder(alone, Board(), RecordedFeed(), wait_seconds=0.05, max_conversations=10)
        case kind:
            with SERVERS.get(kind, FakeOpenAI)().running() as server:
                async with HttpClient(keepalive_seconds=5) as http:
                    asked = provider_at(server, http)
                    if kind == "routed":
                        yield RoutedResponder(lambda prompt: asked, InUse(lambda made: made))
                    elif kind == "fallback":
                        server.order("status", times=1000, status=503)
                        yield router([asked, RehearsalResponder()])
                    elif kind == "weighted":
                        yield router([asked, RehearsalResponder()], weighted=True)
                    else:
                        yield asked


@pytest.mark.parametrize(
    "messages", [("hello",), ("مرحبا", "كم السعر؟"), ("😀", "a\nb", "{}"), tuple("abcdefghij" * 5)]
)
async def test_every_message_is_heard_in_order(responder: Responder, messages: tuple[str, ...]) -> None:
    """I4."""
    answer = await responder.answer(Prompt("demo", messages))
    assert answer.text.endswith("\n".join(messages))


async def test_an_answer_names_its_provider_and_has_no_negative_counts(responder: Responder) -> None:
    answer = await responder.answer(Prompt("demo", ("hello",), (HistoryEntry("user", "earlier"),)))
    assert answer.provider
    assert min(answer.input_tokens, answer.output_tokens, answer.cost_micros) >= 0


async def test_concurrent_conversations_get_their_own_answers(responder: Responder) -> None:
    """I9."""
    answers: dict[int, str] = {}

    async def ask(number: int) -> None:
        answers[number] = (await responder.answer(Prompt("demo", (f"question {number}.",)))).text

    async with trio.open_nursery() as nursery:
        for number in range(MANY):
            nursery.start_soon(ask, number)
    assert all(answers[number].endswith(f"question {number}.") for number in range(MANY))
