"""Whose request it is where a proxy stands before us. Pure.

The laws of this file:
1. `X-Forwarded-For` counts only where the connection comes from a trusted proxy: anybody may write the header.
2. Each proxy appends the address that it sees, so only the end of the header is true: the rightmost address that is no
   trusted proxy is the client's. What stands left of it is the client's own word.
3. An entry that is no address is a client as well, of that name: whoever sends through such a proxy is bounded
   together. The work is bounded by `MAX_HOPS`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from daemon.web.http1.messages import Peer

HEADER = "x-forwarded-for"
SOCKET_FILE = "unix"
"""In the place of a network: whoever connects over our socket file."""
MAX_HOPS = 16
_MAX_NAME_CHARS = 64


class TrustedProxies:
    """The proxies that are believed."""

    def __init__(self, networks: Sequence[str]) -> None:
        """Addresses or networks (`10.0.0.0/8`), or `unix`.

        Raises:
          ValueError: one is neither.
        """
        self._trusts_socket_file = SOCKET_FILE in networks
        self._networks = tuple(
            ipaddress.ip_network(name.strip(), strict=False) for name in networks if name != SOCKET_FILE
        )

    def trusts(self, peer: Peer) -> bool:
        if peer.uid is not None:
            return self._trusts_socket_file
        return bool(self._networks) and self._is_trusted(_address(peer.address))

    def client(self, forwarded: str) -> str:
        """The client's address by the header of a trusted proxy; empty: it names none, so it is the proxy itself."""
        client = ""
        for entry in reversed(forwarded.rsplit(",", MAX_HOPS)[-MAX_HOPS:]):
            name = entry.strip()
            if not name:
                continue
            address = _address(_without_port(name))
            client = name[:_MAX_NAME_CHARS] if address is None else str(address)
            if not self._is_trusted(address):
                break
        return client

    def _is_trusted(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


def is_proxy(name: str) -> bool:
    """Whether the name can be a trusted proxy's."""
    try:
        TrustedProxies([name])
    except ValueError:
        return False
    return True


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped


def _without_port(name: str) -> str:
    """Some write `192.0.2.1:4711` or `[2001:db8::1]:4711`."""
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0] if name.count(":") == 1 else name
