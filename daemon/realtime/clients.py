"""Who is let in at the realtime door, and what each client may do there. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence

import msgspec


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """One client as configured. It may be connected more than once."""

    name: str
    tokens: tuple[str, ...]
    instances: frozenset[str] | None
    """None: all of them."""
    may_push: bool
    may_watch: bool
    delivers: Callable[[], bool] = lambda: False
    """Whether it is the gateway of at least one instance now."""

    @property
    def may_deliver(self) -> bool:
        return self.delivers()

    @property
    def frames(self) -> frozenset[str]:
        """The types of frames that it may send. A push is read without its payload, to refuse it by its id."""
        may = {"auth", "push"}
        if self.may_watch:
            may.add("watch")
        if self.may_deliver:
            may |= {"serve", "outcome", "evidence"}
        return frozenset(may)

    def may_see(self, instance: str) -> bool:
        return self.instances is None or instance in self.instances


class Clients:
    def __init__(self, clients: Sequence[Client]) -> None:
        self._clients = tuple(clients)

    def known_by(self, token: str) -> Client | None:
        """The client of this token, found in constant time: as long for one client as for another, or for none."""
        given = token.encode("utf-8", "surrogateescape")
        found = [
            client
            for client in self._clients
            for known in client.tokens
            if hmac.compare_digest(given, known.encode())
        ]
        return found[0] if found else None
