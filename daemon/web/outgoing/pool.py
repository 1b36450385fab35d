"""Who may have a connection, and which are kept for the next request. No step looks at all of them.

The laws of this file:
1. Connections to one server, and all together, have a bound; those that are kept count. Who is beyond it waits his
   turn; a server that keeps others waiting holds no more of the whole than its own bound.
2. Kept ones that are too old are closed whenever anybody comes or goes. The youngest is used first, so that those of a
   busy hour grow old.
3. One on which something came unasked, its end too, is not used.
"""

from __future__ import annotations

from collections import OrderedDict, deque

import trio

from daemon.web.outgoing.wire import Origin, Wire


class _Server:
    """One origin, for as long as somebody uses it or connections to it are kept."""

    __slots__ = ("kept", "places", "users")

    def __init__(self, max_connections: int) -> None:
        self.places = trio.Semaphore(max_connections)
        self.users = 0
        """Those who wait too."""
        self.kept: deque[Wire] = deque()
        """The oldest first."""


class Pool:
    """Bounds and keeps connections.

    Args:
      max_to_one: connections to one server.
      max_connections: to all servers together.
      keep_seconds: how long one is kept that nobody uses; 0: none is kept.
    """

    def __init__(self, max_to_one: int, max_connections: int, keep_seconds: float) -> None:
        self._max_to_one = max_to_one
        self._keep_seconds = keep_seconds
        self._places = trio.Semaphore(max_connections)
        self._servers: dict[Origin, _Server] = {}
        self._kept: OrderedDict[Wire, float] = OrderedDict()
        """Of all servers, the oldest first, with the time when each is too old."""
        self._used: set[Wire] = set()
        self._is_closed = False

    def __len__(self) -> int:
        """Connections that are open."""
        return len(self._kept) + len(self._used)

    @property
    def servers(self) -> int:
        """Of which anything is remembered."""
        return len(self._servers)

    async def enter(self, origin: Origin) -> None:
        """Wait for a place. Whoever got one must `leave`; who is cancelled here has none."""
        server = self._servers.get(origin)
        if server is None:
            server = self._servers[origin] = _Server(self._max_to_one)
        server.users += 1
        try:
            await _take(server.places)
            try:
                await _take(self._places)
            except BaseException:
                server.places.release()
                raise
        except BaseException:
            self._lose_user(origin, server)
            raise

    def kept(self, origin: Origin) -> Wire | None:
        """A connection that was kept and is still fit, for one who has entered; None: open one, and say so."""
        now = trio.current_time()
        self._close_old(now)
        server = self._servers[origin]
        while server.kept:
            wire = server.kept.pop()
            del self._kept[wire]
            if wire.is_quiet():
                self._used.add(wire)
                return wire
            wire.close()
        while len(self._kept) > self._places.value:  # they may fill free places, no more
            self._close_oldest()
        return None

    def opened(self, wire: Wire) -> None:
        """`wire` is new, and in use by one who has entered."""
        self._used.add(wire)

    def leave(self, origin: Origin, wire: Wire | None, *, is_fit: bool) -> None:
        """Give the place back, and the connection, if there was one: to be kept where it is fit for that."""
        server = self._servers[origin]
        now = trio.current_time()
        if wire is not None:
            self._used.discard(wire)
            if is_fit and self._keep_seconds > 0 and not self._is_closed:
                server.kept.append(wire)
                self._kept[wire] = now + self._keep_seconds
            else:
                wire.close()
        self._places.release()
        server.places.release()
        self._lose_user(origin, server)
        self._close_old(now)

    def close(self) -> None:
        """Close every connection, also those in use."""
        self._is_closed = True
        while self._kept:
            self._close_oldest()
        for wire in self._used:
            wire.close()

    def _lose_user(self, origin: Origin, server: _Server) -> None:
        server.users -= 1
        self._forget(origin, server)

    def _forget(self, origin: Origin, server: _Server) -> None:
        if not server.users and not server.kept:
            del self._servers[origin]

    def _close_old(self, now: float) -> None:
        while self._kept and next(iter(self._kept.values())) <= now:
            self._close_oldest()

    def _close_oldest(self) -> None:
        wire, _ = self._kept.popitem(last=False)
        server = self._servers[wire.origin]
        server.kept.popleft()  # the oldest of all is the oldest of its server
        wire.close()
        self._forget(wire.origin, server)


async def _take(places: trio.Semaphore) -> None:
    try:
        places.acquire_nowait()  # who waits is served first: then there is none
    except trio.WouldBlock:
        await places.acquire()
