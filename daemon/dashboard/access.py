"""Login: one-time links, and the sessions that they open. Nothing here waits.

Laws of this file:
- Only the hash of a token is stored, and hashes are compared in constant time; no token appears in an event.
- Links and sessions are limited in number and in time; when there are too many, the oldest is removed. They live in
  memory: a restart ends them all.
- A valid token is never refused because of invalid ones: those are only counted, and too many of them get 429.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import deque
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from daemon.operate.levels import Level

MAX_LINKS = 100
MAX_SESSIONS = 100
MAX_FAILURES_PER_MINUTE = 30

T = TypeVar("T")


class DashboardSession:
    """One browser that is logged in."""

    def __init__(self, level: Level, name: str) -> None:
        self.level = level
        self.name = name
        """Identifies it in the audit log and in events; grants nothing."""
        self.customers: dict[str, str] = {}
        """In the playground: the contact that it writes as, by instance."""
        self.streams = 0
        """Number of open event streams."""
        self.written_at: deque[float] = deque()
        """When it wrote in the playground, within the last minute."""


class LoginGrant(NamedTuple):
    """What a login link grants, and who requested it."""

    level: Level
    asked_by: str
    """`uid 1000`, or `start` for the link printed at startup."""


class Access:
    """All links and sessions. `now` is a monotonic clock in seconds."""

    def __init__(self, login_seconds: float, session_seconds: float, now: Callable[[], float]) -> None:
        self._now = now
        self._links: _Tokens[LoginGrant] = _Tokens(MAX_LINKS, login_seconds, now)
        self._sessions: _Tokens[DashboardSession] = _Tokens(MAX_SESSIONS, session_seconds, now)
        self._failures: deque[float] = deque(maxlen=MAX_FAILURES_PER_MINUTE)

    @property
    def sessions(self) -> int:
        """Number of open sessions."""
        return len(self._sessions)

    def link(self, grant: LoginGrant) -> str:
        """A new token that opens one session."""
        return self._links.put(grant)

    def open(self, token: str) -> tuple[str, DashboardSession, LoginGrant] | None:
        """Use a token: its cookie, session and grant; None if it is unknown, used or expired."""
        grant = self._links.take(token)
        if grant is None:
            self._failures.append(self._now())
            return None
        session = DashboardSession(grant.level, secrets.token_hex(3))
        return self._sessions.put(session), session, grant

    def has_many_failures(self) -> bool:
        """Whether the last minute had more invalid tokens than people would type."""
        full = len(self._failures) == MAX_FAILURES_PER_MINUTE
        return full and self._now() - self._failures[0] < 60

    def of(self, cookie: str) -> DashboardSession | None:
        """The session of a cookie; None if it is unknown or has ended."""
        return self._sessions.get(cookie)

    def is_open(self, session: DashboardSession) -> bool:
        return session in self._sessions

    def close(self, cookie: str) -> DashboardSession | None:
        """Log out; returns the session that ended."""
        return self._sessions.take(cookie)


class _Tokens(Generic[T]):
    """Values behind tokens, the oldest first. All expire after the same time."""

    def __init__(self, max_entries: int, seconds: float, now: Callable[[], float]) -> None:
        self._max_entries = max_entries
        self._seconds = seconds
        self._now = now
        self._entries: dict[bytes, tuple[float, T]] = {}

    def __len__(self) -> int:
        self._expire()
        return len(self._entries)

    def __contains__(self, value: T) -> bool:
        self._expire()
        return any(stored is value for _, stored in self._entries.values())

    def put(self, value: T) -> str:
        self._expire()
        while len(self._entries) >= self._max_entries:
            del self._entries[next(iter(self._entries))]
        token = secrets.token_urlsafe(32)
        self._entries[_hash(token)] = (self._now() + self._seconds, value)
        return token

    def get(self, token: str) -> T | None:
        key = self._find(token)
        return None if key is None else self._entries[key][1]

    def take(self, token: str) -> T | None:
        key = self._find(token)
        return None if key is None else self._entries.pop(key)[1]

    def _find(self, token: str) -> bytes | None:
        self._expire()
        wanted = _hash(token)
        matches = [key for key in self._entries if hmac.compare_digest(key, wanted)]
        return matches[0] if matches else None

    def _expire(self) -> None:
        now = self._now()
        while self._entries and (oldest := next(iter(self._entries))) and self._entries[oldest][0] <= now:
            del self._entries[oldest]


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
