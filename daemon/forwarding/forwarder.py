"""Forwards what waits, to the address that had the instance's webhooks before.

The laws of this file:
1. In their order: the next one of an instance leaves when the one before arrived, or is given up. One daemon at a time
   forwards for an instance.
2. At least once: a crash between an arrival and its record, or an answer that does not come, repeats a webhook. The
   other system knows repeats from the gateway itself.
3. One instance's slow address delays no other: each has a task of its own, and while it waits for its next attempt it
   has none.
4. What was acknowledged is forwarded whatever the instance's mode is by then. Without an address it waits, and while
   the instance is held, neither of which is an attempt; of an instance that is removed it becomes dead, for an operator
   to see.
5. A body leaves as it came, a piece at a time. Answers are not read but for their head. A redirect is not followed.
6. Neither an address nor a body is ever in an event.
"""

from __future__ import annotations

import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, NamedTuple

import trio

from actors.crash_points import reach
from actors.errors import LedgerUnavailable, MajlisError
from actors.ports import Feed
from daemon.config import PassthroughSettings
from daemon.forwarding.attempt import (
    AttemptResult,
    address,
    answered,
    deadline_seconds,
    delay_seconds,
    headers_of,
    value_of,
)
from daemon.forwarding.store import PORTION, DueForward, ForwardStore
from daemon.forwarding.token import NULL, with_values
from daemon.stores.postgres import is_only_away
from daemon.web.client import HttpClient, HttpFailed, NotDelivered

MAX_AT_ONCE = 512
"""Instances that something is forwarded for at the same time."""
AT_A_TIME = 16
AT_A_TIME_BYTES = 1024 * 1024
"""So many small ones are fetched together."""
POLL_SECONDS = 10.0
"""The backstop, for what another daemon left behind."""
NO_ADDRESS_SECONDS = 30.0
HELD_SECONDS = 10.0
FORGET_SECONDS = 3_600.0


class Outside(NamedTuple):
    """What the forwarder asks, each time."""

    settings: Callable[[str], PassthroughSettings]
    exists: Callable[[str], Awaitable[bool]]
    """Whether there is such an instance, declared or stored."""
    hop: Callable[[], str]
    """How this install calls itself; see `taking.hop_name`."""
    held: Callable[[str], str] = lambda _: ""
    """Why Majlis holds an instance; empty: it does not."""
    draw: Callable[[], float] = random.random
    wall: Callable[[], float] = time.time


