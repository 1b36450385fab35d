"""Webhooks of instances that nobody has set up yet: counted by name, so that somebody hears of them at once. Pure.

Anyone who can post may make a name up: names are kept only of senders who proved something, and a bounded number.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from daemon.ingress.refusals import OTHERS, UNKNOWN

MAX_UNKNOWN = 50


class UnknownView(msgspec.Struct, frozen=True, kw_only=True):
    """An instance that nobody knows."""

    instance: str
    """`(unknown)`: its sender gave no token and is not at this machine; `(others)`: there are too many names."""
    messages: int
    """Since the start, of customers."""
    seconds_ago: float
    """Since the last of them."""


class UnknownInstances:
    """Counts since the start. Its times are seconds of one clock of the caller's."""

    def __init__(self) -> None:
        self.messages = 0
        self._seen: dict[str, tuple[int, float]] = {}

    def note(self, instance: str, is_trusted: bool, messages: int, now: float) -> str:
        """Count them; returns the name under which that is done."""
        name = instance if is_trusted else UNKNOWN
        if name not in self._seen and len(self._seen) >= MAX_UNKNOWN:
            name = OTHERS
        self.messages += messages
        self._seen[name] = (self._seen.get(name, (0, 0.0))[0] + messages, now)
        return name

    def forget(self, known: Collection[str]) -> None:
        """These have been set up."""
        self._seen = {name: seen for name, seen in self._seen.items() if name not in known}

    def views(self, now: float) -> list[UnknownView]:
        """The latest first."""
        latest = sorted(self._seen.items(), key=lambda item: -item[1][1])
        return [
            UnknownView(instance=name, messages=count, seconds_ago=max(0.0, now - at))
            for name, (count, at) in latest
        ]
