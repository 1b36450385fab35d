"""One conversation's state in memory, and what to do next. Pure: time is an argument, nothing is awaited.

Laws of this file:
1. The mirror is the truth; this is its shadow. In doubt (`stale`) the next decision is to load.
2. A message is in the buffer until a batch that holds it is frozen; a late delivery of a frozen one is dropped.
3. While a batch is frozen nothing else is frozen: one turn at a time, in order.
4. A window that closes during a turn is answered right after it.
5. Where the ledger may hold unfinished turns that the mirror does not, it is asked after the mirror, and they end
   first, oldest first. Nothing of them is in the mirror.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Literal

import msgspec

from actors.messages import Batch, CloseReason, Receipt, Snapshot, Waiting, WindowPolicy
from actors.window import (
    awaits_album,
    close_reason,
    counted,
    extended,
    remaining_seconds,
    stops_typing,
    stored_end,
    types,
)

IDLE_SECONDS = 30.0
"""How long an actor with nothing to do stays, so that a slow writer does not start one per message."""


class ConversationState(msgspec.Struct, frozen=True):
    """All times are seconds of the actor's own (monotonic) clock."""

    idle_until: float
    waiting: tuple[Waiting, ...] = ()
    deadline: float | None = None
    """The stored end of the window."""
    opened: float | None = None
    """When its first message that speaks arrived."""
    typing_until: float = -inf
    """Until when the customer is believed to type; -inf: the gateway has told nothing of it."""
    typed_seconds: float = 0.0
    """How long typing has held the window open before messages that set a new end."""
    frozen: bool = False
    retry_at: float | None = None
    settled_seq: int = 0
    """Highest sequence number that is no longer waiting."""
    asked: CloseReason | None = None
    """An operator or the end of the daemon asks to close the window now."""
    stale: bool = False
    batch_number: int | None = None
    """Of the frozen batch, as far as it is known."""
    check_ledger: bool = False
    """The ledger is to be asked for unfinished turns that the mirror does not hold."""
    unfinished: tuple[Batch, ...] = ()
    """Those that it named, oldest first."""
    resume_at: float | None = None
    """When the first of them may be tried again; None: now."""


class Load(msgspec.Struct, frozen=True):
    """Ask the mirror."""


class Sleep(msgspec.Struct, frozen=True):
    """Nothing to do before `until`, unless something happens."""

    until: float


class AskLedger(msgspec.Struct, frozen=True):
    """Ask the ledger for its unfinished turns."""


class Resume(msgspec.Struct, frozen=True):
    """Run an unfinished turn of which the mirror knows nothing."""

    batch: Batch


class RunTurn(msgspec.Struct, frozen=True):
    """Freeze what waits (or take up the frozen batch) and run its turn."""

    why: CloseReason


class Leave(msgspec.Struct, frozen=True):
    """Nothing to do and nothing to wait for."""


Decision = Load | AskLedger | Resume | Sleep | RunTurn | Leave


def fresh(now: float) -> ConversationState:
    return ConversationState(idle_until=now + IDLE_SECONDS)


def unknown(now: float) -> ConversationState:
    """The state of a conversation of which the mirror knows more than we do."""
    return ConversationState(idle_until=now + IDLE_SECONDS, stale=True)


def decide(state: ConversationState, now: float, policy: WindowPolicy) -> Decision:
    if state.stale:
        return Load()
    draining = state.asked == "drain"
    if state.check_ledger or state.unfinished:
        # Nothing may overtake them: a stopping daemon leaves all of it to the next start, which finds them again.
        return Leave() if draining else _about_unfinished(state, now)
    if state.frozen:
        return _about_frozen(state, now)
    if state.waiting:
        return _about_window(state, now, policy)
    return Leave() if draining or now >= state.idle_until else Sleep(state.idle_until)


