"""The watch over the stores: a start waits until both are fit, and a store that comes back is announced once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import trio
import trio.testing

from daemon.mirror.checks import Problem
from daemon.observe.feed import EventFeed
from daemon.observe.readiness import Health
from daemon.observe.store_watch import CALM_SECONDS, CHECK_SECONDS, StoreWatch

AWAY = Problem("unavailable", "Redis cannot be used now.")


class Install(NamedTuple):
    install_id: str


class Stores:
    """A ledger and a mirror whose state a test sets."""

    def __init__(self) -> None:
        self.ledger_problem: str | None = None
        self.mirror_problems: list[Problem] = []
        self.prepared_for: list[str] = []
        self.asked_for: list[str | None] = []
        self.thoroughly: list[bool] = []
        self.back: list[str] = []
        self.rounds = 0
        self.health = Health(EventFeed(strict=True))
        self.watch = StoreWatch(Ledger(self), Mirror(self), self.health)

    async def run(self) -> None:
        await self.watch.run(
            lambda: self.back.append("redis"), lambda: self.back.append("postgres"), self._turned
        )

    def _turned(self) -> None:
        self.rounds += 1


class Ledger:
    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    async def problem(self, thoroughly: bool = False) -> str | None:
        self._stores.thoroughly.append(thoroughly)
        await trio.lowlevel.checkpoint()
        return self._stores.ledger_problem

    async def prepare(self) -> Install | str:
        return await self.problem() or Install("install-1")

    async def has_turns(self) -> bool:
        await trio.lowlevel.checkpoint()
        return False


class Mirror:
    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    async def problems(self, install_id: str | None, thoroughly: bool = False) -> list[Problem]:
        await trio.lowlevel.checkpoint()
        self._stores.thoroughly.append(thoroughly)
        self._stores.asked_for.append(install_id)
        return self._stores.mirror_problems

    async def prepare(self, install_id: str, has_turns: Callable[[], Awaitable[bool]]) -> list[Problem]:
        assert not await has_turns()
        self._stores.prepared_for.append(install_id)
        return self._stores.mirror_problems


async def test_a_start_waits_for_the_ledger_then_for_the_mirror(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    """And readiness says at each moment what it waits for."""
    stores = Stores()
    stores.ledger_problem, stores.mirror_problems = "Run `majlis migrate`.", [AWAY]
    found: list[str] = []

    async def start() -> None:
        found.append(await stores.watch.until_fit())

    nursery.start_soon(start)
    await trio.sleep(2.5 * CHECK_SECONDS)
    assert stores.health.stores()["postgres"] == "Run `majlis migrate`."
    assert stores.prepared_for == [], "only the ledger knows whose data Redis must hold"
    stores.ledger_problem = None
    await trio.sleep(CHECK_SECONDS)
    assert stores.health.stores() == {"redis": AWAY.text, "postgres": "ok"}
    assert found == []
    stores.mirror_problems = []
    await trio.sleep(CHECK_SECONDS)
    assert stores.health.stores() == {"redis": "ok", "postgres": "ok"}
    assert (found, set(stores.prepared_for)) == (["install-1"], {"install-1"})


async def test_a_store_that_comes_back_is_announced_once(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    stores = Stores()
    await stores.watch.until_fit()
    nursery.start_soon(stores.run)
    await trio.sleep(2.5 * CALM_SECONDS)
    assert (stores.back, stores.rounds, set(stores.asked_for)) == ([], 2, {"install-1"})
    assert not any(stores.thoroughly)
    stores.mirror_problems, stores.ledger_problem = [AWAY], "Postgres cannot be used now."
    await trio.sleep(2 * CALM_SECONDS)
    assert stores.back == [] and stores.health.stores()["redis"] == AWAY.text
    stores.mirror_problems = []
    await trio.sleep(2 * CHECK_SECONDS)
    assert stores.back == ["redis"]
    stores.ledger_problem = None
    await trio.sleep(2 * CHECK_SECONDS)
    assert stores.back == ["redis", "postgres"]
    nursery.cancel_scope.cancel()


async def test_before_the_start_redis_is_checked_for_no_install(
    autojump_clock: trio.testing.MockClock,
) -> None:
    stores = Stores()
    assert await stores.watch.redis_problems() == []
    assert (await stores.watch.postgres_problem(), stores.asked_for) == (None, [None])
    assert all(stores.thoroughly), "who asks is told all there is"
