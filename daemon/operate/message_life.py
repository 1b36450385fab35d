"""One message's life as steps, and where it is now as a sentence. Pure: `explain` reads what it needs.

What is known comes from three places: the mirror (when it arrived), the actor in memory (what it waits for) and the
ledger (every turn that it was part of). Each may be missing; the rest is still shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import msgspec

from actors.amendments import DELETION
from actors.counted import ActorView, Phase
from actors.lookups import RESPONDER
from actors.messages import Message
from actors.modes import SHADOW
from actors.triage import BACKLOG, MODEL_SILENCE
from daemon.ledger.stored_turns import DeadLetterRow, PartRow, StoredTurn, original_id
from daemon.operate.call import iso
from daemon.operate.letters import customer_got, had_answer, happened, moment

if TYPE_CHECKING:  # the command line reads the views here, and needs no driver
    from daemon.mirror.arrivals import Arrival

CLOSED_BY = {
    "timeout": "its time was up",
    "quiet": "nothing more was said",
    "count": "enough messages were waiting",
    "flush": "an operator flushed it",
    "drain": "the daemon stopped",
}
CUT: dict[str, str] = {
    "length": "its bound of tokens was reached",
    "filter": "a content filter ended it",
    "error": "the provider broke off",
}
"""Why an answer ends before its end; the dashboard says the same."""


FOUND = "it was found in the gateway's records; no webhook brought it"
NOT_ANSWERED: dict[str, str] = {
    "too_old": "it was too old when it was found",
    "already_answered": "the gateway's records show that the business wrote in the chat after it",
    "reaction": "a reaction is context of what is said next",
    "edit": "it changed an earlier message, which was answered with its new text",
    "deletion": "it deleted an earlier message",
    "deleted": "its writer deleted it before it was answered",
    "backlog": "it was older than ingress.max_age_seconds when it arrived",
    "off": "it was heard in mode off",
    "shadow": "it was heard in mode shadow, and what came with it was not",
}
"""Why a message belongs to the history alone, by its rule."""
SILENCED = {
    "unknown_instance": "neither config.yaml nor the database has the instance",
    "inactive_instance": "the instance is switched off in the database",
    "duplicate": "the same was said before, and the answer to it had not left when this was written",
    "opted_out": "the customer wrote a stop word, and wants no messages until he writes a start word",
    "off": "the instance is in mode off",
    "shadow": "it was heard in mode shadow: what would have been said is kept, and was not sent",
    "model_silence": "the model chose to say nothing",
    "ignored_contact": "contacts.ignore names the number",
    "not_allowed_contact": "contacts.allow does not name the number",
    "staff": "the number is one of escalation.notify_numbers",
    "own_instance": "the number is that of an instance of ours",
    "taken_over": "a person of the business has taken the conversation over",
    "machine": "another machine seems to answer there",
    "escalated": "the conversation waits for a person",
    "rate_limited": "a limit per minute was reached",
    "budget_reached": "the budget of the day is used up",
}
"""Why a turn ended without an answer, by its rule."""
SAID = {
    "escalated": "a person was asked for, and the escalated message was sent",
    "opted_out": "the customer wrote a stop word, which was confirmed",
    "opted_in": "the customer wrote a start word, which was confirmed",
    "rate_limited": "a limit per minute was reached, and the fallback message was sent",
    "budget_reached": "the budget of the day is used up, and the fallback message was sent",
}
"""What was said in place of a responder's answer, by the rule of a turn that is done."""


MessageState = Literal[
    "waiting",
    "queued",
    "answering",
    "retrying",
    "holding",
    "parked",
    "elsewhere",
    "answered",
    "suppressed",
    "dead",
    "dropped",
    "moved",
    "of_business",
]
"""The first six are an actor's. `elsewhere`: it waits, and its conversation is not in this daemon's memory.
`of_business`: no customer wrote it."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of a message's life."""

    at: str
    """Empty: the moment is not recorded."""
    what: str
    detail: str = ""
    text: str | None = None
    """What either side said; None: nothing."""
    gateway_id: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """Where the message is, or how it ended."""

    state: MessageState
    why: str
    seconds_left: float | None = None


def about(message: Message) -> str:
    """What it is beside its text, in words; empty: a message like any other."""
    if message.amends:
        return f"{'deletes' if message.kind == DELETION else 'edits'} message {message.amends}"
    if message.album_size:
        return f"announces an album of {message.album_size}"
    return f"part of the album {message.album}" if message.album else ""


def steps(
    arrival: Arrival | None, turns: Sequence[StoredTurn], original: str, message: Message | None
) -> list[Step]:
    """What happened, in order.

    Args:
      original: the message's id at the gateway.
      message: as the turn heard it that dealt with it; None: nothing of it is kept.
    """
    found = [*_arrived(arrival, turns)]
    if message and message.swept:
        found.append(Step(at="", what="found later", detail=f"{FOUND}{_sent(message)}"))
    if message and (what := about(message)):
        found.append(Step(at="", what=message.kind, detail=what))
    if message and message.aside == "backlog":
        found.append(Step(at="", what="old", detail=f"{NOT_ANSWERED['backlog']}{_sent(message)}"))
    for turn in turns:
        found += _turn(turn)
        found += _changes(turn, original)
    return found