def _about_window(state: ConversationState, now: float, policy: WindowPolicy) -> Decision:
    count = len(state.waiting)  # nearly always too few for a window, whatever of them counts
    if count >= policy.max_messages:
        count = counted(state.waiting, policy, policy.max_messages)
    end = _end(state, policy)
    reason = close_reason(count, end, now, policy) or state.asked
    if reason is None and end is not None:
        return Sleep(end)
    if state.asked is None and state.deadline is not None and awaits_album(state.waiting, policy):
        until = state.deadline + policy.album_seconds
        if now < until:
            return Sleep(until)
    return RunTurn(reason or policy.time_is_up)


def _end(state: ConversationState, policy: WindowPolicy) -> float | None:
    """When the window closes, as far as it is known: its stored end, or later for somebody who types."""
    if state.deadline is None or state.opened is None:
        return state.deadline
    return extended(state.deadline, state.opened, state.typing_until, policy)


def extra_seconds(state: ConversationState, policy: WindowPolicy) -> float:
    """How much longer than to its stored end the window is open for somebody who types."""
    end = _end(state, policy)
    return 0.0 if end is None or state.deadline is None else end - state.deadline


def outlasts(state: ConversationState, now: float) -> bool:
    """Whether the window is past its stored end, and open on purpose: that it is due is no news."""
    return not state.stale and bool(state.waiting) and state.deadline is not None and state.deadline <= now


def _about_frozen(state: ConversationState, now: float) -> Decision:
    if state.retry_at is None or now >= state.retry_at or state.asked == "flush":
        return RunTurn("flush" if state.asked == "flush" else "timeout")
    # A deferred batch is safe in the mirror: a stopping daemon does not wait for its retry.
    return Leave() if state.asked == "drain" else Sleep(state.retry_at)


def _about_unfinished(state: ConversationState, now: float) -> Decision:
    if state.check_ledger:
        return AskLedger()
    if state.resume_at is not None and now < state.resume_at:
        return Sleep(state.resume_at)
    return Resume(state.unfinished[0])


def hear(
    state: ConversationState, entry: Waiting, receipt: Receipt, now: float, policy: WindowPolicy
) -> ConversationState:
    """A message was appended to the mirror. Deliveries may come in any order, and more than once."""
    if entry.seq <= state.settled_seq:
        return state
    waiting, deadline = state.waiting, now + remaining_seconds(receipt.deadline_ms, receipt.now_ms, policy)
    speaks, opened = entry.message.speaks, _arrived(entry, receipt.now_ms, now)
    is_first = speaks and not any(known.message.speaks for known in waiting)
    if state.opened is not None and not is_first:
        opened = min(state.opened, opened) if speaks else state.opened
    if not waiting or entry.seq > waiting[-1].seq:
        arms = is_first or (speaks and policy.kind == "quiet")
        waiting = (*waiting, entry)
    elif any(entry.seq == known.seq for known in waiting):
        return state
    else:
        # The end that came with a later one is the newer.
        arms, deadline = False, deadline if state.deadline is None else state.deadline
        waiting = tuple(sorted((*waiting, entry), key=lambda known: known.seq))
    typing_until = min(state.typing_until, now) if speaks else state.typing_until
    typed_seconds = state.typed_seconds
    if arms:
        typed_seconds += extra_seconds(msgspec.structs.replace(state, typing_until=typing_until), policy)
    return msgspec.structs.replace(
        state,
        waiting=waiting,
        deadline=deadline if arms or state.deadline is None else min(state.deadline, deadline),
        opened=opened,
        typing_until=typing_until,
        typed_seconds=typed_seconds,
        idle_until=now + IDLE_SECONDS,
    )


def typing(state: ConversationState, is_typing: bool, now: float) -> ConversationState:
    """The gateway says that the customer types, or does so no more."""
    until = types(now) if is_typing else stops_typing(state.typing_until, now)
    return msgspec.structs.replace(state, typing_until=until)


def loading(state: ConversationState) -> ConversationState:
    """The mirror is being asked: forget the buffer. What is in it afterwards was heard meanwhile."""
    return msgspec.structs.replace(state, waiting=(), deadline=None, opened=None)


