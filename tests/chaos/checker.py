"""What must be true after the chaos. Pure: it reads what was seen from outside, and knows nothing of how Majlis works.

What was seen: what people wrote and when the gateway recorded it, the ids that got a 200, the turns, parts and
take-overs in the ledger, and what reached the phones.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

ENDS = ("done", "suppressed", "dead")
PASSED_ON = ("moved", "superseded")
"""States of turns whose messages belong to a later turn."""
MARKS = ("<think", "</think", "<|", '{"', "```", "**", "ssistant", "half of what")
"""Of a model's machinery: nobody in the chaos writes any of these."""
QUIET_RULES = ("reaction", "edit", "deletion", "deleted")
"""Of turns that hold nothing to answer."""


Kind = Literal["", "edit", "deletion", "reaction", "album", "part", "old"]
"""Of a message. `album`: the header of one, `part`: a picture of it. Empty: words of now."""
IN_RECORDS = ("", "part")
"""What the gateway has records of, which a sweep reads; the others a webhook brings, or nobody."""


@dataclass(frozen=True)
class SeenMessage:
    """One message of a chat, as the gateway has it. Times are Unix seconds."""

    id: str
    contact: str
    text: str
    """One word, which no other message has."""
    at: int
    """The time that it bears."""
    from_me: bool = False
    """A person of the business wrote it."""
    recorded_at: float = 0.0
    """From then on it was in the gateway's records."""
    posted: bool = True
    """Whether a webhook of it was ever tried."""
    acknowledged_at: float | None = None
    kind: Kind = ""
    of: str = ""
    """The id of what it changes, reacts to, or belongs to. A message is changed once at the most."""


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
    rule: str = ""
    repeated_ids: tuple[str, ...] = ()
    """Of its borders, what earlier turns had heard."""
    at: float = 0.0
    """Unix seconds: when it began."""

    @property
    def heard(self) -> frozenset[str]:
        """What it is about."""
        return frozenset(self.message_ids) - frozenset(self.repeated_ids)


@dataclass(frozen=True)
class SeenPart:
    turn_id: int
    text: str
    state: str
    resends: int
    claimed_at: float | None = None
    """Unix seconds: the last claim to send it."""


@dataclass(frozen=True)
class LostTail:
    """Redis was killed while it held what was in no file of its. Times are Unix seconds."""

    since: float
    """It came back as it was then."""
    until: float
    """When it was killed."""


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
    written: Sequence[SeenMessage] = ()
    """All that customers and persons of the business wrote, delivered or not."""
    own_records: Mapping[str, int] = field(default_factory=dict)
    """Contact → the time of the last message of the business in the gateway's records, replies too."""
    heeded: frozenset[str] = frozenset()
    """The persons' messages for which the ledger has a take-over."""
    unread_seconds: float = 0.0
    """For so long after its time, no sweep read a message."""
    lost_tails: Sequence[LostTail] = ()
    refused: frozenset[str] = frozenset()
    """The words of the prompts on which the model gave a verdict."""


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
        *_answered_twice(seen),
        *_spoken_over(seen),
        *_unheeded(seen),
        *_silenced(seen),
        *_given_up(seen),
        *_told_as_it_was(seen),
        *_leaked(seen),
    ]


def must_end(message: SeenMessage, lost_tails: Sequence[LostTail]) -> bool:
    """Whether it has to be in a turn that ended: the gateway has a record of it, or it was acknowledged and kept."""
    if message.from_me or message.kind in IN_RECORDS:
        return not message.from_me
    return message.acknowledged_at is not None and not any(
        message.recorded_at < tail.until and message.acknowledged_at > tail.since for tail in lost_tails
    )


def _last_turns(seen: Evidence) -> list[SeenTurn]:
    return [turn for turn in seen.turns if turn.state not in PASSED_ON]


def _lost(seen: Evidence) -> Iterable[str]:
    """I2: every acknowledged message reached an end, and every other one that a customer wrote: the gateway has it."""
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
    for message in seen.written:
        if must_end(message, seen.lost_tails) and states.get(message.id) not in ENDS:
            where = "is in the gateway's records" if message.kind in IN_RECORDS else "was acknowledged"
            yield f"{message.id} {where} and did not end: {states.get(message.id)}"


def _in_two_batches(seen: Evidence) -> Iterable[str]:
    """I3: every message is in exactly one batch."""
    turns = [turn for turn in _last_turns(seen) if not _is_echo(seen, turn)]
    counts = Counter(message_id for turn in turns for message_id in turn.message_ids)
    for message_id, count in counts.items():
        if count > 1:
            yield f"{message_id} is in {count} batches"


