"""The bytes of all bodies that are being received or handled, and their bound. Pure."""

from __future__ import annotations


class BodyBytes:
    """Shared by the connections of a server. Bytes are taken as they arrive: who sends nothing holds nothing."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.held = 0

    def take(self, size: int) -> bool:
        """Hold `size` bytes more; False: there is no room for them, and nothing changes."""
        if self.held + size > self._max_bytes:
            return False
        self.held += size
        return True

    def give_back(self, size: int) -> None:
        self.held -= size
