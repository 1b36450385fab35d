"""Where connections come from: TCP addresses and Unix socket files."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import stat
import struct
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import trio

from daemon.web.http1.messages import Peer
from daemon.web.http1.stream import DirectStream

_BACKLOG = 4096
UNIX = "unix:"
"""Before the path of a socket file, where an address may be one."""
_MAX_PID_CHARS = 8
_MAX_SOCKET_PATH_BYTES = 107  # sun_path of Linux without its closing NUL
_OWNER_ONLY = 0o600
_SO_PEERGROUPS = getattr(socket, "SO_PEERGROUPS", 59)  # Linux 4.13; Python does not name it
_MAX_PEER_GROUPS = 256
_ACCEPT_PAUSE_SECONDS = 0.1
_ACCEPTED_TOGETHER = 64

StreamT = TypeVar("StreamT", bound=trio.abc.AsyncResource)
_GONE = (errno.ECONNABORTED, errno.EPERM, errno.EPROTO)
"""Errors of a single connection, by which `accept` reports that it never came in."""


class UnixListener(trio.abc.Listener[trio.SocketStream]):
    """Listens on a socket file and removes it on close, if it is still the same file and `owned`."""

    def __init__(self, listener: trio.SocketListener, path: Path, owned: bool = True) -> None:
        self._listener = listener
        self.path = path
        self._identity = _identity(path) if owned else None

    @property
    def socket(self) -> trio.socket.SocketType:
        return self._listener.socket

    async def accept(self) -> trio.SocketStream:
        return await self._listener.accept()

    async def aclose(self) -> None:
        if self._identity is not None and _identity(self.path) == self._identity:
            self.path.unlink(missing_ok=True)
        self._identity = None
        await self._listener.aclose()


async def accept_forever(
    listener: trio.abc.Listener[StreamT],
    take: Callable[[StreamT], None],
    on_pause: Callable[[OSError], None],
) -> None:
    """Pass on every connection until cancelled; closes the listener.

    When this process has no file descriptor or memory left, accepting pauses for a moment, and nothing else does: the
    kernel's backlog holds what comes meanwhile. `on_pause` is called once for each such time, however long it lasts.
    """
    pausing = False
    try:
        while True:
            try:
                stream = await listener.accept()
            except OSError as error:
                if error.errno not in _GONE:
                    if not pausing:
                        on_pause(error)
                    pausing = True
                    await trio.sleep(_ACCEPT_PAUSE_SECONDS)
                continue
            pausing = False
            take(stream)
    finally:
        await trio.aclose_forcefully(listener)


def accept_more(listener: trio.SocketListener | UnixListener, take: Callable[[DirectStream], None]) -> None:
    """Pass on what else has come in already: a burst is many, and a turn of the scheduler is long while others work."""
    sock = socket.socket(fileno=listener.socket.fileno())
    try:
        for _ in range(_ACCEPTED_TOGETHER):
            accepted, _address = sock.accept()
            # As a Trio stream has them.
            with suppress(OSError):
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with suppress(OSError):
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 2**14)
            take(DirectStream(accepted))
    except OSError:
        pass  # there are no more, or `accept` says what is wrong
    finally:
        sock.detach()


@lru_cache(maxsize=1024)
def network_of(address: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 of an IPv6 address, which one host may have whole.

    Cached: a gateway that keeps no connection comes anew with every webhook.
    """
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if known.version == 4:
        return str(known)
    if known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return "::1" if known.is_loopback else str(ipaddress.ip_network((known, 64), strict=False))


async def open_tcp_listeners(listen: str) -> list[trio.SocketListener]:
    """Listen on `host:port`; IPv6 in brackets, port 0 for any free one, `*` for every address.

    Raises:
      ValueError: `listen` is not written so.
      OSError: the address cannot be had.
    """
    host, port = split_address(listen)
    return await trio.open_tcp_listeners(port, host=None if host == "*" else host, backlog=_BACKLOG)


def passed_tcp_listener(passed: socket.socket) -> trio.SocketListener:
    """Serve a socket that listens already and that another process keeps open."""
    return trio.SocketListener(trio.socket.from_stdlib_socket(passed))


