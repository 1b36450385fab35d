"""The protocol of service managers such as systemd: notifications to the manager, and sockets inherited from it.

Both are plain Unix: datagrams of `KEY=value` lines to the socket that `NOTIFY_SOCKET` names, and listening sockets that
are open from the start, from file descriptor 3 on. Without a service manager everything here does nothing.

Laws of this file:
- A notification never waits and never raises: a manager that does not read must not stop a daemon.
- What was passed to this process is removed from the environment, so that no child takes it for its own.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping
from contextlib import suppress
from dataclasses import dataclass

FIRST_PASSED_DESCRIPTOR = 3
MAX_STATUS_CHARS = 300


class ServiceManager:
    """Sends notifications to the service manager that started this process.

    Args:
      address: of its datagram socket, a path or `@name` of an abstract one; None: there is no manager.
      watchdog_seconds: it kills us after so long without `alive`; None: it does not.
    """

    def __init__(self, address: str | None = None, watchdog_seconds: float | None = None) -> None:
        self.watchdog_seconds = watchdog_seconds
        self._address = f"\0{address[1:]}" if address and address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        if not self._address:
            self._socket.close()

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str]) -> ServiceManager:
        """The one that started this process; its variables are removed from `environment`."""
        address = environment.pop("NOTIFY_SOCKET", None)
        micros, pid = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
        meant = not pid or pid == str(os.getpid())
        seconds = int(micros) / 1_000_000 if meant and micros.isdigit() and int(micros) else None
        return cls(address, seconds)

    @property
    def is_there(self) -> bool:
        return bool(self._address)

    def ready(self) -> None:
        """Started, or done with reloading."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Settings are being read again; `ready` ends it. The time distinguishes this reload from an earlier one."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Feed the watchdog."""
        if self.watchdog_seconds is not None:
            self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for the operator."""
        self._send(f"STATUS={' '.join(text.split())[:MAX_STATUS_CHARS]}")

    def need(self, seconds: float) -> None:
        """Starting or stopping takes at least so long from now on."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")

    def close(self) -> None:
        self._address = None
        self._socket.close()

    def _send(self, lines: str) -> None:
        if self._address:
            with suppress(OSError):  # gone, or its queue is full: the next one may get through
                self._socket.sendto(lines.encode(errors="replace"), self._address)


@dataclass(frozen=True)
class PassedSockets:
    """Listening sockets that the manager holds for us: they outlive this process."""

    ingress: tuple[socket.socket, ...] = ()
    admin: socket.socket | None = None


class UnfitSocket(Exception):
    """A passed descriptor cannot be used; the text says which and why."""


def passed_sockets(environment: MutableMapping[str, str]) -> PassedSockets:
    """The sockets that this process was started with, by their names.

    A socket named `admin` is the admin door. Any other is a door for webhooks: those of a socket unit that names none
    have the name of the unit.

    Raises:
      UnfitSocket: one of them does not listen for streams, or the admin door is not one socket file.
    """
    count, pid = environment.pop("LISTEN_FDS", ""), environment.pop("LISTEN_PID", "")
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not count.isdigit():
        return PassedSockets()
    ingress: list[socket.socket] = []
    admin: list[socket.socket] = []
    for place in range(int(count)):
        name = names[place] if place < len(names) else ""
        (admin if name == "admin" else ingress).append(_listening(FIRST_PASSED_DESCRIPTOR + place, name))
    if len(admin) > 1:
        raise UnfitSocket("two sockets named admin were passed: one is enough")
    if admin and not _is_file(admin[0]):
        raise UnfitSocket(
            "the passed socket admin is no socket file: write ListenStream=/run/… in its unit; "
            "operators are identified by their user, which only a socket file reveals"
        )
    return PassedSockets(tuple(ingress), admin[0] if admin else None)


def _is_file(passed: socket.socket) -> bool:
    """A TCP socket reveals no user, and an abstract one (its name is bytes) has no path."""
    return passed.family == socket.AF_UNIX and isinstance(passed.getsockname(), str)


def _listening(descriptor: int, name: str) -> socket.socket:
    who = f"the passed socket {name or descriptor}"
    try:
        os.set_inheritable(descriptor, False)
        passed = socket.socket(fileno=descriptor)
        listens = passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise UnfitSocket(f"{who} cannot be used: {error.strerror}") from error
    if not listens or passed.type != socket.SOCK_STREAM:
        passed.close()
        raise UnfitSocket(f"{who} does not listen: write ListenStream= and Accept=no in its unit")
    return passed
