"""The list of mutants: what is changed, and which tests must notice."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

LIST = Path(__file__).with_name("mutants.toml")


class Mutant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One mechanism taken out: in `file`, `old` (which stands there exactly once) becomes `new`."""

    name: str
    group: str
    guards: str
    """What breaks without the mechanism."""
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    """The narrowest tests that must notice, as pytest names them."""
    hangs: bool = False
    """Whether tests that do not come to their end count as a failure: the mechanism is a bound."""

    def apply(self, text: str) -> str:
        """The text of `file` without the mechanism. Raises `ValueError` when the list is out of date."""
        found = text.count(self.old)
        if found != 1:
            raise ValueError(f"{self.name}: the old text stands {found} times in {self.file}, not once")
        return text.replace(self.old, self.new)


class _List(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    mutant: tuple[Mutant, ...]


def load() -> tuple[Mutant, ...]:
    """All mutants, in the order of the list."""
    return msgspec.convert(tomllib.loads(LIST.read_text()), _List).mutant
