"""Who is logged in: login links that are good once, and the sessions that they open. Nothing here waits.

Laws of this file:
- Of a token its hash alone is kept, and hashes are compared in constant time; no token is ever in an event.
- Links and sessions are bounded in number and in time; of too many the oldest leaves. They live in memory: a restart
  ends them all.
- A right token is never refused for the wrong ones of others: those are counted, and beyond a
  rate no longer told apart.
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


class Session:
    """One browser that is logged in."""

    def __init__(self, level: Level, name: str) -> None:
        self.level = level
        self.name = name
        """Tells it from others in the audit and in events; opens nothing."""
        self.customers: dict[str, str] = {}
        """In the playground: whom it plays, by instance."""
        self.streams = 0
        """How many follow the events now."""
        self.said: deque[float] = deque()
        """When it wrote in the playground, within the last minute."""


class LoginGrant(NamedTuple):
    level: Level
    asked_by: str
    """`uid 1000`, or `start` for the one that is printed there."""


class Access:
    """`now` is a clock in seconds that never goes back."""

    def __init__(self, login_seconds: float, session_seconds: float, now: Callable[[], float]) -> None:
        self._now = now
        self._links: _Held[LoginGrant] = _Held(MAX_LINKS, login_seconds, now)
        self._sessions: _Held[Session] = _Held(MAX_SESSIONS, session_seconds, now)
        self._failures: deque[float] = deque(maxlen=MAX_FAILURES_PER_MINUTE)

    @property
    def sessions(self) -> int:
        """How many are open now."""
        return len(self._sessions)

    def link(self, link: LoginGrant) -> str:
        """A new token that opens one session."""
        return self._links.put(link)

    def open(self, token: str) -> tuple[str, Session, LoginGrant] | None:
        """The cookie and the session that `token` opens, and its link; None: it is unknown, used or late."""
        link = self._links.take(token)
        if link is None:
            self._failures.append(self._now())
            return None
        session = Session(link.level, secrets.token_hex(3))
        return self._sessions.put(session), session, link

    def is_guessed(self) -> bool:
        """Whether more wrong tokens came in the last minute than people type."""
        full = len(self._failures) == MAX_FAILURES_PER_MINUTE
        return full and self._now() - self._failures[0] < 60

    def of(self, cookie: str) -> Session | None:
        return self._sessions.get(cookie)

    def is_open(self, session: Session) -> bool:
        return session in self._sessions

    def close(self, cookie: str) -> Session | None:
        """Log out; what was closed."""
        return self._sessions.take(cookie)


class _Held(Generic[T]):
    """Things behind tokens, the oldest first."""

    def __init__(self, most: int, seconds: float, now: Callable[[], float]) -> None:
        self._most = most
        self._seconds = seconds
        self._now = now
        self._held: dict[bytes, tuple[float, T]] = {}

    def __len__(self) -> int:
        self._forget()
        return len(self._held)

    def __contains__(self, thing: T) -> bool:
        self._forget()
        return any(held is thing for _, held in self._held.values())

    def put(self, thing: T) -> str:
        self._forget()
        while len(self._held) >= self._most:
            del self._held[next(iter(self._held))]
        token = secrets.token_urlsafe(32)
        self._held[_hash(token)] = (self._now() + self._seconds, thing)
        return token

    def get(self, token: str) -> T | None:
        key = self._find(token)
        return None if key is None else self._held[key][1]

    def take(self, token: str) -> T | None:
        key = self._find(token)
        return None if key is None else self._held.pop(key)[1]

    def _find(self, token: str) -> bytes | None:
        self._forget()
        wanted = _hash(token)
        matches = [key for key in self._held if hmac.compare_digest(key, wanted)]
        return matches[0] if matches else None

    def _forget(self) -> None:
        """What is over. All last equally long, so the oldest end first."""
        now = self._now()
        while self._held and (oldest := next(iter(self._held))) and self._held[oldest][0] <= now:
            del self._held[oldest]


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
