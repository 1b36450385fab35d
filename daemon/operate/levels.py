"""Who may do what through the admin socket: three levels, granted by the user and group ids that the kernel reports.

Laws of this file:
- The daemon's own user and root may do everything. Anyone who is not named may do nothing, not even look.
- A name is looked up once, at the start: one that does not exist stops the start, and is not ignored.
- The highest level of any of the peer's ids counts.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from actors.errors import MajlisError
from daemon.web.http1 import Peer

Level = Literal["read", "operate", "admin"]
"""Look, with texts and numbers masked | act on conversations | change the daemon, and see phone numbers and texts."""

LEVELS: tuple[Level, ...] = get_args(Level)
_GROUP = "group:"


class NobodyThere(MajlisError):
    """A user or group with a level does not exist. The text is a sentence for the operator."""


class Levels:
    """`Levels(people).of(peer)`; `people` are user names, user ids and `group:NAME`, by level."""

    def __init__(self, people: Mapping[Level, Sequence[str]] | None = None) -> None:
        """Raises: NobodyThere."""
        self._users: dict[int, Level] = {}
        self._groups: dict[int, Level] = {}
        for level in LEVELS:  # the highest comes last and wins
            for name in (people or {}).get(level, ()):
                if name.startswith(_GROUP):
                    self._groups[gid_of(name.removeprefix(_GROUP), f"admin.levels.{level}")] = level
                else:
                    self._users[_uid_of(name, f"admin.levels.{level}")] = level
        self._users |= dict.fromkeys((0, os.geteuid()), "admin")

    def of(self, peer: Peer) -> Level | None:
        """None: this peer may do nothing."""
        if peer.uid is None:
            return None
        groups = (peer.gid, *peer.groups)
        found = [self._users.get(peer.uid), *(self._groups.get(gid) for gid in groups if gid is not None)]
        return max((level for level in found if level is not None), key=LEVELS.index, default=None)


def suffices(level: Level, needed: Level) -> bool:
    return LEVELS.index(level) >= LEVELS.index(needed)


def gid_of(name: str, key: str) -> int:
    """The id of the group that the setting `key` names. Raises: NobodyThere."""
    if name.isascii() and name.isdigit():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise NobodyThere(
            f"{key}: this machine has no group called {name}: create it, or correct the name."
        ) from None


def _uid_of(name: str, key: str) -> int:
    if name.isascii() and name.isdigit():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise NobodyThere(
            f"{key}: this machine has no user called {name}: create it, or correct the name; a group is "
            f"written group:{name}."
        ) from None
