"""Vectors of texts, from any server with OpenAI's embeddings API.

Rules of this file:
1. Every failure is an `EmbeddingsUnavailable` with a sentence that says what to do and contains no text of a customer.
2. Vectors are accepted only if they can be compared: as many as requested, all of the same length, of finite numbers
   that are not all zero. A model that changes the length of its vectors is refused until the next start.
3. A turn makes one call with a short time limit and no retries, shared by all turns that want the same text at once,
   and none while the circuit breaker is open. Loading files retries, within a time limit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import trio

from actors.errors import Unavailable
from actors.permits import aside
from actors.ports import Feed
from daemon.responders.breaker import BreakerPolicy, BreakerState
from daemon.web.answer import HttpAnswer
from daemon.web.client import HttpClient, HttpFailed

Vector = str
"""In the notation of Postgres: `[0.1,0.2,…]`."""

TURN_SECONDS = 1.5
"""The longest a turn waits for a vector before it goes on without."""
LOAD_SECONDS = 20.0
"""The longest that one portion of a file may take, retries included: less than the command line waits."""
MAX_BODY_BYTES = 32 * 1024 * 1024
_MAX_DIMENSIONS = 16_000
_MAX_LENGTH = 1e30
"""The limits of Postgres."""
_BACKOFF_SECONDS = (0.5, 1.0, 2.0, 4.0)
_POLICY = BreakerPolicy(failures=3, open_seconds=10.0, max_open_seconds=120.0)

_MEANINGS = {
    400: ("bad_request", "refuses the texts (400): check embeddings.model and embeddings.base_url"),
    401: ("bad_key", "refuses the key (401): check embeddings.api_key"),
    402: ("bad_key", "requires payment (402): check your account there"),
    403: ("bad_key", "refuses the key (403): check embeddings.api_key"),
    404: ("bad_request", "replies not found (404): check embeddings.base_url and embeddings.model"),
    413: ("bad_request", "refuses the request as too large (413): reduce embeddings.batch_size"),
    422: ("bad_request", "refuses the texts (422): check embeddings.model and embeddings.base_url"),
    429: ("rate_limited", "limits the rate (429): try again later"),
}
_LASTING = frozenset({"bad_request", "bad_key"})


class EmbeddingsUnavailable(Unavailable):
    """No vector can be had now. `reason` is a stable word, the message a sentence for operators."""

    def __init__(self, reason: str, sentence: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(f"the embeddings server {sentence}", retry_after_seconds)
        self.reason = reason


class _Item(msgspec.Struct):
    embedding: list[float]
    index: int = -1


class _RawItem(msgspec.Struct):
    embedding: msgspec.Raw
    index: int = -1


class _Answer(msgspec.Struct):
    data: list[_RawItem]


_FLOATS = msgspec.json.Decoder(float_hook=float)
"""Python reads every float in little time; msgspec's own way takes 10 µs for some."""


def items_in(body: bytes) -> list[_Item]:
    """The vectors in a server's answer.

    Raises:
      msgspec.DecodeError: it is no such answer.
    """
    items = msgspec.json.decode(body, type=_Answer).data
    return [
        msgspec.convert({"embedding": _FLOATS.decode(item.embedding), "index": item.index}, _Item)
        for item in items
    ]


class VectorModel(msgspec.Struct, frozen=True):
    """The model that makes the vectors."""

    name: str
    """As the server calls it."""
    key: str = ""
    """Under what its vectors are kept; empty: its name. Others are never compared with them."""
    query_prefix: str = ""
    """What it wants before a question."""
    passage_prefix: str = ""
    """What it wants before a passage."""


