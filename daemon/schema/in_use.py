"""What is made of settings: one object for all instances whose settings are equal, as long as one of them has these.

Laws of this file:
1. An object is made when it is first needed.
2. It goes when no settings in force ask for it and no call runs in it. A call ends in the one that it began in, and
   settings that come back meanwhile find that one again. One that is called by settings no longer in force goes with
   the call.
3. So there are never more than the settings in force name, and those of the calls that run, however often settings
   change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT")
MadeT = TypeVar("MadeT")


@dataclass
class _Entry(Generic[MadeT]):
    made: MadeT
    calls: int = 0
    wanted: bool = True


class InUse(Generic[KeyT, MadeT]):
    def __init__(self, make: Callable[[KeyT], MadeT]) -> None:
        self._make = make
        self._entries: dict[KeyT, _Entry[MadeT]] = {}
        self._wanted: Collection[KeyT] | None = None
        """None: nobody has said yet."""

    def of(self, key: KeyT) -> MadeT:
        """The object of these settings, for a moment."""
        with self.call(key) as made:
            return made

    @contextmanager
    def call(self, key: KeyT) -> Iterator[MadeT]:
        """The object of these settings, for a call that may outlast them."""
        entry = self._entry(key)
        entry.calls += 1
        try:
            yield entry.made
        finally:
            entry.calls -= 1
            if not entry.calls and not entry.wanted:
                del self._entries[key]

    def keep(self, wanted: Collection[KeyT]) -> None:
        """These are the settings in force now, and no others."""
        self._wanted = wanted = frozenset(wanted)
        for key, entry in list(self._entries.items()):
            entry.wanted = key in wanted
            if not entry.calls and not entry.wanted:
                del self._entries[key]

    def __len__(self) -> int:
        return len(self._entries)

    def _entry(self, key: KeyT) -> _Entry[MadeT]:
        entry = self._entries.get(key)
        if entry is None:
            is_wanted = self._wanted is None or key in self._wanted
            entry = self._entries[key] = _Entry(self._make(key), wanted=is_wanted)
        return entry
