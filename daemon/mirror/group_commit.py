"""Few writers for all appends: what waits together is stored together, in one round trip and one fsync.

Laws of this file:
  1. A receipt goes to `on_appended` in the writer's task, before the caller is woken: a caller that was cancelled
     in the meantime loses its answer, never the delivery of its message.
  2. A group whose round trip fails fails all its appends. One that is refused alone fails alone.
  3. A writer outlives every failure, and nobody waits longer than `wait_seconds` (a sweep sees to it: a deadline
     for each append would cost as much as storing it).
  4. An append whose caller has gone may still be stored. That is harmless: it is delivered like any other, and the
     gateway's retry finds a duplicate.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple

import trio

from actors.errors import MirrorUnavailable, Overloaded
from actors.messages import Message, Receipt, WindowPolicy


class AppendRequest(NamedTuple):
    """One message to store; `at_ms` is the earlier arrival of a moved message."""

    message: Message
    policy: WindowPolicy
    at_ms: int | None = None


AppendGroup = Callable[[Sequence[AppendRequest]], Awaitable[Sequence[Receipt | Exception]]]
OnAppended = Callable[[Message, Receipt], None]

SWEEPS = 20
"""How often a wait of `wait_seconds` is looked at: a caller is told at most one such part of it too early."""


class _Pending:
    """An append and the caller that waits for it."""

    __slots__ = ("append", "expires_at", "outcome", "settled")

    def __init__(self, append: AppendRequest, expires_at: float) -> None:
        self.append = append
        self.expires_at = expires_at
        self.outcome: Receipt | Exception | None = None
        self.settled = trio.Event()

    def settle(self, outcome: Receipt | Exception) -> None:
        if self.outcome is None:
            self.outcome = outcome
            self.settled.set()


class GroupCommit:
    """Gathers appends into groups. `run` holds the writers; start it with `await nursery.start(group.run)`.

    Args:
      append_group: stores a group in one round trip; an error of one append stands in its place.
      on_appended: synchronous, called for every stored message, duplicates included. If it raises, the caller of
        that one append gets the exception; the message is stored all the same.
      max_waiting: appends that may wait; beyond it `append` raises `Overloaded`. Default 4096.
      max_group: appends per round trip. Default 128.
      writers: groups under way at a time. With more than one, groups are smaller, which costs more than the overlap
        gains, and messages that are not acknowledged yet may overtake one another. Default 1.
      wait_seconds: how long a caller waits at most. Default 5.
    """

    def __init__(
        self,
        append_group: AppendGroup,
        on_appended: OnAppended,
        *,
        max_waiting: int = 4096,
        max_group: int = 128,
        writers: int = 1,
        wait_seconds: float = 5.0,
    ) -> None:
        self._append_group = append_group
        self._on_appended = on_appended
        self._max_waiting = max_waiting
        self._max_group = max_group
        self._writers = writers
        self._wait_seconds = wait_seconds
        self._queue: deque[_Pending] = deque()
        self._under_way: list[Sequence[_Pending]] = []
        self._arrived = trio.Event()
        self._running = False
        self._busy_since = 0.0

    @property
    def hanging_seconds(self) -> float:
        """For how long no group has begun or ended although something waits; 0 when nothing does."""
        return trio.current_time() - self._busy_since if self._queue or self._under_way else 0.0

    @property
    def waiting(self) -> int:
        """Appends not yet sent."""
        return len(self._queue)

    async def append(self, message: Message, policy: WindowPolicy, at_ms: int | None = None) -> Receipt:
        """Store one message durably, with all others that wait.

        Raises:
          Overloaded: `max_waiting` appends already wait.
          ConversationFull: the conversation holds as many messages as it may.
          MirrorUnavailable: it may or may not be stored; a repeat finds out.
          ValueError: it cannot be stored ever, for it is not valid Unicode.
        """
        if not self._running:
            raise MirrorUnavailable("stopped")
        if len(self._queue) >= self._max_waiting:
            raise Overloaded("too many messages wait to be stored")
        now = trio.current_time()
        pending = _Pending(AppendRequest(message, policy, at_ms), now + self._wait_seconds)
        if not (self._queue or self._under_way):
            self._busy_since = now
        self._queue.append(pending)
        self._arrived.set()
        await pending.settled.wait()
        outcome = pending.outcome
        assert outcome is not None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write groups until cancelled; whoever still waits then gets `MirrorUnavailable`."""
        self._running = True
        try:
            async with trio.open_nursery() as nursery:
                for number in range(self._writers):
                    nursery.start_soon(self._write_groups, name=f"append writer {number}")
                nursery.start_soon(self._sweep, name="append sweep")
                task_status.started()
        finally:
            self._running = False
            _fail(self._queue, "stopped")
            self._queue.clear()

    async def _write_groups(self) -> None:
        while True:
            while not self._queue:  # another writer may have taken all that arrived
                await self._arrived.wait()
            group = [self._queue.popleft() for _ in range(min(len(self._queue), self._max_group))]
            if not self._queue:
                self._arrived = trio.Event()
            self._under_way.append(group)
            self._busy_since = trio.current_time()
            try:
                await self._write(group)
            finally:
                self._under_way.remove(group)
                self._busy_since = trio.current_time()
                _fail(group, "stopped")

    async def _sweep(self) -> None:
        """Tell those whose time is up before the next sweep; their messages may still be stored."""
        seconds = self._wait_seconds / SWEEPS
        while True:
            await trio.sleep(seconds)
            until = trio.current_time() + seconds
            for waiting in (*self._under_way, self._queue):
                _fail([pending for pending in waiting if pending.expires_at <= until], "timeout")

    async def _write(self, group: Sequence[_Pending]) -> None:
        try:
            outcomes = await self._append_group([pending.append for pending in group])
        except Exception as error:
            reason = str(error) if isinstance(error, MirrorUnavailable) else type(error).__name__
            _fail(group, reason)
            return
        for pending, outcome in zip(group, outcomes, strict=True):
            pending.settle(self._delivered(pending.append.message, outcome))

    def _delivered(self, message: Message, outcome: Receipt | Exception) -> Receipt | Exception:
        if isinstance(outcome, Exception):
            return outcome
        try:
            self._on_appended(message, outcome)
        except Exception as error:
            return error
        return outcome


def _fail(group: Iterable[_Pending], reason: str) -> None:
    """Each caller gets an exception of its own: a shared one would gather the tracebacks of all."""
    for pending in group:
        pending.settle(MirrorUnavailable(reason))
