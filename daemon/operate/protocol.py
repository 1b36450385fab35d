"""What the admin door needs of the daemon: implemented by the composition root, faked in tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from actors.errors import MajlisError
from actors.identity import Conversation
from daemon.operate.control_views import Control
from daemon.operate.inspect_views import Insight
from daemon.operate.knowledge import Library
from daemon.operate.reports import CostReport, FlagPage, Paused, Reloaded, Resumed
from daemon.operate.views import (
    ActorView,
    ConversationView,
    DeadLetterPage,
    DeadLetterView,
    DoctorReport,
    Flushed,
    SilentView,
    Status,
    TurnDetail,
)

Ref = Conversation | str
"""How a person names a conversation: instance and contact, or its label from the logs."""


class NotFound(MajlisError):
    """There is no such conversation, turn or dead letter. The text is a sentence for the operator."""


class Conflict(MajlisError):
    """It is there, and cannot be done to it now. The text is a sentence for the operator."""


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Who asked for a change. Written before the change: nothing changes without a record."""

    action: str
    target: str
    uid: int | None
    pid: int | None
    origin: str = ""
    """By which door it came; empty: the admin socket. Elsewhere there is neither uid nor pid."""
    session: str = ""
    """Which of that door's sessions."""


class Operations(Protocol):
    """Reads are snapshots; changes are what an operator may do. Any may raise `Unavailable`."""

    @property
    def library(self) -> Library:
        """The instances' files and the kept answers."""

    @property
    def insight(self) -> Insight:
        """What goes on inside."""

    @property
    def control(self) -> Control:
        """The daemon as a whole."""

    async def status(self) -> Status: ...

    async def actors(self) -> Sequence[ActorView]:
        """Every conversation with an actor in memory, in any order."""

    async def silent(self) -> Sequence[SilentView]:
        """Every conversation in which somebody else speaks now, the latest first."""

    async def conversation(self, ref: Ref) -> ConversationView:
        """Raises `NotFound`."""

    async def turn(self, turn_id: int) -> TurnDetail:
        """Raises `NotFound`."""

    async def cost(self, instance: str | None, days: int) -> CostReport:
        """What was used today and on the `days` - 1 days before, by one instance or by all."""

    async def dead_letters(self, limit: int, include_retried: bool) -> DeadLetterPage:
        """The latest first, at most `limit`."""

    async def dead_letter(self, dead_letter_id: int) -> DeadLetterView:
        """Raises `NotFound`."""

    async def retry(self, dead_letter_id: int) -> None:
        """Put a dead letter back to be answered. Raises `NotFound`, or `Conflict` when it was retried already."""

    async def retry_all(self) -> int:
        """Put every open dead letter back; how many there were."""

    async def drop(self, dead_letter_id: int) -> None:
        """Nobody shall answer it any more. Raises `NotFound`, or `Conflict` when it was retried or dropped already."""

    async def flush(self, ref: Ref) -> Flushed:
        """Close the conversation's window now. Raises `NotFound`, or `Conflict` when nothing waits."""

    async def pause(self, ref: Ref, seconds: int | None) -> Paused:
        """Silence, as if a person had taken the conversation over; None: as long as its settings say.

        Raises `NotFound`, or `Conflict` when nobody would heed it.
        """

    async def resume(self, ref: Ref) -> Resumed:
        """Majlis answers there again. Raises `NotFound`, or `Conflict` when there is nothing to resume."""

    async def flags(self) -> FlagPage: ...

    async def set_flag(self, flag: str, value: bool, instance: str | None) -> FlagPage:
        """For one instance on every daemon, or for this daemon. Raises `NotFound` for an unknown instance."""

    async def clear_flag(self, flag: str, instance: str | None) -> FlagPage:
        """Raises `Conflict` when it was not set."""

    async def reload(self) -> Reloaded:
        """Forget what was kept of instances and flags, and read it anew."""

    async def doctor(self) -> DoctorReport: ...

    async def audit(self, entry: AuditEntry) -> None: ...
