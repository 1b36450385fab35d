"""The bytes of all bodies that are being received or handled, and their bound. Pure."""

from __future__ import annotations

_LARGE_BYTES = 64 * 1024
"""More than a gateway's usual webhook has."""


class BodyBytes:
    """Shared by connections, of several doors too. Bytes are taken as they arrive: who sends nothing holds nothing."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.held = 0
        self.large_bytes = 0
        """Of all large bodies that were given back, since the start."""

    def take(self, size: int) -> bool:
        """Hold `size` bytes more; False: there is no room for them, and nothing changes."""
        if self.held + size > self._max_bytes:
            return False
        self.held += size
        return True

    def give_back(self, size: int) -> None:
        """One body, whole or not, is done with."""
        self.held -= size
        if size >= _LARGE_BYTES:
            self.large_bytes += size
