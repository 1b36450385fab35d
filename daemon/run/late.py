"""The one place for what exists only once the stores run.

The doors are built before it, and hold this instead: they ask each time, and refuse until it is filled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
PartT = TypeVar("PartT")


class Late(Generic[T]):
    """A value that is filled in once, later."""

    def __init__(self) -> None:
        self._value: T | None = None

    @property
    def value(self) -> T | None:
        """None until it is filled."""
        return self._value

    def fill(self, value: T) -> None:
        """Raises `RuntimeError` the second time: nothing that was built is ever exchanged."""
        if self._value is not None:
            raise RuntimeError("this has already been filled")
        self._value = value

    def part(self, pick: Callable[[T], PartT]) -> Callable[[], PartT | None]:
        """A callable that returns a part of the value; None until there is one."""
        return lambda: None if self._value is None else pick(self._value)
