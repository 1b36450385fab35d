"""Whether this Redis is fit to be the mirror, asked at the start and every few seconds after (law 9)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

from actors.errors import MirrorUnavailable
from daemon.mirror.checks import BEGUN, Durability, Expected, KnownSettings, Problem, check_redis
from daemon.mirror.survey import Survey
from daemon.stores.redis import RedisStore


class MirrorFitness:
    """Stamps a new mirror at the start, and checks it from then on.

    Args:
      trust_unseen: a setting that this user may not look at counts as right.
    """

    def __init__(
        self, redis: RedisStore, survey: Survey, durability: Durability, partitions: int, trust_unseen: bool
    ) -> None:
        self._redis = redis
        self._survey = survey
        self._durability = durability
        self._partitions = partitions
        self._trust_unseen = trust_unseen
        self._may_begin_file = True
        self._settings = KnownSettings()

    async def problems(self, install_id: str | None, thoroughly: bool = False) -> list[Problem]:
        """What is wrong with Redis. `install_id`: whose data it must hold; None while that is not known."""
        if thoroughly:
            self._settings.forget()
        expected = Expected(self._durability, self._partitions, install_id, self._may_begin_file)
        found = await check_redis(self._redis, expected, self._settings)
        words = [problem.word for problem in found]
        if words:
            self._settings.forget()  # what an operator does about it is seen with the next look
        if words != ["unavailable"]:
            self._may_begin_file = "appendonly" in words or BEGUN in words
        return [problem for problem in found if problem.seen or not self._trust_unseen]

    async def prepare(self, install_id: str, has_turns: Callable[[], Awaitable[bool]]) -> list[Problem]:
        """What is wrong with Redis; a new one gets its stamp.

        Only while the ledger holds no turn: after that, an empty Redis is one that lost what was acknowledged.
        """
        problems = await self.problems(install_id)
        # A start that died between the stamp and the locks left a stamp alone: the locks are made up for.
        new = [problem.word for problem in problems] in (["install_missing"], [])
        if new and not await has_turns():
            with suppress(MirrorUnavailable):  # the next check says why
                await self._survey.install(self._partitions, install_id)
            problems = await self.problems(install_id)
        return problems
