"""Connections of proxies that deliver replies, as the gateway kind `realtime` uses them.

`daemon/realtime` serves the connections and enters them here; the gateway asks for the one that delivers.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from actors.outcome import SendEvidence, SendOutcome
from actors.ports import MaySend


class Deliver(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="deliver"):
    """Send this message, once for each `key`. Travels as it is, as one frame of the connection."""

    key: str
    instance: str
    contact: str
    text: str


class Find(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="find"):
    """Was this text sent to the contact since then, under an id that is not known? Travels as `Deliver` does."""

    id: str
    instance: str
    contact: str
    text: str
    since_ms: int
    known_ids: list[str]


class Courier(Protocol):
    """One connection of a proxy that said `serve`."""

    finds: bool
    """It can tell what it has sent."""

    def may_see(self, instance: str) -> bool: ...

    async def deliver(self, frame: Deliver, may_send: MaySend, seconds: float) -> SendOutcome:
        """Hand one message to the proxy and wait for its answer."""

    async def find(self, frame: Find, seconds: float) -> SendEvidence | None:
        """Ask what it has sent; None: no answer came."""


class Couriers:
    """Which connections deliver, by the client's name. Of several of one client, the newest gets what is new."""

    def __init__(self) -> None:
        self._serving: dict[str, list[Courier]] = {}

    def join(self, client: str, courier: Courier) -> None:
        self.leave(client, courier)
        self._serving.setdefault(client, []).append(courier)

    def leave(self, client: str, courier: Courier) -> None:
        left = [other for other in self._serving.get(client, ()) if other is not courier]
        self._serving[client] = left

    def of(self, client: str, instance: str) -> Courier | None:
        """The one that delivers for the instance now. None, too, when the client may not see it."""
        serving = self._serving.get(client)
        return serving[-1] if serving and serving[-1].may_see(instance) else None
