"""A server with OpenAI's embeddings API, with faults on demand.

A text's vector is made of its words alone: texts with the same words have the same vector, those that share some are
alike, and words that `synonyms` gives one meaning are one word. `texts` is the oracle: what was asked for, by call.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import trio

from tests.support.http_faults import Exchange, FaultServer, Gate, Request

DIMENSIONS = 256

Fault = Literal[
    "status",  # answers `status`, with Retry-After when ordered
    "slow",  # answers after `seconds`
    "too_few",  # one vector fewer than texts
    "too_many",  # one more
    "garbage",  # 200, not JSON
    "wrong_types",  # 200, JSON of another shape
    "infinite",  # numbers too large for a float
    "zero",  # vectors of zeros
    "short",  # vectors of another length than before
    "uneven",  # vectors of different lengths
    "reset",  # connection reset
]


@dataclass
class _Order:
    fault: Fault
    times: int
    status: int
    retry_after: str | None
    seconds: float


class FakeEmbeddings(FaultServer):
    def __init__(self, api_key: str = "vector-key", synonyms: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.api_key = api_key
        self.synonyms = dict(synonyms or {})
        self.texts: list[list[str]] = []
        self.shuffled = False
        """Answer in reverse order, each vector with its `index`."""
        self._orders: list[_Order] = []
        self._gate: Gate | None = None

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def order(
        self,
        fault: Fault,
        times: int = 1,
        *,
        status: int = 500,
        retry_after: str | None = None,
        seconds: float = 1.0,
    ) -> None:
        """Make the next `times` requests fail."""
        with self.lock:
            self._orders.append(_Order(fault, times, status, retry_after, seconds))

    def gate(self) -> Gate:
        """Hold the next request before it is answered."""
        with self.lock:
            self._gate = gate = Gate(self)
        return gate

    def asked(self) -> list[list[str]]:
        with self.lock:
            return [list(texts) for texts in self.texts]

    async def handle(self, request: Request, exchange: Exchange) -> None:
        if request.headers.get("authorization") != f"Bearer {self.api_key}":
            await exchange.answer_json(401, {"error": {"code": "invalid_api_key"}})
            return
        if (request.method, request.path) != ("POST", "/v1/embeddings"):
            await exchange.answer_json(404, {"error": {"code": "not_found"}})
            return
        body = request.json()
        assert isinstance(body, dict)
        with self.changed:
            self.texts.append(body["input"])
            gate, self._gate = self._gate, None
            order = self._orders[0] if self._orders else None
            if order is not None:
                order.times -= 1
                if not order.times:
                    self._orders.pop(0)
            self.changed.notify_all()
        if gate is not None:
            await gate.pass_through()
        await self._answer(order, body["input"], exchange)

    async def _answer(self, order: _Order | None, texts: list[str], exchange: Exchange) -> None:
        data = [
            {"object": "embedding", "index": index, "embedding": self.vector(text)}
            for index, text in enumerate(texts)
        ]
        if self.shuffled:
            data.reverse()
        match order.fault if order else None:
            case "status":
                assert order is not None
                headers = {"retry-after": order.retry_after} if order.retry_after is not None else {}
                await exchange.answer_json(order.status, {"error": {"message": "ordered"}}, headers)
                return
            case "reset":
                exchange.reset()
                return
            case "garbage":
                await exchange.answer(200, b"<html>not json")
                return
            case "infinite":
                await exchange.answer(200, b'{"data": [{"index": 0, "embedding": [1e999, 1.0]}]}')
                return
            case "wrong_types":
                await exchange.answer_json(200, {"data": {"0": []}})
                return
            case "slow":
                assert order is not None
                await trio.sleep(order.seconds)
            case "too_few":
                data = data[:-1]
            case "too_many":
                data = [*data, {**data[0], "index": len(data)}]
            case "zero":
                data = [{**item, "embedding": [0.0] * DIMENSIONS} for item in data]
            case "short":
                data = [{**item, "embedding": [1.0, 2.0]} for item in data]
            case "uneven":
                data = [{**item, "embedding": [1.0] * (2 + index)} for index, item in enumerate(data)]
        await exchange.answer_json(200, {"object": "list", "model": "test", "data": data})

    def vector(self, text: str) -> list[float]:
        """A vector of length 1; along the first axis if there is no word."""
        sums = [0.0] * DIMENSIONS
        for word in re.findall(r"\w+", text.lower()):
            digest = hashlib.sha256(self.synonyms.get(word, word).encode()).digest()
            sums[int.from_bytes(digest[:4], "big") % DIMENSIONS] += 1.0
        length = math.sqrt(sum(value * value for value in sums))
        return [value / length for value in sums] if length else [1.0, *sums[1:]]
