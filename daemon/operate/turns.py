"""Turns: the latest ones, and a single one with its lookups, responder, cost and parts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, cast

import msgspec
from msgspec import Meta

from actors.errors import Missing
from actors.identity import Conversation
from actors.lookups import FailedCall, Span
from actors.messages import Aside, CloseReason, CutReason, Message, Swept
from actors.ports import TurnState
from actors.send_facts import PartState
from daemon.ledger.records import Records
from daemon.ledger.rows import SentPart, TurnRecord
from daemon.ledger.stored_turns import StoredTurns, TurnHead
from daemon.operate.call import AdminCall, iso
from daemon.operate.parameters import MAX_ID, MUST_BE, Instance, Parameters, Reveal
from daemon.operate.route import Route
from daemon.web.http1 import Response

TurnNumber = Annotated[
    int,
    Meta(
        ge=1,
        le=MAX_ID,
        description="The number of a turn.",
        extra={MUST_BE: "the number of a turn; see `majlis show` of its conversation"},
    ),
]
MAX_ROWS = 500
DEFAULT_ROWS = 50
Rows = Annotated[int, Meta(ge=1, le=MAX_ROWS, description="Maximum number of results.")]


class MessageView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    text: str
    kind: str = "text"
    swept: Swept = ""
    """Not empty: it was found in the gateway's records, and no webhook brought it."""
    aside: Aside = ""
    """Not empty: it is nothing to answer by itself, by this rule."""
    amends: str = ""
    """The id of the message that it edits or deletes."""
    album: str = ""
    """The id of the album that it belongs to, or announces."""
    album_size: int = 0
    """Of one that announces an album: how many messages follow it."""
    seq: int | None = None
    sent_at: str = ""
    arrived_at: str = ""