def passed_unix_listener(passed: socket.socket) -> UnixListener:
    """As `passed_tcp_listener`; the file stays where it is when we end."""
    return UnixListener(passed_tcp_listener(passed), Path(passed.getsockname()), owned=False)


def split_address(listen: str) -> tuple[str, int]:
    """Host and port of `host:port` or `[v6]:port`.

    Raises:
      ValueError: it is not written so.
    """
    host, colon, port = listen.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if bracketed:
        host = host[1:-1]
    well_formed = colon and host and port.isascii() and port.isdigit() and (":" not in host or bracketed)
    if not well_formed or int(port) > 65535:
        raise ValueError(f"{listen!r} is not host:port (IPv6 in brackets, port 0 to 65535)")
    return host, int(port)


def is_listenable(listen: str) -> bool:
    """Whether it is `host:port`, or `unix:` and the absolute path of a socket file."""
    if listen.startswith(UNIX):
        path = Path(listen.removeprefix(UNIX))
        return path.is_absolute() and len(os.fsencode(path)) + _MAX_PID_CHARS < _MAX_SOCKET_PATH_BYTES
    try:
        split_address(listen)
    except ValueError:
        return False
    return True


def address_of(listener: trio.SocketListener | UnixListener) -> str:
    """Where `listener` really listens: the configured port may have been 0."""
    if isinstance(listener, UnixListener):
        return f"{UNIX}{listener.path}"
    address = listener.socket.getsockname()
    if isinstance(address, bytes):  # an abstract Unix socket, as systemd writes it
        return f"unix:@{address[1:].decode(errors='replace')}"
    if isinstance(address, str):
        return f"unix:{address}"
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def open_unix_listener(path: Path, mode: int = _OWNER_ONLY, group: int | None = None) -> UnixListener:
    """Listen on a socket file of `mode` and, if given, of this group; it replaces one that a dead server left behind.

    The socket is bound beside its place, given its mode and moved there whole: at no moment can anybody else
    connect, and `path` never names a socket that refuses.

    Raises:
      FileExistsError: a live server answers there, or something that is no socket stands there.
      PermissionError: this process may not give a file to the group.
      ValueError: the path is too long for a Unix socket.
    """
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    if len(os.fsencode(beside)) > _MAX_SOCKET_PATH_BYTES:
        raise ValueError(f"{path}: longer than a Unix socket path may be ({_MAX_SOCKET_PATH_BYTES} bytes)")
    _refuse_occupied(path)
    beside.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(os.fspath(beside))
        beside.chmod(_OWNER_ONLY)
        if group is not None:
            os.chown(beside, -1, group)
        beside.chmod(mode)
        bound.listen(_BACKLOG)
        beside.rename(path)
        return UnixListener(trio.SocketListener(trio.socket.from_stdlib_socket(bound)), path)
    except BaseException:
        bound.close()
        beside.unlink(missing_ok=True)
        raise


def _refuse_occupied(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(f"{path} is not a socket; move it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return  # nobody listens: its server is dead
        except BlockingIOError:
            pass  # its backlog is full, but it lives
    raise FileExistsError(f"a server already answers on {path}")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def peer_of(stream: trio.abc.Stream) -> Peer:
    """Who is at the other end of `stream`.

    Raises:
      OSError: nobody any more.
    """
    if not isinstance(stream, DirectStream):
        return Peer("memory")
    sock = stream.socket
    if sock.family == socket.AF_UNIX:
        size = struct.calcsize("3i")
        pid, uid, gid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
        return Peer("unix", pid, uid, gid, _groups_of(sock))
    address: str = sock.getpeername()[0]
    return Peer(address.removeprefix("::ffff:"))


def _groups_of(sock: socket.socket) -> tuple[int, ...]:
    """The peer's supplementary groups; none where there are too many, or the kernel is too old to report them."""
    size = struct.calcsize("i")
    try:
        packed = sock.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, size * _MAX_PEER_GROUPS)
    except OSError:
        return ()
    return struct.unpack(f"{len(packed) // size}I", packed)