def loaded(
    state: ConversationState, snapshot: Snapshot, now: float, policy: WindowPolicy
) -> ConversationState:
    """Take over what the mirror says, and keep what was heard after it said it.

    Sequence numbers grow in the order of appends, so a message that is newer than the newest of the snapshot
    was appended after it, and any other is in it or was settled before.
    """
    # Of an empty snapshot: what we hold beyond the last frozen batch came after it.
    newest = snapshot.waiting[-1].seq if snapshot.waiting else state.settled_seq
    later = tuple(entry for entry in state.waiting if entry.seq > newest)
    waiting = snapshot.waiting + later
    # Of what the snapshot does not know, the end of the window came with the receipt, and is the newer one.
    deadline = state.deadline if later else None
    if snapshot.deadline_ms is not None and deadline is None:
        deadline = now + remaining_seconds(snapshot.deadline_ms, snapshot.now_ms, policy)
    opened = None
    if waiting:
        first = next((entry for entry in waiting if entry.message.speaks), waiting[0])
        opened = _arrived(first, snapshot.now_ms, now)
    retry_at = None
    if snapshot.retry_at_ms is not None:
        retry_at = now + max(0.0, (snapshot.retry_at_ms - snapshot.now_ms) / 1000)
    # A flush that found nothing is over; kept, it would cut the next window short.
    nothing_to_flush = state.asked == "flush" and not waiting and not snapshot.frozen
    return msgspec.structs.replace(
        state,
        waiting=waiting,
        deadline=deadline,
        opened=opened,
        frozen=snapshot.frozen,
        batch_number=snapshot.batch_number,
        retry_at=retry_at,
        asked=None if nothing_to_flush else state.asked,
        stale=False,
        idle_until=now + IDLE_SECONDS,
    )


def closing(
    batch: Batch, state: ConversationState, policy: WindowPolicy, was_awaited: bool
) -> dict[str, object]:
    """What the event of a closed window says. Not `was_awaited`: a turn or a start came first.

    `late_ms` is how long after its end a window was frozen, by the mirror's clock: the wait for a turn included.
    `typed_ms` is how long typing held it open; it is missing where nothing was told of any.
    """
    fields: dict[str, object] = {"why": batch.why, "messages": len(batch.entries), "batch": batch.number}
    if state.typing_until > -inf:
        fields["typed_ms"] = round(1000 * (state.typed_seconds + extra_seconds(state, policy)))
    # One that waited for an album was closed by its parts, or by their time.
    is_timed = batch.why in ("timeout", "quiet", "count")
    has_album = any(entry.message.album for entry in batch.entries)
    if batch.window_ended_ms is None or not (was_awaited and is_timed) or has_album:
        return fields
    return {**fields, "late_ms": batch.frozen_at_ms - batch.window_ended_ms}


def measured(batch: Batch, policy: WindowPolicy, held_until_ms: int, extra_seconds: float = 0.0) -> Batch:
    """The batch with the end of its window, and whether it was held after that.

    Args:
      held_until_ms: when the last hold of the conversation ended.
      extra_seconds: how much longer its window was open for somebody who types.
    """
    ended = window_ended_ms(batch, policy, round(1000 * extra_seconds))
    return msgspec.structs.replace(batch, window_ended_ms=ended, held=ended <= held_until_ms)


def window_ended_ms(batch: Batch, policy: WindowPolicy, extra_ms: int = 0) -> int:
    """When the window was over: its time was up, or enough messages waited. Never after the freeze."""
    if any(
        entry.message.album for entry in batch.entries
    ):  # it was closed by the rest of the album, or by its time
        return batch.frozen_at_ms
    ends = [batch.frozen_at_ms, _stored_end_ms(batch, policy) + extra_ms]
    for size in range(policy.max_messages, len(batch.entries) + 1):
        if counted(batch.entries[:size], policy, policy.max_messages) == policy.max_messages:
            ends.append(batch.entries[size - 1].at_ms)
            break
    return min(ends)


