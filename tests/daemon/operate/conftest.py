"""The operators' side over a real ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.identity import Conversation
from actors.lookups import Span
from actors.messages import Answer
from actors.ports import Reply, Turn
from daemon.config import load
from tests.support.ledgers import DEMO, batch
from tests.support.operators import Operators, open_operators

CONFIG = "instances: {demo: {takeover: {pause_seconds: 600}}, silent: {takeover: {pause_seconds: 0}}}"
ANSWER = Answer("hello", "main", "small", 800, 60, 412_000, True, ("name",), 0.75)
WATERFALL = (Span("history", "lookups", 1.0, 2.5, "ok"),)


@pytest.fixture
async def operators(migrated_postgres_dsn: str, tmp_path: Path) -> AsyncIterator[Operators]:
    (tmp_path / "own.yaml").write_text(CONFIG)
    async with open_operators(migrated_postgres_dsn, load(tmp_path / "own.yaml", environment={})) as opened:
        await opened.records.register_instances(["demo", "silent"])
        yield opened


async def answered(operators: Operators, escalation: str = "", conversation: Conversation = DEMO) -> Turn:
    """A turn whose reply is stored."""
    turn = await operators.world.ledger.begin(batch("how much is it", conversation=conversation), 1)
    return await operators.world.ledger.answer(
        turn, 1, Reply(ANSWER, ("hello",), escalation=escalation, spans=WATERFALL)
    )
