"""What the admin door needs to steer the daemon as a whole, and what it tells of it."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

LogLevel = Literal["debug", "info", "warning", "error"]

PAUSED = "paused by an operator"
"""Why a conversation of a paused instance waits."""


class InstancePause(msgspec.Struct, frozen=True, kw_only=True):
    """Messages are acknowledged and wait; no turn begins."""

    instance: str
    """Empty: every instance."""
    since: str
    until: str = ""
    """Empty: until somebody resumes it."""
    stood_until: str | None = None
    """Said to who changes it: the end that it had before, empty as above. None: it was not paused before."""


class InstanceResumed(msgspec.Struct, frozen=True, kw_only=True):
    instance: str
    """Empty: every instance; one that was paused by itself stays so."""


class InstanceFlushed(msgspec.Struct, frozen=True, kw_only=True):
    instance: str
    """Empty: every instance."""
    conversations: int
    """In which something waited; those that were put off are tried again, too."""
    messages: int


class Draining(msgspec.Struct, frozen=True, kw_only=True):
    seconds: float
    """How long running turns are given; what is left then waits for the next start."""
    active: int
    """Conversations with an actor in memory."""
    running_turns: int


class LogLevelView(msgspec.Struct, frozen=True, kw_only=True):
    level: LogLevel
    configured: LogLevel
    """What holds again after a restart."""


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    dropped: int
    """The number of the dead letter: it is kept, and not open any more."""


class Control(Protocol):
    """Implemented by `daemon.operate.control`. Any may raise `Unavailable`."""

    async def flush(self, instance: str | None) -> InstanceFlushed:
        """Every window of the instance, or of all, closes now. Raises `NotFound` for an unknown instance."""

    async def pause(self, instance: str | None, seconds: int | None) -> InstancePause:
        """No turn of the instance, or of any, begins from now on. Raises `NotFound` for an unknown instance."""

    async def resume(self, instance: str | None) -> InstanceResumed:
        """Raises `Conflict` when it is not paused."""

    async def drain(self) -> Draining:
        """Begin to stop: no new work, running turns are finished, then the daemon ends."""

    async def log_level(self) -> LogLevelView: ...

    async def set_log_level(self, level: LogLevel) -> LogLevelView:
        """Until the next start."""
