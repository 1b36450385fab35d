"""Many connections in one task: what is ready is read, begun and answered in rounds.

A task for each connection costs more than a small webhook: two turns of the scheduler and two system calls to watch its
socket. Here one epoll watches the sockets of all connections that wait, and Trio waits for that epoll.

The laws of this file:
1. A round is bounded: `MAX_EVENTS` connections, of each one read of at most `READ_BYTES` and one request, and no new
   one after `ROUND_SECONDS`. What is left over comes first in the next round; between two rounds everybody else has a
   turn. A connection that was served goes to the end of the line, so nobody waits for another's crowd of requests.
2. What cannot be done at once goes to a task of `Connection`; its socket is not watched here meanwhile.
3. Events are told once (edge-triggered), so none costs anything while a request is handled. What came meanwhile is
   remembered and looked for after the answer: a socket that is not looked at again would hang.
4. An answer is written when it is there, by whoever brings it; of one connection there is one at a time.
5. Nothing that goes wrong with one connection ends a round.
"""

from __future__ import annotations

import os
import select
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeGuard

import trio

from daemon.web.http1.messages import AtOnce, Response, error_response
from daemon.web.http1.quick import Outlook, QuickConnection

MAX_EVENTS = 128
ROUND_SECONDS = 0.004
_WATCHED = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
_OVER = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR


class RoundsHost(Protocol):
    """What the rounds need of their server."""

    draining: trio.Event

    def serve_in_task(self, connection: QuickConnection) -> None:
        """Its next request is a task's; afterwards it may be watched again."""

    def ended(self, connection: QuickConnection) -> None:
        """It is closed, and its place is free."""

    def report(self, error: BaseException) -> None:
        """Never raises."""


class Rounds:
    """Watches connections that wait, and serves what can be served at once. `run` once."""

    def __init__(self, at_once: AtOnce, outside: RoundsHost) -> None:
        self._at_once = at_once
        self._outside = outside
        self._epoll = select.epoll()
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll.register(self._bell, select.EPOLLIN | select.EPOLLET)
        self._watched: dict[int, QuickConnection] = {}
        self._ready: OrderedDict[int, QuickConnection] = OrderedDict()
        self._is_awake = False

    def watch(self, connection: QuickConnection) -> None:
        """It waits for a request. One that is here already is seen all the same."""
        connection.rest(trio.current_time())
        self._watched[connection.descriptor] = connection
        self._epoll.register(connection.descriptor, _WATCHED)

    def is_watched(self, connection: object) -> TypeGuard[QuickConnection]:
        return isinstance(connection, QuickConnection) and (
            self._watched.get(connection.descriptor) is connection
        )

    def forget(self, connection: QuickConnection) -> None:
        """Another has it from now on."""
        self._epoll.unregister(connection.descriptor)
        del self._watched[connection.descriptor]
        self._ready.pop(connection.descriptor, None)
        if self._outside.draining.is_set():
            self.wake()

    def end(self, connection: QuickConnection) -> None:
        self.forget(connection)
        connection.close_now()
        self._outside.ended(connection)

    def drain(self) -> None:
        """End what waits for nothing. `run` returns when all have ended."""
        for connection in list(self._watched.values()):
            if connection.may_close():
                self.end(connection)
        self.wake()

    def end_expired(self, now: float) -> None:
        for connection in list(self._watched.values()):
            if connection.is_expired(now):
                self.end(connection)

    def wake(self) -> None:
        """There is something to do for the next round."""
        if not self._is_awake:
            self._is_awake = True
            os.eventfd_write(self._bell, 1)

    async def run(self) -> None:
        """Until the drain is over, or cancelled; closes what is watched."""
        try:
            while self._watched or not self._outside.draining.is_set():
                if self._ready:
                    await trio.lowlevel.checkpoint()
                else:
                    await trio.lowlevel.wait_readable(self._epoll.fileno())
                self._round()
        finally:
            for connection in list(self._watched.values()):
                self.end(connection)
            self._is_awake = True  # for good: nobody listens to the bell any more
            self._epoll.close()
            os.close(self._bell)

    def _round(self) -> None:
        self._is_awake = True  # what becomes ready from here on is seen
        for descriptor, flags in self._epoll.poll(0, MAX_EVENTS):
            connection = self._watched.get(descriptor)
            if connection is not None and connection.came(bool(flags & _OVER)):
                self._ready[descriptor] = connection
        until = time.perf_counter() + ROUND_SECONDS
        for _ in range(min(len(self._ready), MAX_EVENTS)):
            if not self._ready:
                break
            self._contained(self._begin, self._ready.popitem(last=False)[1])
            if time.perf_counter() > until:
                break
        self._is_awake = False

    def _begin(self, connection: QuickConnection) -> None:
        request = connection.next_request()
        if isinstance(request, str):
            self._go_on(connection, request)
            return
        try:
            rest = self._at_once(request, partial(self._respond, connection))
        except Exception as error:
            self._outside.report(error)
            self._respond(connection, error_response(500, "internal"))
            return
        if rest is not None:
            connection.begin_with(rest)
            self._go_on(connection, "task")

    def _respond(self, connection: QuickConnection, response: Response) -> None:
        # At once, from whatever task: to be woken for it costs as much as a small answer.
        if self.is_watched(connection):
            self._contained(self._answer, connection, response)

    def _answer(self, connection: QuickConnection, response: Response) -> None:
        self._go_on(connection, connection.answer(response))

    def _go_on(self, connection: QuickConnection, outlook: Outlook) -> None:
        if outlook == "ended":
            self.end(connection)
        elif outlook == "task":
            self.forget(connection)
            self._outside.serve_in_task(connection)
        else:
            connection.rest(trio.current_time())
            if connection.has_more():
                self._ready[connection.descriptor] = connection
                self.wake()

    def _contained(
        self, step: Callable[..., None], connection: QuickConnection, *arguments: Response
    ) -> None:
        try:
            step(connection, *arguments)
        except Exception as error:
            self._outside.report(error)
            if self.is_watched(connection):
                self.end(connection)
