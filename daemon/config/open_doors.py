"""Which doors stand open to more than this machine, and what to write to close them. Pure.

Open is a door that other machines can reach and that asks nobody who he is, or that lets keys travel in clear. An
address counts as reachable unless it is a loopback address or a local socket. Private networks (RFC 1918, IPv6 ULA)
and link-local ones do count: everything else in that network reaches the door, and a container that listens on 0.0.0.0
cannot see which of its ports are published.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from daemon.config.door_tokens import LEAST_CHARS, short_tokens
from daemon.config.schema import Settings
from daemon.web.http1 import split_address

DoorName = Literal["ingress", "token", "tokens", "metrics", "dashboard", "realtime"]


class OpenDoor(NamedTuple):
    """One finding."""

    door: DoorName
    danger: str
    """What can happen there; a sentence without its capital and full stop, to stand after a name and a colon."""
    advice: str
    """What to write, in the same form."""

    @property
    def sentence(self) -> str:
        return f"{self.danger}. {self.advice[0].upper()}{self.advice[1:]}."


class Listening(NamedTuple):
    """The addresses that each door really has: a service manager may have passed others than the settings name."""

    ingress: Sequence[str]
    dashboard: Sequence[str] = ()
    realtime: Sequence[str] = ()


def configured(settings: Settings) -> Listening:
    """Where the doors will listen by the settings alone."""
    dashboard, realtime = settings.dashboard.listen, settings.realtime.listen
    return Listening(
        (settings.ingress.listen,),
        (dashboard,) if dashboard is not None else (),
        (realtime,) if realtime is not None else (),
    )


def open_doors(settings: Settings, listening: Listening | None = None) -> tuple[OpenDoor, ...]:
    """Every open door, the most dangerous first; `listening` is by the settings where it is not known."""
    return tuple(_found(settings, listening or configured(settings)))


def _found(settings: Settings, listening: Listening) -> Iterator[OpenDoor]:
    auth = settings.ingress.auth
    if at := _reachable(listening.ingress):
        if auth.mode_in_force == "none":
            yield OpenDoor(
                "ingress",
                f"anyone who reaches {at} can post messages, as any instance without a token of its own",
                "set ingress.auth.token (in the environment: MAJLIS_INGRESS__AUTH__TOKEN) and give it to the gateway "
                "as the header apikey, also in a container or behind a proxy; or set ingress.listen to 127.0.0.1:8080",
            )
        if settings.metrics.enabled and settings.metrics.token is None:
            yield OpenDoor(
                "metrics",
                f"anyone who reaches {at} can read /metrics (instances, tokens, cost)",
                "set metrics.token and give it to the scraper, or set metrics.enabled: false, or have a proxy in "
                "front that passes on /webhook alone",
            )
    if at := _reachable(listening.dashboard):
        yield OpenDoor(
            "dashboard",
            f"login links, sessions and customers' texts of the dashboard travel in clear at {at}",
            "set dashboard.listen to 127.0.0.1:8089 and use a tunnel, or a web server with HTTPS whose name is in "
            "dashboard.hosts; or set dashboard.listen: null. In a container, publish the port to 127.0.0.1 only",
        )
    if at := _reachable(listening.realtime):
        yield OpenDoor(
            "realtime",
            f"tokens and messages of realtime clients travel in clear at {at} (ws://)",
            "set realtime.listen to 127.0.0.1:8081 and put a web server with TLS (wss://) in front of it",
        )
    if short := short_tokens(settings):
        yield OpenDoor(
            "tokens",
            f"a token of fewer than {LEAST_CHARS} characters can be guessed: {', '.join(short)}",
            "set a longer one (`openssl rand -hex 24` makes one); a list of two accepts both while it is being changed",
        )
    if auth.mode == "none" and auth.is_set:
        yield OpenDoor(
            "token",
            "a token is asked for, because one is set, although ingress.auth.mode is none",
            "write ingress.auth.mode: token, or remove ingress.auth.token",
        )


def _reachable(addresses: Sequence[str]) -> str:
    """Those that other machines can reach, as words; empty: none."""
    return ", ".join(address for address in addresses if _is_reachable(address))


def _is_reachable(address: str) -> bool:
    if address.startswith("unix:"):
        return False
    host = split_address(address)[0].lower().rstrip(".")
    try:
        known = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host != "localhost" and not host.endswith(".localhost")
    if isinstance(known, ipaddress.IPv6Address) and known.ipv4_mapped is not None:
        known = known.ipv4_mapped
    return not known.is_loopback
