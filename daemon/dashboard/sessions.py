"""The sessions as operators see them over the admin interface, and closing them."""

from __future__ import annotations

from collections.abc import Callable, Collection

from daemon.dashboard.access import Access
from daemon.observe.feed import EventFeed
from daemon.operate.login import LoggedIn


class OpenSessions:
    """Args: now: the clock of `access`."""

    def __init__(
        self, access: Access, session_seconds: float, now: Callable[[], float], feed: EventFeed
    ) -> None:
        self._access = access
        self._session_seconds = session_seconds
        self._now = now
        self._feed = feed

    def views(self) -> list[LoggedIn]:
        """The oldest first."""
        now = self._now()
        return [
            LoggedIn(
                session=session.name,
                level=session.level,
                asked_by=session.asked_by,
                open_seconds=now - session.opened_at,
                idle_seconds=now - session.seen_at,
                seconds_left=session.opened_at + self._session_seconds - now,
                streams=len(session.streams),
            )
            for session in self._access.sessions
        ]

    def close(self, names: Collection[str], by: str) -> list[str]:
        """End these, with their streams; returns those that were still open."""
        open_now = [session for session in self._access.sessions if session.name in names]
        for session in open_now:
            self._access.close(session)
            self._feed.emit("dashboard.closed", session=session.name, by=by)
        return [session.name for session in open_now]
