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
from typing import Literal

import msgspec

from actors.messages import Batch, CloseReason, Receipt, Snapshot, Waiting, WindowPolicy
from actors.window import awaits_album, close_reason, counted, remaining_seconds

IDLE_SECONDS = 30.0
"""How long an actor with nothing to do stays, so that a slow writer does not start one per message."""

JITTER = 0.2
"""A delay is spread by ±20 %, so that conversations that failed together do not come back together."""

HOLD_FIRST_SECONDS = 1.0
HOLD_MAX_SECONDS = 30.0


class ConversationState(msgspec.Struct, frozen=True):
    """All times are seconds of the actor's own (monotonic) clock."""

    idle_until: float
    waiting: tuple[Waiting, ...] = ()
    deadline: float | None = None
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
    reason = close_reason(count, state.deadline, now, policy) or state.asked
    if reason is None and state.deadline is not None:
        return Sleep(state.deadline)
    if state.asked is None and state.deadline is not None and awaits_album(state.waiting, policy):
        until = state.deadline + policy.album_seconds
        if now < until:
            return Sleep(until)
    return RunTurn(reason or "timeout")


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
    if not waiting or entry.seq > waiting[-1].seq:
        arms = entry.message.speaks and not any(known.message.speaks for known in waiting)
        waiting = (*waiting, entry)
    elif any(entry.seq == known.seq for known in waiting):
        return state
    else:
        # The end that came with a later one is the newer.
        arms, deadline = False, deadline if state.deadline is None else state.deadline
        waiting = tuple(sorted((*waiting, entry), key=lambda known: known.seq))
    return msgspec.structs.replace(
        state,
        waiting=waiting,
        deadline=deadline if arms or state.deadline is None else min(state.deadline, deadline),
        idle_until=now + IDLE_SECONDS,
    )


def loading(state: ConversationState) -> ConversationState:
    """The mirror is being asked: forget the buffer. What is in it afterwards was heard meanwhile."""
    return msgspec.structs.replace(state, waiting=(), deadline=None)


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
    retry_at = None
    if snapshot.retry_at_ms is not None:
        retry_at = now + max(0.0, (snapshot.retry_at_ms - snapshot.now_ms) / 1000)
    # A flush that found nothing is over; kept, it would cut the next window short.
    nothing_to_flush = state.asked == "flush" and not waiting and not snapshot.frozen
    return msgspec.structs.replace(
        state,
        waiting=waiting,
        deadline=deadline,
        frozen=snapshot.frozen,
        batch_number=snapshot.batch_number,
        retry_at=retry_at,
        asked=None if nothing_to_flush else state.asked,
        stale=False,
        idle_until=now + IDLE_SECONDS,
    )


def closing(batch: Batch, policy: WindowPolicy | None) -> dict[str, object]:
    """What the event of a closed window says. `policy` None: no actor waited for its end, a turn or a start came first.

    `late_ms` is how long after its end a window was frozen, by the mirror's clock: the wait for a turn included.
    """
    fields: dict[str, object] = {"why": batch.why, "messages": len(batch.entries), "batch": batch.number}
    # One that waited for an album was closed by its parts, or by their time.
    is_timed = batch.why in ("timeout", "count")
    if policy is None or not is_timed or any(entry.message.album for entry in batch.entries):
        return fields
    return {**fields, "late_ms": batch.frozen_at_ms - window_ended_ms(batch, policy)}


def measured(batch: Batch, policy: WindowPolicy, held_until_ms: int) -> Batch:
    """The batch with the end of its window, and whether it was held after that.

    `held_until_ms`: when the last hold of the conversation ended.
    """
    ended = window_ended_ms(batch, policy)
    return msgspec.structs.replace(batch, window_ended_ms=ended, held=ended <= held_until_ms)


def window_ended_ms(batch: Batch, policy: WindowPolicy) -> int:
    """When the window was over: its time was up, or enough messages waited; of a batch that was widened, with its last
    message. Never after the freeze but for such a one.
    """
    if batch.supersedes:
        return max(entry.at_ms for entry in batch.entries)
    if any(
        entry.message.album for entry in batch.entries
    ):  # it was closed by the rest of the album, or by its time
        return batch.frozen_at_ms
    ends = [batch.frozen_at_ms, batch.opened_at_ms + round(policy.window_seconds * 1000)]
    for size in range(policy.max_messages, len(batch.entries) + 1):
        if counted(batch.entries[:size], policy, policy.max_messages) == policy.max_messages:
            ends.append(batch.entries[size - 1].at_ms)
            break
    return min(ends)


def froze(state: ConversationState, batch: Batch) -> ConversationState:
    """The mirror froze or widened `batch`: what it holds no longer waits.

    The exact end of the rest's window comes with the commit's snapshot.
    """
    rest = tuple(entry for entry in state.waiting if entry.seq > batch.hi)
    return msgspec.structs.replace(
        state,
        waiting=rest,
        deadline=state.deadline if rest else None,
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


def awaits_earlier(state: ConversationState) -> ConversationState:
    """The ledger begins no turn before an earlier one of its messages has ended, so it is asked for that one.

    Of what is being resumed, the earlier one may be that of the frozen batch, which goes first then: what is left will
    be named again.
    """
    if not state.unfinished:
        return doubt_ledger(state)
    return msgspec.structs.replace(state, unfinished=()) if state.frozen else state


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


# When to try again; the random draw is an argument.


def backoff_seconds(
    attempts: int, schedule: Sequence[float], draw: float, retry_after_seconds: float | None = None
) -> float:
    """Delay before the next attempt of a turn that failed `attempts` times before this failure.

    Args:
      schedule: delays after the first, second, … failure, seconds; the last one repeats.
      draw: a uniform random number in [0, 1).
      retry_after_seconds: the peer's own wish; honoured when it is longer.
    """
    delay = schedule[min(attempts, len(schedule) - 1)] * (1 + JITTER * (2 * draw - 1))
    return max(delay, retry_after_seconds or 0.0)


def hold_seconds(holds: int, draw: float) -> float:
    """Delay before looking again at a peer that is away, after `holds` looks: 1 s doubling up to 30 s."""
    delay = min(HOLD_FIRST_SECONDS * float(2 ** min(holds, 10)), HOLD_MAX_SECONDS)
    return delay * (1 + JITTER * (2 * draw - 1))