def _came_again(seen: Evidence, turn: SeenTurn, message_ids: Iterable[str]) -> bool:
    """Whether these messages waited in Redis once more: it lost that earlier turns had taken them."""
    earlier = [one for one in _last_turns(seen) if one.id < turn.id and one.conversation == turn.conversation]
    for tail in seen.lost_tails:
        forgotten = {each for one in earlier if one.at > tail.since for each in one.message_ids}
        if turn.at > tail.until and forgotten.issuperset(message_ids):
            return True
    return False


def _is_echo(seen: Evidence, turn: SeenTurn) -> bool:
    """A batch that Redis gave once more ends as a duplicate, and nobody hears of it."""
    is_duplicate = turn.state == "suppressed" and turn.rule == "duplicate" and bool(turn.message_ids)
    return is_duplicate and _came_again(seen, turn, turn.message_ids)


def _by_conversation(seen: Evidence) -> Mapping[str, list[SeenTurn]]:
    """In the order in which they began."""
    found: dict[str, list[SeenTurn]] = defaultdict(list)
    for turn in sorted(_last_turns(seen), key=lambda turn: turn.id):
        found[turn.conversation].append(turn)
    return found


def _overlapping(seen: Evidence) -> Iterable[str]:
    """I3: batches of a conversation are disjoint, but for what Redis gave once more and the turn left out."""
    for conversation, turns in _by_conversation(seen).items():
        before = 0
        for turn in turns:
            left_out = turn.message_ids if _is_echo(seen, turn) else turn.repeated_ids
            is_repeated = bool(left_out) and _came_again(seen, turn, left_out)
            if not (before < turn.lo or is_repeated) or turn.lo > turn.hi:
                yield f"batches of {conversation} overlap at turn {turn.id}"
            before = max(before, turn.hi)


def _reordered(seen: Evidence) -> Iterable[str]:
    """I4: the batches hold the messages in the order in which they were acknowledged, but for those that Redis lost and
    a sweep found."""
    lost = _lost_with_the_tail(seen)
    answered = {
        conversation: [
            each
            for turn in turns
            if not _is_echo(seen, turn)
            for each in turn.message_ids
            if turn.at <= lost.get(each, math.inf)
        ]
        for conversation, turns in _by_conversation(seen).items()
    }
    for contact, ids in seen.acknowledged.items():
        place = {message_id: number for number, message_id in enumerate(ids)}
        found = [message_id for message_id in answered.get(contact, []) if message_id in place]
        if found != sorted(found, key=place.__getitem__):
            yield f"the messages of {contact} were answered in another order: {found}"


def _lost_with_the_tail(seen: Evidence) -> Mapping[str, float]:
    """The messages that Redis took in and lost, each with when it lost it."""
    lost: dict[str, float] = {}
    for message in seen.written:
        for tail in seen.lost_tails:
            if message.recorded_at < tail.until and (message.acknowledged_at or 0.0) > tail.since:
                lost.setdefault(message.id, tail.until)
    return lost


def _unsent(seen: Evidence) -> Iterable[str]:
    """I6: what the ledger calls sent reached the phone."""
    delivered = set(seen.delivered)
    for part in seen.parts:
        if part.state == "sent" and part.text not in delivered:
            yield f"a part of turn {part.turn_id} counts as sent and reached nobody"


def _doubled(seen: Evidence) -> Iterable[str]:
    """I6: a send whose outcome could be proven happened once; any other at most twice, and the ledger says so."""
    allowed = Counter[str]()  # two headers of albums, alone, say the same
    for part in seen.parts:
        allowed[part.text] += 1 if part.text in seen.proven else 1 + part.resends
    for text, count in Counter(seen.delivered).items():
        if count > allowed[text]:
            yield f"{text!r} reached the phone {count} times, {allowed[text]} allowed"


def _replies_reordered(seen: Evidence) -> Iterable[str]:
    """I4: replies of a conversation left in the order of its batches."""
    first = {text: number for number, text in reversed(list(enumerate(seen.delivered)))}
    texts: dict[int, list[str]] = defaultdict(list)
    same = Counter(part.text for part in seen.parts)
    for part in seen.parts:
        if same[part.text] == 1:
            texts[part.turn_id].append(part.text)
    for conversation, turns in _by_conversation(seen).items():
        places = [first[text] for turn in turns for text in texts[turn.id] if text in first]
        if places != sorted(places):
            yield f"replies to {conversation} left in another order than their batches"


def _answered_twice(seen: Evidence) -> Iterable[str]:
    """I6: no two replies answer the same message."""
    answers = Counter(word for text in set(seen.delivered) for word in set(_words(text)))
    for message in seen.written:
        if answers[message.text] > 1:
            yield f"{message.id} was answered by {answers[message.text]} replies"