class Forwarder:
    """One task and its children. `http` is a client for nothing else: a slow address keeps its connections."""

    def __init__(
        self,
        store: ForwardStore,
        http: HttpClient,
        around: Outside,
        feed: Feed,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._store = store
        self._http = http
        self._around = around
        self._feed = feed
        self._poll_seconds = poll_seconds
        self._wake = trio.Event()
        self._running: set[str] = set()

    def nudge(self, instance: str = "") -> None:
        """Something was stored, of this instance or of any."""
        if instance not in self._running:
            self._wake.set()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Forward what is due until cancelled. What is cut short by that is forwarded again later."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._forget, name="forwards/forget")
            task_status.started()
            while True:
                # A new event first, then the query: what is stored in between is not missed.
                self._wake = wake = trio.Event()
                for instance in await self._claim():
                    self._running.add(instance)
                    nursery.start_soon(self._serve, instance, nursery, name="forwards/instance")
                with trio.move_on_after(self._poll_seconds):
                    await wake.wait()

    async def _claim(self) -> list[str]:
        room = MAX_AT_ONCE - len(self._running)
        try:
            return await self._store.claim(self._running, room) if room > 0 else []
        except MajlisError as error:
            self._problem(error)
        return []

    async def _serve(self, instance: str, nursery: trio.Nursery) -> None:
        rest_seconds: float | None = None
        try:
            rest_seconds = await self._forward_all(instance)
        except Exception as error:  # also a bug, met by one instance: the others go on
            self._problem(error)
            rest_seconds = self._poll_seconds
        self._running.discard(instance)
        if rest_seconds is None:
            self.nudge()  # what was stored while we let go of it was not ours to claim
        else:
            nursery.start_soon(self._nudge_later, rest_seconds, name="forwards/rest")

    async def _nudge_later(self, seconds: float) -> None:
        await trio.sleep(seconds)
        self.nudge()

    async def _forward_all(self, instance: str) -> float | None:
        """Until nothing waits, or it has to rest; returns for how long."""
        while True:
            waiting = await self._store.next(instance, AT_A_TIME, AT_A_TIME_BYTES)
            if not waiting:
                await self._store.release(instance)
                return None
            for one in waiting:
                settings = self._around.settings(instance)
                if self._around.held(instance):  # its key, or what the old system checks, may be another one
                    await self._store.failed(instance, one.id, "instance_held", HELD_SECONDS, burn=False)
                    return HELD_SECONDS
                if settings.url is None:
                    rests = await self._nowhere(instance, one)
                    if rests is None:
                        break
                    return rests
                result = await self._attempt(instance, one, settings)
                reach("forward_posted")
                if result.outcome == "sent":
                    if not await self._store.sent(instance, one.id):
                        return self._poll_seconds  # another daemon goes on with the next one
                    self._feed.emit("forward.sent", instance=instance, tries=one.tries + 1)
                    continue
                delay = await self._fell_through(instance, one, result)
                if delay is not None:
                    return delay
                if not await self._store.hold(instance):
                    return self._poll_seconds

    async def _nowhere(self, instance: str, one: DueForward) -> float | None:
        """There is no address: it waits for one, unless the instance is gone; None: then all of them are dead."""
        if await self._around.exists(instance):
            await self._store.failed(instance, one.id, "no_address", NO_ADDRESS_SECONDS, burn=False)
            self._feed.emit("forward.failed", instance=instance, reason="no_address", tries=one.tries)
            return NO_ADDRESS_SECONDS
        number = PORTION
        while number == PORTION:
            number = await self._store.bury(instance, "instance_removed")
            self._feed.emit("forward.dead", instance=instance, reason="instance_removed", webhooks=number)
        return None

    async def _fell_through(self, instance: str, one: DueForward, result: AttemptResult) -> float | None:
        """It did not arrive; returns how long its queue rests now, None: it is given up, and the next one goes on."""
        tries = one.tries + 1
        delay = delay_seconds(result, tries, self._around.draw())
        fields: dict[str, Any] = {"instance": instance, "reason": result.reason, "tries": tries}
        if delay is None:
            await self._store.bury(instance, result.reason, one.id)
            self._feed.emit("forward.dead", webhooks=1, **fields)
            return None
        await self._store.failed(instance, one.id, result.reason, delay)
        self._feed.emit("forward.failed", seconds=round(delay, 1), **fields)
        return delay

    async def _attempt(self, instance: str, one: DueForward, settings: PassthroughSettings) -> AttemptResult:
        assert settings.url is not None
        key = settings.api_key.get_secret_value() if settings.api_key else None
        values = [value_of(key) if place == one.place else NULL for place in range(len(one.places))]
        size = one.size + sum(map(len, values))
        own = {name: value.get_secret_value() for name, value in settings.headers.items()}
        headers = headers_of(one.headers, own, self._around.hop(), size, self._around.wall())
        url = address(settings.url.get_secret_value(), one.event, settings.by_events)
        pieces = _Pieces(self._store, instance, one, values)
        try:
            answer = await self._http.post_pieces(url, pieces.all(), headers, deadline_seconds(size))
        except HttpFailed as failure:
            if pieces.trouble is not None:
                raise pieces.trouble from None  # it was ours, and no attempt
            if isinstance(failure, NotDelivered) and failure.reason == "bad_request":
                return AttemptResult("dead", failure.reason)
            return AttemptResult("again", failure.reason)
        return answered(answer.status, answer.retry_after_seconds)

    async def _forget(self) -> None:
        while True:
            try:
                while await self._store.forget() == PORTION:
                    pass
            except MajlisError as error:
                self._problem(error)
            await trio.sleep(FORGET_SECONDS)

    def _problem(self, error: Exception) -> None:
        if not is_only_away(error):
            # Only the class: the error's text may quote an address.
            self._feed.emit("daemon.problem", part="forwards", error=type(error).__name__)


class _Pieces:
    """One body, as it leaves."""

    def __init__(self, store: ForwardStore, instance: str, one: DueForward, values: list[bytes]) -> None:
        self._store = store
        self._instance = instance
        self._one = one
        self._values = values
        self.trouble: MajlisError | None = None
        """Why the database did not give all of it."""

    async def all(self) -> AsyncGenerator[bytes, None]:
        one, start = self._one, 0
        for number in range(one.pieces):
            piece = one.body if one.body is not None else await self._fetch(number)
            is_last = number == one.pieces - 1
            for part in with_values(piece, one.places, self._values, start, is_last=is_last):
                if part:
                    yield part
            start += len(piece)

    async def _fetch(self, number: int) -> bytes:
        try:
            if not await self._store.hold(self._instance):
                raise LedgerUnavailable("lease_lost")
            return await self._store.piece(self._one.id, number)
        except MajlisError as error:
            self.trouble = error
            raise
