"""Goals of the benchmarks: what must be reached, what is aimed at, and how that is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Goal:
    """One figure and its marks."""

    what: str
    value: float
    mark: float
    """What must be reached."""
    aim: float | None = None
    is_floor: bool = True
    """Whether more is better."""

    @property
    def is_reached(self) -> bool:
        return self._reaches(self.mark)

    def line(self) -> str:
        """`what   value   goal ≥ mark  reached   aim ≥ aim  MISSED`"""
        line = f"{self.what:<56}{self.value:>10,.2f}   {self._verdict('goal', self.mark)}"
        return line if self.aim is None else f"{line}   {self._verdict('aim', self.aim)}"

    def document(self) -> dict[str, Any]:
        """The same for `--json`."""
        found: dict[str, Any] = {
            "what": self.what,
            "value": self.value,
            "goal": f"{self._sign} {self.mark:g}",
            "reached": self.is_reached,
        }
        if self.aim is not None:
            found |= {"aim": f"{self._sign} {self.aim:g}", "aim_reached": self._reaches(self.aim)}
        return found

    @property
    def _sign(self) -> str:
        return "≥" if self.is_floor else "≤"

    def _reaches(self, mark: float) -> bool:
        return self.value >= mark if self.is_floor else self.value <= mark

    def _verdict(self, word: str, mark: float) -> str:
        wanted = f"{word} {self._sign} {mark:g}"
        return f"{wanted:<14}{'reached' if self._reaches(mark) else 'MISSED':<7}"


def lines(goals: Sequence[Goal]) -> list[str]:
    """One line for each."""
    return [goal.line().rstrip() for goal in goals]
