"""Values that are asked for often and change seldom: remembered for a while, fetched once for all who wait.

Laws of this file:
1. Who asks while a value is being fetched waits for that fetch; a hundred at once make one.
2. A failure is everybody's who waited for it, and nobody's after that. An old value never stands in for a new one.
3. A fetch whose task is cancelled is taken over by the next who waits.
4. At most `max_entries` are kept; the one not asked for the longest goes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import trio

ValueT = TypeVar("ValueT")


class _Fetch(Generic[ValueT]):
    """One fetch under way, and how it ended: a value, a failure, or neither when its task was cancelled."""

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
        self._under_way: dict[str, _Fetch[ValueT]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    async def get(self, name: str) -> ValueT:
        """The value, at most `keep_seconds` old. Raises what fetching it raises."""
        while True:
            kept = self._kept.get(name)
            if kept is not None and trio.current_time() < kept[0]:
                self._kept.move_to_end(name)
                return kept[1]
            under_way = self._under_way.get(name)
            if under_way is None:
                return await self._fetch_for_all(name)
            await under_way.ended.wait()
            if under_way.failure is not None:
                raise under_way.failure.with_traceback(None)
            if under_way.values:
                return under_way.values[0]

    def drop(self, name: str) -> None:
        """Fetch this one anew."""
        self._kept.pop(name, None)

    def forget(self) -> None:
        """Fetch everything anew; what is being fetched now is not kept either."""
        self._kept.clear()
        self._under_way.clear()

    async def _fetch_for_all(self, name: str) -> ValueT:
        fetch = self._under_way[name] = _Fetch()
        until = trio.current_time() + self._keep_seconds
        try:
            value = await self._fetch(name)
        except Exception as error:
            fetch.failure = error
            raise
        else:
            fetch.values = (value,)
            if self._under_way.get(name) is fetch:
                self._keep(name, until, value)
            return value
        finally:
            if self._under_way.get(name) is fetch:
                del self._under_way[name]
            fetch.ended.set()

    def _keep(self, name: str, until: float, value: ValueT) -> None:
        self._kept[name] = (until, value)
        self._kept.move_to_end(name)
        while len(self._kept) > self._max_entries:
            self._kept.popitem(last=False)
