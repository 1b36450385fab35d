"""What operators see and do of the ledger: dead letters, turns, counts, the audit. Never on a message's way."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from importlib import resources

import msgspec

from actors.identity import Conversation
from actors.messages import Message
from daemon.ledger.wire import encoded, storable
from daemon.stores.postgres import Postgres, Row


def _load() -> dict[str, str]:
    text = resources.files(__package__).joinpath("sql/records.sql").read_text(encoding="utf-8")
    pieces = re.split(r"^-- (\w+) --$", text, flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


_SQL = _load()


class DeadLetter(msgspec.Struct, frozen=True):
    id: int
    turn_id: int
    conversation: Conversation
    batch_number: int
    reason: str
    detail: str
    tries: int
    created_at: datetime
    retried_at: datetime | None
    messages: tuple[Message, ...]
    """What the customer wrote, to be appended again when the letter is retried."""


class SentPart(msgspec.Struct, frozen=True):
    number: int
    state: str
    text: str
    resends: int
    gateway_message_id: str | None
    reason: str | None


class TurnRecord(msgspec.Struct, frozen=True):
    """One turn as the ledger tells it. `text` and `answer` are for eyes that may see them."""

    id: int
    batch_number: int
    revision: int
    lo: int
    hi: int
    why: str
    state: str
    rule: str
    tries: int
    messages: int
    provider: str | None
    model: str | None
    input_tokens: int | None
    output_tokens: int | None
    text: str
    answer: str | None
    opened_at: datetime
    created_at: datetime
    answered_at: datetime | None
    finished_at: datetime | None
    parts: tuple[SentPart, ...]


class Records:
    """The operators' view of the ledger. Every method may raise `LedgerUnavailable`."""

    def __init__(self, db: Postgres) -> None:
        self._db = db

    async def dead_letters(self, limit: int = 100, with_retried: bool = False) -> tuple[DeadLetter, ...]:
        """Newest first."""
        return tuple(map(_letter, await self._db.fetch(_SQL["dead_letters"], with_retried, limit, None)))

    async def dead_letter(self, number: int) -> DeadLetter | None:
        rows = await self._db.fetch(_SQL["dead_letters"], True, 1, number)
        return _letter(rows[0]) if rows else None

    async def open_dead_letters(self) -> int:
        """How many wait to be retried."""
        return int(await self._db.value(_SQL["open_dead_letters"]))

    async def mark_retried(self, number: int) -> bool:
        """False when somebody retried it before."""
        return bool(await self._db.value(_SQL["mark_retried"], number))

    async def bury_unfinished(self) -> int:
        """After the mirror was lost for good: what the ledger knows unfinished becomes dead letters; how many."""
        return len(await self._db.fetch(_SQL["bury_unfinished"]))

    async def turns(self, conversation: Conversation, limit: int = 20) -> tuple[TurnRecord, ...]:
        """The newest turns of one conversation, newest first."""
        rows = await self._db.fetch(_SQL["turns"], storable(conversation.key), limit)
        return tuple(
            msgspec.convert(row | {"parts": msgspec.json.decode(row["parts"])}, TurnRecord) for row in rows
        )

    async def counts(self) -> dict[str, int]:
        """How many turns are in each state, of all time."""
        return {row["state"]: row["turns"] for row in await self._db.fetch(_SQL["counts"])}

    async def register_instances(self, names: Iterable[str]) -> tuple[str, ...]:
        """Give instances declared in the configuration a row; gives back those that had none."""
        rows = await self._db.fetch(_SQL["register_instances"], sorted(set(names)))
        return tuple(row["instance_name"] for row in rows)

    async def audit(self, uid: int, pid: int, action: str, target: str, detail: Mapping[str, object]) -> None:
        """Record one change made by an operator."""
        sql = _SQL["audit"]
        await self._db.fetch(sql, uid, pid, action, storable(target), encoded(dict(detail)), repeatable=False)


def _letter(row: Row) -> DeadLetter:
    return DeadLetter(
        id=row["id"],
        turn_id=row["turn_id"],
        conversation=Conversation.from_key(row["conversation_key"]),
        batch_number=row["batch_number"],
        reason=row["reason"],
        detail=row["detail"],
        tries=row["tries"] + 1,  # those before the last one
        created_at=row["created_at"],
        retried_at=row["retried_at"],
        messages=msgspec.json.decode(row["messages"], type=tuple[Message, ...]),
    )
