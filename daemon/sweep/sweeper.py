"""When which instance is swept.

Laws of this file:
1. Nothing of it can end the daemon, and one instance's trouble delays no other: a failed one waits longer each time,
   and while a gateway is away one instance alone asks whether it is back.
2. A gateway is never pressed: at most `AT_ONCE` sweeps at a time, `PER_SECOND` requests a second, and none of an
   instance sooner than `SELDOM_SECONDS` after the last, whatever webhooks say.
3. Nothing is compared that was written before the instance's mode began, and nothing at all where its mode lets nobody
   answer: who is live again is not answered for what was written while others were to answer. The same holds for an
   instance whose messages do not come through our own door (`arrivals.py`): somebody else may be answering them.
4. A sweep that something caused waits until the gateway has delivered by itself what it was about to deliver.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

import trio

from actors.errors import ConversationFull, LedgerUnavailable, MajlisError, Unavailable
from actors.identity import Conversation
from actors.instance import Mode
from actors.modes import is_swept
from daemon.config.sections import SweepSettings
from daemon.gateways.kind import RecordsReader, RecordsUnavailable
from daemon.observe.feed import EventFeed
from daemon.sweep import plan
from daemon.sweep.comparing import Comparison, Hearing, Result, WhatIsKnown
from daemon.sweep.marks import Claimed, Marks
from daemon.sweep.view import SweepView

AT_ONCE = 2
PER_SECOND = 5.0
"""Requests to all gateways together. A guess, not a measurement: if a page costs a gateway's database up to 200 ms,
where its table is large and has no index by time, one of its connections is at work for us at the most. 300 instances
take a minute after a start, and half a request a second after that."""
SELDOM_SECONDS = 60.0
GO_ON_SECONDS = 5.0
"""Until a sweep goes on that had used up its requests: others come first."""
ROUND_SECONDS = 900.0
"""One sweep; it ends by its count of requests long before, unless something hangs."""
FIRST_PAUSE_SECONDS = 30.0
"""After a failure; doubled with each further one, up to `every_seconds`."""
TICK_SECONDS = 5.0
OUTAGE_SECONDS = 60.0
"""An outage of ours that is longer causes a sweep: the gateway may have given messages up."""
JITTER_SECONDS = 60.0
"""Daemons that start together do not all ask at once."""
MAX_NAMED = 10

_GATEWAY_AWAY = ("unreachable", "connection_closed", "instance_not_loaded", "licence_required")
"""Why a part was not sent, where the gateway or its phone was away. The next one that is sent shows that it is back."""


class Rest(Protocol):
    """A pause, as operators set it, or that the instance is held."""

    @property
    def held(self) -> str:
        """Why; empty: it is an operator's pause."""

    @property
    def since(self) -> datetime: ...

    @property
    def until(self) -> datetime | None: ...


class Clocks(NamedTuple):
    wall: Callable[[], float]
    """Unix seconds."""
    boot: Callable[[], float]
    """Seconds that go on while the machine sleeps or the process is stopped."""
    draw: Callable[[], float]
    """Uniform in [0, 1)."""


class ModeNow(Protocol):
    """The mode of an instance, and since when."""

    @property
    def mode(self) -> Mode: ...

    @property
    def since(self) -> float: ...


class Around(NamedTuple):
    """What the sweeper asks, and must not wait for long."""

    instances: Callable[[], Awaitable[Mapping[str, RecordsReader]]]
    """Those that have records, each with its reader. May raise `LedgerUnavailable`."""
    paused: Callable[[str], Rest | None]
    mode: Callable[[str], Awaitable[ModeNow]]
    """May raise `LedgerUnavailable`."""
    ready: Callable[[], bool]
    """Whether messages may be stored now."""


@dataclass
class _Due:
    at: float
    wide: bool = False
    before: Result | None = None
    """The last sweep, if it was not done."""
    began_wide: bool = False
    """The sweep that runs, or goes on. What asks for a wide one meanwhile gets another."""
    failures: int = 0
    why: str = ""
    """Of the failure; empty: the last sweep went well."""
    ahead_seconds: float | None = None
    last: float = -math.inf
    """When the last sweep ended."""


