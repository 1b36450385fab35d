"""The conversation's decisions, by example and by property. I3, I4, I7."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from actors import conversation as core
from actors.backoff import HOLD_MAX_SECONDS, JITTER, backoff_seconds, hold_seconds
from actors.identity import Conversation
from actors.messages import Batch, Message, Receipt, Snapshot, Waiting, WindowPolicy

POLICY = WindowPolicy()
WHO = Conversation("demo", "5511900000001")


def entry(seq: int) -> Waiting:
    return Waiting(seq, seq, Message("demo", WHO.contact, f"id{seq}", f"text {seq}", 0))


def receipt(seq: int, deadline_ms: int = 8000, now_ms: int = 0) -> Receipt:
    return Receipt(False, seq, now_ms, deadline_ms, now_ms, 1, False)


def snapshot(*seqs: int, frozen: bool = False, deadline_ms: int | None = 8000) -> Snapshot:
    waiting = tuple(entry(seq) for seq in seqs)
    return Snapshot(WHO, 0, waiting, deadline_ms if waiting else None, 1 if frozen else None, None)


def batch(*seqs: int) -> Batch:
    return Batch(WHO, 1, seqs[0], seqs[-1], "timeout", 0, 0, 0, tuple(entry(seq) for seq in seqs))


def heard(*seqs: int) -> core.ConversationState:
    state = core.fresh(0.0)
    for seq in seqs:
        state = core.hear(state, entry(seq), receipt(seq), 0.0, POLICY)
    return state


def test_first_message_arms_the_window_and_later_ones_do_not_move_it() -> None:
    state = heard(1)
    assert core.decide(state, 0.0, POLICY) == core.Sleep(8.0)
    state = core.hear(state, entry(2), receipt(2, deadline_ms=8000, now_ms=5000), 5.0, POLICY)
    assert core.decide(state, 7.9, POLICY) == core.Sleep(8.0)
    assert core.decide(state, 8.0, POLICY) == core.RunTurn("timeout")


def test_a_receipt_that_comes_late_does_not_make_the_window_longer() -> None:
    state = core.hear(heard(1), entry(2), receipt(2, deadline_ms=8000, now_ms=5000), 6.0, POLICY)
    assert core.decide(state, 7.9, POLICY) == core.Sleep(8.0)


def test_fifth_message_answers_at_once() -> None:
    assert core.decide(heard(1, 2, 3, 4, 5), 0.1, POLICY) == core.RunTurn("count")


REACTION = Waiting(1, 1, Message("demo", WHO.contact, "r", "", 0, aside="reaction"))


def test_what_is_said_after_a_reaction_is_heard_out() -> None:
    """I7: from the first message that speaks. Whatever the order in which the actor hears of them."""
    early, late = receipt(1, 8_000, 0), receipt(2, 14_000, 6_000)
    state = core.hear(core.fresh(0.0), REACTION, early, 0.0, POLICY)
    assert core.decide(state, 0.0, POLICY) == core.Sleep(8.0), "alone it has its end too"
    state = core.hear(state, entry(2), late, 6.0, POLICY)
    assert core.decide(state, 6.0, POLICY) == core.Sleep(14.0)
    state = core.hear(state, entry(3), receipt(3, 14_000, 7_000), 7.5, POLICY)
    assert core.decide(state, 7.5, POLICY) == core.Sleep(14.0), "and not longer"
    other = core.hear(core.fresh(6.0), entry(2), late, 6.0, POLICY)
    assert core.decide(core.hear(other, REACTION, early, 6.0, POLICY), 6.0, POLICY) == core.Sleep(14.0)


def test_a_message_heard_during_a_load_is_heard_out_too() -> None:
    """I7: the snapshot knows the reaction alone, and its end."""
    state = core.hear(core.loading(heard()), entry(2), receipt(2, 14_000, 6_000), 6.0, POLICY)
    snap = Snapshot(WHO, 5_000, (REACTION,), 8_000, None, None)
    assert core.decide(core.loaded(state, snap, 6.0, POLICY), 6.0, POLICY) == core.Sleep(14.0)


def album(size: int, parts: int, others: int = 0) -> tuple[Waiting, ...]:
    who = WHO.contact
    messages = [Message("demo", who, "H", "", 0, album="H", album_size=size)]
    messages += [Message("demo", who, f"P{number}", "", 0, album="H") for number in range(parts)]
    messages += [Message("demo", who, f"M{number}", "", 0) for number in range(others)]
    return tuple(Waiting(seq, seq, message) for seq, message in enumerate(messages, 1))


def test_the_rest_of_an_album_is_waited_for_and_no_longer() -> None:
    """I7: bounded, from the stored end of the window: a restart or a look at the mirror begins nothing anew."""
    for now_ms in (0, 9_000, 17_000):
        snap = Snapshot(WHO, now_ms, album(8, 7), 8_000, None, None)
        now = now_ms / 1_000
        state = core.loaded(core.fresh(now), snap, now, POLICY)
        assert core.decide(state, max(now, 8.0), POLICY) == core.Sleep(18.0)
        assert core.decide(state, 18.0, POLICY) == core.RunTurn("timeout")
        assert isinstance(core.decide(core.ask(state, "flush"), 8.5, POLICY), core.RunTurn)
    whole = Snapshot(WHO, 9_000, album(8, 8), 8_000, None, None)
    assert core.decide(core.loaded(core.fresh(9.0), whole, 9.0, POLICY), 9.0, POLICY) == core.RunTurn(
        "timeout"
    )


def test_a_full_window_waits_for_an_album_too() -> None:
    snap = Snapshot(WHO, 1_000, album(8, 2, others=4), 1_000, None, None)
    state = core.loaded(core.fresh(1.0), snap, 1.0, POLICY)
    assert core.decide(state, 1.0, POLICY) == core.Sleep(11.0)
    assert core.decide(state, 11.0, POLICY) == core.RunTurn("count")


def test_delivered_twice_counts_once() -> None:
    assert len(heard(1, 1, 2, 1).waiting) == 2


def test_a_message_during_a_turn_waits_for_the_next_batch() -> None:
    """I3: no race drops it, none puts it into the running batch."""
    state = core.froze(heard(1, 2), batch(1, 2))
    state = core.hear(state, entry(3), receipt(3), 1.0, POLICY)
    assert state.waiting == (entry(3),)
    state = core.loaded(msgspec.structs.replace(state, frozen=False), snapshot(3), 1.0, POLICY)
    assert core.decide(state, 2.0, POLICY) == core.Sleep(9.0)


def test_a_late_delivery_of_a_frozen_message_is_dropped() -> None:
    """I3: freeze saw it in the mirror before its delivery came."""
    state = core.froze(heard(1), batch(1, 2))
    assert core.hear(state, entry(2), receipt(2), 0.0, POLICY).waiting == ()


def test_a_deferred_batch_waits_for_its_retry_whatever_arrives() -> None:
    """I4: nothing overtakes it."""
    state = core.deferred(core.froze(heard(1), batch(1)), retry_at=20.0)
    for seq in range(2, 9):
        state = core.hear(state, entry(seq), receipt(seq), 10.0, POLICY)
    assert core.decide(state, 19.9, POLICY) == core.Sleep(20.0)
    assert isinstance(core.decide(state, 20.0, POLICY), core.RunTurn)


def test_flush_answers_now_and_an_empty_flush_does_nothing() -> None:
    assert core.decide(core.ask(heard(1), "flush"), 0.0, POLICY) == core.RunTurn("flush")
    state = core.ask(core.fresh(0.0), "flush")
    state = core.hear(state, entry(1), receipt(1), 0.0, POLICY)
    assert core.decide(state, 0.0, POLICY) == core.Sleep(8.0)


def test_a_flush_of_an_empty_buffer_is_forgotten() -> None:
    state = core.ask(core.unknown(0.0), "flush")
    state = core.loaded(core.loading(state), snapshot(), 0.0, POLICY)
    state = core.hear(state, entry(1), receipt(1), 0.0, POLICY)
    assert core.decide(state, 0.0, POLICY) == core.Sleep(8.0)


def test_drain_answers_what_waits_and_leaves_what_is_deferred() -> None:
    """I13."""
    assert core.decide(core.ask(heard(1), "drain"), 0.0, POLICY) == core.RunTurn("drain")
    assert core.decide(core.ask(core.fresh(0.0), "drain"), 0.0, POLICY) == core.Leave()
    state = core.deferred(core.froze(heard(1), batch(1)), retry_at=20.0)
    assert core.decide(core.ask(state, "drain"), 0.0, POLICY) == core.Leave()


def test_an_actor_leaves_only_after_idling() -> None:
    state = core.fresh(0.0)
    assert core.decide(state, core.IDLE_SECONDS - 0.1, POLICY) == core.Sleep(core.IDLE_SECONDS)
    assert core.decide(state, core.IDLE_SECONDS, POLICY) == core.Leave()


def test_when_in_doubt_the_actor_asks_the_mirror() -> None:
    assert core.decide(core.doubt(heard(1, 2, 3, 4, 5)), 100.0, POLICY) == core.Load()


def test_a_message_that_arrives_while_the_mirror_answers_is_kept() -> None:
    state = core.loading(core.unknown(0.0))
    state = core.hear(state, entry(2), receipt(2), 1.0, POLICY)
    state = core.hear(state, entry(3), receipt(3), 1.0, POLICY)
    state = core.loaded(state, snapshot(1, 2), 1.0, POLICY)
    assert [known.seq for known in state.waiting] == [1, 2, 3]
    assert state.deadline == 9.0


@given(st.permutations(range(1, 9)), st.integers(0, 8))
def test_any_order_of_delivery_around_a_freeze_keeps_every_message_once(order: list[int], hi: int) -> None:
    """I3: deliveries may come in any order, before and after the freeze that took 1..hi."""
    state = core.fresh(0.0)
    for seq in order[:4]:
        state = core.hear(state, entry(seq), receipt(seq), 0.0, POLICY)
    if hi:
        state = core.froze(state, batch(*range(1, hi + 1)))
    for seq in order:
        state = core.hear(state, entry(seq), receipt(seq), 0.0, POLICY)
    assert [known.seq for known in state.waiting] == list(range(hi + 1, 9))


@given(st.lists(st.floats(0, 30), min_size=1, max_size=12))
def test_the_first_message_never_waits_longer_than_a_window(arrivals: list[float]) -> None:
    """I7: whatever arrives when, the decision at first + 8 s is to answer."""
    arrivals = sorted(arrivals)
    first = arrivals[0]
    state = core.fresh(first)
    for seq, at in enumerate(arrivals, start=1):
        if at < first + POLICY.window_seconds:
            deadline_ms = round((first + POLICY.window_seconds) * 1000)
            state = core.hear(state, entry(seq), receipt(seq, deadline_ms, round(at * 1000)), at, POLICY)
    assert isinstance(core.decide(state, first + POLICY.window_seconds + 0.002, POLICY), core.RunTurn)


# When to try again

SCHEDULE = (1.0, 2.0, 4.0)


def test_delays_follow_the_schedule_and_its_end_repeats() -> None:
    assert [backoff_seconds(attempts, SCHEDULE, 0.5) for attempts in range(5)] == [1, 2, 4, 4, 4]


def test_a_longer_retry_after_is_honoured_and_a_shorter_one_is_not() -> None:
    assert backoff_seconds(0, SCHEDULE, 0.5, retry_after_seconds=30) == 30
    assert backoff_seconds(0, SCHEDULE, 0.5, retry_after_seconds=0.1) == 1


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_jitter_and_holds_are_bounded(count: int, draw: float) -> None:
    delay = SCHEDULE[min(count, 2)]
    assert delay * (1 - JITTER) <= backoff_seconds(count, SCHEDULE, draw) <= delay * (1 + JITTER)
    assert 0 < hold_seconds(count, draw) <= HOLD_MAX_SECONDS * (1 + JITTER)


def test_a_hold_doubles_from_one_second_to_thirty() -> None:
    assert [hold_seconds(holds, 0.5) for holds in range(7)] == [1, 2, 4, 8, 16, 30, 30]


def test_a_flush_ends_with_its_batch() -> None:
    """What comes during the flushed turn has a window of its own."""
    state = core.froze(core.ask(heard(1, 2), "flush"), batch(1, 2))
    state = core.hear(state, entry(3), receipt(3, deadline_ms=9000, now_ms=1000), 1.0, POLICY)
    state = core.loaded(state, snapshot(3, deadline_ms=9000), 1.0, POLICY)
    assert core.decide(state, 1.0, POLICY) == core.Sleep(9.0)


def test_what_the_mirror_deferred_is_not_tried_before_its_time() -> None:
    """A restart does not cut a backoff short, and an hour between two clocks does not make it longer."""
    stored = Snapshot(WHO, 1_000_000, (), None, True, 1_004_000)
    state = core.loaded(core.unknown(50.0), stored, 50.0, POLICY)
    assert core.decide(state, 53.9, POLICY) == core.Sleep(54.0)
    assert core.decide(state, 54.0, POLICY) == core.RunTurn("timeout")
    overdue = Snapshot(WHO, 1_000_000, (), None, True, 400_000)
    assert core.decide(core.loaded(state, overdue, 50.0, POLICY), 50.0, POLICY) == core.RunTurn("timeout")


def test_deliveries_out_of_order_do_not_make_the_window_longer() -> None:
    """A moved message shortened it; the message before it is delivered later, with the end of its own time."""
    state = core.hear(core.fresh(0.0), entry(2), receipt(2, deadline_ms=4000), 0.0, POLICY)
    state = core.hear(state, entry(1), receipt(1, deadline_ms=8000), 0.0, POLICY)
    assert core.decide(state, 0.0, POLICY) == core.Sleep(4.0)
    assert [known.seq for known in state.waiting] == [1, 2]


def at(*seconds: float, opened: float = 0.0, frozen: float, album: str = "") -> Batch:
    """A batch of messages that came then."""
    entries = tuple(
        Waiting(seq, round(each * 1000), Message("demo", WHO.contact, f"id{seq}", "x", 0, album=album))
        for seq, each in enumerate(seconds, 1)
    )
    return Batch(WHO, 1, 1, len(entries), "timeout", 0, round(opened * 1000), round(frozen * 1000), entries)


def test_a_window_ended_when_it_was_over_however_late_it_was_frozen() -> None:
    """By its time, by its fifth message, or by the freeze itself where an operator closed it."""
    ended = core.window_ended_ms
    assert ended(at(0, 3, frozen=8.2), POLICY) == 8_000
    assert ended(at(0, 3, frozen=60), POLICY) == 8_000
    assert ended(at(0, 1, 2, 3, 4, 5, 6, frozen=7), POLICY) == 4_000
    assert ended(at(0, 1, frozen=2), POLICY) == 2_000
    assert ended(at(0, 1, frozen=14, album="a"), POLICY) == 14_000, "the rest of an album was waited for"


def test_a_batch_whose_window_ended_before_the_end_of_a_hold_was_held() -> None:
    assert core.measured(at(0, frozen=9), POLICY, 30_000).held
    assert not core.measured(at(0, frozen=9), POLICY, 0).held
    later = core.measured(at(40, opened=40, frozen=48), POLICY, 30_000)
    assert (later.held, later.window_ended_ms) == (False, 48_000)


@given(st.lists(st.floats(0, 20), min_size=1, max_size=12), st.floats(0, 60), st.integers(0, 60_000))
def test_no_window_ends_after_its_freeze_or_its_time(
    came: list[float], wait: float, held_until_ms: int
) -> None:
    came = sorted(came)
    batch = at(*came, opened=came[0], frozen=came[-1] + wait)
    ended = core.measured(batch, POLICY, held_until_ms).window_ended_ms
    assert ended is not None
    assert batch.opened_at_ms <= ended <= min(batch.frozen_at_ms, batch.opened_at_ms + 8_000)
