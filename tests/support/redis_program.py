"""Which Redis the tests run: the wheel's, whatever this machine has; `MAJLIS_TEST_REDIS_PROGRAM` names another."""

from __future__ import annotations

import os
from pathlib import Path

from daemon.stores.places import redis_server_program


def tested_redis_program() -> Path:
    return Path(os.environ.get("MAJLIS_TEST_REDIS_PROGRAM") or redis_server_program())
