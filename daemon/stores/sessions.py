"""A bounded set of sessions with one server, which one call at a time uses; whoever waits for one is served in order.

Rules of this file:

1. A place is an open session or the right to open one. A place that gets free goes to who has waited longest, and to
   nobody who came later.
2. A session whose statement was left in the middle is closed, never used again. Its place is free once the server has
   given the statement up, or has not for `_FAREWELL_SECONDS`: so the server has no more sessions of ours than places.
3. A session that is not silent before its use is closed: the server hangs up, or a setting has changed.
4. Every wait is bounded: for a place and a connection by `acquire_seconds`, for an answer by `statement_seconds`. The
   latter is looked at twice a second, for all at once: a deadline of its own costs as much as half a statement, and
   strikes only where the server's own limit did not.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import trio

from actors.errors import LedgerUnavailable
from daemon.stores.border import BorderLoop, BorderSession

_IDLE_SECONDS = 300.0
"""A session that was idle for so long is closed: its server process holds memory."""

_MAX_STATEMENTS = 50_000
"""A session is replaced after so many: its server process grows."""

_FULL_SECONDS = 1.0
"""After the server had no room for another session, none is opened for so long while others serve."""

_REFUSED_SECONDS = 0.2
"""After a connection could not be made, whoever wants another within this time hears the same error at once: thousands
of turns that find their server away need not all try the door."""

_FAREWELL_SECONDS = 2.0
_SWEEP_SECONDS = 0.5


class Session(BorderSession):
    """One open connection."""

    def __init__(self, loop: BorderLoop, connection: Any, generation: int) -> None:
        super().__init__(loop, connection._transport, connection.terminate)
        self.connection = connection
        self.generation = generation
        self.statements = 0
        self.asked_at = 0.0
        self.idle_since = 0.0


class SessionSet:
    """At most `most` sessions at once.

    Args:
      connect: opens a connection of the driver with this loop; runs in asyncio.
      is_full: whether an error of `connect` says that the server has no room for another session.
      acquire_seconds: how long a call waits for a session, or for a new one to connect.
      statement_seconds: how long a call waits for an answer.
    """

    def __init__(
        self,
        connect: Callable[[Any], Awaitable[Any]],
        is_full: Callable[[Exception], bool],
        most: int,
        acquire_seconds: float,
        statement_seconds: float,
    ) -> None:
        from trio_asyncio import current_loop

        self._connect = connect
        self._is_full = is_full
        self._acquire_seconds = acquire_seconds
        self._statement_seconds = statement_seconds
        self._loop = BorderLoop(current_loop.get())
        self._places = _Places(most)
        self._idle: deque[Session] = deque()
        """The one that was used last stands last, and is used next."""
        self._busy: set[Session] = set()
        self._arriving: set[trio.CancelScope] = set()
        self._parting: set[asyncio.Task[None]] = set()
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._is_open = True
        self._refused: Exception | None = None
        self._refused_until = 0.0
        self.generation = 0
        """Counts how often the sessions were replaced."""

    @property
    def size(self) -> int:
        return self._places.taken

    @property
    def idle(self) -> int:
        return len(self._idle)

    @property
    def waiting(self) -> int:
        return self._places.waiting

    async def borrow(self) -> Session:
        """A session that is ours until `give_back`.

        Raises:
          LedgerUnavailable: there is none in time, or the set is closed.
          Exception: what `connect` raises.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        session = self._take_idle() or await self._wait_or_open()
        session.statements += 1
        session.asked_at = time.monotonic()
        self._busy.add(session)
        if self._sweep_timer is None:
            self._sweep_timer = self._loop.call_later(_SWEEP_SECONDS, self._sweep)
        return session

    def give_back(self, session: Session, is_good: bool = True) -> None:
        """Whatever became of it: `is_good` tells whether it may be used again."""
        self._busy.discard(session)
        if session.was_left and not session.connection.is_closed():
            self._part(session)
        elif not is_good or not self._is_open or not self._is_fit(session):
            self._drop(session)
        elif self._places.waiting:
            self._places.serve(session)
        else:
            now = session.idle_since = time.monotonic()
            self._idle.append(session)
            if self._idle[0].idle_since < now - _IDLE_SECONDS:
                self._drop(self._idle.popleft())

    def renew(self) -> None:
        """Replace every session before its next use."""
        self.generation += 1

    async def close(self, grace_seconds: float) -> None:
        """Nobody gets a session any more; whoever has one may end within `grace_seconds`, then it is cut off."""
        self._is_open = False
        for scope in self._arriving:
            scope.cancel()
        while self._idle:
            self._drop(self._idle.pop())
        with trio.move_on_after(grace_seconds):
            await self._places.emptied()
        for session in self._busy:
            session.connection.terminate()
        for task in self._parting:
            task.cancel()
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        await self._places.emptied()

    def _take_idle(self) -> Session | None:
        while self._idle:
            session = self._idle.pop()
            if self._is_fit(session) and session.is_silent():
                return session
            self._drop(session)
        return None

    async def _wait_or_open(self) -> Session:
        if self._is_open:
            with trio.move_on_after(self._acquire_seconds) as scope:
                self._arriving.add(scope)
                try:
                    while True:
                        session = await self._places.take() or await self._open()
                        if self._is_fit(session) and session.is_silent():
                            return session
                        self._drop(session)
                finally:
                    self._arriving.discard(scope)
        raise LedgerUnavailable("postgres_timeout" if self._is_open else "postgres_closed")

    async def _open(self) -> Session:
        """In place of the right to open one."""
        while True:
            try:
                return await self._connected()
            except Exception as error:
                if not self._is_full(error) or self._places.taken == 1:
                    self._places.give_up()
                    raise
            except BaseException:
                self._places.give_up()
                raise
            if (session := await self._places.take_of_another()) is not None:
                return session

    async def _connected(self) -> Session:
        from trio_asyncio import aio_as_trio

        if self._refused is not None and time.monotonic() < self._refused_until:
            raise self._refused.with_traceback(None)
        generation = self.generation
        try:
            connection = await aio_as_trio(self._connect)(self._loop)
        except Exception as error:
            if not self._is_full(error):
                self._refused, self._refused_until = error, time.monotonic() + _REFUSED_SECONDS
            raise
        self._refused = None
        return Session(self._loop, connection, generation)

    def _is_fit(self, session: Session) -> bool:
        return (
            session.generation == self.generation
            and session.statements < _MAX_STATEMENTS
            and not session.connection.is_closed()
        )

    def _drop(self, session: Session) -> None:
        session.connection.terminate()
        self._places.give_up()

    def _part(self, session: Session) -> None:
        session.release()
        task: asyncio.Task[None] = self._loop.create_task(self._farewell(session))
        self._parting.add(task)
        task.add_done_callback(self._parting.discard)

    async def _farewell(self, session: Session) -> None:
        """Asyncio. The driver waits until the server has given up the statement, as it is asked to."""
        try:
            with suppress(Exception):
                await session.connection.close(timeout=_FAREWELL_SECONDS)
        finally:
            self._drop(session)

    def _sweep(self) -> None:
        self._sweep_timer = None
        overdue = time.monotonic() - self._statement_seconds
        for session in self._busy:
            if session.asked_at < overdue:
                session.expire()
        if self._busy:
            self._sweep_timer = self._loop.call_later(_SWEEP_SECONDS, self._sweep)


