"""Vectors of texts, from any server that speaks OpenAI's embeddings.

Laws of this file:
1. Whatever goes wrong is `EmbeddingsUnavailable`: a sentence that says what to do, and never a text of a customer.
2. A vector is taken only if it can be compared: as many as were asked for, all of one length, of finite numbers that
   are not all zero. A model that changes the length of its vectors is refused until the next start.
3. In a turn nothing is repeated and nobody waits long: one call, shared by all who ask for the same text at once, and
   none while the server is known to be unwell. Loading files is patient, within a bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import trio

from actors.errors import Unavailable
from actors.ports import Feed
from daemon.responders.breaker import BreakerPolicy, BreakerState
from daemon.web.answer import HttpAnswer
from daemon.web.client import HttpClient, HttpFailed

Vector = str
"""As Postgres reads it: `[0.1,0.2,…]`."""

TURN_SECONDS = 1.5
"""The longest that a turn waits for a vector; it goes on without."""
LOAD_SECONDS = 20.0
"""The longest that one portion of a file may take, all tries together: less than the command line waits."""
MAX_BODY_BYTES = 32 * 1024 * 1024
_MAX_DIMENSIONS = 16_000
_MAX_LENGTH = 1e30
"""Both are what Postgres can hold."""
_BACKOFF_SECONDS = (0.5, 1.0, 2.0, 4.0)
_POLICY = BreakerPolicy(failures=3, open_seconds=10.0, max_open_seconds=120.0)

_MEANINGS = {
    400: ("bad_request", "refuses the texts (400): check embeddings.model and embeddings.base_url"),
    401: ("bad_key", "refuses the key (401): check embeddings.api_key"),
    402: ("bad_key", "asks for payment (402): see to its account"),
    403: ("bad_key", "refuses the key (403): check embeddings.api_key"),
    404: ("bad_request", "is not there (404): check embeddings.base_url and embeddings.model"),
    413: ("bad_request", "finds this too large (413): make embeddings.batch_size smaller"),
    422: ("bad_request", "refuses the texts (422): check embeddings.model and embeddings.base_url"),
    429: ("rate_limited", "has no room now (429): try again later"),
}
_LASTING = frozenset({"bad_request", "bad_key"})


class EmbeddingsUnavailable(Unavailable):
    """There is no vector to be had now. `reason` is a stable word, the text a sentence for the operator."""

    def __init__(self, reason: str, sentence: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(f"the embeddings server {sentence}", retry_after_seconds)
        self.reason = reason


class _Item(msgspec.Struct):
    embedding: list[float]
    index: int = -1


class _Answer(msgspec.Struct):
    data: list[_Item]


class _Flight:
    """One call under way, for all who wait for the same text."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.vector: Vector | None = None
        self.error: EmbeddingsUnavailable | None = None


