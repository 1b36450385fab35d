"""A bounded memory of what was lately so, by instance and id: the newest are always known."""

from __future__ import annotations

from typing import Generic, TypeVar

ValueT = TypeVar("ValueT")


class Lately(Generic[ValueT]):
    """Holds at least the newest `least` entries and at most twice so many: the older half goes at once."""

    def __init__(self, least: int) -> None:
        self._least = least
        self._new: dict[tuple[str, str], ValueT] = {}
        self._old: dict[tuple[str, str], ValueT] = {}

    def note(self, instance: str, id: str, value: ValueT) -> None:
        if len(self._new) >= self._least:
            self._old, self._new = self._new, {}
        self._new[instance, id] = value

    def get(self, instance: str, id: str) -> ValueT | None:
        """None: not remembered."""
        found = self._new.get((instance, id))
        return self._old.get((instance, id)) if found is None else found
