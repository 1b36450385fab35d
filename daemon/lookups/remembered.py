"""A cache for values that are read often and change seldom, with one fetch shared by all concurrent callers.

Rules of this file:
1. A caller that comes while a value is being fetched waits for that fetch: a hundred callers make one fetch.
2. A failed fetch fails for everyone who waited for it, and is not remembered. A stale value is never served instead.
3. If the task that fetches is cancelled, the next waiting caller fetches.
4. At most `max_entries` values are kept; the least recently used one is dropped.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import trio

ValueT = TypeVar("ValueT")


class _Fetch(Generic[ValueT]):
    """A fetch in progress and its result: a value, a failure, or neither if its task was cancelled."""

    def __init__(self) -> None:
        self.ended = trio.Event()
        self.values: tuple[ValueT, ...] = ()
        self.failure: Exception | None = None


class Remembered(Generic[ValueT]):
    def __init__(
        self, fetch: Callable[[str], Awaitable[ValueT]], keep_seconds: float, max_entries: int = 10_000
    ) -> None:
        self._fetch = fetch
        self._keep_seconds = keep_seconds
        self._max_entries = max_entries
        self._kept: OrderedDict[str, tuple[float, ValueT]] = OrderedDict()
        self._in_progress: dict[str, _Fetch[ValueT]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    async def get(self, name: str) -> ValueT:
        """The value, at most `keep_seconds` old. Raises what `fetch` raises."""
        while True:
            if (known := self.known(name)) is not None:
                return known
            in_progress = self._in_progress.get(name)
            if in_progress is None:
                return await self._fetch_for_all(name)
            await in_progress.ended.wait()
            if in_progress.failure is not None:
                raise in_progress.failure.with_traceback(None)
            if in_progress.values:
                return in_progress.values[0]

    def known(self, name: str) -> ValueT | None:
        """The value, if it is kept and not too old."""
        kept = self._kept.get(name)
        if kept is None or trio.current_time() >= kept[0]:
            return None
        self._kept.move_to_end(name)
        return kept[1]

    def drop(self, name: str) -> None:
        """Fetch this value again at the next call; the result of a fetch in progress is not kept either."""
        self._kept.pop(name, None)
        self._in_progress.pop(name, None)

    def forget(self) -> None:
        """Fetch every value again; the result of a fetch in progress is not kept either."""
        self._kept.clear()
        self._in_progress.clear()

    async def _fetch_for_all(self, name: str) -> ValueT:
        fetch = self._in_progress[name] = _Fetch()
        until = trio.current_time() + self._keep_seconds
        try:
            value = await self._fetch(name)
        except Exception as error:
            fetch.failure = error
            raise
        else:
            fetch.values = (value,)
            if self._in_progress.get(name) is fetch:
                self._keep(name, until, value)
            return value
        finally:
            if self._in_progress.get(name) is fetch:
                del self._in_progress[name]
            fetch.ended.set()

    def _keep(self, name: str, until: float, value: ValueT) -> None:
        self._kept[name] = (until, value)
        self._kept.move_to_end(name)
        while len(self._kept) > self._max_entries:
            self._kept.popitem(last=False)