def _spoken_over(seen: Evidence) -> Iterable[str]:
    """Law 13: after a person of the business wrote, nothing is sent there, and nothing from before is answered."""
    contacts = {turn.id: turn.conversation for turn in seen.turns}
    answered = {word for text in seen.delivered for word in _words(text)}
    for person in (message for message in seen.written if message.from_me):
        for part in seen.parts:
            is_there = contacts.get(part.turn_id) == person.contact and part.claimed_at is not None
            if is_there and (part.claimed_at or 0.0) > (person.acknowledged_at or math.inf):
                yield f"a part of turn {part.turn_id} was claimed after {person.id} was acknowledged"
        for message in seen.written:
            is_earlier = message.contact == person.contact and message.at < person.at
            # What no webhook brought was read by a sweep, and not before the person's message was there to be read.
            was_read_later = not message.posted and person.recorded_at < message.at + seen.unread_seconds
            if is_earlier and was_read_later and message.text in answered:
                yield f"{message.id} was answered though {person.id} had followed it"


def _unheeded(seen: Evidence) -> Iterable[str]:
    """Law 13: every message of a person is a take-over, also when no webhook brought it."""
    for message in seen.written:
        if message.from_me and message.id not in seen.heeded:
            yield f"{message.id} took nothing over"


def _silenced(seen: Evidence) -> Iterable[str]:
    """I2: who got no answer got none by a rule that held."""
    people = {message.contact for message in seen.written if message.from_me}
    written = {message.id: message for message in seen.written}
    for turn in seen.turns:
        if turn.state != "suppressed" or (turn.rule == "taken_over" and turn.conversation in people):
            continue
        if _is_echo(seen, turn):
            continue
        if turn.rule in QUIET_RULES and all(
            _is_quiet(seen, turn, written[each]) for each in turn.heard if each in written
        ):
            continue
        last = seen.own_records.get(turn.conversation, 0)
        is_followed = all(written[each].at < last for each in turn.message_ids if each in written)
        if turn.rule != "already_answered" or not is_followed:
            yield f"turn {turn.id} ended without an answer: {turn.rule or 'no rule'}"


def _is_quiet(seen: Evidence, turn: SeenTurn, message: SeenMessage) -> bool:
    """Whether it wants no answer in this turn: it was deleted, changed another one of the turn, or is a reaction."""
    deleted = {one.of for one in seen.written if one.kind == "deletion" and one.id in turn.heard}
    if message.kind == "edit":
        return message.of in turn.heard
    # What a sweep found after a later reply is history in any turn.
    is_followed = message.acknowledged_at is None and message.at < seen.own_records.get(turn.conversation, 0)
    return message.kind in ("reaction", "deletion") or message.id in deleted or is_followed


def _given_up(seen: Evidence) -> Iterable[str]:
    """I2: a dead letter is what was days old, or what the model refuses; no other who wants an answer is in it."""
    written = {message.id: message for message in seen.written}
    for turn in _last_turns(seen):
        if turn.state != "dead":
            continue
        said = [written[each] for each in turn.heard if each in written]
        kinds = {message.kind for message in said if not _is_quiet(seen, turn, message)}
        if kinds != {"old"} and seen.refused.isdisjoint(message.text for message in said):
            yield f"turn {turn.id} is a dead letter of {sorted(kinds)}"


def _told_as_it_was(seen: Evidence) -> Iterable[str]:
    """I2: what changed before it was answered is answered as it was left; an edit is answered once; old words never."""
    turns = {each: turn for turn in _last_turns(seen) if turn.state == "done" for each in turn.heard}
    words: dict[int, set[str]] = defaultdict(set)
    for part in seen.parts:
        words[part.turn_id].update(_words(part.text))
    answered = {word for said in words.values() for word in said}
    texts = {message.id: message.text for message in seen.written}
    for message in seen.written:
        turn = turns.get(message.id)
        if message.kind == "old" and message.text in answered:
            yield f"{message.id} was answered days later"
        if message.kind not in ("edit", "deletion") or turn is None or turn.rule:
            continue
        if message.of in turn.heard and texts[message.of] in words[turn.id]:
            yield f"{message.of} was answered as it was before {message.id}"
        if message.kind == "edit" and message.text not in words[turn.id]:
            yield f"{message.id} is in turn {turn.id}, and its words are in no reply of it"


def _leaked(seen: Evidence) -> Iterable[str]:
    """Law 13: what a model thought, and what is round its answer, is not an answer."""
    for text in seen.delivered:
        for mark in MARKS:
            if mark in text:
                yield f"{text!r} reached the phone, with {mark} in it"


def _words(text: str) -> list[str]:
    """Without the marks that make some of them bold: of a wrapped answer, those of each line."""
    return [word.strip("*") for word in text.split()]
