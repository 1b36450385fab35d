"""The steps of a turn, T1 to T5. Each is one call, one round trip and one transaction.

`migrations/005_turn_steps.sql` says what each step does and why it is safe to repeat. `018_facts.sql` says what a fact
is: the one thing here that needs no epoch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

import msgspec

from actors.errors import EarlierTurnUnfinished, StaleEpoch, TakenOver, TurnFailed
from actors.identity import Conversation
from actors.lookups import FailedCall, Span
from actors.machines import Pace
from actors.messages import Batch, Message, Spent, Waiting
from actors.outcome import NotSent, SendOutcome, Sent, Unknown
from actors.ports import Notice, OpenTurn, Reply, Turn
from actors.send_facts import Proof
from actors.triage import MACHINE
from daemon.ledger.wire import encoded, storable, wire_batch, wire_reply, wire_spans
from daemon.stores.postgres import LedgerError, Postgres, PostgresSession, Row

_STALE_EPOCH = "MJ001"
_CLAIM_CONFLICT = "MJ002"
_TAKEN_OVER = "MJ004"
_RESUME = "MJ005"

MAX_RESUMED = 20
"""Unfinished turns of one conversation that are read at once."""

_GATEWAY_IDS = """
    SELECT o.gateway_message_id AS id
    FROM (SELECT id FROM majlis_turns
          WHERE conversation_id = (SELECT conversation_id FROM majlis_turns WHERE id = $1)
          ORDER BY id DESC LIMIT 500) t
    JOIN majlis_outbox o ON o.turn_id = t.id
    WHERE o.gateway_message_id IS NOT NULL
