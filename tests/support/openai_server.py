"""A server that behaves like an OpenAI-shaped chat-completions endpoint, with faults to order.

`questions` is the oracle: which texts reached the model, in which order.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import trio

from tests.support.http_faults import Exchange, FaultServer, Gate, Request

Fault = Literal[
    "slow",  # waits `seconds`, then answers
    "status",  # answers `status`, with Retry-After when ordered
    "garbage",  # 200, no JSON
    "wrong_types",  # 200, JSON of another shape
    "empty",  # 200, an empty answer text
    "no_body",  # 200, no body at all
    "controls",  # 200, nothing but NUL and a lone surrogate
    "filtered",  # 200, stopped by the content filter
    "huge",  # a body of `size_bytes`
    "gzip_bomb",  # a small body that inflates to `size_bytes`
    "drip",  # a good answer, one byte every `seconds`
    "hang",  # never answers
    "reset",  # connection reset
    "truncated",  # closes in the middle of the body
]


@dataclass
class _Order:
    fault: Fault
    times: int
    when: Callable[[str], bool]
    seconds: float
    status: int
    retry_after: str | None
    size_bytes: int


@dataclass(frozen=True)
class Question:
    """One request, as the model saw it."""

    model: str
    roles: tuple[str, ...]
    texts: tuple[str, ...]

    @property
    def asked(self) -> str:
        return self.texts[-1]


class FakeOpenAI(FaultServer):
    """Answers `Answer <k>: <last user text>`, k counting the answers given from 1."""

    def __init__(self, api_key: str = "model-key") -> None:
        super().__init__()
        self.api_key = api_key
        self.questions: list[Question] = []
        self.answered = 0
        self.text_for: Callable[[str], str] | None = None
        """Answers with its result instead, when set; takes the last user text."""
        self._orders: list[_Order] = []
        self._gate: Gate | None = None

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def order(
        self,
        fault: Fault,
        times: int = 1,
        when: Callable[[str], bool] = lambda text: True,
        *,
        seconds: float = 1.0,
        status: int = 500,
        retry_after: str | None = None,
        size_bytes: int = 16 * 1024 * 1024,
    ) -> None:
        """Let the next `times` requests whose last user text satisfies `when` go wrong."""
        with self.lock:
            self._orders.append(_Order(fault, times, when, seconds, status, retry_after, size_bytes))

    def clear_orders(self) -> None:
        with self.lock:
            self._orders.clear()

    def gate(self) -> Gate:
        """Hold the next request between its arrival and its answer."""
        with self.lock:
            self._gate = gate = Gate(self)
        return gate

    def asked(self) -> list[str]:
        """The last user text of every request, in order of arrival."""
        with self.lock:
            return [question.asked for question in self.questions]

    def wait_for_questions(self, count: int, timeout_seconds: float = 10.0) -> list[Question]:
        self.wait_until(lambda: len(self.questions) >= count, f"{count} questions came", timeout_seconds)
        with self.lock:
            return list(self.questions)

    async def handle(self, request: Request, exchange: Exchange) -> None:
        if request.headers.get("authorization") != f"Bearer {self.api_key}":
            await exchange.answer_json(401, {"error": {"code": "invalid_api_key"}})
        elif (request.method, request.path) != ("POST", "/v1/chat/completions"):
            await exchange.answer_json(404, {"error": {"code": "not_found"}})
        else:
            await self._complete(_question(request.json()), exchange)

    async def _complete(self, question: Question, exchange: Exchange) -> None:
        with self.changed:
            self.questions.append(question)
            gate, self._gate = self._gate, None
            self.changed.notify_all()
        if gate is not None:
            await gate.pass_through()
        order = self._take(question.asked)
        if order is not None and order.fault == "slow":
            await trio.sleep(order.seconds)
            order = None
        if order is not None:
            await _fail(order, self._completion, question, exchange)
        else:
            await exchange.answer_json(200, self._completion(question))

    def _completion(self, question: Question) -> dict[str, object]:
        with self.lock:
            self.answered += 1
            said = (
                self.text_for(question.asked)
                if self.text_for
                else f"Answer {self.answered}: {question.asked}"
            )
        return completion(said, question.model)

    def _take(self, text: str) -> _Order | None:
        with self.lock:
            for order in self._orders:
                if order.times and order.when(text):
                    order.times -= 1
                    return order
        return None


def completion(text: str | None, model: str = "test", finish_reason: str = "stop") -> dict[str, object]:
    """A chat completion as OpenAI writes it."""
    message = {"role": "assistant", "content": text, "refusal": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
    }


def _question(body: object) -> Question:
    assert isinstance(body, dict)
    messages = body["messages"]
    roles = tuple(message["role"] for message in messages)
    return Question(body["model"], roles, tuple(message["content"] for message in messages))


async def _fail(
    order: _Order, complete: Callable[[Question], dict[str, object]], question: Question, exchange: Exchange
) -> None:
    match order.fault:
        case "status":
            headers = {"retry-after": order.retry_after} if order.retry_after is not None else {}
            await exchange.answer_json(order.status, {"error": {"message": "ordered"}}, headers)
        case "huge":
            await exchange.answer(200, b" " * order.size_bytes)
        case "gzip_bomb":
            bomb = gzip.compress(b" " * order.size_bytes)
            await exchange.answer(200, bomb, {"content-encoding": "gzip"})
        case "drip":
            await exchange.drip(200, json.dumps(complete(question)).encode(), order.seconds)
        case "hang":
            await exchange.hang()
        case "reset":
            exchange.reset()
        case "truncated":
            await exchange.begin(200, 1000)
            await exchange.send_raw(b'{"choices": [')
            exchange.reset()
        case fault:
            await exchange.answer(200, _bad_body(fault))


def _bad_body(fault: Fault) -> bytes:
    bodies: dict[Fault, object] = {
        "wrong_types": {"choices": {"0": []}, "usage": "many"},
        "empty": completion(""),
        "controls": completion("\x00 \ud800"),
        "filtered": completion(None, finish_reason="content_filter"),
    }
    raw: dict[Fault, bytes] = {"garbage": b"<html>not json", "no_body": b""}
    return raw[fault] if fault in raw else json.dumps(bodies[fault]).encode()