class _Flight:
    """A call in progress, shared by all callers that want the same text."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.vector: Vector | None = None
        self.error: EmbeddingsUnavailable | None = None


class EmbeddingsClient:
    """An embeddings endpoint with its key and model.

    Args:
      base_url: up to the version, e.g. `https://api.openai.com/v1`, with or without a trailing slash.
      batch_size: the most texts per request.
      cache_seconds: how long a vector of a text stays valid.
    """

    def __init__(
        self,
        http: HttpClient,
        feed: Feed,
        *,
        base_url: str,
        api_key: str,
        model: VectorModel,
        batch_size: int = 64,
        timeout_seconds: float = 10.0,
        cache_seconds: float = 86_400.0,
    ) -> None:
        self.model = model.name
        self.key = model.key or model.name
        self.cache_seconds = cache_seconds
        self._http = http
        self._feed = feed
        self._url = f"{base_url.rstrip('/')}/embeddings"
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._query_prefix = model.query_prefix
        self._passage_prefix = model.passage_prefix
        self._batch_size = batch_size
        self._timeout_seconds = timeout_seconds
        self._flights: dict[str, _Flight] = {}
        self._breaker = BreakerState()
        self._dimensions = 0

    async def vector(self, text: str) -> Vector:
        """The vector of one question, for a turn. Raises `EmbeddingsUnavailable`, within `TURN_SECONDS`."""
        async with aside():
            return await self._shared(text)

    async def _shared(self, text: str) -> Vector:
        while (flight := self._flights.get(text)) is not None:
            await flight.done.wait()
            if flight.vector is not None:
                return flight.vector
            if flight.error is not None:
                raise _copy_of(flight.error)
        flight = self._flights[text] = _Flight()
        try:
            flight.vector = await self._in_turn(text)
        except EmbeddingsUnavailable as error:
            flight.error = error
            raise
        finally:  # a cancelled caller sets neither vector nor error, so the next waiter makes its own call
            del self._flights[text]
            flight.done.set()
        return flight.vector

    async def vectors(self, texts: Sequence[str], *, as_passages: bool = True) -> list[Vector]:
        """The vectors of many texts, for loading a file; or of questions, for measuring the model.

        Raises:
          EmbeddingsUnavailable: all retries failed, or `LOAD_SECONDS` passed.
        """
        prefix = self._passage_prefix if as_passages else self._query_prefix
        found: list[Vector] = []
        deadline = trio.current_time() + LOAD_SECONDS
        for start in range(0, len(texts), self._batch_size):
            portion = [prefix + text for text in texts[start : start + self._batch_size]]
            found += await self._with_retries(portion, deadline)
        return found

    async def _in_turn(self, text: str) -> Vector:
        may, self._breaker = self._breaker.admit(trio.current_time())
        if not may:
            raise EmbeddingsUnavailable("resting", "failed a moment ago: it is not called again for a while")
        try:
            [vector] = await self._ask([self._query_prefix + text], min(TURN_SECONDS, self._timeout_seconds))
        except EmbeddingsUnavailable as error:
            now, wish = trio.current_time(), error.retry_after_seconds
            self._breaker = self._breaker.failed(now, _POLICY, wish)
            self._feed.emit("embeddings.failed", reason=error.reason)
            raise
        self._breaker = self._breaker.succeeded()
        return vector

    async def _with_retries(self, texts: Sequence[str], deadline: float) -> list[Vector]:
        for pause in (*_BACKOFF_SECONDS, None):
            left = deadline - trio.current_time()
            try:
                if left <= 0:
                    raise EmbeddingsUnavailable("timed_out", "is too slow: reduce embeddings.batch_size")
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
            words = "is too slow or unreachable" if late else "cannot be reached"
            reason = "timed_out" if late else "unreachable"
            raise EmbeddingsUnavailable(
                reason, f"{words} ({failure.reason}): check embeddings.base_url"
            ) from None
        if answer.status != 200:
            raise _refusal(answer)
        return self._read(answer.body, len(texts))

    def _read(self, body: bytes, count: int) -> list[Vector]:
        try:
            items = items_in(body)
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
    return 0 < math.hypot(*vector) < _MAX_LENGTH  # false for NaN and infinity


def _copy_of(error: EmbeddingsUnavailable) -> EmbeddingsUnavailable:
    """A copy of the error for another waiter: raising one exception twice would mix their tracebacks."""
    other = EmbeddingsUnavailable(error.reason, "", error.retry_after_seconds)
    other.args = error.args
    return other


def _refusal(answer: HttpAnswer) -> EmbeddingsUnavailable:
    overloaded = ("overloaded", f"has a problem ({answer.status}): try again later")
    reason, sentence = _MEANINGS.get(answer.status, overloaded)
    return EmbeddingsUnavailable(reason, sentence, answer.retry_after_seconds)


def _garbage(what: str) -> EmbeddingsUnavailable:
    sentence = f"returns {what}: check embeddings.base_url and embeddings.model"
    return EmbeddingsUnavailable("garbage", sentence)
