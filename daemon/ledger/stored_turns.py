"""Stored turns, found by message: every turn a message was part of, including replays of its dead letters.

A replay has the id of the original message after one prefix for each dead letter it came from. Asking for any of these
ids finds all the turns.
"""

from __future__ import annotations

import re
from datetime import datetime

import msgspec

from actors.identity import Conversation
from actors.lookups import FailedCall, Span
from actors.messages import CutReason, Message
from daemon.ledger.rows import OwnMessageRow
from daemon.ledger.sql import statements
from daemon.ledger.wire import storable
from daemon.stores.postgres import Postgres

MAX_TURNS = 20
MAX_REPLAYS = 10
"""How many times a dead letter of a replayed dead letter is followed."""

_SQL = statements("stored_turns.sql")
_REPLAY = re.compile(r"^(?:dead-\d+-)+")


class PartRow(msgspec.Struct, frozen=True):
    number: int
    state: str
    text: str
    resends: int
    gateway_message_id: str | None
    reason: str | None
    claimed_at: datetime | None
    last_claimed_at: datetime | None
    settled_at: datetime | None


class DeadLetterRow(msgspec.Struct, frozen=True):
    id: int
    reason: str
    detail: str
    created_at: datetime
    retried_at: datetime | None
    dropped_at: datetime | None


class StoredTurn(msgspec.Struct, frozen=True, kw_only=True):
    """One turn of the message, with its parts and its dead letter."""

    id: int
    conversation_key: str
    instance: str
    batch_number: int
    why: str
    state: str
    rule: str
    failed_attempts: int = msgspec.field(name="tries")
    moved_to: str
    messages: tuple[Message, ...]
    message_ids: tuple[str, ...]
    provider: str | None
    model: str | None
    input_tokens: int | None
    output_tokens: int | None
    cost_micros: int
    estimated: bool = False
    """What it cost is a guess."""
    confidence: float | None
    waterfall: tuple[Span, ...]
    failures: tuple[FailedCall, ...] = ()
    cut: CutReason = ""
    opened_at: datetime
    created_at: datetime
    answered_at: datetime | None
    finished_at: datetime | None
    parts: tuple[PartRow, ...]
    dead_letter: DeadLetterRow | None

    @property
    def conversation(self) -> Conversation:
        return Conversation.from_key(self.conversation_key)


class LeaseRow(msgspec.Struct, frozen=True):
    partition: int
    epoch: int
    owner: str
    seconds_left: float
    """Negative or minus infinity if no daemon holds the partition."""


class TurnHead(msgspec.Struct, frozen=True):
    """One turn in a list."""

    id: int
    conversation_key: str
    state: str
    rule: str
    provider: str | None
    messages: int
    created_at: datetime
    finished_at: datetime | None

    @property
    def conversation(self) -> Conversation:
        return Conversation.from_key(self.conversation_key)


class StoredTurns:
    """Every method may raise `LedgerUnavailable`."""

    def __init__(self, db: Postgres) -> None:
        self._db = db

    async def turns_of(self, message_id: str, instance: str | None = None) -> tuple[StoredTurn, ...]:
        """The turns of the message and of its replays, oldest first."""
        ids, found = [original_id(message_id)], tuple[StoredTurn, ...]()
        for _ in range(MAX_REPLAYS):
            found = await self._turns(ids, instance)
            replays = [
                f"dead-{turn.dead_letter.id}-{known}"
                for turn in found
                if turn.dead_letter is not None
                for known in turn.message_ids
                if known in ids
            ]
            more = [replay for replay in replays if replay not in ids]
            if not more:
                break
            ids += more
        return found

    async def own_messages(self, message_id: str, instance: str | None = None) -> tuple[OwnMessageRow, ...]:
        """What was made of the message of this id, if the business wrote it; one for each instance that knows it."""
        named = None if instance is None else storable(instance)
        rows = await self._db.fetch(_SQL["own_message"], storable(message_id), named, MAX_TURNS)
        return tuple(msgspec.json.decode(row["majlis_own_view"], type=OwnMessageRow) for row in rows)

    async def latest(self, instance: str | None, limit: int) -> tuple[TurnHead, ...]:
        """The newest turns of one instance, or of all."""
        named = None if instance is None else storable(instance)
        return tuple(TurnHead(**row) for row in await self._db.fetch(_SQL["latest_turns"], named, limit))

    async def leases(self) -> tuple[LeaseRow, ...]:
        """Every partition of the installation and its lease, in order."""
        return tuple(LeaseRow(**row) for row in await self._db.fetch(_SQL["lease_owners"]))

    async def _turns(self, ids: list[str], instance: str | None) -> tuple[StoredTurn, ...]:
        named = None if instance is None else storable(instance)
        rows = await self._db.fetch(_SQL["turns_of"], [storable(known) for known in ids], named, MAX_TURNS)
        return tuple(_turn(dict(row)) for row in rows)


def original_id(message_id: str) -> str:
    """The id that the gateway gave to the message, or to the one that this message replays."""
    return _REPLAY.sub("", message_id)


def _turn(row: dict[str, object]) -> StoredTurn:
    for name in ("messages", "waterfall", "failures", "parts", "dead_letter"):
        stored = row[name]
        row[name] = msgspec.json.decode(stored) if isinstance(stored, str | bytes) else None
    return msgspec.convert(row, StoredTurn)