class _Places:
    """How many sessions there may be, and who waits for one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: OrderedDict[trio.lowlevel.Task, list[Session | None]] = OrderedDict()
        """Each with what it was given."""
        self._full_until = 0.0
        self._emptied = trio.lowlevel.ParkingLot()
        self.taken = 0

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def take(self) -> Session | None:
        """Wait for a place; None is the right to open a session."""
        if self.taken < self._most and (not self.taken or time.monotonic() >= self._full_until):
            self.taken += 1
            if not self._waiting:
                return None
            self.serve(None)
        return await self._wait(first=False)

    async def take_of_another(self) -> Session | None:
        """Instead of the place that we have, for which the server had no room: the next one that gets free."""
        self.taken -= 1
        self._full_until = time.monotonic() + _FULL_SECONDS
        return await self._wait(first=True)

    def serve(self, place: Session | None) -> None:
        """Give a place to who has waited longest."""
        task, served = self._waiting.popitem(last=False)
        served.append(place)
        trio.lowlevel.reschedule(task)

    def give_up(self) -> None:
        if self._waiting:
            self.serve(None)
        else:
            self.taken -= 1
            if not self.taken:
                self._emptied.unpark_all()

    async def emptied(self) -> None:
        """Wait until no place is taken."""
        if self.taken:
            await self._emptied.park()

    async def _wait(self, first: bool) -> Session | None:
        task = trio.lowlevel.current_task()
        served = self._waiting[task] = []
        if first:
            self._waiting.move_to_end(task, last=False)

        def abort(_raise_cancel: object) -> trio.lowlevel.Abort:
            del self._waiting[task]
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)
        return served[0]
