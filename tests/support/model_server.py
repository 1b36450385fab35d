"""A fake model server with faults on demand. Subclasses implement the API of a provider.

`questions` is the oracle: which texts reached the model, in which order.
"""

from __future__ import annotations

import gzip
import json
import re
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import trio

from actors.prompt import FOLLOWS, SITUATION
from tests.support.http_faults import Exchange, FaultServer, Gate, Request
from tests.support.patience import PATIENCE_SECONDS

Fault = Literal[
    "slow",  # answers after `seconds`
    "status",  # answers `status` and `body`, with Retry-After when ordered
    "garbage",  # 200, not JSON
    "wrong_types",  # 200, JSON of another shape
    "empty",  # 200, an empty answer text
    "no_body",  # 200, no body at all
    "controls",  # 200, nothing but NUL and a lone surrogate
    "filtered",  # 200, stopped by the content filter
    "tool",  # 200, a call of a tool and no text
    "huge",  # a body of `size_bytes`
    "gzip_bomb",  # a small body that inflates to `size_bytes`
    "drip",  # a correct response, one byte every `seconds`
    "hang",  # never answers
    "reset",  # connection reset
    "truncated",  # closes half way through the body
]
Json = dict[str, object]


@dataclass
class _Order:
    fault: Fault
    times: int
    when: Callable[[str], bool]
    seconds: float
    status: int
    retry_after: str | None
    size_bytes: int
    body: object


@dataclass(frozen=True)
class Question:
    """One request as the model saw it. The system text, if any, comes first."""

    model: str
    roles: tuple[str, ...]
    texts: tuple[str, ...]
    body: Json = field(compare=False, default_factory=dict)

    @property
    def asked(self) -> str:
        """The customer's words, without what Majlis says before them."""
        # Before it may be what the customer said in a turn that got no answer.
        beside = rf"\A(?:.*\n)?\[{re.escape(SITUATION)}.*?{re.escape(FOLLOWS)}\]\n\n"
        return re.sub(beside, "", self.texts[-1], flags=re.DOTALL)

    @property
    def system(self) -> str:
        return self.texts[0] if self.roles[0] == "system" else ""


class FakeModel(FaultServer):
    """Answers `Answer <k>: <last user text>`, k counting the answers given from 1."""

    model: ClassVar[str]
    """The one that a provider in the tests asks it for."""
    error_body: ClassVar[object] = {"error": {"message": "ordered"}}
    """The default body of an ordered status."""

    def __init__(self, api_key: str = "model-key") -> None:
        super().__init__()
        self.api_key = api_key
        self.questions: list[Question] = []
        self.requests = 0
        """Of any kind, also those that were refused."""
        self.answered = 0
        self.text_for: Callable[[str], str] | None = None
        """If set, computes the answer from the last user text."""
        self._orders: list[_Order] = []
        self._gate: Gate | None = None

    @property
    @abstractmethod
    def base_url(self) -> str: ...

    @property
    def listing(self) -> Json:
        """The answer to a question about its models."""
        return {"data": []}

    @abstractmethod
    def refusal(self, request: Request) -> tuple[int, object] | None:
        """The response to a wrong key or address; None if the request is correct."""

    @abstractmethod
    def read(self, request: Request) -> Question: ...

    @abstractmethod
    def completion(self, text: str, model: str) -> Json:
        """An answer in the format of this provider."""

    @abstractmethod
    def filtered(self) -> Json:
        """The 200 response of this provider when its policy forbids an answer."""

    @abstractmethod
    def tool_call(self) -> Json:
        """The 200 response of this provider when the model calls a tool and says nothing."""

    wrong_types: ClassVar[object]

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
        body: object = None,
    ) -> None:
        """Make the next `times` requests whose last user text satisfies `when` fail."""
        with self.lock:
            self._orders.append(_Order(fault, times, when, seconds, status, retry_after, size_bytes, body))

    def clear_orders(self) -> None:
        with self.lock:
            self._orders.clear()

    def gate(self) -> Gate:
        """Hold the next request before it is answered."""
        with self.lock:
            self._gate = gate = Gate(self)
        return gate

    def asked(self) -> list[str]:
        """The last user text of every request, in order of arrival."""
        with self.lock:
            return [question.asked for question in self.questions]

    def wait_for_questions(self, count: int, timeout_seconds: float = PATIENCE_SECONDS) -> list[Question]:
        self.wait_until(lambda: len(self.questions) >= count, f"{count} questions came", timeout_seconds)
        with self.lock:
            return list(self.questions)

    async def handle(self, request: Request, exchange: Exchange) -> None:
        with self.lock:
            self.requests += 1
        refusal = self.refusal(request)
        if refusal is not None:
            await exchange.answer_json(*refusal)
        elif request.method == "GET":
            await exchange.answer_json(200, self.listing)
        else:
            await self._complete(self.read(request), exchange)

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
            await self._fail(order, question, exchange)
        else:
            await exchange.answer_json(200, self._answer(question))

    def _answer(self, question: Question) -> Json:
        with self.lock:
            self.answered += 1
            number = self.answered
        said = self.text_for(question.asked) if self.text_for else f"Answer {number}: {question.asked}"
        return self.completion(said, question.model)

    def _take(self, text: str) -> _Order | None:
        with self.lock:
            for order in self._orders:
                if order.times and order.when(text):
                    order.times -= 1
                    return order
        return None

    async def _fail(self, order: _Order, question: Question, exchange: Exchange) -> None:
        match order.fault:
            case "status":
                headers = {"retry-after": order.retry_after} if order.retry_after is not None else {}
                body = self.error_body if order.body is None else order.body
                await exchange.answer_json(order.status, body, headers)
            case "huge":
                await exchange.answer(200, b" " * order.size_bytes)
            case "gzip_bomb":
                bomb = gzip.compress(b" " * order.size_bytes)
                await exchange.answer(200, bomb, {"content-encoding": "gzip"})
            case "drip":
                await exchange.drip(200, json.dumps(self._answer(question)).encode(), order.seconds)
            case "hang":
                await exchange.hang()
            case "reset":
                exchange.reset()
            case "truncated":
                await exchange.begin(200, 1000)
                await exchange.send_raw(b'{"choices": [')
                exchange.reset()
            case fault:
                await exchange.answer(200, self._bad_body(fault, question.model))

    def _bad_body(self, fault: Fault, model: str) -> bytes:
        bodies: Mapping[Fault, object] = {
            "wrong_types": self.wrong_types,
            "empty": self.completion("", model),
            "controls": self.completion("\x00 \ud800", model),
            "filtered": self.filtered(),
            "tool": self.tool_call(),
        }
        raw: Mapping[Fault, bytes] = {"garbage": b"<html>not json", "no_body": b""}
        return raw[fault] if fault in raw else json.dumps(bodies[fault]).encode()
