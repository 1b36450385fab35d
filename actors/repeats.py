"""When a customer says the same again. Pure, total.

Laws of this file:
1. Two messages say the same only if nothing in them differs: words, kind, file, and what they refer to. What cannot be
   compared (media without a hash) is never the same as anything.
2. People repeat a question while they wait for its answer; after the answer the same words are a new question. So a
   repeat is suppressed only if it was certainly written before the answer left. In doubt it is a new question.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from actors.messages import Batch, Message

CHOICES = frozenset({"button", "list", "template", "interactive", "poll_vote"})
"""Kinds of messages that are a choice among what the business offered."""
TYPED = CHOICES | {"text"}
"""Kinds whose words are all that they say; any other has more than its text shows."""

GATEWAY_CLOCK_SECONDS = 5.0
"""How far the gateway's clock may be behind ours."""
_WHOLE_SECOND = 1.0
"""A gateway's time is the beginning of the second in which a message was written."""


def comparable(messages: Sequence[Message]) -> bool:
    """Whether each of them can be the same as another one."""
    return all(message.kind in TYPED or message.media_hash for message in messages)


def said_once(messages: Sequence[Message]) -> tuple[Message, ...]:
    """`messages` without those that say what one before them said."""
    kept: dict[object, Message] = {}
    for place, message in enumerate(messages):
        kept.setdefault(_said(message) if comparable((message,)) else place, message)
    return tuple(kept.values())


def once_text(batch: Batch) -> str:
    """The text of the batch, each thing once: that is what a repeat of it says, however often it says it."""
    return "\n".join(message.text for message in said_once(batch.messages))


def signature(batch: Batch) -> list[list[object]]:
    """What makes it the same as another batch, beside its text: kind, file and references of each thing it says."""
    return [
        [message.kind, message.media_hash, [msgspec.to_builtins(one) for one in message.context]]
        for message in said_once(batch.messages)
    ]


def waited_seconds(batch: Batch) -> list[float]:
    """For each message, how long it had waited when the batch was frozen; 0 where that is in doubt."""
    return [max(0.0, (batch.frozen_at_ms - entry.at_ms) / 1000) for entry in batch.entries]


def sent_by(batch: Batch) -> list[float | None]:
    """For each message, a time by which it was certainly written, by the gateway: Unix seconds; None: unknown."""
    late = _WHOLE_SECOND + GATEWAY_CLOCK_SECONDS
    return [entry.message.sent_at + late if entry.message.sent_at > 0 else None for entry in batch.entries]


def _said(message: Message) -> tuple[object, ...]:
    return message.text.strip(), message.kind, message.media_hash, message.context
