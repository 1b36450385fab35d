"""`majlis migrate --adopt-redis`: take an empty Redis in place of one whose data is lost for good."""

from __future__ import annotations

from daemon.ledger import Install, Records
from daemon.mirror.mirror import RedisMirror
from daemon.mirror.survey import Survey
from daemon.partitions.leases import raise_epochs
from daemon.stores.postgres import Postgres
from daemon.stores.redis import RedisStore


async def adopt_redis(db: Postgres, redis: RedisStore, install: Install) -> None:
    """Mark the Redis as this install's, and let Postgres issue no epoch below those that the Redis has seen.

    If it holds no install's data at all, the ledger's unfinished turns become dead letters: the messages that they were
    to answer are lost.

    Raises:
      LedgerUnavailable: Postgres cannot be reached.
      MirrorUnavailable: Redis cannot be reached.
    """
    survey = Survey(redis, RedisMirror(redis, install.partitions))
    if await survey.is_unstamped():
        await Records(db).bury_unfinished()
    await survey.install(install.partitions, install.install_id)
    await raise_epochs(db, await survey.epochs(range(install.partitions)))
