"""One sweep of one instance: its records are read slice by slice, and what was not heard is heard now.

Laws of this file:
1. The mark passes a slice only when every message of it is known or was made durable (I1, I2).
2. What a person of the business wrote silences Majlis before the customers' messages of the same slice are stored, so
   that nobody speaks over a person.
3. A sweep makes a bounded number of requests, and says by its result whether there is more to do.
4. What cannot be read within bounds is told (`sweep.gap`) and passed over; it is never waited for without end.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

import trio

from actors.messages import Message, Receipt
from actors.ports import Feed
from daemon.config.sections import SweepSettings
from daemon.gateways.kind import RecordsPage, RecordsReader
from daemon.ingress.inbound import Link, OwnMessage
from daemon.sweep import plan
from daemon.sweep.plan import Mark

MAX_REQUESTS = 60
"""Of one instance in one sweep; then others have their turn. 3,000 records: more than a busy instance's day."""
CLOCK_SECONDS = 60
"""How far back the records are asked for when only the gateway's clock is wanted."""


class Hearing(Protocol):
    """Takes what was found as it takes what a webhook brings: the ingress' inbox."""

    async def accept_all(self, messages: Sequence[Message]) -> Sequence[Receipt | Exception]: ...

    async def take_over(self, own: OwnMessage) -> bool: ...

    def learn(self, link: Link) -> None: ...


class WhatIsKnown(NamedTuple):
    """What is known of messages. Each may raise `LedgerUnavailable`."""

    heard: Callable[[str, Collection[str]], Awaitable[frozenset[str]]]
    """Which of these customers' messages of an instance a turn has heard."""
    settle: Callable[[Sequence[OwnMessage], float | None], Awaitable[frozenset[str]]]
    """Settle what these messages of the business prove, newest first; returns the ids of those that Majlis sent."""
    phones: Callable[[str, Collection[str]], Awaitable[Mapping[str, str]]]
    """The phone numbers of an instance's LIDs."""
    reach: Callable[[str, Mark], Awaitable[bool]]
    """Keep the mark; False: another daemon sweeps the instance now."""


class Result(NamedTuple):
    """What came of a sweep."""

    done: bool
    """Everything up to now was compared."""
    at: int
    """Where to go on; by the gateway's clock, as the mark."""
    length: int = plan.SLICE_SECONDS
    """Of the next slice."""
    found: int = 0
    requests: int = 0
    ahead_seconds: float | None = None
    """How far the gateway's clock is ahead of ours."""


