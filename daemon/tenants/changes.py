"""Follows what is set for instances, wherever it was changed: here, by another daemon, or in SQL.

Laws of this file:
1. One mechanism for all of them: the marks of the rows are compared, and only what lies in a bucket that differs is
   read again. A notice through Redis makes a comparison come sooner; none is needed.
2. A change is in force here when `look` returns; on every other daemon when its next due poll has brought the notice,
   and within `POLL_SECONDS` and a bit without one.
3. While a store is away, what was read last stays in force, and nothing waits for it.
4. What was not read completely is compared again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

import trio

from actors.errors import LedgerUnavailable, MirrorUnavailable
from actors.ports import Feed
from daemon.controls.run_time import RunTime
from daemon.ingress.known_instances import MAX_STORED, KnownInstances
from daemon.mirror.keys import CHANGES
from daemon.stores.postgres import LedgerError, is_only_away
from daemon.tenants.rows import RowMarks, Seen, TenantRows

POLL_SECONDS = 1.6
MAX_BUCKETS = 64
"""So many are looked at in one statement: of 10,000 instances, about 600."""
BUCKETS = 1024

Follow = Callable[[frozenset[str], frozenset[str]], Awaitable[None]]
"""Told the instances whose settings changed, those that are gone among them, and those that are new."""
NO_MARKS = RowMarks({}, {}, {}, {}, {}, {})


class Counts(Protocol):
    """Redis, for a counter."""

    async def command(self, *arguments: str) -> Any: ...


class Changes:
    """`follow` it, `start` it, then `run` it."""

    def __init__(
        self,
        rows: TenantRows,
        redis: Counts | None,
        run_time: RunTime,
        known: KnownInstances,
        forget: Callable[[Collection[str]], None],
        feed: Feed,
    ) -> None:
        """Args:
        redis: where notices go and come from; None: no other daemon can be there.
        forget: drops what is remembered of these instances' rows.
        """
        self._rows = rows
        self._redis = redis
        self._run_time = run_time
        self._known = known
        self._forget = forget
        self._feed = feed
        self._followers: list[Follow] = []
        self._looking = trio.Lock()
        self._wanted = trio.Event()
        self._marks: RowMarks | None = None
        self._versions: dict[str, int] = {}
        """Of the instances that are there."""
        self._count: object = None
        self._failure = ""

    def follow(self, callback: Follow) -> None:
        """`callback` is told of every change from now on, on every daemon, after it is in force."""
        self._followers.append(callback)

    async def start(self) -> None:
        """Put in force what is set, if the database can be had."""
        await self._tried(self._first)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Follow until cancelled."""
        await self.start()
        task_status.started()
        while True:
            await self._tried(self.look)
            with trio.move_on_after(POLL_SECONDS):
                await self._wanted.wait()
            self._wanted = trio.Event()

    def heard(self, count: bytes | None) -> None:
        """The counter, as the due poll read it: look when it is another than before. It may begin anew, so any other
        counts."""
        if count != self._count:
            self._count = count
            self._wanted.set()

    async def look(self) -> None:
        """Put in force whatever has changed. Raises `LedgerUnavailable`."""
        async with self._looking:
            marks = await self._rows.marks()
            before = self._marks or NO_MARKS
            buckets = _Buckets.between(before, marks)
            if self._marks is None:
                buckets = _Buckets(frozenset(range(BUCKETS)), frozenset(), frozenset())
            seen: list[Seen] = []
            for part in buckets.parts():
                seen += await self._rows.look(*part)
            # From here to what `_take` forgets nothing waits once the settings are in force: a turn that begins
            # meanwhile has all of a change, or nothing of it.
            if self._marks is None:
                await self._run_time.refresh()
            elif buckets.scopes:
                await self._run_time.refresh(buckets.scopes)
            await self._take(seen)
            self._marks = marks

    async def tell(self) -> None:
        """Tell the other daemons that there is something new. Should it fail, their polls find it."""
        if self._redis is None:
            await trio.lowlevel.checkpoint()
            return
        with suppress(MirrorUnavailable):  # the store watch reports it
            await self._redis.command("INCR", CHANGES)

    @property
    def names(self) -> frozenset[str]:
        """The instances that are there, as they were seen last."""
        return frozenset(self._versions)

    async def _first(self) -> None:
        """What must be in force before the first message; what else changed while nobody followed comes with `look`."""
        await self._run_time.refresh()
        self._known.learn(await self._rows.names(MAX_STORED))

    async def _take(self, seen: Sequence[Seen]) -> None:
        is_first = self._marks is None
        before = dict(self._versions)
        for one in seen:
            if one.there:
                self._versions[one.instance] = one.version
            else:
                self._versions.pop(one.instance, None)
        changed = frozenset(
            one.instance for one in seen if before.get(one.instance) != self._versions.get(one.instance)
        )
        if not changed and not is_first:
            return
        self._known.learn(self._versions.keys())
        self._forget(changed)
        if is_first:
            return
        added = frozenset(name for name in changed if name not in before)
        for name in sorted(changed):
            gone = name not in self._versions
            event = "instance.removed" if gone else "instance.added" if name in added else "instance.changed"
            self._feed.emit(event, None, instance=name, version=self._versions.get(name, 0))
        for follower in self._followers:
            try:
                await follower(changed, added)
            except Exception as error:  # one that fails keeps the others from nothing
                self._feed.emit("daemon.problem", part="followers of instances", error=type(error).__name__)

    async def _tried(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except (LedgerError, LedgerUnavailable) as error:
            if is_only_away(error):
                return  # law 3
            if self._failure != type(error).__name__:  # it comes once a second
                self._failure = type(error).__name__
                self._feed.emit("daemon.problem", part="instances", error=self._failure)
        else:
            self._failure = ""


class _Buckets(NamedTuple):
    """What to look at again."""

    names: frozenset[int]
    ids: frozenset[int]
    scopes: frozenset[int]

    @classmethod
    def between(cls, before: RowMarks, now: RowMarks) -> _Buckets:
        return cls(
            _unlike(before.names, now.names),
            _unlike(before.ids, now.ids) | _unlike(before.webhooks, now.webhooks),
            _unlike(before.settings, now.settings)
            | _unlike(before.flags, now.flags)
            | _unlike(before.secrets, now.secrets),
        )

    def parts(self) -> Iterator[_Buckets]:
        """The same in pieces that are quickly looked at."""
        single = [(kind, bucket) for kind, buckets in enumerate(self) for bucket in sorted(buckets)]
        for first in range(0, len(single), MAX_BUCKETS):
            piece = single[first : first + MAX_BUCKETS]
            yield _Buckets(*(frozenset(bucket for of, bucket in piece if of == kind) for kind in range(3)))


def _unlike(before: Mapping[int, int], now: Mapping[int, int]) -> frozenset[int]:
    return frozenset(bucket for bucket in before.keys() | now.keys() if before.get(bucket) != now.get(bucket))
