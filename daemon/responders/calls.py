"""How many calls run at one provider. Entries that mean the same server, key and model are counted together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class CallsUnderWay:
    def __init__(self) -> None:
        self.count = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1