class Comparison:
    """Args:
    wall: our clock, Unix seconds.
    pace: awaited before each request.
    """

    def __init__(
        self,
        instance: str,
        reader: RecordsReader,
        door: Hearing,
        known: WhatIsKnown,
        settings: SweepSettings,
        feed: Feed,
        wall: Callable[[], float],
        pace: Callable[[], Awaitable[None]],
    ) -> None:
        self._instance = instance
        self._reader = reader
        self._door = door
        self._known = known
        self._settings = settings
        self._feed = feed
        self._wall = wall
        self._pace = pace
        self._requests = 0
        self._found = 0
        self._ahead: float | None = None
        self._later: list[OwnMessage] | None = None
        """What the business wrote after the slice, once it was asked for."""

    async def begin(self, moment: int | None = None) -> Result:
        """Set the mark to now, or to an earlier moment: what came before is not compared.

        Raises `RecordsUnavailable`, `LedgerUnavailable`.
        """
        wall = math.floor(self._wall())
        await self._page(wall - CLOCK_SECONDS, wall, 1)
        now = self._surely()
        at = min(now, moment or now)
        await self._known.reach(self._instance, Mark(at, at))
        return self._result(True, at)

    async def run(
        self,
        mark: Mark,
        *,
        before: Result | None = None,
        wide: bool = False,
        until: int | None = None,
        ahead_seconds: float | None = None,
    ) -> Result:
        """Compare from the mark on.

        Args:
          before: an earlier sweep that was not done; this one goes on there.
          wide: look further back than the mark.
          until: nothing after it is compared; None: up to now.
          ahead_seconds: how far the gateway's clock was ahead of ours when it was seen last.

        Raises:
          Unavailable, Overloaded: the gateway, a store or a conversation cannot take part now; the mark stays.
        """
        self._ahead = ahead_seconds
        begin = plan.start(mark, self._surely(), wide)
        at, length = begin.since, plan.SLICE_SECONDS
        if before is not None:
            at, length = max(at, before.at), before.length
        elif begin.passed_over:
            self._tell_gap(mark.until, at, "too_long_ago")
        while True:
            pages, is_whole = await self._read(at, at + length, length)
            ignores_time = pages[0].ignores_time
            if not is_whole and length < _ENDLESS and (ignores_time or length > plan.SHORTEST_SECONDS):
                # A gateway that gives records of any time is read once, from now back to the mark.
                length = _ENDLESS if ignores_time else max(length // 2, plan.SHORTEST_SECONDS)
                continue
            now = self._now()
            settle = math.ceil(self._settings.settle_seconds)
            horizon = min(now - settle, _ENDLESS if until is None else until)
            end = min(at + length, horizon)
            if end < at:
                return self._result(True, at)
            if not is_whole or any(page.unread for page in pages):
                self._tell_gap(at, end, "too_large" if is_whole else "too_many_records")
            await self._hear(pages, at, end, is_latest=at + length >= now)
            mark = plan.reached(mark, min(end, self._surely() - settle), self._surely())
            if not await self._known.reach(self._instance, mark) or end == horizon:
                return self._result(True, end)
            at, length = end, plan.next_length(length, len(pages))
            if self._requests >= MAX_REQUESTS:
                return self._result(False, at, length)

    async def _read(self, since: int, until: int, length: int) -> tuple[list[RecordsPage], bool]:
        """The pages of a slice, and whether they are all of it."""
        pages: list[RecordsPage] = []
        while True:
            page = await self._page(since, until, len(pages) + 1)
            if pages and page.marker and page.marker == pages[-1].marker:
                return pages, False  # the same page again
            pages.append(page)
            if not page.more:
                return pages, True
            is_last_try = length <= plan.SHORTEST_SECONDS or length == _ENDLESS
            if len(pages) >= (plan.MOST_PAGES if is_last_try or page.ignores_time else plan.MANY_PAGES):
                return pages, False

    async def _hear(self, pages: Sequence[RecordsPage], since: int, end: int, is_latest: bool) -> None:
        for link in (link for page in pages for link in page.links):
            self._door.learn(link)
        own = [item for page in pages for item in page.own if item.sent_at >= since]
        messages = plan.in_order(
            message for page in pages for message in page.messages if since <= message.sent_at <= end
        )
        await self._heed(plan.until_of(own, end))
        known = await self._known.heard(self._instance, [message.id for message in messages])
        missing = [message for message in messages if message.id not in known]
        if not missing:
            return
        if not is_latest:
            own += await self._written_after(end)
        phones = await self._known.phones(self._instance, plan.lids([*missing, *own]))
        judged = plan.judged(missing, own, phones, self._surely(), self._settings.max_age_seconds)
        await self._store(judged)

    async def _heed(self, own: Sequence[OwnMessage]) -> None:
        """Our own replies settle their sends; whatever else the business wrote, a person wrote."""
        ours = await self._known.settle(own, self._ahead)
        for item in reversed(own):
            if item.id not in ours:
                await self._door.take_over(item)

    async def _store(self, messages: Sequence[Message]) -> None:
        failure: Exception | None = None
        outcomes = await self._door.accept_all(messages)
        for message, outcome in zip(messages, outcomes, strict=True):
            if isinstance(outcome, Exception):
                failure = failure or outcome
            elif not outcome.duplicate:  # what waits in the mirror is known there
                self._found += 1
                self._feed.emit("message.swept", message.conversation, reason=message.swept)
        if failure is not None:
            raise failure

    async def _written_after(self, moment: int) -> list[OwnMessage]:
        """What the business wrote since then, up to now. Asked for once: later slices lie within it."""
        if self._later is None:
            self._later = []
            marker = ""
            for number in range(1, plan.MOST_PAGES + 1):
                page = await self._page(moment, self._now() + CLOCK_SECONDS, number, own_only=True)
                if page.marker and page.marker == marker:
                    break
                marker = page.marker
                self._later += page.own
                if not page.more:
                    break
        return self._later

    async def _page(self, since: int, until: int, number: int, own_only: bool = False) -> RecordsPage:
        page = await self._reader.page(
            self._instance, since, min(until, _ENDLESS), number, self._count, own_only
        )
        if page.clock_ahead_seconds is not None:
            self._ahead = page.clock_ahead_seconds
        return page

    async def _count(self) -> None:
        self._requests += 1
        await self._pace()
        await trio.lowlevel.checkpoint()

    def _result(self, done: bool, at: int, length: int = plan.SLICE_SECONDS) -> Result:
        return Result(done, at, length, self._found, self._requests, self._ahead)

    def _now(self) -> int:
        """By the gateway's clock."""
        return math.floor(self._wall() + (self._ahead or 0.0))

    def _surely(self) -> int:
        """By the clock that is behind. Most customers' messages bear WhatsApp's time, and the gateway's clock may be
        ahead of it: what is written from now on must not be behind the mark already, nor too old."""
        return math.floor(self._wall() + min(self._ahead or 0.0, 0.0))

    def _tell_gap(self, since: int, until: int, reason: str) -> None:
        self._feed.emit("sweep.gap", instance=self._instance, since=since, until=until, reason=reason)


_ENDLESS = 2**40
"""Later than any time."""
