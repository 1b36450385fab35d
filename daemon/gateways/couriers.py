"""Connections of proxies that deliver replies, as the gateway kind `realtime` uses them.

`daemon/realtime` serves the connections and enters them here; the gateway asks for the one that delivers.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from actors.outcome import SendEvidence, SendOutcome
from actors.ports import MaySend


class Deliver(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="deliver"):
    """Send this message, once for each `key`. It is one frame of the connection, as it is."""

    key: str
    instance: str
    contact: str
    text: str


class Find(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="find"):
    """Was this text sent to the contact since then, under an unknown id? It is one frame, like `Deliver`."""

    id: str
    instance: str
    contact: str
    text: str
    since_ms: int
    known_ids: list[str]


class Courier(Protocol):
    """One connection of a proxy that said `serve`."""

    finds: bool
    """Whether it can say what it has sent."""

    def may_see(self, instance: str) -> bool: ...

    async def deliver(self, frame: Deliver, may_send: MaySend, seconds: float) -> SendOutcome:
        """Give one message to the proxy and wait for its answer."""

    async def find(self, frame: Find, seconds: float) -> SendEvidence | None:
        """Ask what it has sent; None: no answer came."""


class Couriers:
    """Which connections deliver, by the client's name. If a client has several, the newest gets new messages."""

    def __init__(self) -> None:
        self._serving: dict[str, list[Courier]] = {}

    def join(self, client: str, courier: Courier) -> None:
        self.leave(client, courier)
        self._serving.setdefault(client, []).append(courier)

    def leave(self, client: str, courier: Courier) -> None:
        left = [other for other in self._serving.get(client, ()) if other is not courier]
        self._serving[client] = left

    def of(self, client: str, instance: str) -> Courier | None:
        """The connection that delivers for the instance now. None also if the client may not see the instance."""
        serving = self._serving.get(client)
        return serving[-1] if serving and serving[-1].may_see(instance) else None
