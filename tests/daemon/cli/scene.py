"""What the commands are typed at: one conversation with everything in it that there is to show."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.counted import ActorView
from actors.identity import Conversation
from actors.lookups import Span
from actors.messages import Answer, Message, Waiting
from actors.outcome import Sent
from actors.ports import Reply
from tests.support.ledgers import batch, new_token
from tests.support.operators import INSTALL, DoorInThread, Operators

CONTACT = "5511999990012"
TEXT = "how much is a room for two nights"
REPLY = "A room is 80 a night."
HELD = Conversation("acme", CONTACT)
LABEL = HELD.label(INSTALL)
MESSAGE = "3EB0C70"
WATERFALL = (
    Span("instance", "settings", 0.0, 10.0, "ok"),
    Span("history", "facts", 10.0, 30.0, "ok"),
    Span("interactions", "facts", 10.0, 20.0, "failed", "LedgerUnavailable"),
    Span("usage", "facts", 10.0, 0.0, "skipped"),
    Span("main", "responder", 40.0, 60.0, "ok"),
)
ANSWER = Answer(REPLY, "main", "small", 812, 64, 412, True, ("full name", f"is it {CONTACT}"), 0.82)
_EIGHT_SECONDS = "UPDATE majlis_turns SET tries = 1, opened_at = created_at - interval '8 s' WHERE id = $1"
"""How long its window was open."""
_TAKEOVER = "UPDATE majlis_takeovers SET started_at = '2026-01-01T10:00:30Z', until = '2199-01-01T14:00:30Z'"


def actor(place: int = 0, **changes: Any) -> ActorView:
    """One of many conversations; `HELD` for place 0."""
    conversation = HELD if place == 0 else Conversation("acme", f"{CONTACT}{place}")
    instance = changes.pop("instance", None)
    if instance is not None:
        conversation = Conversation(instance, conversation.contact)
    waiting = (Waiting(4, 1_767_261_660_000, Message(*conversation, "3EB0C8", TEXT, 1_767_261_660)),)
    view = ActorView(conversation, "waiting", waiting, None, 0, 0, float(place), "window open")
    return msgspec.structs.replace(view, **changes)


def show(door: DoorInThread, *views: ActorView) -> None:
    """These are in memory now."""
    door.operators.actors.show(*views)


def answered(door: DoorInThread, answer: Answer = ANSWER, rule: str = "") -> int:
    """A turn of `HELD` that was answered after one failed attempt; its number."""
    return door.do(lambda: _answered(door.operators, answer, rule))


async def _answered(operators: Operators, answer: Answer, rule: str) -> int:
    ledger = operators.world.ledger
    turn = await ledger.begin(batch(TEXT, conversation=HELD, id_prefix="3EB0C7"), 1)
    turn = await ledger.answer(turn, 1, Reply(answer, (answer.text,), rule=rule, spans=WATERFALL))
    await ledger.claim(turn, 1, 0, False, new_token())
    await ledger.settle(turn, 1, 0, Sent("3EB0AB"))
    await ledger.finish(turn, 1)
    await operators.db.fetch(_EIGHT_SECONDS, turn.id)
    return turn.id


def buried(door: DoorInThread) -> int:
    """A dead letter of `HELD`; its number."""
    return door.do(lambda: _buried(door.operators))


async def _buried(operators: Operators) -> int:
    ledger = operators.world.ledger
    turn = await ledger.begin(batch(TEXT, number=2, conversation=HELD, id_prefix="3EB0D7"), 1)
    await ledger.bury(turn, 1, "not_on_whatsapp", f"no account for {CONTACT}")
    await operators.db.fetch("UPDATE majlis_turns SET tries = 2 WHERE id = $1", turn.id)
    return (await operators.letters.page(1, include_ended=False)).letters[0].id


def silenced(door: DoorInThread, conversation: Conversation = HELD, *, heeded: bool = True) -> None:
    """A person was asked for in it, and then took it over."""
    door.do(lambda: _silenced(door.operators, conversation, heeded))


async def _silenced(operators: Operators, conversation: Conversation, heeded: bool) -> None:
    ledger = operators.world.ledger
    burst = batch("a person please", number=3, conversation=conversation, id_prefix=conversation.instance)
    turn = await ledger.begin(burst, 1)
    await ledger.answer(turn, 1, Reply(Answer("yes", "main"), ("yes",), escalation="asks_for_human"))
    await operators.takeovers.begin(conversation, 60)
    await operators.db.fetch(_TAKEOVER)
    for flag in () if heeded else ("takeover", "escalation"):
        await operators.flags.set(flag, False, conversation.instance, "uid 7")


def suppressed(door: DoorInThread) -> int:
    """A turn that ended without an answer; its number."""
    return door.do(lambda: _suppressed(door.operators))


async def _suppressed(operators: Operators) -> int:
    ledger = operators.world.ledger
    turn = await ledger.begin(batch(TEXT, number=4, conversation=HELD, id_prefix="3EB0E7"), 1)
    await ledger.suppress(turn, 1, "duplicate")
    return turn.id