class EmbeddingsClient:
    """One endpoint with its key and model.

    Args:
      base_url: up to the version, e.g. `https://api.openai.com/v1`; a trailing slash does no harm.
    """

    def __init__(
        self,
        http: HttpClient,
        feed: Feed,
        *,
        base_url: str,
        api_key: str,
        model: str,
        batch_size: int = 64,
        timeout_seconds: float = 10.0,
        cache_seconds: float = 86_400.0,
    ) -> None:
        self.model = model
        self.cache_seconds = cache_seconds
        """How long a text's vector is believed."""
        self._http = http
        self._feed = feed
        self._url = f"{base_url.rstrip('/')}/embeddings"
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._batch_size = batch_size
        self._timeout_seconds = timeout_seconds
        self._flights: dict[str, _Flight] = {}
        self._breaker = BreakerState()
        self._dimensions = 0

    async def vector(self, text: str) -> Vector:
        """The vector of one text, for a turn. Raises `EmbeddingsUnavailable`, within `TURN_SECONDS`."""
        while (flight := self._flights.get(text)) is not None:
            await flight.done.wait()
            if flight.vector is not None:
                return flight.vector
            if flight.error is not None:
                raise _again(flight.error)
        flight = self._flights[text] = _Flight()
        try:
            flight.vector = await self._in_turn(text)
        except EmbeddingsUnavailable as error:
            flight.error = error
            raise
        finally:  # a caller that was cancelled leaves neither: the next one asks by itself
            del self._flights[text]
            flight.done.set()
        return flight.vector

    async def vectors(self, texts: Sequence[str]) -> list[Vector]:
        """The vectors of many texts, for a file that is loaded.

        Raises:
          EmbeddingsUnavailable: after several tries, at most `LOAD_SECONDS` later.
        """
        found: list[Vector] = []
        deadline = trio.current_time() + LOAD_SECONDS
        for start in range(0, len(texts), self._batch_size):
            found += await self._patiently(texts[start : start + self._batch_size], deadline)
        return found

    async def _in_turn(self, text: str) -> Vector:
        may, self._breaker = self._breaker.admit(trio.current_time())
        if not may:
            raise EmbeddingsUnavailable("resting", "failed a moment ago: it is left alone for a while")
        try:
            [vector] = await self._ask([text], min(TURN_SECONDS, self._timeout_seconds))
        except EmbeddingsUnavailable as error:
            now, wish = trio.current_time(), error.retry_after_seconds
            self._breaker = self._breaker.failed(now, _POLICY, wish)
            self._feed.emit("embeddings.failed", reason=error.reason)
            raise
        self._breaker = self._breaker.succeeded()
        return vector

    async def _patiently(self, texts: Sequence[str], deadline: float) -> list[Vector]:
        for pause in (*_BACKOFF_SECONDS, None):
            left = deadline - trio.current_time()
            try:
                if left <= 0:
                    raise EmbeddingsUnavailable(
                        "timed_out", "is too slow: make embeddings.batch_size smaller"
                    )
                return await self._ask(texts, min(left, self._timeout_seconds))
            except EmbeddingsUnavailable as error:
                wait = max(pause or 0.0, error.retry_after_seconds or 0.0)
                late = trio.current_time() + wait >= deadline
                if pause is None or late or error.reason in _LASTING:
                    raise
            await trio.sleep(wait)
        raise AssertionError("the last round returns or raises")

    async def _ask(self, texts: Sequence[str], seconds: float) -> list[Vector]:
        question = {"model": self.model, "input": list(texts)}
        try:
            answer = await self._http.post_json(self._url, question, self._headers, seconds, MAX_BODY_BYTES)
        except HttpFailed as failure:
            late = failure.reason.endswith("timed_out")
            words = "is too slow or away" if late else "cannot be reached"
            reason = "timed_out" if late else "unreachable"
            raise EmbeddingsUnavailable(
                reason, f"{words} ({failure.reason}): check embeddings.base_url"
            ) from None
        if answer.status != 200:
            raise _refusal(answer)
        return self._read(answer.body, len(texts))

    def _read(self, body: bytes, count: int) -> list[Vector]:
        try:
            items = msgspec.json.decode(body, type=_Answer).data
        except (msgspec.DecodeError, RecursionError):
            raise _garbage("no vectors") from None
        if len(items) != count:
            raise _garbage(f"{len(items)} vectors for {count} texts")
        if {item.index for item in items} == set(range(count)):
            items = sorted(items, key=lambda item: item.index)
        lengths = {len(item.embedding) for item in items} | {self._dimensions or len(items[0].embedding)}
        if len(lengths) > 1 or not 1 <= max(lengths) <= _MAX_DIMENSIONS:
            raise _garbage("vectors of another length than before")
        if not all(map(_can_be_compared, (item.embedding for item in items))):
            raise _garbage("vectors that cannot be compared")
        [self._dimensions] = lengths
        return [msgspec.json.encode(item.embedding).decode() for item in items]


def _can_be_compared(vector: Sequence[float]) -> bool:
    return 0 < math.hypot(*vector) < _MAX_LENGTH  # neither NaN nor infinity is


def _again(error: EmbeddingsUnavailable) -> EmbeddingsUnavailable:
    """The same for another waiter: an exception belongs to one stack."""
    other = EmbeddingsUnavailable(error.reason, "", error.retry_after_seconds)
    other.args = error.args
    return other


def _refusal(answer: HttpAnswer) -> EmbeddingsUnavailable:
    unwell = ("overloaded", f"is unwell ({answer.status}): try again later")
    reason, sentence = _MEANINGS.get(answer.status, unwell)
    return EmbeddingsUnavailable(reason, sentence, answer.retry_after_seconds)


def _garbage(what: str) -> EmbeddingsUnavailable:
    sentence = f"answers with {what}: check embeddings.base_url and embeddings.model"
    return EmbeddingsUnavailable("garbage", sentence)