def _sent(message: Message) -> str:
    """When the customer wrote it, by the gateway."""
    return (
        f"; sent at {_iso_ms(1000 * message.sent_at)[:19].replace('T', ' ')} UTC" if message.sent_at else ""
    )


def _changes(turn: StoredTurn, original: str) -> Iterator[Step]:
    """What its writer did to it before this turn."""
    for message in turn.messages:
        if original_id(message.amends) == original:
            done = "deleted" if message.kind == DELETION else "edited"
            yield Step(at="", what=done, detail=f"by its writer, with message {message.id}")


def _arrived(arrival: Arrival | None, turns: Sequence[StoredTurn]) -> Iterator[Step]:
    if arrival is not None:
        yield Step(at=_iso_ms(arrival.at_ms), what="arrived", detail="stored durably in the mirror")
    elif turns:
        yield Step(
            at=iso(turns[0].opened_at),
            what="arrived",
            detail="at about this time, when its window opened; the mirror no longer has the exact time",
        )


def _turn(turn: StoredTurn) -> Iterator[Step]:
    messages = len(turn.messages)
    size = f"{messages} message{'s' if messages != 1 else ''}"
    replay = " (a replay)" if any(one != original_id(one) for one in turn.message_ids) else ""
    yield Step(
        at=iso(turn.created_at),
        what="window closed",
        detail=f"{CLOSED_BY.get(turn.why, turn.why)}: turn {turn.id} begins with {size}{replay}",
    )
    for call in turn.failures:
        yield Step(
            at=moment(call.at_ms),
            what="asked in vain",
            detail=f"{call.provider}: {call.reason}, {call.took_ms:,.0f} ms, attempt {call.attempt}",
        )
    if turn.failed_attempts:
        yield Step(at="", what="attempts", detail=f"{turn.failed_attempts} failed before the last one")
    if turn.waterfall:
        yield Step(at="", what="lookups", detail=_lookups(turn))
    if turn.answered_at is not None:
        yield Step(at=iso(turn.answered_at), what="reply stored", detail=_answered(turn))
    for part in turn.parts:
        yield _part(part)
    yield from _ending(turn)
    if turn.dead_letter is not None:
        yield from _letter(turn, turn.dead_letter)


def _lookups(turn: StoredTurn) -> str:
    asked = [span for span in turn.waterfall if span.stage != RESPONDER]
    if not asked:
        return "none"
    whole_ms = max(span.started_ms + span.took_ms for span in asked)
    ran = [f"{span.name} {span.took_ms:.0f}" for span in asked if span.outcome == "ok"]
    odd = [f"{span.name} {span.outcome}" for span in asked if span.outcome not in ("ok", "skipped")]
    return f"{whole_ms:.0f} ms in all: {', '.join([*odd, *ran])}"


def _answered(turn: StoredTurn) -> str:
    asked = [span for span in turn.waterfall if span.stage == RESPONDER]
    took = "".join(f" in {span.took_ms:,.0f} ms" for span in asked if span.outcome == "ok")
    model = f", model {turn.model}" if turn.model else ""
    if turn.rule and turn.rule not in (MODEL_SILENCE, SHADOW):
        return f"by rule {turn.rule}{took}"
    spent = f", {turn.input_tokens or 0:,} tokens in, {turn.output_tokens or 0:,} out"
    cut = f", cut: {CUT.get(turn.cut, turn.cut)}" if turn.cut else ""
    in_vain = [
        f", after {span.name}: {span.error or span.outcome}, {span.took_ms:,.0f} ms"
        for span in asked
        if span.outcome != "ok"
    ]
    silence = {MODEL_SILENCE: ", who chose to say nothing", SHADOW: ", not sent"}.get(turn.rule, "")
    return f"by {turn.provider or 'no provider'}{model}{silence}{took}{spent}{cut}{''.join(in_vain)}"


def _part(part: PartRow) -> Step:
    moment = part.settled_at or part.last_claimed_at or part.claimed_at
    claimed = ""
    if part.claimed_at is not None and part.settled_at is not None:
        claimed = f", {max(0.0, (part.settled_at - part.claimed_at).total_seconds() * 1000):,.0f} ms after the claim"
    reason = f": {part.reason}" if part.reason else ""
    again = ", sent once more" if part.resends else ""
    return Step(
        at=iso(moment) if moment else "",
        what=f"part {part.number + 1}",
        detail=f"{part.state}{reason}{claimed}{again}",
        text=part.text,
        gateway_id=part.gateway_message_id or "",
    )


