"""What was heard in mode `shadow`: what Majlis would have said, beside what others sent."""

from __future__ import annotations

from datetime import datetime

import msgspec

from actors.identity import Conversation
from daemon.ledger.sql import statements
from daemon.ledger.wire import storable
from daemon.stores.postgres import Postgres

_SQL = statements("shadows.sql")


class OverheardReply(msgspec.Struct, frozen=True):
    """What was written for the business after the customer's messages."""

    text: str
    sender: str
    at: datetime
    seconds: float


class ShadowTurn(msgspec.Struct, frozen=True):
    id: int
    conversation_key: str
    state: str
    rule: str
    text: str
    """What the customer wrote."""
    answer: str
    """Empty: Majlis would have said nothing."""
    provider: str
    model: str
    cost_micros: int
    began_at: datetime
    """When the customer wrote."""
    seconds: float | None
    """From then until the answer was there, its window included."""
    replies: tuple[OverheardReply, ...]

    @property
    def conversation(self) -> Conversation:
        return Conversation.from_key(self.conversation_key)


class Shadows:
    """Every method may raise `LedgerUnavailable`."""

    def __init__(self, db: Postgres) -> None:
        self._db = db

    async def latest(self, instance: str, limit: int) -> tuple[ShadowTurn, ...]:
        """The newest ones of an instance, newest first."""
        rows = await self._db.fetch(_SQL["shadow_turns"], storable(instance), limit)
        return tuple(
            msgspec.convert(row | {"replies": msgspec.json.decode(row["replies"])}, ShadowTurn)
            for row in rows
        )