class PartView(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    state: PartState
    text: str
    gateway_id: str = ""
    resends: int = 0
    claimed_at: str = ""
    """When it was first claimed for sending."""
    settled_at: str = ""
    """When its outcome was known."""


class TurnView(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    batch: int
    state: TurnState
    closed_by: CloseReason | None = None
    messages: int = 0
    tries: int = 0
    rule: str = ""
    provider: str = ""
    model: str = ""
    input_tokens: int = 0
    """Of all attempts, like the next two."""
    output_tokens: int = 0
    cost: float = 0.0
    """In the currency of the providers' prices."""
    estimated: bool = False
    """What it cost is a guess: its call was given up."""
    confidence: float | None = None
    """As the model reported it, 0 to 1."""
    needs_data_collection: bool = False
    requested_fields: list[str] = []
    cut: CutReason = ""
    """Why the answer ends before its end; empty: it does not."""
    failures: list[FailedCall] = []
    """The providers that earlier attempts asked in vain."""
    started_at: str = ""
    ended_at: str = ""
    parts: list[PartView] = []


class TurnDetail(msgspec.Struct, frozen=True, kw_only=True):
    conversation: str
    instance: str
    contact: str
    turn: TurnView
    messages: list[MessageView]
    """What the customer wrote."""
    waterfall: list[Span] = []


class TurnHeadView(msgspec.Struct, frozen=True, kw_only=True):
    """One turn in a list."""

    id: int
    conversation: str
    instance: str
    contact: str
    state: TurnState
    messages: int
    rule: str = ""
    provider: str = ""
    started_at: str
    ended_at: str = ""
    took_ms: float | None = None
    """Time until it ended."""


class TurnPage(msgspec.Struct, frozen=True):
    turns: list[TurnHeadView]
    """The newest first."""


class LatestTurns(Parameters, frozen=True, kw_only=True):
    instance: Instance | None = None
    limit: Rows = DEFAULT_ROWS
    reveal: Reveal = False


class OneTurn(Parameters, frozen=True, kw_only=True):
    id: TurnNumber
    reveal: Reveal = False


class Turns:
    """Reads the ledger. Every method may raise `LedgerUnavailable`."""

    def __init__(
        self, records: Records, stored_turns: StoredTurns, label: Callable[[Conversation], str]
    ) -> None:
        self._records = records
        self._stored_turns = stored_turns
        self._label = label

    async def latest(self, instance: str | None, limit: int) -> TurnPage:
        """The latest turns of all daemons on this database. Those of one instance come from the newest 10,000."""
        found = await self._stored_turns.latest(instance, limit)
        return TurnPage([turn_head(head, self._label(head.conversation)) for head in found])

    async def turn(self, number: int) -> TurnDetail:
        """Raises: Missing."""
        turn = await self._records.turn(number)
        if turn is None:
            raise Missing("There is no turn of this number: `majlis show` of a conversation lists its turns.")
        return TurnDetail(
            conversation=self._label(turn.conversation),
            instance=turn.conversation.instance,
            contact=turn.conversation.contact,
            turn=turn_view(turn),
            messages=[message_view(message) for message in turn.messages],
            waterfall=list(turn.waterfall),
        )


def message_view(message: Message) -> MessageView:
    """The message as the ledger kept it. A time of 0 means that the gateway gave none."""
    sent_at = iso(datetime.fromtimestamp(message.sent_at, UTC)) if message.sent_at else ""
    return msgspec.structs.replace(bare_view(message), sent_at=sent_at)


def bare_view(message: Message) -> MessageView:
    """The message without its times."""
    return MessageView(
        id=message.id,
        text=message.text,
        kind=message.kind,
        swept=message.swept,
        aside=message.aside,
        amends=message.amends,
        album=message.album,
        album_size=message.album_size,
    )


def turn_view(turn: TurnRecord) -> TurnView:
    return TurnView(
        id=turn.id,
        batch=turn.batch_number,
        state=cast(TurnState, turn.state),
        closed_by=cast(CloseReason, turn.why),
        messages=len(turn.messages),
        tries=turn.failed_attempts,
        rule=turn.rule,
        provider=turn.provider or "",
        model=turn.model or "",
        input_tokens=turn.input_tokens or 0,
        output_tokens=turn.output_tokens or 0,
        cost=turn.cost_micros / 1_000_000,
        estimated=turn.estimated,
        confidence=turn.confidence,
        needs_data_collection=turn.needs_data_collection,
        requested_fields=list(turn.requested_fields),
        cut=turn.cut,
        failures=list(turn.failures),
        started_at=iso(turn.created_at),
        ended_at=_moment(turn.finished_at),
        parts=[_part_view(part) for part in turn.parts],
    )


def turn_head(head: TurnHead, label: str) -> TurnHeadView:
    took = head.finished_at and head.finished_at - head.created_at
    return TurnHeadView(
        id=head.id,
        conversation=label,
        instance=head.conversation.instance,
        contact=head.conversation.contact,
        state=cast(TurnState, head.state),
        messages=head.messages,
        rule=head.rule,
        provider=head.provider or "",
        started_at=iso(head.created_at),
        ended_at=_moment(head.finished_at),
        took_ms=took.total_seconds() * 1000 if took else None,
    )


def _part_view(part: SentPart) -> PartView:
    return PartView(
        number=part.number,
        state=cast(PartState, part.state),
        text=part.text,
        gateway_id=part.gateway_message_id or "",
        resends=part.resends,
        claimed_at=_moment(part.claimed_at),
        settled_at=_moment(part.settled_at),
    )


def _moment(moment: datetime | None) -> str:
    return iso(moment) if moment else ""


async def _latest(turns: Turns, call: AdminCall, asked: LatestTurns) -> Response:
    """The latest turns of all daemons on this database."""
    return await call.answer(await turns.latest(asked.instance or None, asked.limit), "turns")


async def _show(turns: Turns, call: AdminCall, asked: OneTurn) -> Response:
    """One turn: its lookups, responder, cost and parts."""
    return await call.answer(await turns.turn(asked.id), f"turn {asked.id}")


ROUTES = (
    Route("GET", "/v1/turns", Turns, _latest, "read", TurnPage, LatestTurns),
    Route("GET", "/v1/turns/{id}", Turns, _show, "read", TurnDetail, OneTurn),
)
