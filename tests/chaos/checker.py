"""What must be true after the chaos. Pure: it reads what was seen from outside, and knows nothing of how Majlis works.

What was seen: the ids that the people got a 200 for, the turns and parts in the ledger, and what reached the phones.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

ENDS = ("done", "suppressed", "dead")
PASSED_ON = ("moved", "superseded")
"""States of turns whose messages belong to a later turn."""


@dataclass(frozen=True)
class SeenTurn:
    """One row of the ledger."""

    id: int
    conversation: str
    """Named as its contact is."""
    state: str
    lo: int
    hi: int
    message_ids: tuple[str, ...]


@dataclass(frozen=True)
class SeenPart:
    turn_id: int
    text: str
    state: str
    resends: int


@dataclass(frozen=True)
class Evidence:
    acknowledged: Mapping[str, Sequence[str]]
    """Contact → the ids that were acknowledged, in the order in which they were posted."""
    turns: Sequence[SeenTurn]
    parts: Sequence[SeenPart]
    delivered: Sequence[str]
    """The texts that reached a phone, in order. Each part of a run has a text of its own."""
    proven: frozenset[str]
    """Those of which the gateway could prove, when it was asked, whether they had left."""


def violations(seen: Evidence) -> list[str]:
    """One sentence for each broken promise; empty when all were kept."""
    return [
        *_lost(seen),
        *_in_two_batches(seen),
        *_overlapping(seen),
        *_reordered(seen),
        *_unsent(seen),
        *_doubled(seen),
        *_replies_reordered(seen),
    ]


def _last_turns(seen: Evidence) -> list[SeenTurn]:
    return [turn for turn in seen.turns if turn.state not in PASSED_ON]


def _lost(seen: Evidence) -> Iterable[str]:
    """I2: every acknowledged message reached an end."""
    states: dict[str, str] = {}
    for turn in _last_turns(seen):
        states.update(dict.fromkeys(turn.message_ids, turn.state))
    for ids in seen.acknowledged.values():
        for message_id in ids:
            state = states.get(message_id)
            if state is None:
                yield f"{message_id} was acknowledged and is in no turn"
            elif state not in ENDS:
                yield f"{message_id} was acknowledged and its turn did not end: {state}"


def _in_two_batches(seen: Evidence) -> Iterable[str]:
    """I3: every message is in exactly one batch."""
    counts = Counter(message_id for turn in _last_turns(seen) for message_id in turn.message_ids)
    for message_id, count in counts.items():
        if count > 1:
            yield f"{message_id} is in {count} batches"


def _by_conversation(seen: Evidence) -> Mapping[str, list[SeenTurn]]:
    found: dict[str, list[SeenTurn]] = defaultdict(list)
    for turn in sorted(_last_turns(seen), key=lambda turn: (turn.lo, turn.id)):
        found[turn.conversation].append(turn)
    return found


def _overlapping(seen: Evidence) -> Iterable[str]:
    """I3: batches of a conversation are disjoint."""
    for conversation, turns in _by_conversation(seen).items():
        before = 0
        for turn in turns:
            if not before < turn.lo <= turn.hi:
                yield f"batches of {conversation} overlap at turn {turn.id}"
            before = turn.hi


def _reordered(seen: Evidence) -> Iterable[str]:
    """I4: the batches hold the messages in the order in which they were acknowledged."""
    answered = {
        conversation: [message_id for turn in turns for message_id in turn.message_ids]
        for conversation, turns in _by_conversation(seen).items()
    }
    for contact, ids in seen.acknowledged.items():
        place = {message_id: number for number, message_id in enumerate(ids)}
        found = [message_id for message_id in answered.get(contact, []) if message_id in place]
        if found != sorted(found, key=place.__getitem__):
            yield f"the messages of {contact} were answered in another order: {found}"


def _unsent(seen: Evidence) -> Iterable[str]:
    """I6: what the ledger calls sent reached the phone."""
    delivered = set(seen.delivered)
    for part in seen.parts:
        if part.state == "sent" and part.text not in delivered:
            yield f"a part of turn {part.turn_id} counts as sent and reached nobody"


def _doubled(seen: Evidence) -> Iterable[str]:
    """I6: a send whose outcome could be proven happened once; any other at most twice, and the ledger says so."""
    allowed = {part.text: 1 if part.text in seen.proven else 1 + part.resends for part in seen.parts}
    for text, count in Counter(seen.delivered).items():
        if count > allowed.get(text, 0):
            yield f"{text!r} reached the phone {count} times, {allowed.get(text, 0)} allowed"


def _replies_reordered(seen: Evidence) -> Iterable[str]:
    """I4: replies of a conversation left in the order of its batches."""
    first = {text: number for number, text in reversed(list(enumerate(seen.delivered)))}
    texts: dict[int, list[str]] = defaultdict(list)
    for part in seen.parts:
        texts[part.turn_id].append(part.text)
    for conversation, turns in _by_conversation(seen).items():
        places = [first[text] for turn in turns for text in texts[turn.id] if text in first]
        if places != sorted(places):
            yield f"replies to {conversation} left in another order than their batches"
