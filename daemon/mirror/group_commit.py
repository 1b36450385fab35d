"""Group commit: concurrent appends share one round trip to Redis and one fsync.

Callers put their append in a queue and wait. Writer tasks take what has queued up, store it as one group and wake the
callers. A writer starts the next group as soon as the last one is done: groups grow with the load by themselves, and a
lone append never waits for company.

Invariants:
  1. The writer passes a receipt to `on_appended` before it wakes the caller. A caller that was cancelled in between
     loses its return value, but its message is still delivered.
  2. If the round trip of a group fails, every append in the group fails. An append that Redis refuses fails alone.
  3. A writer survives every failure, and no caller waits longer than `wait_seconds`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec
import trio

from actors.errors import MirrorUnavailable, Overloaded
from actors.messages import Message, Receipt, WindowPolicy


class AppendRequest(msgspec.Struct, frozen=True):
    """One message to store. `at_ms` is the original arrival time of a message moved from another conversation."""

    message: Message
    policy: WindowPolicy
    at_ms: int | None = None


AppendGroup = Callable[[Sequence[AppendRequest]], Awaitable[Sequence[Receipt | Exception]]]
OnAppended = Callable[[Message, Receipt], None]
Settled = Callable[[Sequence[Receipt | Exception]], None]
"""Gets the outcomes of several appends, in their order. It must neither wait nor raise."""

SWEEPS = 20
"""Time-out checks per `wait_seconds`: a caller may time out early, by at most one such interval."""

MAX_TOGETHER = 1024
"""The most appends of one caller that wait at a time: a quarter of those that may."""


class _Pending:
    """An append, and what tells whoever waits for it that it has its outcome."""

    __slots__ = ("append", "expires_at", "outcome", "tell")

    def __init__(self, append: AppendRequest, expires_at: float, tell: Callable[[], None]) -> None:
        self.append = append
        self.expires_at = expires_at
        self.outcome: Receipt | Exception | None = None
        self.tell = tell

    def settle(self, outcome: Receipt | Exception) -> None:
        # The first outcome wins: a time-out may come before the writer, or the writer before the shutdown.
        if self.outcome is None:
            self.outcome = outcome
            self.tell()


class GroupCommit:
    """Gathers appends into groups. `run` holds the writers; start it with `await nursery.start(group.run)`.

    Args:
      append_group: stores a group in one round trip; returns one receipt or exception per append, in order.
      on_appended: synchronous, called for every stored message, duplicates included. If it raises, the caller of that
        append gets the exception; the message is stored all the same.
      max_waiting: appends that may wait; beyond it `append` raises `Overloaded`. Default 4096.
      max_group: appends per round trip. Default 128.
      writers: groups in flight at a time. With more than one, groups are smaller, which costs more than the overlap
        gains, and unacknowledged messages may overtake one another. Default 1.
      wait_seconds: the longest a caller waits. Default 5.
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
        self._in_flight: list[Sequence[_Pending]] = []
        self._arrived = trio.Event()
        self._running = False
        self._busy_since = 0.0

    @property
    def hanging_seconds(self) -> float:
        """Seconds since a group last started or ended while appends wait; 0 when none wait."""
        return trio.current_time() - self._busy_since if self._queue or self._in_flight else 0.0

    @property
    def waiting(self) -> int:
        """Appends not yet sent."""
        return len(self._queue)

    async def append(self, message: Message, policy: WindowPolicy, at_ms: int | None = None) -> Receipt:
        """Store one message durably, in a group with the others that wait.

        If the caller is cancelled, the message may still be stored and delivered; the gateway's retry then gets a
        receipt marked as a duplicate.

        Args:
          message: what to store.
          policy: the window to open with it, and how many messages may wait in the conversation.
          at_ms: the original arrival time of a message moved from another conversation.

        Returns:
          The receipt, once the message is on disk and `on_appended` has seen it.

        Raises:
          Overloaded: `max_waiting` appends already wait.
          ConversationFull: the conversation holds as many messages as it may.
          MirrorUnavailable: it may or may not be stored; repeating the call finds out.
          ValueError: it can never be stored: it is not valid Unicode.
        """
        settled = trio.Event()
        pending = self._enqueue(AppendRequest(message, policy, at_ms), settled.set)
        outcome = await _outcome(pending, settled)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def append_all(self, appends: Sequence[tuple[Message, WindowPolicy]]) -> list[Receipt | Exception]:
        """Store several messages as `append` does, in their order and together; returns one outcome per message.

        At most `MAX_TOGETHER` of them wait at a time, so that many together are not refused for their number alone.
        """
        outcomes: list[Receipt | Exception] = []
        for start in range(0, len(appends), MAX_TOGETHER):
            together = appends[start : start + MAX_TOGETHER]
            events = [trio.Event() for _ in together]
            waiting = [
                self._try_enqueue(AppendRequest(*one), settled.set)
                for one, settled in zip(together, events, strict=True)
            ]
            for one, settled in zip(waiting, events, strict=True):
                outcomes.append(one if isinstance(one, Exception) else await _outcome(one, settled))
        return outcomes

    def post(self, appends: Sequence[tuple[Message, WindowPolicy]], settled: Settled) -> None:
        """Store a few messages as `append_all` does, without a task that waits: `settled` is called at the end.

        That may be at once, and is a task of the group's otherwise: it must not take long.
        """
        posted: list[_Pending | Exception] = []
        unsettled = len(appends)

        def tell() -> None:
            nonlocal unsettled
            unsettled -= 1
            if not unsettled:
                known = [one if isinstance(one, Exception) else one.outcome for one in posted]
                settled([outcome for outcome in known if outcome is not None])

        for one in appends:
            posted.append(self._try_enqueue(AppendRequest(*one), tell))
        for refused in posted:
            if isinstance(refused, Exception):
                tell()

    def _try_enqueue(self, append: AppendRequest, tell: Callable[[], None]) -> _Pending | Exception:
        try:
            return self._enqueue(append, tell)
        except (MirrorUnavailable, Overloaded) as error:
            return error

    def _enqueue(self, append: AppendRequest, tell: Callable[[], None]) -> _Pending:
        if not self._running:
            raise MirrorUnavailable("stopped")
        if len(self._queue) >= self._max_waiting:
            raise Overloaded("too many messages wait to be stored")
        now = trio.current_time()
        pending = _Pending(append, now + self._wait_seconds, tell)
        if not (self._queue or self._in_flight):
            self._busy_since = now
        self._queue.append(pending)
        self._arrived.set()
        return pending

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write groups until cancelled; callers still waiting then get `MirrorUnavailable`."""
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
            while not self._queue:  # another writer may have taken everything that arrived
                await self._arrived.wait()
            group = [self._queue.popleft() for _ in range(min(len(self._queue), self._max_group))]
            if not self._queue:
                self._arrived = trio.Event()
            self._in_flight.append(group)
            self._busy_since = trio.current_time()
            try:
                await self._write(group)
            finally:
                self._in_flight.remove(group)
                self._busy_since = trio.current_time()
                _fail(group, "stopped")  # no effect on appends that `_write` has settled

    async def _sweep(self) -> None:
        """Time out callers; their messages may still be stored.

        One task checks all of them: a cancel scope per append would cost as much as storing the message.
        """
        seconds = self._wait_seconds / SWEEPS
        while True:
            await trio.sleep(seconds)
            until = trio.current_time() + seconds
            for waiting in (*self._in_flight, self._queue):
                _fail([pending for pending in waiting if pending.expires_at <= until], "timeout")

    async def _write(self, group: Sequence[_Pending]) -> None:
        try:
            outcomes = await self._append_group([pending.append for pending in group])
        except Exception as error:
            reason = str(error) if isinstance(error, MirrorUnavailable) else type(error).__name__
            _fail(group, reason)
            return
        for pending, outcome in zip(group, outcomes, strict=True):
            pending.settle(self._deliver(pending.append.message, outcome))

    def _deliver(self, message: Message, outcome: Receipt | Exception) -> Receipt | Exception:
        if isinstance(outcome, Exception):
            return outcome
        try:
            self._on_appended(message, outcome)
        except Exception as error:
            return error
        return outcome


async def _outcome(pending: _Pending, settled: trio.Event) -> Receipt | Exception:
    await settled.wait()
    assert pending.outcome is not None
    return pending.outcome


def _fail(group: Iterable[_Pending], reason: str) -> None:
    # Each caller gets its own exception: a shared one would collect the tracebacks of all callers.
    for pending in group:
        pending.settle(MirrorUnavailable(reason))
