"""One sweep of one instance: its records are read slice by slice, and what was not heard is heard now.

Laws of this file:
1. The mark passes a slice only when every message of it is known or was made durable (I1, I2).
2. What a person of the business wrote silences Majlis before the customers' messages of the same slice are stored, so
   that nobody speaks over a person. The gateway's records show what programs sent for the business in the same dress:
   such a message silences only where a customer's message of the same chat was lost too, as no webhook was then to be
   relied on.
3. A sweep makes a bounded number of requests, and says by its result whether there is more to do.
4. What cannot be read within bounds, or never be stored, is reported (`sweep.gap`) and passed over; nothing waits for
   it without end.
5. Records of what customers wrote bear WhatsApp's time, those of what was sent through the gateway bear the gateway's.
   So nothing counts as past that is not past by both clocks, the gateway's and ours, which stands for WhatsApp's:
   a gateway whose clock is ahead must not carry the mark beyond what is still to come. Answers are looked for up to the
   later of both.
6. A gateway orders the records of one second differently each time it is asked, so two pages that share a second may
   both lack a record of it. So what follows a page is asked for by its time, from the second on at which the page
   ends: that one is read again, whole. Only a second that fills a page is read by the numbers of its pages.
7. A conversation that is full keeps the mark where it is, and delays nobody else's messages.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec
import trio

from actors.errors import ConversationFull
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

    async def take_over(self, own: OwnMessage, wrote: Sequence[int] = ()) -> bool: ...

    def learn(self, link: Link) -> None: ...


class WhatIsKnown(NamedTuple):
    """What is known of messages. Each may raise `LedgerUnavailable`."""

    heard: Callable[[str, Collection[str]], Awaitable[frozenset[str]]]
    """Which of these customers' messages of an instance a turn has heard."""
    settle: Callable[[Sequence[OwnMessage], float | None], Awaitable[frozenset[str]]]
    """Settle what these messages of the business prove, newest first; returns the ids of those that Majlis sent."""
    answers: Callable[[str, Collection[str]], Awaitable[Mapping[str, int]]]
    """Of those that no person wrote: up to when they answer what was said."""
    phones: Callable[[str, Collection[str]], Awaitable[Mapping[str, str]]]
    """The phone numbers of an instance's LIDs."""
    reach: Callable[[str, Mark], Awaitable[bool]]
    """Keep the mark; False: another daemon sweeps the instance now."""


