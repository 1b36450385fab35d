"""The bytes of all bodies that are being received or handled, and their bound. Pure."""

from __future__ import annotations

from collections import Counter

from daemon.web.http1.messages import Limits

_LARGE_BYTES = 64 * 1024
"""More than a gateway's usual webhook has."""


class BodyBytes:
    """Shared by connections, of several doors too. Bytes are taken as they arrive: who sends nothing holds nothing.

    Args:
      max_bytes: of all together.
      max_strange_bytes: of those together whose sender is not known before their end.
      max_strange_bytes_of_one: of those of one address.
    """

    def __init__(self, max_bytes: int, max_strange_bytes: int = 0, max_strange_bytes_of_one: int = 0) -> None:
        self._max_bytes = max_bytes
        self._max_strange_bytes = max_strange_bytes
        self._max_strange_bytes_of_one = max_strange_bytes_of_one
        self._strange = Counter[str]()
        self.held = 0
        self.strange = 0
        self.large_bytes = 0
        """Of all large bodies that were given back, since the start."""

    def take(self, size: int, stranger: str | None = None) -> bool:
        """Hold `size` bytes more; False: there is no room for them, and nothing changes.

        `stranger`: the address of a sender who is not known yet.
        """
        if self.held + size > self._max_bytes:
            return False
        if stranger is not None:
            if self.strange + size > self._max_strange_bytes:
                return False
            if self._strange[stranger] + size > self._max_strange_bytes_of_one:
                return False
            self.strange += size
            self._strange[stranger] += size
        self.held += size
        return True

    def give_back(self, size: int, stranger: str | None = None) -> None:
        """One body, whole or not, is done with."""
        self.held -= size
        if stranger is not None:
            self.strange -= size
            self._strange[stranger] -= size
            if not self._strange[stranger]:
                del self._strange[stranger]
        if size >= _LARGE_BYTES:
            self.large_bytes += size


def bodies_within(limits: Limits) -> BodyBytes:
    """For the bodies of a server with these limits."""
    return BodyBytes(limits.max_bytes_in_flight, limits.max_unproven_bytes, limits.max_unproven_bytes_of_one)
