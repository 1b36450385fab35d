"""A bounded memory of what was lately so, by instance and id: the newest are always known."""

from __future__ import annotations

from typing import Generic, TypeVar

NotedT = TypeVar("NotedT")


class Lately(Generic[NotedT]):
    """Holds at least the newest `least` entries and at most twice so many: the older half goes at once."""

    def __init__(self, least: int) -> None:
        self._least = least
        self._new: dict[tuple[str, str], NotedT] = {}
        self._old: dict[tuple[str, str], NotedT] = {}

    def note(self, instance: str, id: str, value: NotedT) -> None:
        if len(self._new) >= self._least:
            self._old, self._new = self._new, {}
        self._new[instance, id] = value

    def get(self, instance: str, id: str) -> NotedT | None:
        """None: not remembered."""
        found = self._new.get((instance, id))
        return self._old.get((instance, id)) if found is None else found
