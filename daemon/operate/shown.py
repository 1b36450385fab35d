"""From what the daemon's parts know to what the admin door shows. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

import msgspec

from actors import actor
from actors.identity import Conversation
from actors.instance import FeatureFlags
from actors.messages import CloseReason, Message, Waiting
from actors.ports import PartState, TurnState
from daemon.ledger.rows import DailyUsage, DeadLetter, Pause, SilenceReasons, TurnRecord
from daemon.ledger.stored_turns import TurnHead
from daemon.operate import (
    ActorView,
    CostReport,
    CostRow,
    DeadLetterView,
    EscalationView,
    MessageView,
    PartView,
    PauseView,
    ProviderView,
    SilentView,
    TurnDetail,
    TurnView,
)
from daemon.operate.control_views import PAUSED, InstancePause
from daemon.operate.inspect_views import TurnHeadView
from daemon.responders import breaker


def actor_view(view: actor.ActorView, label: str) -> ActorView:
    return ActorView(
        conversation=label,
        instance=view.conversation.instance,
        contact=view.conversation.contact,
        state=view.phase,
        waiting_messages=len(view.waiting) + view.batch_messages,
        closes_in_seconds=seconds_left(view),
        why=view.why,
        tries=view.attempts,
        batch=view.batch_number,
    )


def seconds_left(view: actor.ActorView) -> float | None:
    """Until something happens by itself; the end of a pause is nobody's but the operator's to tell."""
    return None if view.why == PAUSED else view.seconds_left


def dead_letter_view(letter: DeadLetter, label: str) -> DeadLetterView:
    return DeadLetterView(
        id=letter.id,
        conversation=label,
        instance=letter.conversation.instance,
        contact=letter.conversation.contact,
        batch=letter.batch_number,
        reason=letter.reason,
        detail=letter.detail,
        tries=letter.attempts,
        buried_at=iso(letter.created_at),
        retried_at=iso(letter.retried_at) if letter.retried_at else None,
        dropped_at=iso(letter.dropped_at) if letter.dropped_at else None,
        messages=[message_view(message) for message in letter.messages],
    )


def message_view(message: Message) -> MessageView:
    """What the ledger kept of it. A gateway that told no time left a 0."""
    sent_at = iso(datetime.fromtimestamp(message.sent_at, UTC)) if message.sent_at else ""
    return MessageView(id=message.id, text=message.text, kind=message.kind, sent_at=sent_at)


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
        messages=len(turn.messages),
        tries=turn.failed_attempts,
        rule=turn.rule,
        provider=turn.provider or "",
        model=turn.model or "",
        input_tokens=turn.input_tokens or 0,
        output_tokens=turn.output_tokens or 0,
        cost=_cost(turn.cost_micros),
        confidence=turn.confidence,
        needs_data_collection=turn.needs_data_collection,
        requested_fields=list(turn.requested_fields),
        started_at=iso(turn.created_at),
        ended_at=iso(ended) if ended else "",
        parts=[
            PartView(
                number=part.number,
                state=cast(PartState, part.state),
                text=part.text,
                gateway_id=part.gateway_message_id or "",
                resends=part.resends,
                claimed_at=iso(part.claimed_at) if part.claimed_at else "",
                settled_at=iso(part.settled_at) if part.settled_at else "",
            )
            for part in turn.parts
        ],
    )


def turn_head(head: TurnHead, label: str) -> TurnHeadView:
    ended, took = head.finished_at, head.finished_at and head.finished_at - head.created_at
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
        ended_at=iso(ended) if ended else "",
        took_ms=took.total_seconds() * 1000 if took else None,
    )


def turn_detail(turn: TurnRecord, label: str) -> TurnDetail:
    return TurnDetail(
        conversation=label,
        instance=turn.conversation.instance,
        contact=turn.conversation.contact,
        turn=turn_view(turn),
        messages=[message_view(message) for message in turn.messages],
        waterfall=list(turn.waterfall),
    )


def pause_view(silence: SilenceReasons, flags: FeatureFlags) -> PauseView | None:
    found = silence.taken_over
    return PauseView(since=iso(found.since), until=iso(found.until), heeded=flags.takeover) if found else None


def instance_pause(pause: Pause) -> InstancePause:
    return InstancePause(instance=pause.instance, since=iso(pause.since), until=pause_end(pause))


def pause_end(pause: Pause) -> str:
    return iso(pause.until) if pause.until else ""


def escalation_view(silence: SilenceReasons, flags: FeatureFlags) -> EscalationView | None:
    found = silence.escalated
    return EscalationView(since=iso(found.since), why=found.why, heeded=flags.escalation) if found else None


def silent_view(
    conversation: Conversation, silence: SilenceReasons, flags: FeatureFlags, label: str
) -> SilentView:
    return SilentView(
        conversation=label,
        instance=conversation.instance,
        contact=conversation.contact,
        taken_over=pause_view(silence, flags),
        escalated=escalation_view(silence, flags),
    )


def provider_view(provider: breaker.ProviderView) -> ProviderView:
    return ProviderView(**msgspec.structs.asdict(provider))


def cost_report(used: Sequence[DailyUsage], days: int) -> CostReport:
    return CostReport(
        days=days,
        answers=sum(one.answers for one in used),
        cached=sum(one.cached for one in used),
        input_tokens=sum(one.input_tokens for one in used),
        output_tokens=sum(one.output_tokens for one in used),
        cost=_cost(sum(one.cost_micros for one in used)),
        rows=[
            CostRow(
                instance=one.instance,
                day=one.day.isoformat(),
                answers=one.answers,
                cached=one.cached,
                input_tokens=one.input_tokens,
                output_tokens=one.output_tokens,
                cost=_cost(one.cost_micros),
            )
            for one in used
        ],
    )


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _cost(micros: int) -> float:
    return micros / 1_000_000