def _ending(turn: StoredTurn) -> Iterator[Step]:
    at = iso(turn.finished_at) if turn.finished_at else ""
    match turn.state:
        case "done":
            yield Step(at=at, what="done", detail="the interaction is recorded")
        case "suppressed":
            yield Step(at=at, what="suppressed", detail=f"no answer, by rule {turn.rule}")
        case "moved":
            yield Step(at=at, what="moved", detail="to the conversation of the phone number behind the LID")


def _got(turn: StoredTurn) -> str:
    return customer_got([part.state for part in turn.parts], turn.provider)


def _letter(turn: StoredTurn, letter: DeadLetterRow) -> Iterator[Step]:
    why = letter.reason + (f": {letter.detail}" if letter.detail else "")
    what = happened(letter.reason, had_answer(turn.provider))
    why += "".join(f"; {said}" for said in (what, _got(turn)) if said)
    yield Step(at=iso(letter.created_at), what="dead letter", detail=f"number {letter.id}, {why}")
    if letter.retried_at is not None:
        yield Step(
            at=iso(letter.retried_at), what="retried", detail="its messages wait in their conversation again"
        )
    if letter.dropped_at is not None:
        yield Step(at=iso(letter.dropped_at), what="dropped", detail="it is kept, and will not be answered")


def decisive(turns: Sequence[StoredTurn]) -> StoredTurn:
    """The newest turn that dealt with the message; a mere repetition of an earlier one says nothing of its end."""
    found, dealt_with = turns[-1], set[str]()
    for turn in turns:
        if turn.rule != "duplicate" or dealt_with.isdisjoint(turn.message_ids):
            found = turn
        if turn.state != "moved":
            dealt_with.update(turn.message_ids)
    return found


def ended(turn: StoredTurn, rule: str = "") -> Verdict | None:
    """How this turn ended the message; None: it has not ended. `rule`: by which it is not answered itself."""
    is_letter = rule == BACKLOG and turn.state == "dead"  # of its own, to be listed and retried
    if rule in NOT_ANSWERED and turn.state in ("done", "suppressed", "dead") and not is_letter:
        # Whatever became of the messages that it came with.
        return Verdict("suppressed", f"not answered, by rule {rule}: {NOT_ANSWERED[rule]}")
    match turn.state:
        case "done":
            took = (turn.finished_at or turn.created_at) - turn.opened_at
            by = f" by rule {turn.rule}" if turn.rule else ""
            said = f": {SAID[turn.rule]}" if turn.rule in SAID else ""
            return Verdict(
                "answered", f"answered{by} {took.total_seconds():,.1f} s after its burst began{said}"
            )
        case "suppressed":
            why = {**NOT_ANSWERED, **SILENCED}.get(turn.rule, "")
            return Verdict("suppressed", f"not answered, by rule {turn.rule}" + (f": {why}" if why else ""))
        case "moved":
            return Verdict("moved", "moved to the conversation of the phone number behind its LID")
        case "dead":
            return _given_up(turn, turn.dead_letter)
    return None


def _given_up(turn: StoredTurn, letter: DeadLetterRow | None) -> Verdict | None:
    if letter is not None and letter.retried_at is not None:
        return None  # its replay waits, or already has its own turn
    if letter is not None and letter.dropped_at is not None:
        return Verdict("dropped", f"dead letter {letter.id} was dropped; {_got(turn)}")
    number = letter.id if letter is not None else 0
    return Verdict("dead", f"became dead letter {number}, {_got(turn)}: majlis dead retry {number}")


def waits(view: ActorView | None, frozen: bool, paused: str) -> Verdict:
    """What a message that has not ended waits for. `frozen`: its batch is; `paused`: why no turn may begin."""
    if view is None and frozen:
        return Verdict("elsewhere", "its turn has begun and not ended; no conversation works on it yet")
    if view is None:
        return Verdict("elsewhere", "it waits in the mirror; this daemon has not loaded its conversation yet")
    left = view.seconds_left
    if paused and view.phase in ("holding", "queued", "waiting"):
        return Verdict("holding", paused)
    if view.phase == "answering" and not frozen:
        return Verdict("queued", "its window runs while the batch before it is answered")
    verdicts: dict[Phase, Verdict] = {
        "waiting": Verdict("waiting", "its window is open: more may come", left),
        "queued": Verdict("queued", f"its window is closed; {view.why}"),
        "answering": Verdict("answering", "its turn runs"),
        "retrying": Verdict("retrying", f"{view.why}; the next attempt starts by itself", left),
        "holding": Verdict("holding", f"held, which does not count as an attempt: {view.why}", left),
        "parked": Verdict("parked", f"parked: {view.why}; majlis flush wakes it"),
        "idle": Verdict("elsewhere", "it is about to be picked up"),
    }
    return verdicts[view.phase]


def _iso_ms(at_ms: int) -> str:
    return iso(datetime.fromtimestamp(at_ms / 1000, UTC))
