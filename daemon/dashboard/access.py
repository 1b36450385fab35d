"""Login: one-time links, and the sessions that they open. Nothing here waits.

Laws of this file:
- Only the hash of a token is stored, and hashes are compared in constant time; no token appears in an event.
- Links and sessions are limited in number and in time. When there are too many, whoever asked for the most loses his
  oldest: nobody pushes out another who has fewer. They live in memory: a restart ends them all.
- A valid token is never refused because of invalid ones: those are only counted, and too many of them get 429.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import Counter, deque
from collections.abc import Callable
from typing import Generic, NamedTuple, Protocol, TypeVar

from daemon.operate.levels import Level

MAX_LINKS = 100
MAX_SESSIONS = 100
MAX_FAILURES_PER_MINUTE = 30


class HasAsker(Protocol):
    @property
    def asked_by(self) -> str: ...


T = TypeVar("T", bound=HasAsker)


class Stream(Protocol):
    def end(self) -> None: ...


class DashboardSession:
    """One browser that is logged in."""

    def __init__(self, level: Level, name: str, asked_by: str, now: float) -> None:
        self.level = level
        self.name = name
        """Identifies it in the audit log and in events; grants nothing."""
        self.asked_by = asked_by
        """Who asked for the link that opened it."""
        self.opened_at = now
        self.seen_at = now
        """When it last asked for something."""
        self.customers: dict[str, str] = {}
        """In the playground: the contact that it writes as, by instance."""
        self.streams: set[Stream] = set()
        """Those that are open."""
        self.written_at: deque[float] = deque()
        """When it wrote in the playground, within the last minute."""

    def seen(self, now: float) -> None:
        self.seen_at = now

    def end(self) -> None:
        """It is open no more: neither are its streams."""
        for stream in list(self.streams):
            stream.end()


class LoginGrant(NamedTuple):
    """What a login link grants, and who requested it."""

    level: Level
    asked_by: str
    """`uid 1000`, or `start` for the link printed at startup."""


class Access:
    """All links and sessions. `now` is a monotonic clock in seconds."""

    def __init__(
        self,
        login_seconds: float,
        session_seconds: float,
        now: Callable[[], float],
        on_end: Callable[[DashboardSession], None] = lambda session: None,
    ) -> None:
        """`on_end` is told of every session that has ended, whatever ended it."""
        self._now = now
        self._on_end = on_end
        self._links: _Tokens[LoginGrant] = _Tokens(MAX_LINKS, login_seconds, now)
        self._sessions: _Tokens[DashboardSession] = _Tokens(MAX_SESSIONS, session_seconds, now, self._ended)
        self._failures: deque[float] = deque(maxlen=MAX_FAILURES_PER_MINUTE)

    @property
    def sessions(self) -> list[DashboardSession]:
        """Those that are open, the oldest first."""
        return self._sessions.values()

    def link(self, grant: LoginGrant) -> str:
        """A new token that opens one session."""
        return self._links.put(grant)

    def open(self, token: str) -> tuple[str, DashboardSession] | None:
        """Use a token: its cookie and session; None if it is unknown, used or expired."""
        grant = self._links.take(token)
        if grant is None:
            self._failures.append(self._now())
            return None
        session = DashboardSession(grant.level, secrets.token_hex(3), grant.asked_by, self._now())
        return self._sessions.put(session), session

    def has_many_failures(self) -> bool:
        """Whether the last minute had more invalid tokens than people would type."""
        full = len(self._failures) == MAX_FAILURES_PER_MINUTE
        return full and self._now() - self._failures[0] < 60

    def of(self, cookie: str) -> DashboardSession | None:
        """The session of a cookie, which is now seen; None if it is unknown or has ended."""
        session = self._sessions.get(cookie)
        if session is not None:
            session.seen(self._now())
        return session

    def is_open(self, session: DashboardSession) -> bool:
        return session in self._sessions

    def log_out(self, cookie: str) -> DashboardSession | None:
        """End the session of a cookie, and return it."""
        return self._sessions.take(cookie)

    def close(self, session: DashboardSession) -> None:
        """End a session from outside its browser."""
        self._sessions.remove(session)

    def _ended(self, session: DashboardSession) -> None:
        session.end()
        self._on_end(session)


class _Tokens(Generic[T]):
    """Values behind tokens, the oldest first. All expire after the same time."""

    def __init__(
        self,
        max_entries: int,
        seconds: float,
        now: Callable[[], float],
        on_end: Callable[[T], None] = lambda value: None,
    ) -> None:
        """`on_end` is told of every value that is not there any more."""
        self._max_entries = max_entries
        self._seconds = seconds
        self._now = now
        self._on_end = on_end
        self._entries: dict[bytes, tuple[float, T]] = {}

    def __contains__(self, value: T) -> bool:
        return any(stored is value for stored in self.values())

    def values(self) -> list[T]:
        self._expire()
        return [value for _, value in self._entries.values()]

    def put(self, value: T) -> str:
        self._expire()
        while len(self._entries) >= self._max_entries:
            self._end(self._to_make_room(value.asked_by))
        token = secrets.token_urlsafe(32)
        self._entries[_hash(token)] = (self._now() + self._seconds, value)
        return token

    def get(self, token: str) -> T | None:
        key = self._find(token)
        return None if key is None else self._entries[key][1]

    def take(self, token: str) -> T | None:
        key = self._find(token)
        return None if key is None else self._end(key)

    def remove(self, value: T) -> None:
        for key in [key for key, (_, stored) in self._entries.items() if stored is value]:
            self._end(key)

    def _to_make_room(self, asked_by: str) -> bytes:
        """The oldest of whoever has the most, which is the asker himself if nobody has more than he."""
        held = Counter(value.asked_by for _, value in self._entries.values())
        most = max(held.values())
        losers = (
            {asked_by} if held[asked_by] == most else {who for who, number in held.items() if number == most}
        )
        return next(key for key, (_, value) in self._entries.items() if value.asked_by in losers)

    def _find(self, token: str) -> bytes | None:
        self._expire()
        wanted = _hash(token)
        matches = [key for key in self._entries if hmac.compare_digest(key, wanted)]
        return matches[0] if matches else None

    def _expire(self) -> None:
        now = self._now()
        while self._entries and (oldest := next(iter(self._entries))) and self._entries[oldest][0] <= now:
            self._end(oldest)

    def _end(self, key: bytes) -> T:
        value = self._entries.pop(key)[1]
        self._on_end(value)
        return value


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