def _stored_end_ms(batch: Batch, policy: WindowPolicy) -> int:
    """When the window's time was up. By `quiet`, whatever came before the freeze moved it."""
    last = max((entry.at_ms for entry in batch.entries if entry.message.speaks), default=batch.opened_at_ms)
    return round(stored_end(policy, batch.opened_at_ms / 1000, last / 1000) * 1000)


def _arrived(entry: Waiting, now_ms: int, now: float) -> float:
    """When it arrived, on the clock of `now`; `now_ms` is the mirror's."""
    return now - max(0, now_ms - entry.at_ms) / 1000


def froze(state: ConversationState, batch: Batch) -> ConversationState:
    """The mirror froze `batch`: what it holds no longer waits.

    The exact end of the rest's window comes with the commit's snapshot.
    """
    rest = tuple(entry for entry in state.waiting if entry.seq > batch.hi)
    return msgspec.structs.replace(
        state,
        waiting=rest,
        deadline=state.deadline if rest else None,
        opened=state.opened if rest else None,
        typed_seconds=0.0,
        frozen=True,
        batch_number=batch.number,
        retry_at=None,
        settled_seq=max(state.settled_seq, batch.hi),
        asked=None if state.asked == "flush" else state.asked,
    )


def emptied(state: ConversationState) -> ConversationState:
    """What is left is in the stores: leave it to them."""
    return msgspec.structs.replace(
        loading(state), frozen=False, stale=False, check_ledger=False, unfinished=(), resume_at=None
    )


def deferred(state: ConversationState, retry_at: float) -> ConversationState:
    """The frozen batch is tried again at `retry_at`."""
    return msgspec.structs.replace(state, frozen=True, retry_at=retry_at)


def ask(state: ConversationState, why: Literal["flush", "drain"]) -> ConversationState:
    """Close the window now. A flush of nothing is nothing: it must not cut the next window short."""
    if why == "flush" and not (state.waiting or state.frozen or state.stale or state.unfinished):
        return state
    return msgspec.structs.replace(state, asked=why, resume_at=None)


def doubt(state: ConversationState) -> ConversationState:
    """What we believe may be wrong: load before anything else."""
    return msgspec.structs.replace(state, stale=True)


# Unfinished turns that the mirror does not hold.


def doubt_ledger(state: ConversationState) -> ConversationState:
    """The ledger names an unfinished turn: see whether the mirror holds it. What is being resumed goes on."""
    return state if state.unfinished else msgspec.structs.replace(state, stale=True, check_ledger=True)


def named(state: ConversationState, turns: Sequence[Batch]) -> ConversationState:
    """The ledger named its unfinished turns; the one of the frozen batch is taken up as ever."""
    unfinished = tuple(batch for batch in turns if batch.number != state.batch_number)
    return msgspec.structs.replace(state, check_ledger=False, unfinished=unfinished, resume_at=None)


def resumes_later(state: ConversationState, at: float) -> ConversationState:
    """An attempt at the first unfinished turn failed: the next one comes at `at`."""
    first, *rest = state.unfinished
    again = msgspec.structs.replace(first, attempts=first.attempts + 1)
    return msgspec.structs.replace(state, unfinished=(again, *rest), resume_at=at)


def resumed(state: ConversationState) -> ConversationState:
    """The first unfinished turn has ended."""
    rest = state.unfinished[1:]
    # As in `loaded`: a flush of nothing more is over.
    over = state.asked == "flush" and not (rest or state.waiting or state.frozen)
    return msgspec.structs.replace(
        state, unfinished=rest, resume_at=None, asked=None if over else state.asked
    )


def works_on(state: ConversationState, number: int) -> bool:
    """Whether this batch is the frozen one, or one that is being resumed."""
    return number == state.batch_number or any(batch.number == number for batch in state.unfinished)
