"""Which instances exist, for the webhook door: declared or stored. In memory, so that no request asks the database.

An instance that is not in it is not refused (a tenant set up a minute late loses nothing): it only has no say where two
names are in doubt.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection

from actors.identity import MAX_INSTANCE_CHARS

MAX_STORED = 10_000
"""How many names of the database are kept."""


class KnownInstances:
    """Holds the declared names, and the stored ones as they were learned last."""

    def __init__(self, declared: Collection[str] = ()) -> None:
        self._declared = frozenset(declared)
        self._names = self._declared
        self._by_fold = _folded(self._names)
        self._numbers: dict[str, str] = {}
        self._followers: list[Callable[[], None]] = []
        self.is_loaded = False
        """Whether the stored ones were ever learned."""

    @property
    def names(self) -> frozenset[str]:
        return self._names

    def follow(self, changed: Callable[[], None]) -> None:
        """`changed` is called whenever there are other names."""
        self._followers.append(changed)

    def saw_number(self, instance: str, number: str) -> None:
        """The gateway named the number of an instance; of one that is not known it does not matter."""
        if instance in self._names:
            self._numbers[instance] = number

    def numbers_seen(self) -> dict[str, str]:
        """The numbers by instance that were named since this was asked last."""
        seen, self._numbers = self._numbers, {}
        return seen

    def learn(self, stored: Collection[str]) -> None:
        """These are in the database now, and no others."""
        self.is_loaded = True
        names = self._declared.union(stored)
        if names != self._names:
            self._names, self._by_fold = names, _folded(names)
            for changed in self._followers:
                changed()

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def meant(self, written: str) -> str:
        """The instance that `written` means: the one of exactly this name, else the only one that differs in case.

        As written where there is none, or more than one.
        """
        if written in self._names or len(written) > MAX_INSTANCE_CHARS:
            return written
        alike = self._by_fold.get(_fold(written), ())
        return alike[0] if len(alike) == 1 else written

    def alike(self, one: str, other: str) -> bool:
        """Whether two names, neither of them empty, differ in case at most."""
        is_short = 0 < len(one) <= MAX_INSTANCE_CHARS and len(other) <= MAX_INSTANCE_CHARS
        return is_short and _fold(one) == _fold(other)


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _folded(names: Collection[str]) -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        found[_fold(name)].append(name)
    return dict(found)
