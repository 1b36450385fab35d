"""Starts a program that dies with the daemon: arms a parent-death signal, then replaces itself with the program.

Run as a file (`python -I -S child_guard.py <parent pid> <signal> <ids> <program> <arguments>…`), so that it starts in
milliseconds and needs only the standard library. `ids` is `-`, or `uid:gid` to appear as in a new user namespace.

Rules of this file:

- The parent-death signal is armed last, because changing credentials (as a user namespace does) disarms it.
- After arming, the parent is checked once more: had it died before, the signal would never come.
- The process id never changes, so the daemon watches the server itself and not a wrapper.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from pathlib import Path

NAMESPACE_REFUSED = 91
PARENT_GONE = 92
CANNOT_EXECUTE = 93

_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1


def _system_call(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _enter_user_namespace(libc: ctypes.CDLL, user: str, group: str) -> None:
    outside_user, outside_group = os.geteuid(), os.getegid()
    _system_call(libc.unshare(_CLONE_NEWUSER))
    process = Path("/proc/self")
    (process / "setgroups").write_text("deny")  # the kernel requires this before an unprivileged gid_map
    (process / "uid_map").write_text(f"{user} {outside_user} 1")
    (process / "gid_map").write_text(f"{group} {outside_group} 1")


def main(arguments: list[str]) -> int:
    """Execute the program. Returns, with an exit status, only if that is not possible."""
    parent, signal_number, ids, *command = arguments
    libc = ctypes.CDLL(None, use_errno=True)
    if ids != "-":
        try:
            _enter_user_namespace(libc, *ids.split(":"))
        except OSError as error:
            print(f"cannot enter a user namespace: {error.strerror}", file=sys.stderr)  # noqa: T201
            return NAMESPACE_REFUSED
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # messages of customers must not end up in a core file
    _system_call(libc.prctl(_PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0))
    if os.getppid() != int(parent):
        return PARENT_GONE
    try:
        os.execv(command[0], command)
    except OSError as error:
        print(f"cannot execute {command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201
    return CANNOT_EXECUTE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
