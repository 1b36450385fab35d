"""Following what others change: by a poll, sooner by a notice, and never waiting for a store that is away."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

import trio
import trio.testing

from actors.errors import LedgerUnavailable, MirrorUnavailable
from daemon.controls.run_time import RunTime
from daemon.ingress.known_instances import KnownInstances
from daemon.ledger.rows import ScopeRows
from daemon.stores.postgres import LedgerError
from daemon.tenants.changes import MAX_BUCKETS, NO_MARKS, POLL_SECONDS, Changes
from daemon.tenants.rows import RowMarks, Seen
from tests.support.memory import MemoryFeed


class Stores:
    """What the database and Redis say, in memory. Every instance is in the bucket of its first letter."""

    def __init__(self) -> None:
        self.versions = {"acme": 1, "demo": 1}
        self.error: Exception | None = None
        self.fails_at_look = False
        self.settings = 0
        self.read: list[Collection[int] | None] = []
        self.looks: list[tuple[int, int, int]] = []
        self.redis_is_away = False
        self.asked = 0

    async def marks(self) -> RowMarks:
        await self._answer()
        marks: dict[int, int] = {}
        for name, version in self.versions.items():
            marks[ord(name[0])] = marks.get(ord(name[0]), 0) + 1_000 + version
        return NO_MARKS._replace(names=marks, settings={7: self.settings})

    async def look(self, names: Collection[int], ids: Collection[int], scopes: Collection[int]) -> list[Seen]:
        await self._answer()
        if self.fails_at_look:
            raise LedgerUnavailable("postgres_timeout")
        self.looks.append((len(names), len(ids), len(scopes)))
        return [
            Seen(name, version > 0, abs(version))
            for name, version in self.versions.items()
            if ord(name[0]) in names
        ]

    async def names(self, _limit: int) -> tuple[str, ...]:
        await self._answer()
        return tuple(self.versions)

    async def run_time(
        self, _scope: str, _most: int, buckets: Collection[int] | None = None
    ) -> dict[str, ScopeRows]:
        await self._answer()
        self.read.append(buckets)
        return {}

    async def command(self, *_arguments: object) -> bytes | None:
        await trio.lowlevel.checkpoint()
        self.asked += 1
        if self.redis_is_away:
            raise MirrorUnavailable("connection")
        return b"1"

    async def _answer(self) -> None:
        await trio.lowlevel.checkpoint()
        if self.error is not None:
            raise self.error


class Scene:
    def __init__(self, alone: bool = False) -> None:
        self.stores, self.feed, self.known = Stores(), MemoryFeed(), KnownInstances({"shop"})
        anything = cast(Any, self.stores)
        self.forgotten: list[str] = []
        self.changes = Changes(
            anything,
            None if alone else anything,
            RunTime(anything, "node-a"),
            self.known,
            self.forgotten.extend,
            self.feed,
        )
        self.told: list[tuple[set[str], set[str]]] = []
        self.changes.follow(self._fail)
        self.changes.follow(self._note)

    async def _note(self, changed: frozenset[str], added: frozenset[str]) -> None:
        await trio.lowlevel.checkpoint()
        self.told.append((set(changed), set(added)))

    async def _fail(self, _changed: frozenset[str], _added: frozenset[str]) -> None:
        await trio.lowlevel.checkpoint()
        raise ValueError("one that is broken keeps the next from nothing")


async def test_what_changed_is_followed_and_only_that(autojump_clock: trio.testing.MockClock) -> None:
    scene = Scene()
    stores = scene.stores
    async with trio.open_nursery() as nursery:
        await nursery.start(scene.changes.run)
        assert "acme" in scene.known and stores.read == [None], "it is read before it is started"
        await trio.sleep(POLL_SECONDS / 2)
        assert sum(names for names, _, _ in stores.looks) == 1024 and not scene.told, "the start is no change"
        assert max(names for names, _, _ in stores.looks) <= MAX_BUCKETS
        read, stores.looks = len(stores.read), []
        await trio.sleep(10 * POLL_SECONDS)
        assert not stores.looks and len(stores.read) == read, "nothing changed, nothing is read"
        stores.versions |= {"acme": 2, "new": 1}
        await trio.sleep(POLL_SECONDS + 0.1)
        assert scene.told == [({"acme", "new"}, {"new"})] and stores.looks == [(2, 0, 0)]
        assert set(scene.forgotten) >= {"acme", "new"} and "new" in scene.known
        assert len(stores.read) == read, "only columns changed"
        stores.versions["demo"] = -2  # removed
        stores.settings += 1
        await trio.sleep(POLL_SECONDS + 0.1)
        assert scene.told[1:] == [({"demo"}, set())] and "demo" not in scene.known
        assert stores.read[read:] == [{7}], "of the settings, only the bucket that changed is read"
        nursery.cancel_scope.cancel()


async def test_a_notice_makes_it_come_sooner_and_a_counter_may_begin_anew(
    autojump_clock: trio.testing.MockClock,
) -> None:
    scene = Scene()
    async with trio.open_nursery() as nursery:
        await nursery.start(scene.changes.run)
        await trio.sleep(0.5)
        for count in (b"7", None, b"1"):
            scene.stores.versions["acme"] += 1
            scene.changes.heard(count)
            await trio.sleep(0.01)
            assert scene.told.pop() == ({"acme"}, set())
        scene.stores.redis_is_away = True
        await scene.changes.tell()
        scene.stores.versions["acme"] += 1
        await trio.sleep(POLL_SECONDS + 0.1)
        assert scene.told.pop() == ({"acme"}, set()), "without Redis the poll finds it"
        nursery.cancel_scope.cancel()


async def test_a_daemon_that_is_alone_neither_tells_nor_asks(autojump_clock: trio.testing.MockClock) -> None:
    """Nobody else is there, and each question would cost a round trip."""
    scene = Scene(alone=True)
    async with trio.open_nursery() as nursery:
        await nursery.start(scene.changes.run)
        await trio.sleep(POLL_SECONDS / 2)
        await scene.changes.tell()
        scene.stores.versions["acme"] += 1
        await trio.sleep(POLL_SECONDS + 0.1)
        assert scene.told == [({"acme"}, set())] and scene.stores.asked == 0
        nursery.cancel_scope.cancel()


async def test_while_postgres_is_away_what_was_read_last_stays_known(
    autojump_clock: trio.testing.MockClock,
) -> None:
    scene = Scene()
    scene.stores.error = LedgerUnavailable("postgres_unreachable")
    async with trio.open_nursery() as nursery:
        with trio.fail_after(5):
            await nursery.start(scene.changes.run)
        assert "shop" in scene.known and "acme" not in scene.known
        scene.stores.error = None
        await trio.sleep(POLL_SECONDS + 0.1)
        assert "acme" in scene.known
        scene.stores.error = LedgerError("42703", "broken")
        await trio.sleep(100 * POLL_SECONDS)
        problems = [event for event, _, fields in scene.feed.events if event == "daemon.problem"]
        assert "acme" in scene.known and len(problems) == 1, "said once, not once a second"
        scene.stores.error, scene.stores.fails_at_look = None, True
        scene.stores.versions["acme"] = 2
        await trio.sleep(3 * POLL_SECONDS)
        assert not scene.told
        scene.stores.fails_at_look = False
        await trio.sleep(POLL_SECONDS + 0.1)
        assert scene.told == [({"acme"}, set())], "what was not read completely is compared again"
        nursery.cancel_scope.cancel()
