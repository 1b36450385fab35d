"""I8: what the providers bill is what is counted, whatever goes wrong between them and an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from random import Random
from typing import cast

import pytest
import trio
from trio.testing import MockClock

from actors.errors import ResponderHeld, TurnFailed, TurnRefused
from actors.messages import HistoryEntry, Prompt, Spent
from daemon.responders.batching import BatchingResponder
from daemon.responders.breaker import Breaker, BreakerPolicy
from daemon.responders.dialect import Endpoint, Wishes
from daemon.responders.http_provider import HttpProvider, ProviderTerms
from daemon.responders.openai import OpenAi
from daemon.responders.router import ProviderRouter, Seat
from daemon.web.answer import HttpAnswer
from daemon.web.client import DeliveryUnknown, HttpClient
from tests.support.openai_server import completion
from tests.support.providers import Board, RecordedFeed

TERMS = ProviderTerms(timeout_seconds=20, price_per_million_input_tokens=2, price_per_million_output_tokens=3)
POLICY = BreakerPolicy(failures=4, open_seconds=5)
BILLED = (
    *(completion("Yes."), completion("Yes. And", finish_reason="length")),
    *(completion("", finish_reason="length"), completion("<think>hm</think>"), completion("")),
    *(completion(None, finish_reason="content_filter"), completion("Well", finish_reason="error")),
    *({**completion(""), "error": {"code": status, "message": "x"}} for status in (401, 502)),
)
"""Each with what it cost; the first one is an answer, and comes more often."""
FREE: tuple[tuple[int, Mapping[str, object]], ...] = (
    *((status, {"error": {"message": "no"}}) for status in (401, 404, 429, 500, 503)),
    (400, {"error": {"message": "unsupported", "param": "temperature", "code": "unsupported_parameter"}}),
    *((400, {"error": {"message": "invalid"}}), (400, {"error": {"code": "context_length_exceeded"}})),
    (403, {"error": {"message": "flagged", "metadata": {"reasons": ["x"], "provider_name": "o"}}}),
)


class Billing:
    """Answers by chance, after a while; a bill is written only for what arrived."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.billed = Spent()

    async def post_json(
        self, url: str, json_body: Mapping[str, object], headers: object, deadline: float, most: int
    ) -> HttpAnswer:
        with trio.move_on_after(deadline):
            await trio.sleep(self.chance.choice([0.1, 1, 4, 12, 30]))
            status, body = self._answer()
            usage = cast("dict[str, int]", body.get("usage", {}))
            bill = (usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0))
            self.billed += Spent(*bill, bill[0] * 2 + bill[1] * 3)
            return HttpAnswer(status, {}, json.dumps(body).encode())
        raise DeliveryUnknown("timed_out")

    def _answer(self) -> tuple[int, dict[str, object]]:
        if self.chance.random() < 0.4:
            status, refusal = self.chance.choice(FREE)
            return status, dict(refusal)
        return 200, dict(self.chance.choice((BILLED[0], *BILLED)))


async def counted(responder: BatchingResponder, contact: int, into: list[Spent]) -> None:
    history = (HistoryEntry("user", "hello " * 9), HistoryEntry("assistant", "yes"))
    prompt = Prompt("demo", (f"question {contact}",), history=history, retry_cut=True)
    try:
        answer = await responder.answer(prompt)
    except (TurnFailed, TurnRefused, ResponderHeld) as failure:
        into.append(failure.spent)
    else:
        into.append(Spent(answer.input_tokens, answer.output_tokens, answer.cost_micros))


@pytest.mark.parametrize("batching", [False, True])
async def test_what_is_billed_is_counted(batching: bool, autojump_clock: MockClock) -> None:
    for seed in range(60):
        chance, feed, counts = Random(seed), RecordedFeed(), list[Spent]()
        http = Billing(chance)
        seats = [
            Seat(
                HttpProvider(cast("HttpClient", http), name, OpenAi(_endpoint(name)), TERMS),
                Breaker(name, POLICY, feed, now=trio.current_time),
            )
            for name in ("a", "b", "c")
        ]
        router = ProviderRouter(seats, weighted=True, deadline_seconds=25, draw=chance.random)
        responder = BatchingResponder(router, Board(batching), feed, wait_seconds=0.1, max_conversations=3)
        for _ in range(4):
            async with trio.open_nursery() as nursery:
                for contact in range(3):
                    nursery.start_soon(counted, responder, contact, counts)
        assert sum(counts, Spent()) == http.billed, seed
        assert http.billed != Spent()


def _endpoint(name: str) -> Endpoint:
    return Endpoint(name, "k", f"http://{name}/v1", 1_000, Wishes(temperature=0.2))
