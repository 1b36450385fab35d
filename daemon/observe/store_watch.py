"""Watches both stores: waits at the start until they are fit, then looks again and again, and says when one is back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import trio

from daemon.mirror.checks import Problem
from daemon.observe.readiness import Health

CHECK_SECONDS = 2.0
"""How often stores with a problem are checked, and how soon a start tries again."""
CALM_SECONDS = 3.0
"""How often they are checked while all is well: each check costs commands, also where nobody writes."""


class Installed(Protocol):
    """What was fixed when the ledger was first used."""

    @property
    def install_id(self) -> str: ...


class LedgerStore(Protocol):
    """Postgres, as `daemon.ledger.fitness.LedgerFitness` checks it."""

    async def problem(self, thoroughly: bool = False) -> str | None: ...

    async def prepare(self) -> Installed | str: ...

    async def has_turns(self) -> bool: ...


class MirrorStore(Protocol):
    """Redis, as `daemon.mirror.fitness.MirrorFitness` checks it."""

    async def problems(self, install_id: str | None, thoroughly: bool = False) -> list[Problem]: ...

    async def prepare(self, install_id: str, has_turns: Callable[[], Awaitable[bool]]) -> list[Problem]: ...


class StoreWatch:
    """Keeps `health` up to date with what is wrong with the stores."""

    def __init__(self, ledger: LedgerStore, mirror: MirrorStore, health: Health) -> None:
        self._ledger = ledger
        self._mirror = mirror
        self._health = health
        self._install_id: str | None = None

    async def until_fit(self) -> str:
        """Wait until both stores are fit; returns the id of this install.

        The ledger comes first: only it knows whether an empty Redis is new or has lost its data.
        """
        while isinstance(found := await self._ledger.prepare(), str):
            self._health.report("postgres", (found,))
            await trio.sleep(CHECK_SECONDS)
        self._health.report("postgres", ())
        self._install_id = found.install_id
        while problems := await self._mirror.prepare(found.install_id, self._ledger.has_turns):
            self._health.report("redis", _texts(problems))
            await trio.sleep(CHECK_SECONDS)
        self._health.report("redis", ())
        return found.install_id

    async def run(
        self, redis_back: Callable[[], None], postgres_back: Callable[[], None], turned: Callable[[], None]
    ) -> None:
        """Check until cancelled.

        Args:
          redis_back: called when Redis is well again after a problem.
          postgres_back: the same for Postgres.
          turned: called once a round.
        """
        seconds = CALM_SECONDS
        while True:
            await trio.sleep(seconds)
            turned()
            problems = await self._mirror.problems(self._install_id)
            if self._health.report("redis", _texts(problems)):
                redis_back()
            problem = await self._ledger.problem()
            seconds = CHECK_SECONDS if problems or problem else CALM_SECONDS
            if self._health.report("postgres", (problem,) if problem else ()):
                postgres_back()

    async def redis_problems(self) -> list[Problem]:
        """For somebody who asks: of a run's checks some are left out now and then."""
        return await self._mirror.problems(self._install_id, thoroughly=True)

    async def postgres_problem(self) -> str | None:
        return await self._ledger.problem(thoroughly=True)


def _texts(problems: list[Problem]) -> tuple[str, ...]:
    return tuple(problem.text for problem in problems)