@dataclass
class _Away:
    """A gateway that did not answer."""

    until: float
    failures: int = 1


class Sweeper:
    """One task; start it when the daemon is ready."""

    def __init__(
        self,
        settings: SweepSettings,
        surroundings: Around,
        marks: Marks,
        known: WhatIsKnown,
        door: Hearing,
        feed: EventFeed,
        clocks: Clocks,
    ) -> None:
        self._settings = settings
        self._around = surroundings
        self._marks = marks
        self._known = known
        self._door = door
        self._feed = feed
        self._clocks = clocks
        self._readers: Mapping[str, RecordsReader] = {}
        self._due: dict[str, _Due] = {}
        self._away: dict[RecordsReader, _Away] = {}
        self._running: set[str] = set()
        self._held: set[str] = set()
        """Instances whose gateway was away at the last send."""
        self._wake = trio.Event()
        self._list_at = -math.inf
        self._next_request = 0.0
        self._not_ready_since: float | None = None
        self._last_done: float | None = None
        feed.observe("daemon.not_ready", self._went_down)
        feed.observe("daemon.ready", self._came_back)
        feed.observe("gateway.connected", self._connected)
        feed.observe("gateway.feed_up", self._connected)
        feed.observe("pause.ended", self._pause_changed)
        feed.observe("pause.began", self._pause_changed)
        feed.observe("instance.mode", self._pause_changed)
        feed.observe("part.not_sent", self._not_sent)
        feed.observe("part.sent", self._sent)

    async def run(self) -> None:
        """Sweep until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                self._wake = trio.Event()
                before, boot = trio.current_time(), self._clocks.boot()
                if self._around.ready():
                    if trio.current_time() >= self._list_at:
                        await self._look()
                    for name in self._next():
                        self._running.add(name)
                        nursery.start_soon(self._sweep, name)
                with trio.move_on_after(self._quiet_seconds()):
                    await self._wake.wait()
                # Stopped by a signal, or asleep with the machine: the gateway's clock went on, and its patience ended.
                slept = max(trio.current_time() - before, self._clocks.boot() - boot)
                if slept > OUTAGE_SECONDS + TICK_SECONDS:
                    self._ask_all()

    def look_again(self) -> None:
        """Instances, or their gateways, may be others now."""
        self._list_at = -math.inf
        self._wake.set()

    def view(self) -> SweepView:
        behind = {name: due.why for name, due in sorted(self._due.items()) if due.why}
        now = trio.current_time()
        return SweepView(
            instances=len(self._readers),
            last_done_seconds=None if self._last_done is None else now - self._last_done,
            found=self._feed.reasons("message.swept"),
            gaps=self._feed.reasons("sweep.gap"),
            behind=dict(list(behind.items())[:MAX_NAMED]),
        )

    def _quiet_seconds(self) -> float:
        """Until the next instance is due; those that are due already wait for a sweep to end, or for their gateway."""
        now = trio.current_time()
        coming = [due.at - now for due in self._due.values() if due.at > now]
        return min([TICK_SECONDS, *coming])

    # What causes a sweep

    def _went_down(self, _conversation: Conversation | None, _fields: Mapping[str, object]) -> None:
        self._not_ready_since = trio.current_time()

    def _came_back(self, _conversation: Conversation | None, _fields: Mapping[str, object]) -> None:
        since, self._not_ready_since = self._not_ready_since, None
        if since is not None and trio.current_time() - since > OUTAGE_SECONDS:
            self._ask_all()

    def _connected(self, _conversation: Conversation | None, fields: Mapping[str, object]) -> None:
        self._ask(str(fields.get("instance")), self._settings.settle_seconds, wide=True)

    def _pause_changed(self, _conversation: Conversation | None, fields: Mapping[str, object]) -> None:
        named = str(fields.get("instance"))
        for name in self._due if named == "all" else (named,):
            self._ask(name, 0.0, at_once=True)

    def _not_sent(self, conversation: Conversation | None, fields: Mapping[str, object]) -> None:
        is_away = fields.get("reason") in _GATEWAY_AWAY
        if is_away and conversation is not None and conversation.instance in self._due:
            self._held.add(conversation.instance)

    def _sent(self, conversation: Conversation | None, _fields: Mapping[str, object]) -> None:
        if conversation is not None and conversation.instance in self._held:
            self._held.discard(conversation.instance)
            self._ask(conversation.instance, self._settings.settle_seconds, wide=True)

    def _ask_all(self) -> None:
        for name in self._due:
            self._ask(name, self._settings.settle_seconds, wide=True)

    def _ask(self, name: str, after_seconds: float, wide: bool = False, at_once: bool = False) -> None:
        """Sweep the instance then, or earlier if it is due earlier. Unknown names are nobody's."""
        due = self._due.get(name)
        if due is None:
            return
        soonest = -math.inf if at_once else due.last + self._seldom
        due.at = min(due.at, max(trio.current_time() + after_seconds, soonest))
        due.wide = due.wide or wide
        self._wake.set()

    @property
    def _seldom(self) -> float:
        return min(SELDOM_SECONDS, self._settings.every_seconds)

    # Who comes next

    async def _look(self) -> None:
        """Which instances there are now. New ones are due at once, all of them at a start after a while."""
        every = self._settings.every_seconds
        self._list_at = trio.current_time() + every  # whoever asks to look again meanwhile is heard
        try:
            found = await self._around.instances()
            ours = await self._marks.ours(found)
        except MajlisError as error:
            if not isinstance(error, LedgerUnavailable):  # the store watch reports that one
                self._feed.emit("daemon.problem", part="sweep", error=type(error).__name__)
            self._list_at = trio.current_time() + min(FIRST_PAUSE_SECONDS, every)
            return
        now = trio.current_time()
        first = now + self._settings.settle_seconds + self._clocks.draw() * min(JITTER_SECONDS, every / 10)
        before, self._readers = self._readers, {name: found[name] for name in sorted(ours)}
        self._due = {name: self._due.get(name) or _Due(first, wide=True) for name in self._readers}
        self._held &= set(self._due)
        self._away = {reader: away for reader, away in self._away.items() if reader in self._readers.values()}
        for name, reader in self._readers.items():
            if before.get(name, reader) is not reader:  # who delivered for it until now may have more
                self._ask(name, self._settings.settle_seconds, wide=True)

    def _next(self) -> list[str]:
        now = trio.current_time()
        due = sorted((due.at, name) for name, due in self._due.items() if due.at <= now)
        chosen: list[str] = []
        for _, name in due:
            if len(self._running) + len(chosen) >= AT_ONCE:
                break
            if name not in self._running and self._may_ask(name, [*self._running, *chosen], now):
                chosen.append(name)
        return chosen

    def _may_ask(self, name: str, others: list[str], now: float) -> bool:
        """Of a gateway that was away, one instance alone asks whether it is back."""
        reader = self._readers[name]
        away = self._away.get(reader)
        if away is None:
            return True
        return now >= away.until and all(self._readers.get(other) is not reader for other in others)

    # One sweep

    async def _sweep(self, name: str) -> None:
        due, reader = self._due[name], self._readers[name]
        due.at = math.inf  # what is asked for from now on needs another one
        if due.before is None:
            due.began_wide, due.wide = due.wide, False
        try:
            with trio.move_on_after(ROUND_SECONDS) as scope:
                result = await self._claimed(name, due, reader)
                self._away.pop(reader, None)
                self._succeeded(name, due, result)
            if scope.cancelled_caught:
                self._failed(name, due, "timed_out")
        except RecordsUnavailable as error:
            if error.everyone:
                away = self._away.setdefault(reader, _Away(0.0, 0))
                away.failures += 1
                away.until = trio.current_time() + self._pause_seconds(away.failures)
            self._failed(name, due, error.reason)
        except ConversationFull:
            self._failed(name, due, "conversation_full")
        except Unavailable as error:
            self._failed(name, due, error.holder or "unavailable")
        except Exception as error:  # law 1; the class alone, because its text may quote a message
            self._failed(name, due, type(error).__name__)
        finally:
            self._running.discard(name)
            due.last = trio.current_time()
            self._wake.set()

    async def _claimed(self, name: str, due: _Due, reader: RecordsReader) -> Result | None:
        """None: there is nothing to do."""
        within = 0.0 if due.began_wide or due.before is not None else self._settings.every_seconds / 2
        claimed = await self._marks.claim(name, within)
        if claimed is None:
            # The other daemon may not look so far back. But what was begun goes on: else each of two daemons would make
            # the other begin anew, for ever.
            due.wide = due.wide or (due.began_wide and due.before is None)
            return None
        done = False
        try:
            result = await self._compare(name, due, reader, claimed)
            done = result is not None and result.done
        finally:
            with trio.move_on_after(TICK_SECONDS, shield=True):
                await self._release(name, done)
        return result

    async def _release(self, name: str, done: bool) -> None:
        with suppress(MajlisError):  # the claim ends by itself
            await self._marks.release(name, done)

    async def _compare(self, name: str, due: _Due, reader: RecordsReader, claimed: Claimed) -> Result | None:
        settings, mark = self._settings, claimed.mark
        now = await self._around.mode(name)
        if not is_swept(now.mode):
            await self._marks.rest(name, None)
            return None
        if mark is not None:
            mark = plan.since(mark, now.since)
        comparison = Comparison(
            name,
            reader,
            self._door,
            self._known,
            settings,
            self._feed,
            self._clocks.wall,
            self._pace,
        )
        pause = self._around.paused(name)
        if pause is not None and pause.held:
            return (
                None  # its key may be missing; and what comes meanwhile is owed an answer, unlike in a pause
            )
        if pause is not None:
            # What came before the pause is still owed an answer; what comes while it lasts is not looked for.
            result = None
            if mark is not None and not claimed.rests:
                ahead = due.ahead_seconds
                until = math.floor(pause.since.timestamp() + min(0.0, ahead or 0.0))
                result = await comparison.run(mark, before=due.before, until=until, ahead_seconds=ahead)
                if result.at < until:  # the gateway may still be about to deliver the last of it
                    result = result._replace(done=False)
            if result is None or result.done:
                await self._marks.rest(
                    name, None if pause.until is None else math.ceil(pause.until.timestamp())
                )
            return result
        if mark is None or claimed.rests:
            return await comparison.begin(claimed.rests_until)
        return await comparison.run(
            mark, before=due.before, wide=due.began_wide, ahead_seconds=due.ahead_seconds
        )

    def _succeeded(self, name: str, due: _Due, result: Result | None) -> None:
        now, every = trio.current_time(), self._settings.every_seconds
        soon = self._seldom if due.wide else every
        due.failures, due.why = 0, ""
        if result is None:
            self._again(due, soon)
            return
        self._last_done, due.ahead_seconds = now, result.ahead_seconds
        due.before = None if result.done else result
        self._again(due, soon if result.done else min(GO_ON_SECONDS, every))
        self._feed.emit(
            "sweep.done", instance=name, requests=result.requests, found=result.found, whole=result.done
        )

    def _failed(self, name: str, due: _Due, reason: str) -> None:
        if not due.why:
            self._feed.emit("sweep.failed", instance=name, reason=reason)
        due.failures += 1
        due.why, due.before, due.wide = reason, None, due.wide or due.began_wide
        self._again(due, self._pause_seconds(due.failures))

    def _again(self, due: _Due, seconds: float) -> None:
        """In so many seconds, or when somebody asked for it meanwhile, but not at once."""
        now = trio.current_time()
        due.at = min(now + seconds, max(due.at, now + self._seldom))

    def _pause_seconds(self, failures: int) -> float:
        longest = self._settings.every_seconds
        return min(FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 10), longest) * (
            0.5 + self._clocks.draw() / 2
        )

    async def _pace(self) -> None:
        now = trio.current_time()
        at = max(now, self._next_request)
        self._next_request = at + 1 / PER_SECOND
        await trio.sleep_until(at)
