"""Opens connections, and remembers for a while where a name was reached.

To look a name up takes a thread, and its addresses are raced: together more than the rest of a request. To a gateway
there is a connection for each.

The laws of this file:
1. Remembered is an address that took a connection, for a short time from the look-up on; a failure never is.
2. One that takes the next connection too late, or not at all, is forgotten, and the name is looked up at once: then all
   its addresses are tried.
3. So many names are remembered at most; the oldest goes.
"""

from __future__ import annotations

import math
import socket
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import trio

from daemon.web.outgoing.wire import Origin, Wire

REMEMBERED_SECONDS = 10.0
MAX_REMEMBERED = 512
MAX_STRAIGHT_SECONDS = 1.0
"""A remembered address has so long, before the name is looked up."""


class _Reached(NamedTuple):
    family: socket.AddressFamily
    address: Any
    """As a socket of that family takes it."""
    until: float


class Opener:
    def __init__(self, now: Callable[[], float] = trio.current_time) -> None:
        self._now = now
        self._reached: OrderedDict[tuple[str, int], _Reached] = OrderedDict()
        """By host and port, the oldest first."""

    def __len__(self) -> int:
        """Names that are remembered."""
        return len(self._reached)

    async def open(self, origin: Origin, seconds: float | None) -> Wire:
        """A new connection, in the clear so far.

        Raises:
          OSError: nobody takes it there.
          trio.TooSlowError: not within `seconds`.
        """
        _, host, port = origin
        if _is_address(host):  # nothing to look up, and nothing to race
            return await _straight(origin, socket.AF_INET, (host, port), seconds)
        with trio.fail_after(math.inf if seconds is None else seconds):
            reached = self._reached.get((host, port))
            if reached is not None and self._now() < reached.until:
                with suppress(OSError, trio.TooSlowError):
                    return await _straight(origin, reached.family, reached.address, MAX_STRAIGHT_SECONDS)
            self.forget(origin)
            stream = await trio.open_tcp_stream(host, port)
        wire = Wire(socket.socket(fileno=stream.socket.detach()), origin)
        try:
            self._remember((host, port), wire)
        except BaseException:
            wire.close()
            raise
        return wire

    def forget(self, origin: Origin) -> None:
        """What was reached there is not what is looked for."""
        self._reached.pop(origin[1:], None)

    def _remember(self, name: tuple[str, int], wire: Wire) -> None:
        family, address = wire.peer()
        self._reached.pop(name, None)
        self._reached[name] = _Reached(family, address, self._now() + REMEMBERED_SECONDS)
        if len(self._reached) > MAX_REMEMBERED:
            self._reached.popitem(last=False)


async def _straight(
    origin: Origin, family: socket.AddressFamily, address: Any, seconds: float | None
) -> Wire:
    wire = Wire(socket.socket(family, socket.SOCK_STREAM), origin)
    try:
        await wire.connect(address, seconds)
    except BaseException:
        wire.close()
        raise
    return wire


def _is_address(host: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET, host)
    except OSError:
        return False
    return True
