"""Whose the connections of a server are, and who gets a place where all are taken.

Beyond a bound, the oldest connection of a stranger gives its place to the newcomer. Where all are known, one of the
named client who has the most gives its place, if it waits and he has more than his share; else the newcomer gets none.
So silent connections keep no known client out, and no known client another: also not where all come from one address,
that of a web server before us. Root and the daemon's own user have as many places again.

A connection of a trusted proxy counts for nobody while it waits, and for the client whose request it carries.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from daemon.web.http1.listeners import network_of
from daemon.web.http1.messages import Limits, Peer
from daemon.web.http1.proxies import TrustedProxies

Whose = str | int


class Guest(Protocol):
    """A connection, as far as its place is concerned."""

    client: str
    """Whose it is, where the gate has a name for that."""

    @property
    def is_stranger(self) -> bool: ...

    @property
    def is_waited_for(self) -> bool: ...


class ConnectionPlaces:
    """The open connections, the oldest first, by whose they are.

    Args:
      take_away: called with a connection that has lost its place to another.
    """

    def __init__(
        self, limits: Limits, proxies: TrustedProxies | None, take_away: Callable[[Guest], None]
    ) -> None:
        self._limits = limits
        self._proxies = proxies
        self._take_away = take_away
        self._open: dict[Guest, Whose] = {}
        self._held: Counter[Whose] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    def all(self) -> list[Guest]:
        return list(self._open)

    def is_free_for(self, peer: Peer) -> bool:
        """Whether there is a place, perhaps because a stranger loses its own."""
        limits = self._limits
        is_ours = peer.uid in (0, os.geteuid())
        bound = limits.max_connections_per_address if peer.uid is None else limits.max_connections_per_user
        if self.is_of_proxy(peer):
            bound = None
        whose = _whose(peer)
        if bound is not None and not is_ours and self._held[whose] >= bound:
            return self._evict(whose, bound)
        places = limits.max_connections
        if len(self._open) < places or self._evict(None, places):
            return True
        return is_ours and len(self._open) < 2 * places

    def is_of_proxy(self, peer: Peer) -> bool:
        return self._proxies is not None and self._proxies.trusts(peer)

    def add(self, connection: Guest, peer: Peer) -> None:
        self._note(connection, "" if self.is_of_proxy(peer) else _whose(peer))

    def remove(self, connection: Guest) -> bool:
        """Its place is free; False: it was already."""
        whose = self._open.pop(connection, None)
        if whose is None:
            return False
        self._held[whose] -= 1
        if not self._held[whose]:
            del self._held[whose]
        return True

    def lend(self, connection: Guest, forwarded: str) -> str | None:
        """A proxy's connection carries a request of the client that this header names; returns his address.

        Empty: the header names none. None: that client has as many as he may.
        """
        assert self._proxies is not None
        client = self._proxies.client(forwarded)
        whose, bound = network_of(client) if client else "", self._limits.max_connections_per_address
        if not whose or self._open.get(connection, whose) == whose:  # or it has lost its place just now
            return client
        if self._held[whose] >= bound and not self._evict(whose, bound):
            return None
        self._note(connection, whose)
        return client

    def give_back(self, connection: Guest) -> None:
        """The request that a proxy's connection carried is answered."""
        if self._open.get(connection, "") != "":
            self._note(connection, "")

    def _note(self, connection: Guest, whose: Whose) -> None:
        before = self._open.get(connection)
        self._open[connection] = whose
        self._held[whose] += 1
        if before is not None:
            self._held[before] -= 1
            if not self._held[before]:
                del self._held[before]

    def _evict(self, whose: Whose | None, bound: int) -> bool:
        """Let the oldest stranger (of these) lose its place, or a client more than his share; False: nobody does."""
        for connection, of in self._open.items():
            if connection.is_stranger and whose in (None, of):
                return self._take_place(connection)
        held = Counter(
            connection.client
            for connection, of in self._open.items()
            if connection.client and whose in (None, of)
        )
        for client, number in held.most_common(1):
            for connection, of in self._open.items():
                fits = connection.client == client and whose in (None, of) and connection.is_waited_for
                if fits and number > bound // (len(held) + 1):  # the newcomer has a share too
                    return self._take_place(connection)
        return False

    def _take_place(self, connection: Guest) -> bool:
        self.remove(connection)
        self._take_away(connection)
        return True


def _whose(peer: Peer) -> Whose:
    """By what a peer's connections are counted: its user, or where there is none its address or network."""
    return network_of(peer.address) if peer.uid is None else peer.uid