"""


class PostgresLedger:
    """Implements `actors.ports.Ledger`. On a session of its own, all steps can be one transaction: see `trial.py`."""

    def __init__(
        self,
        db: Postgres | PostgresSession,
        partitions: int,
        links_numbers: Callable[[str], bool] = lambda _instance: True,
    ) -> None:
        """`links_numbers` gives each instance's `contacts.link_numbers`."""
        self._db = db
        self._partitions = partitions
        self._links_numbers = links_numbers

    async def begin(self, batch: Batch, epoch: int) -> Turn:
        partition = batch.conversation.partition(self._partitions)
        linked = self._links_numbers(batch.conversation.instance)
        sql = "SELECT majlis_begin_measured_turn($1, $2, $3, $4)"
        return _turn(await self._step(sql, partition, epoch, encoded(wire_batch(batch)), linked))

    async def open_turns(self, conversation: Conversation) -> tuple[Batch, ...]:
        sql = "SELECT * FROM majlis_unfinished_turns($1, $2)"
        rows = await self._db.fetch(sql, storable(conversation.key), MAX_RESUMED)
        return tuple(_batch(conversation, row, time.time_ns() // 1_000_000) for row in rows)

    async def unfinished(self, partitions: Collection[int], after: int, limit: int) -> tuple[OpenTurn, ...]:
        sql = "SELECT * FROM majlis_open_turns_of($1, $2, $3)"
        rows = await self._db.fetch(sql, sorted(partitions), after, limit)
        return tuple(
            OpenTurn(row["turn_id"], _conversation(row), row["number"], row["age_seconds"]) for row in rows
        )

    async def answer(
        self, turn: Turn, epoch: int, reply: Reply, claim: str = "", heed_takeover: bool = True
    ) -> Turn:
        sql = "SELECT majlis_answer($1, $2, $3, $4, $5, $6)"
        said = encoded(wire_reply(reply))
        return _turn(await self._step(sql, turn.id, epoch, said, encoded(reply.parts), claim, heed_takeover))

    async def supersede(
        self, turn: Turn, epoch: int, spent: Spent, estimated: bool, spans: tuple[Span, ...] = ()
    ) -> Turn:
        sql = "SELECT majlis_supersede($1, $2, $3, $4, $5)"
        cost, trace = encoded(spent), encoded(wire_spans(spans))
        return _turn(await self._step(sql, turn.id, epoch, cost, estimated, trace))

    async def spend(
        self, turn: Turn, epoch: int, token: str, spent: Spent, failures: tuple[FailedCall, ...]
    ) -> None:
        sql = "SELECT majlis_spend($1, $2, $3, $4, $5)"
        await self._step(sql, turn.id, epoch, token, encoded(spent), encoded(failures))

    async def claim(
        self, turn: Turn, epoch: int, part: int, resend: bool, token: str, heed_takeover: bool = True
    ) -> None:
        """T3: claim a part before it is sent.

        Args:
          resend: whether this is the one repetition allowed after an unknown outcome.
          token: names this claim, and no other.
          heed_takeover: whether to refuse while a person of the business writes in the conversation.

        Raises:
          TurnFailed: `claim_conflict`, the part may not be sent now.
          TakenOver: a person of the business has taken over.
        """
        sql = "SELECT majlis_claim_part($1, $2, $3, $4, $5, $6)"
        await self._step(sql, turn.id, epoch, part, resend, token, heed_takeover)

    async def settle(self, turn: Turn, epoch: int, part: int, outcome: SendOutcome) -> None:
        word, message_id, reason, may_resend = _settlement(outcome)
        sql = "SELECT majlis_settle_part($1, $2, $3, $4, $5, $6, $7)"
        await self._step(sql, turn.id, epoch, part, word, storable(message_id), storable(reason), may_resend)

    async def prove(self, proof: Proof) -> bool:
        word, message_id, reason, _ = _settlement(proof.outcome)
        sql = "SELECT majlis_prove($1, $2, $3, $4, $5, $6)"
        args = (proof.turn_id, proof.part, proof.token, word, storable(message_id), storable(reason))
        return bool(await self._db.value(sql, *args))

    async def settle_last(self, turn: Turn, epoch: int, proof: Proof) -> bool:
        sql = "SELECT majlis_settle_last($1, $2, $3, $4, $5)"
        _, message_id, _, _ = _settlement(proof.outcome)
        became = await self._step(sql, turn.id, epoch, proof.part, proof.token, storable(message_id))
        if became == "stale":
            raise StaleEpoch("another daemon owns this partition")
        return became == "finished"

    async def finish(self, turn: Turn, epoch: int) -> None:
        await self._step("SELECT majlis_finish_turn($1, $2)", turn.id, epoch)

    async def suppress(self, turn: Turn, epoch: int, rule: str, spans: tuple[Span, ...] = ()) -> None:
        sql = "SELECT majlis_suppress_turn($1, $2, $3, $4)"
        await self._step(sql, turn.id, epoch, rule, encoded(wire_spans(spans)))

    async def silence_machine(
        self, turn: Turn, epoch: int, pace: Pace, notices: tuple[Notice, ...], spans: tuple[Span, ...] = ()
    ) -> None:
        sql = "SELECT majlis_suppress_machine($1, $2, $3, $4, $5, $6, $7, $8)"
        silence = (pace.silence_seconds, pace.times, list(pace.signs))
        await self._step(sql, turn.id, epoch, MACHINE, encoded(wire_spans(spans)), *silence, encoded(notices))

    async def drop_rest(self, turn: Turn, epoch: int, rule: str) -> Turn:
        return _turn(await self._step("SELECT majlis_drop_rest($1, $2, $3)", turn.id, epoch, rule))

    async def may_start(self, conversation: Conversation) -> bool:
        instance, contact = map(storable, conversation)
        return bool(await self._db.value("SELECT majlis_may_start($1, $2)", instance, contact))

    async def notify(self, notices: tuple[Notice, ...]) -> None:
        await self._db.value("SELECT majlis_store_notices($1)", encoded(notices))

    async def bury(self, turn: Turn, epoch: int, reason: str, detail: str) -> None:
        sql = "SELECT majlis_bury_turn($1, $2, $3, $4)"
        await self._step(sql, turn.id, epoch, storable(reason), storable(detail))

    async def link(self, instance: str, lid: str, phone: str, shadow: bool = False) -> None:
        named = map(storable, (instance, lid, phone))
        await self._step("SELECT majlis_link($1, $2, $3, $4)", *named, shadow)

    async def gateway_ids(self, turn: Turn) -> frozenset[str]:
        rows = await self._db.fetch(_GATEWAY_IDS, turn.id)
        return frozenset(row["id"] for row in rows)

    async def _step(self, sql: str, *args: object) -> str:
        try:
            result: str = await self._db.value(sql, *args)
        except LedgerError as error:
            if error.sqlstate == _STALE_EPOCH:
                raise StaleEpoch("another daemon owns this partition") from None
            if error.sqlstate == _CLAIM_CONFLICT:
                raise TurnFailed("claim_conflict") from None
            if error.sqlstate == _TAKEN_OVER:
                raise TakenOver("a person of the business writes in this chat") from None
            if error.sqlstate == _RESUME:
                raise EarlierTurnUnfinished("an earlier turn of these messages has not ended") from None
            raise
        return result


def _turn(view: str) -> Turn:
    return msgspec.json.decode(view, type=Turn)


def _conversation(row: Row) -> Conversation:
    return Conversation.from_key(row["conversation_key"])


def _batch(conversation: Conversation, row: Row, now_ms: int) -> Batch:
    """The batch of a stored turn: messages in the order they were stored in, which is the one they are read in.

    The window opened with the first of them; when others came is lost with the mirror. Then all count as the latest:
    nobody is told that he only repeated himself because of a guess.
    """
    messages = msgspec.json.decode(row["messages"], type=tuple[Message, ...])
    lo, opened_at_ms, frozen_at_ms = row["lo"], row["opened_at_ms"], now_ms - row["age_ms"]
    arrived_at_ms = opened_at_ms if len(messages) == 1 else max(opened_at_ms, frozen_at_ms)
    return Batch(
        conversation=conversation,
        number=row["number"],
        lo=lo,
        hi=row["hi"],
        why=row["why"],
        attempts=row["tries"],
        opened_at_ms=opened_at_ms,
        frozen_at_ms=frozen_at_ms,
        entries=tuple(Waiting(lo + place, arrived_at_ms, one) for place, one in enumerate(messages)),
    )


def _settlement(outcome: SendOutcome) -> tuple[str, str, str, bool]:
    match outcome:
        case Sent(message_id):
            return "sent", message_id, "", True
        case NotSent(reason):
            return "not_sent", "", reason, True
        case Unknown(reason, may_resend):
            return "unknown", "", reason, may_resend
