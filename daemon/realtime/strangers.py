"""Connections whose token is not known yet: they have few places, of their own, and little is read of them.

Laws of this file:
1. Strangers never use a place of the known: those are counted elsewhere.
2. A newcomer always gets a place. Where there is none, the oldest stranger of the same network loses its own, and where
   all places are taken, the oldest of the network that has most. A client with a token is a stranger for
   milliseconds, so it is silence that loses.
3. A network is an IPv4 address, or a /64 of IPv6, which one host may have whole. All that comes over loopback (behind a
   web server: everybody) may have all places: law 2 is what holds there.
4. Of a stranger no more than `STRANGER_BYTES` are read. The rest waits in the kernel.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from daemon.web.http1 import network_of

STRANGER_BYTES = 32 * 1024
"""A handshake, a frame with a token, and not much else."""


class Strangers:
    """The places of those that are not known yet."""

    def __init__(self, max_in_all: int, max_per_network: int) -> None:
        self._max_in_all = max_in_all
        self._max_per_network = max_per_network
        self._staying: dict[trio.CancelScope, str] = {}

    def __len__(self) -> int:
        return len(self._staying)

    @contextmanager
    def staying(self, address: str) -> Iterator[trio.CancelScope]:
        """A place for one stranger; the scope is cancelled when it loses the place."""
        network = network_of(address)
        self._make_room(network)
        scope = trio.CancelScope()
        self._staying[scope] = network
        try:
            with scope:
                yield scope
        finally:
            self._staying.pop(scope, None)

    def _make_room(self, network: str) -> None:
        counts = Counter(self._staying.values())
        if counts[network] >= self._bound_of(network):
            self._end_oldest(network)
        elif len(self._staying) >= self._max_in_all:
            self._end_oldest(counts.most_common(1)[0][0])

    def _bound_of(self, network: str) -> int:
        return self._max_in_all if _is_loopback(network) else self._max_per_network

    def _end_oldest(self, network: str) -> None:
        oldest = next(scope for scope, whose in self._staying.items() if whose == network)
        del self._staying[oldest]
        oldest.cancel()


class StrangersStream(trio.abc.Stream):
    """Reads no more than `STRANGER_BYTES` before `known` is set. Owns `stream`."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.known = trio.Event()
        self._stream = stream
        self._left = STRANGER_BYTES

    @property
    def address(self) -> str:
        """Raises: OSError. The peer has gone."""
        address: str = self._stream.socket.getpeername()[0]
        return address

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        if not self._left:
            await self.known.wait()
        if self.known.is_set():
            return await self._stream.receive_some(max_bytes)
        data = await self._stream.receive_some(min(max_bytes or self._left, self._left))
        self._left -= len(data)
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


def _is_loopback(network: str) -> bool:
    try:
        return ipaddress.ip_network(network).is_loopback
    except ValueError:
        return False
