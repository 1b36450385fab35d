"""A fake service manager: receives notifications, holds listening sockets, passes both to a daemon."""

from __future__ import annotations

import itertools
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.patience import wait_until

RECEIVE_SECONDS = 0.2
_ADOPT = """
import fcntl, os, sys
count = int(os.environ["LISTEN_FDS"])
high = [fcntl.fcntl(int(descriptor), fcntl.F_DUPFD, 100) for descriptor in sys.argv[1 : count + 1]]
for place, descriptor in enumerate(high, start=3):
    os.dup2(descriptor, place)
    os.close(descriptor)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execvp(sys.argv[count + 1], sys.argv[count + 1 :])
"""


class FakeManager:
    """Receives notifications on `address`, a path or the `@name` of an abstract socket."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.said: list[str] = []
        """Every line, in order."""
        self._marks = itertools.count()

    @contextmanager
    def running(self) -> Iterator[FakeManager]:
        address = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        stop = threading.Event()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
            receiver.bind(address)
            receiver.settimeout(RECEIVE_SECONDS)
            thread = threading.Thread(target=self._listen, args=(receiver, stop))
            thread.start()
            try:
                yield self
            finally:
                stop.set()
                thread.join()
        if not self.address.startswith("@"):
            Path(self.address).unlink()

    def hear_all(self) -> None:
        """Wait until everything that was sent up to now is heard: datagrams come in their order."""
        address = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        mark = f"MARK={next(self._marks)}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(mark.encode(), address)
        wait_until(lambda: mark in self.said, "the mark is heard")

    def count(self, line: str) -> int:
        return self.said.count(line)

    def statuses(self) -> list[str]:
        return [line.removeprefix("STATUS=") for line in list(self.said) if line.startswith("STATUS=")]

    def _listen(self, receiver: socket.socket, stop: threading.Event) -> None:
        while not stop.is_set():
            with suppress(TimeoutError):
                self.said += receiver.recv(8192).decode().splitlines()


def passing(sockets: dict[str, socket.socket]) -> tuple[tuple[str, ...], tuple[int, ...], dict[str, str]]:
    """A command prefix, the inherited descriptors and the environment, as systemd passes sockets."""
    environment = {"LISTEN_FDS": str(len(sockets)), "LISTEN_FDNAMES": ":".join(sockets)}
    descriptors = tuple(held.fileno() for held in sockets.values())
    adopt = (sys.executable, "-I", "-S", "-c", _ADOPT, *map(str, descriptors))
    return adopt, descriptors, environment


def listening(host: str = "127.0.0.1") -> socket.socket:
    """A socket listening on a free port."""
    return socket.create_server((host, 0), backlog=1024)


def listening_at(path: Path) -> socket.socket:
    """A socket listening at a path."""
    held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    held.bind(str(path))
    held.listen(64)
    return held
