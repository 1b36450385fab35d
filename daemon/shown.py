"""From what the daemon's parts know to what the admin door shows. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

from actors import actor
from actors.messages import CloseReason, Waiting
from actors.ports import PartState, TurnState
from daemon.admin.views import ActorView, DeadLetterView, MessageView, PartView, TurnView
from daemon.ledger.records import DeadLetter, TurnRecord


def actor_view(view: actor.ActorView, label: str) -> ActorView:
    return ActorView(
        conversation=label,
        instance=view.conversation.instance,
        contact=view.conversation.contact,
        state=view.phase,
        waiting_messages=len(view.waiting) + view.batch_messages,
        closes_in_seconds=view.seconds_left,
        why=view.why,
        tries=view.tries,
        batch=view.batch_number,
    )


def letter_view(letter: DeadLetter, label: str) -> DeadLetterView:
    return DeadLetterView(
        id=letter.id,
        conversation=label,
        instance=letter.conversation.instance,
        contact=letter.conversation.contact,
        batch=letter.batch_number,
        reason=letter.reason,
        detail=letter.detail,
        tries=letter.tries,
        buried_at=iso(letter.created_at),
        retried_at=iso(letter.retried_at) if letter.retried_at else None,
        messages=[
            MessageView(id=message.id, text=message.text, kind=message.kind) for message in letter.messages
        ],
    )


def waiting_view(entry: Waiting) -> MessageView:
    return MessageView(
        id=entry.message.id,
        text=entry.message.text,
        kind=entry.message.kind,
        seq=entry.seq,
        arrived_at=iso(datetime.fromtimestamp(entry.at_ms / 1000, UTC)),
    )


def turn_view(turn: TurnRecord) -> TurnView:
    ended = turn.finished_at
    return TurnView(
        id=turn.id,
        batch=turn.batch_number,
        state=cast(TurnState, turn.state),
        closed_by=cast(CloseReason, turn.why),
        messages=turn.messages,
        tries=turn.tries,
        rule=turn.rule,
        provider=turn.provider or "",
        started_at=iso(turn.created_at),
        ended_at=iso(ended) if ended else "",
        parts=[
            PartView(
                number=part.number,
                state=cast(PartState, part.state),
                text=part.text,
                gateway_id=part.gateway_message_id or "",
                resends=part.resends,
            )
            for part in turn.parts
        ],
    )


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
