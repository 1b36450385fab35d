"""What the doctor says of engines: their age, and a setting that wastes memory."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio

from actors.errors import MirrorUnavailable
from daemon.operate.engine_checks import own_redis_checks, postgres_age


async def said(info: str, node: object) -> dict[str, str]:
    async def answers(_commands: object) -> list[object]:
        await trio.lowlevel.checkpoint()
        return [f"# Server\r\n{info}\r\n".encode(), node]

    checks = await own_redis_checks(cast(Any, SimpleNamespace(pipeline=answers)))
    return {check.name: f"{check.state}: {check.detail} {check.advice}" for check in checks}


@pytest.mark.parametrize(
    ("info", "state", "words"),
    [
        ("redis_version:6.2.14", "warning", "CVE-2025-49844"),
        ("redis_version:6.2.20", "warning", "Redis 6.2.20 gets no fixes any more Update"),
        ("redis_version:7.4.6", "ok", "Redis 7.4.6"),
        ("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.8", "ok", "Valkey 8.1.8"),
        ("redis_version:", "ok", "unknown version"),
    ],
)
async def test_the_age_of_a_redis_of_ones_own_is_told(info: str, state: str, words: str) -> None:
    told = (await said(info, MirrorUnavailable("forbidden")))["redis engine"]
    assert told.startswith(f"{state}: ") and words in told


@pytest.mark.parametrize(
    ("node", "advised"),
    [
        ([b"stream-node-max-bytes", b"4096"], True),
        ([b"stream-node-max-bytes", b"1024"], False),
        ([], False),
        (MirrorUnavailable("forbidden"), False),
    ],
)
async def test_large_nodes_are_a_hint_and_nothing_where_they_cannot_be_seen(
    node: object, advised: bool
) -> None:
    told = (await said("redis_version:8.0.4", node)).get("redis memory", "")
    assert told.startswith("ok: ") is advised
    assert ("set `stream-node-max-bytes 1024`" in told) is advised


async def test_a_redis_that_is_away_has_no_age() -> None:
    async def away(_commands: object) -> list[object]:
        await trio.lowlevel.checkpoint()
        raise MirrorUnavailable("connection")

    assert await own_redis_checks(cast(Any, SimpleNamespace(pipeline=away))) == []


@pytest.mark.parametrize(
    ("number", "today", "state"),
    [
        (130_021, date(2025, 11, 13), "ok"),
        (130_021, date(2025, 11, 14), "warning"),
        (180_001, date(2026, 11, 30), "ok"),
        (90_603, date(2026, 11, 30), "warning"),
        (250_000, date(2039, 1, 1), "ok"),  # one that this version does not know
    ],
)
def test_a_postgres_is_old_from_its_last_fixes_on(number: int, today: date, state: str) -> None:
    check = postgres_age(number, today)
    assert check.state == state
    assert f"Postgres {number // 10_000}.{number % 10_000}" in check.detail