class Result(NamedTuple):
    """What came of a sweep."""

    done: bool
    """Everything up to now was compared."""
    at: int
    """Where to go on; a time of the records, as the mark."""
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
        self._set_aside: dict[str, OwnMessage] = {}
        """Of each chat the last message that a person or a program of the business wrote: nobody can tell which."""

    async def begin(self, moment: int | None = None) -> Result:
        """Set the mark to now, or to an earlier moment: what came before is not compared.

        Raises `RecordsUnavailable`, `LedgerUnavailable`.
        """
        wall = math.floor(self._wall())
        await self._page(wall - CLOCK_SECONDS, wall, 1)
        now = self._now()
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
          Unavailable, Overloaded: the gateway or a store cannot take part now; the mark stays.
          ConversationFull: a conversation cannot; what others said was heard, and the mark stays.
        """
        self._ahead = ahead_seconds
        begin = plan.start(mark, self._now(), wide)
        full: ConversationFull | None = None
        at, length = begin.since, plan.SLICE_SECONDS
        if before is not None:
            at, length = max(at, before.at), before.length
        elif begin.passed_over:
            self._tell_gap(mark.until, at, "too_long_ago")
        while True:
            is_last_try = length <= plan.SHORTEST_SECONDS or length == _ENDLESS
            most = plan.MOST_PAGES if is_last_try else plan.MANY_PAGES
            pages, is_whole = await self._read(at, at + length, most)
            ignores_time = pages[0].ignores_time
            if not is_whole and length < _ENDLESS and (ignores_time or length > plan.SHORTEST_SECONDS):
                # A gateway that gives records of any time is read once, from now back to the mark.
                length = _ENDLESS if ignores_time else max(length // 2, plan.SHORTEST_SECONDS)
                continue
            now = self._now()
            horizon = min(
                now - math.ceil(self._settings.settle_seconds), _ENDLESS if until is None else until
            )
            end = min(at + length, horizon)
            if end < at:
                return self._result(True, at)
            if not is_whole or any(page.unread for page in pages):
                self._tell_gap(at, end, "too_large" if is_whole else "too_many_records")
            full = await self._hear(pages, at, end, is_latest=at + length >= self._latest()) or full
            mark = plan.reached(mark, end, now)
            is_mine = full is not None or await self._known.reach(self._instance, mark)
            is_done = end == horizon or not is_mine
            if full is not None and (is_done or self._requests >= MAX_REQUESTS):
                raise full
            if is_done:
                return self._result(True, end)
            at, length = end, plan.next_length(length, len(pages))
            if self._requests >= MAX_REQUESTS:
                return self._result(False, at, length)

    async def _read(
        self, since: int, until: int, most: int, own_only: bool = False
    ) -> tuple[list[RecordsPage], bool]:
        """The pages of a slice, and whether they are all of it; at most so many, unless the gateway ignores times."""
        pages: list[RecordsPage] = []
        number, before = 1, self._requests
        while True:
            page = await self._page(since, until, number, own_only)
            if number > 1 and page.marker and page.marker == pages[-1].marker:
                return pages, False  # the same page again
            pages.append(page)
            if not page.more:
                return pages, True
            if most == plan.MOST_PAGES or page.ignores_time:
                is_enough = len(pages) >= plan.MOST_PAGES
            else:  # large pages take many requests each, and full seconds are read twice
                is_enough = page.count > most or self._requests - before >= 2 * most
            if is_enough:
                return pages, False
            if page.ignores_time or not since <= page.oldest < until:
                number += 1
            else:  # see law 6
                until, number = page.oldest, 1

    async def _hear(
        self, pages: Sequence[RecordsPage], since: int, end: int, is_latest: bool
    ) -> ConversationFull | None:
        """Returns why a message could not be stored although the stores are well."""
        for link in (link for page in pages for link in page.links):
            self._door.learn(link)
        own = [item for page in pages for item in page.own if item.sent_at >= since]
        messages = plan.in_order(
            message for page in pages for message in page.messages if since <= message.sent_at <= end
        )
        missing = await self._not_heard(messages)
        await self._heed(plan.until_of(own, end), missing)
        if not missing:
            return None
        if not is_latest:
            own += await self._written_after(end)
        answers = await self._known.answers(self._instance, [item.id for item in own])
        phones = await self._known.phones(self._instance, plan.lids([*missing, *own]))
        judged = plan.judged(missing, own, phones, answers, self._now(), self._settings.max_age_seconds)
        # Meanwhile a webhook may have come. The mirror knows it, unless it has lost its tail.
        return await self._store(await self._not_heard(judged))

    async def _not_heard(self, messages: Sequence[Message]) -> list[Message]:
        """Those that no turn has heard."""
        heard = await self._known.heard(self._instance, [message.id for message in messages])
        return [message for message in messages if message.id not in heard]

    async def _heed(self, own: Sequence[OwnMessage], missing: Sequence[Message]) -> None:
        """Our own replies settle their sends; whatever else the business wrote, a person may have written."""
        ours = await self._known.settle(own, self._ahead)
        others = [item for item in reversed(own) if item.id not in ours]
        phones = await self._known.phones(self._instance, plan.lids([*missing, *others]))
        chats: dict[str, list[int]] = {}
        for message in missing:
            for name in plan.names(message, phones):
                chats.setdefault(name, []).append(message.sent_at)

        async def heed(item: OwnMessage) -> None:
            """A greeting is known by what the customer wrote, which nobody has heard yet."""
            wrote = {at for name in plan.names(item, phones) for at in chats.get(name, ())}
            await self._door.take_over(msgspec.structs.replace(item, recorded=True), sorted(wrote))

        earlier = {item.id: item for name in chats if (item := self._set_aside.pop(name, None))}
        for item in earlier.values():
            await heed(item)
        for item in others:
            names = plan.names(item, phones)
            if item.on_phone or not names.isdisjoint(chats):
                await heed(item)
            else:
                self._set_aside.update(dict.fromkeys(names, item))

    async def _store(self, messages: Sequence[Message]) -> ConversationFull | None:
        full: ConversationFull | None = None
        failure: Exception | None = None
        outcomes = await self._door.accept_all(messages)
        for message, outcome in zip(messages, outcomes, strict=True):
            if isinstance(outcome, ConversationFull):
                full = full or outcome
            elif isinstance(outcome, ValueError):  # nor could it ever be
                self._tell_gap(message.sent_at, message.sent_at, "not_storable")
            elif isinstance(outcome, Exception):
                failure = failure or outcome
            elif not outcome.duplicate:  # what waits in the mirror is known there
                self._found += 1
                self._feed.emit("message.swept", message.conversation, reason=message.swept)
        if failure is not None:
            raise failure
        return full

    async def _written_after(self, moment: int) -> list[OwnMessage]:
        """What the business wrote since then, up to now. Asked for once: later slices lie within it."""
        if self._later is None:
            until = self._latest() + CLOCK_SECONDS
            pages, _ = await self._read(moment, until, plan.MOST_PAGES, own_only=True)
            self._later = plan.until_of([item for page in pages for item in page.own], until)
            await self._known.settle(self._later, self._ahead)
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
        """By the clock that is behind: see law 5."""
        return math.floor(self._wall() + min(0.0, self._ahead or 0.0))

    def _latest(self) -> int:
        """By the clock that is ahead."""
        return math.ceil(self._wall() + max(0.0, self._ahead or 0.0))

    def _tell_gap(self, since: int, until: int, reason: str) -> None:
        self._feed.emit("sweep.gap", instance=self._instance, since=since, until=until, reason=reason)


_ENDLESS = 2**40
"""Later than any time."""
