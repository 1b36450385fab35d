"""The contract of the mirror, on fakeredis and on a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from actors.errors import ConversationFull, MirrorUnavailable, StaleEpoch
from actors.identity import Conversation
from actors.messages import Batch, Message, Receipt, WindowPolicy
from actors.ports import Mirror
from daemon.mirror.group_commit import AppendRequest
from daemon.mirror.keys import CHANGES, PartitionKeys, place
from daemon.mirror.mirror import RedisMirror
from daemon.mirror.survey import Survey
from daemon.mirror.upkeep import Upkeep
from daemon.stores.redis import RedisStore
from tests.support.memory import MemoryMirror
from tests.support.mirrors import (
    INSTALLATION,
    PARTITIONS,
    fake_store,
    fenced_mirror,
    message,
    real_store,
    stamp,
)

POLICY = WindowPolicy(window_seconds=8.0, max_messages=5, max_batch_messages=50, max_waiting_messages=1000)
TALK = message(0).conversation
WINDOW_MS = 8000


@pytest.fixture(params=["fakeredis", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[RedisStore]:
    if request.param == "fakeredis":
        async with fake_store() as fake:
            yield fake
    else:
        async with real_store(request.getfixturevalue("fresh_redis_url")) as real:
            yield real


@pytest.fixture
async def mirror(store: RedisStore) -> RedisMirror:
    return await fenced_mirror(store)


async def append(mirror: RedisMirror, *numbers: int) -> None:
    for number in numbers:
        await mirror.append(message(number), POLICY)


async def freeze(mirror: RedisMirror, policy: WindowPolicy = POLICY) -> Batch:
    batch = await mirror.freeze(TALK, 1, "timeout", policy)
    assert batch is not None
    return batch


def ids(messages: tuple[Message, ...]) -> list[str]:
    return [one.id for one in messages]


async def ttl(store: RedisStore, key: str) -> int:
    answer: int = await store.command("PTTL", key)
    return answer


async def set_state(store: RedisStore, **fields: int) -> None:
    pairs = [part for name, value in fields.items() for part in (name, value)]
    await store.command("HSET", place(TALK, PARTITIONS).own.state, *pairs)


# --- append ---


async def test_only_the_first_message_arms_the_window(mirror: RedisMirror) -> None:
    """I7: the deadline counts from the first waiting message."""
    first = await mirror.append(message(1), POLICY)
    second = await mirror.append(message(2), POLICY)

    assert not first.duplicate
    assert first.deadline_ms == first.at_ms + WINDOW_MS
    assert second.deadline_ms == first.deadline_ms
    assert (first.waiting, second.waiting) == (1, 2)
    assert second.seq > first.seq


async def test_the_last_message_of_a_full_window_makes_it_due_at_once(mirror: RedisMirror) -> None:
    """I7: five messages are answered without waiting."""
    await append(mirror, 1, 2, 3, 4)
    assert (await mirror.due(dict.fromkeys(range(PARTITIONS), 1)))[:2] == ([], [])

    fifth = await mirror.append(message(5), POLICY)

    assert fifth.deadline_ms <= fifth.now_ms
    assert (await mirror.due(dict.fromkeys(range(PARTITIONS), 1)))[:2] == ([TALK], [])


async def test_a_repeated_message_is_stored_once(mirror: RedisMirror) -> None:
    """I1: a retry after a lost response finds its message, under the same number."""
    original = await mirror.append(message(1), POLICY)
    await append(mirror, 2)
    again = await mirror.append(message(1), POLICY)

    assert again.duplicate
    assert (again.seq, again.at_ms, again.deadline_ms) == (original.seq, original.at_ms, original.deadline_ms)
    assert again.waiting == 2
    assert len((await mirror.load(TALK)).waiting) == 2


async def test_a_repeat_is_recognized_in_a_batch_and_after_its_end(mirror: RedisMirror) -> None:
    """I1, I3: an answered message is not answered again."""
    original = await mirror.append(message(1), POLICY)
    batch = await freeze(mirror)
    in_flight = await mirror.append(message(1), POLICY)
    await mirror.commit(TALK, 1, batch, "answered")
    ended = await mirror.append(message(1), POLICY)

    assert [in_flight.duplicate, ended.duplicate] == [True, True]
    assert [in_flight.seq, ended.seq] == [original.seq, original.seq]
    assert in_flight.frozen
    assert ended.waiting == 0
    assert (await mirror.load(TALK)).waiting == ()


async def test_a_full_conversation_refuses_and_stores_nothing(store: RedisStore, mirror: RedisMirror) -> None:
    """I8: waiting messages are bounded; a repeat of a stored message still gets its receipt."""
    narrow = WindowPolicy(max_waiting_messages=2)
    await mirror.append(message(1), narrow)
    await mirror.append(message(2), narrow)

    with pytest.raises(ConversationFull):
        await mirror.append(message(3), narrow)

    assert (await mirror.append(message(2), narrow)).duplicate
    assert ids(tuple(entry.message for entry in (await mirror.load(TALK)).waiting)) == ["M1", "M2"]
    assert (await Survey(store, mirror).totals(range(PARTITIONS))).acknowledged == 2


async def test_a_refusal_does_not_affect_the_rest_of_its_group(mirror: RedisMirror) -> None:
    """I9: a full conversation does not affect others stored in the same round trip."""
    narrow = WindowPolicy(max_waiting_messages=1)
    group = [(message(1), narrow), (message(2), narrow), (message(3, contact="5522"), narrow)]
    outcomes = await mirror.append_group([AppendRequest(*one) for one in group])

    assert [isinstance(outcome, ConversationFull) for outcome in outcomes] == [False, True, False]


@pytest.mark.parametrize("field", ["instance", "contact", "id", "text"])
async def test_text_that_cannot_be_encoded_fails_alone(mirror: RedisMirror, field: str) -> None:
    """I9, I11: a lone surrogate does not affect the rest of its group, and is not quoted."""
    poison = msgspec.structs.replace(message(2), **{field: "secret \ud800"})
    before, refused, after = await mirror.append_group(
        [AppendRequest(one, POLICY) for one in (message(1), poison, message(3))]
    )

    assert isinstance(before, Receipt)
    assert isinstance(after, Receipt)
    assert isinstance(refused, ValueError)
    assert "secret" not in repr(refused)
    assert [entry.message.id for entry in (await mirror.load(TALK)).waiting] == ["M1", "M3"]
    with pytest.raises(ValueError, match="not valid Unicode"):
        await mirror.append(poison, POLICY)


async def test_pending_data_never_expires_and_ended_data_does(store: RedisStore, mirror: RedisMirror) -> None:
    """I2: nothing expires while it is pending, even if the conversation was idle before."""
    keys = place(TALK, PARTITIONS).own
    for number in (1, 2):
        await append(mirror, number)
        assert [await ttl(store, key) for key in (keys.queue, keys.state, keys.seen)] == [-1, -1, -1]
        batch = await freeze(mirror)
        assert [await ttl(store, key) for key in (keys.queue, keys.state, keys.seen)] == [-1, -1, -1]
        await mirror.commit(TALK, 1, batch, "answered")
        queue, state, seen = [await ttl(store, key) for key in (keys.queue, keys.state, keys.seen)]
        assert 0 < queue <= 300_000
        assert 300_000 < state <= 48 * 3_600_000
        assert 300_000 < seen <= 48 * 3_600_000
        for key in (keys.stats, keys.status):
            assert 0 < await ttl(store, key) <= 3_600_000


async def test_numbers_grow_even_if_the_clock_steps_back(store: RedisStore, mirror: RedisMirror) -> None:
    """I3: a sequence number and a batch number are never used twice."""
    ahead = (await mirror.append(message(1), POLICY)).now_ms + 3_600_000
    await set_state(store, seq=ahead, number=ahead)
    await freeze(mirror)

    assert (await mirror.append(message(2), POLICY)).seq == ahead + 1
    assert (await freeze(mirror)).number == ahead + 1


async def test_numbers_grow_even_if_the_state_was_lost(store: RedisStore, mirror: RedisMirror) -> None:
    """I3: time-like numbers need no state."""
    first = await mirror.append(message(1), POLICY)
    batch = await freeze(mirror)
    await mirror.commit(TALK, 1, batch, "answered")
    await store.command("DEL", place(TALK, PARTITIONS).own.state)
    while (await mirror.load(TALK)).now_ms <= batch.number:
        pass  # the state of a batch is not made and lost within one millisecond

    assert (await mirror.append(message(2), POLICY)).seq > first.seq
    assert (await freeze(mirror)).number > batch.number


async def test_a_stored_deadline_is_never_further_away_than_the_window(
    store: RedisStore, mirror: RedisMirror
) -> None:
    """I7: a clock that steps back an hour delays no answer by an hour."""
    await append(mirror, 1)
    far = (await mirror.load(TALK)).now_ms + 3_600_000
    await set_state(store, deadline=far)

    loaded = await mirror.load(TALK)
    assert loaded.deadline_ms is not None
    assert loaded.deadline_ms <= loaded.now_ms + WINDOW_MS

    batch = await freeze(mirror)
    await mirror.defer(TALK, 1, batch.number, 2.0, counts=True)
    await set_state(store, retry_at=far)
    loaded = await mirror.load(TALK)
    assert loaded.retry_at_ms is not None
    assert loaded.retry_at_ms <= loaded.now_ms + 2000


async def test_names_cannot_break_out_of_their_keys(store: RedisStore, mirror: RedisMirror) -> None:
    """I11: braces, colons, slashes and NUL in user text do not change a key; Arabic is stored intact."""
    hostile = Message(
        instance="{p000}:}*{ مطعم/x", contact="5:5\x00/..%2F", id="}{:\r\n\x00م", text="أهلاً\r\n$5", sent_at=1
    )
    await mirror.append(hostile, POLICY)
    keys = [key.decode() for key in await store.command("KEYS", "*")]

    assert all(key.count("{") == 1 and key.count("}") == 1 for key in keys)
    assert (await mirror.append(hostile, POLICY)).duplicate
    snapshots, _ = await Survey(store, mirror).recover(range(PARTITIONS))
    assert [one.conversation for one in snapshots] == [Conversation(hostile.instance, hostile.contact)]
    assert snapshots[0].waiting[0].message == hostile


# --- freeze ---


async def test_a_frozen_batch_never_changes(mirror: RedisMirror) -> None:
    """I3: whatever arrives and however often it is frozen, the batch stays the same."""
    await append(mirror, 1, 2, 3)
    batch = await freeze(mirror)
    await append(mirror, 4, 5, 6, 7, 8, 9)

    assert await mirror.freeze(TALK, 1, "drain", WindowPolicy(max_batch_messages=1)) == batch
    assert ids(batch.messages) == ["M1", "M2", "M3"]
    assert batch.why == "timeout"
    assert (batch.lo, batch.hi) == (batch.entries[0].seq, batch.entries[-1].seq)
    assert batch.opened_at_ms == batch.entries[0].at_ms


async def test_freezing_an_empty_conversation_does_nothing(mirror: RedisMirror) -> None:
    """I3: there are no empty batches."""
    assert await mirror.freeze(TALK, 1, "flush", POLICY) is None
    await append(mirror, 1)
    await mirror.commit(TALK, 1, await freeze(mirror), "answered")
    assert await mirror.freeze(TALK, 1, "flush", POLICY) is None


async def test_messages_beyond_a_batch_make_the_next_batch(mirror: RedisMirror) -> None:
    """I3, I7: batches are contiguous; the remainder has the window of its own first message."""
    small = WindowPolicy(max_batch_messages=2)
    await append(mirror, 1, 2, 3, 4)
    batch = await freeze(mirror, small)
    rest = await mirror.load(TALK)

    assert ids(batch.messages) == ["M1", "M2"]
    assert [entry.message.id for entry in rest.waiting] == ["M3", "M4"]
    assert rest.deadline_ms == rest.waiting[0].at_ms + WINDOW_MS

    await mirror.commit(TALK, 1, batch, "answered")
    following = await freeze(mirror, small)
    assert ids(following.messages) == ["M3", "M4"]
    assert following.lo > batch.hi
    assert following.number > batch.number


async def test_a_remainder_that_fills_a_window_is_due_at_once(mirror: RedisMirror) -> None:
    """I7: five remaining messages do not wait any longer."""
    await append(mirror, *range(8))
    await freeze(mirror, WindowPolicy(max_batch_messages=3))
    rest = await mirror.load(TALK)

    assert rest.deadline_ms is not None
    assert rest.deadline_ms <= rest.now_ms


async def test_a_message_during_the_turn_is_in_the_next_batch(mirror: RedisMirror) -> None:
    """I3: its window runs meanwhile, from its own arrival, and the commit returns it."""
    await append(mirror, 1)
    batch = await freeze(mirror)
    late = await mirror.append(message(2), POLICY)
    after = await mirror.commit(TALK, 1, batch, "answered")

    assert late.frozen
    assert late.waiting == 1
    assert late.deadline_ms == late.at_ms + WINDOW_MS
    assert [entry.message.id for entry in after.waiting] == ["M2"]
    assert after.deadline_ms == late.deadline_ms
    assert not after.frozen


async def test_a_damaged_entry_affects_nothing_else(store: RedisStore, mirror: RedisMirror) -> None:
    """I2, I14: it blocks neither recovery nor the messages around it, and it does not vanish."""
    await append(mirror, 1, 2)
    keys = place(TALK, PARTITIONS).own
    (identity, _), *_ = await store.command("XRANGE", keys.queue, "-", "+")
    last = int(identity.partition(b"-")[0]) + 10_000
    await store.command("XADD", keys.queue, f"{last}-0", "m", b"\xff{", "at", 1)
    await set_state(store, seq=last, waiting=3)

    assert len((await mirror.load(TALK)).waiting) == 3
    batch = await freeze(mirror)
    assert [entry.message.kind for entry in batch.entries] == ["text", "text", "unreadable"]


async def test_a_conversation_holds_no_more_bytes_than_can_be_loaded_at_once(mirror: RedisMirror) -> None:
    """I8: beyond a few megabytes it is full; after the freeze it accepts messages again."""
    huge = msgspec.structs.replace(message(1), text="x" * 1_500_000)
    for number in range(2):
        await mirror.append(msgspec.structs.replace(huge, id=f"huge{number}"), POLICY)
    with pytest.raises(ConversationFull):
        await mirror.append(huge, POLICY)
    await freeze(mirror)
    assert not (await mirror.append(huge, POLICY)).duplicate


# --- defer ---


async def test_a_deferred_batch_counts_attempts_and_has_a_retry_time(mirror: RedisMirror) -> None:
    """I10: a batch that waits for a retry always has an alarm."""
    await append(mirror, 1)
    batch = await freeze(mirror)
    await mirror.defer(TALK, 1, batch.number, 3.0, counts=True)
    deferred = await mirror.load(TALK)
    await mirror.defer(TALK, 1, batch.number, 0.0, counts=False)

    assert deferred.frozen
    assert deferred.retry_at_ms is not None
    assert deferred.now_ms < deferred.retry_at_ms <= deferred.now_ms + 3000
    assert (await mirror.due(dict.fromkeys(range(PARTITIONS), 1)))[:2] == ([TALK], [])

    again = await freeze(mirror)
    assert again.attempts == 1
    assert (again.number, again.lo, again.hi, again.entries) == (
        batch.number,
        batch.lo,
        batch.hi,
        batch.entries,
    )
    assert (await mirror.load(TALK)).retry_at_ms is None
    assert (await mirror.due(dict.fromkeys(range(PARTITIONS), 1)))[:2] == ([], [])


async def test_a_batch_that_ended_is_not_deferred(mirror: RedisMirror) -> None:
    """I3: a late defer touches neither the ended batch nor the next."""
    await append(mirror, 1)
    batch = await freeze(mirror)
    await mirror.commit(TALK, 1, batch, "answered")
    await append(mirror, 2)
    following = await freeze(mirror)
    await mirror.defer(TALK, 1, batch.number, 60.0, counts=True)

    assert await freeze(mirror) == following


# --- commit ---


async def test_commit_is_idempotent(store: RedisStore, mirror: RedisMirror) -> None:
    """I2, I3: repeating it, even after the next batch was frozen, changes and counts nothing."""
    survey = Survey(store, mirror)
    await append(mirror, 1, 2)
    batch = await freeze(mirror)
    await append(mirror, 3)
    once = await mirror.commit(TALK, 1, batch, "answered")
    twice = await mirror.commit(TALK, 1, batch, "answered")
    following = await freeze(mirror)
    await mirror.commit(TALK, 1, batch, "dead")

    assert once.waiting == twice.waiting
    assert await freeze(mirror) == following
    totals = await survey.totals(range(PARTITIONS))
    assert (totals.acknowledged, totals.answered, totals.dead, totals.pending) == (3, 2, 0, 1)


async def test_processed_entries_are_trimmed_and_pending_ones_never(
    store: RedisStore, mirror: RedisMirror
) -> None:
    """I2, I8: only processed messages older than five minutes are trimmed."""
    keys = place(TALK, PARTITIONS).own
    old = (await mirror.load(TALK)).now_ms - 400_000
    for offset in range(4):
        payload = b'{"instance":"demo","contact":"5511999","id":"M%d","text":"t","sent_at":1}' % offset
        await store.command("XADD", keys.queue, f"{old + offset}-0", "m", payload, "at", old + offset)
        await store.command("ZADD", keys.seen, old + offset - 72 * 3_600_000, f"M{offset}")
    await set_state(store, seq=old + 3, waiting=4, first=old, deadline=old, window=WINDOW_MS)
    batch = await freeze(mirror, WindowPolicy(max_batch_messages=2))
    await mirror.commit(TALK, 1, batch, "answered")

    left = await store.command("XRANGE", keys.queue, "-", "+")
    assert [entry[0] for entry in left] == [b"%d-0" % (old + 2), b"%d-0" % (old + 3)]


async def test_ids_of_pending_messages_are_never_forgotten(store: RedisStore, mirror: RedisMirror) -> None:
    """I1: ids are forgotten by age only after their message was processed."""
    keys = place(TALK, PARTITIONS).own
    await append(mirror, 1, 2, 3)
    batch = await freeze(mirror, WindowPolicy(max_batch_messages=1))
    await store.command("ZADD", keys.seen, 5, "ancient")
    await mirror.commit(TALK, 1, batch, "answered")

    known = await store.command("ZRANGE", keys.seen, 0, -1)
    assert known == [b"M1", b"M2", b"M3"]


async def test_a_moved_message_keeps_its_arrival_and_is_counted_once(
    store: RedisStore, mirror: RedisMirror
) -> None:
    """I2, I7: it was acknowledged under its LID before, and has waited since."""
    survey = Survey(store, mirror)
    lid = message(1, contact="77@lid")
    arrived = await mirror.append(lid, POLICY)
    batch = await mirror.freeze(lid.conversation, 1, "flush", POLICY)
    assert batch is not None
    here = await mirror.append(message(2), POLICY)
    moved = await mirror.append(message(1), POLICY, at_ms=arrived.at_ms)
    repeated = await mirror.append(message(1), POLICY, at_ms=arrived.at_ms)
    await mirror.commit(lid.conversation, 1, batch, "moved")

    assert moved.at_ms == arrived.at_ms
    assert moved.deadline_ms == arrived.at_ms + WINDOW_MS <= here.deadline_ms
    assert repeated.duplicate
    totals = await survey.totals(range(PARTITIONS))
    assert (totals.acknowledged, totals.moved_in, totals.moved_out, totals.pending) == (2, 1, 1, 2)


async def due_at(store: RedisStore) -> int:
    key, _, shared = place(TALK, PARTITIONS)
    return int(float(await store.command("ZSCORE", shared.due, key)))


async def test_a_conversation_is_due_exactly_when_it_needs_attention(
    store: RedisStore, mirror: RedisMirror
) -> None:
    """I10: at the end of its window, at the alarm of its batch, at its retry, at the end of the next window."""
    first = await mirror.append(message(1), POLICY)
    assert await due_at(store) == first.deadline_ms
    batch = await freeze(mirror)
    assert await due_at(store) == batch.frozen_at_ms + 60_000
    late = await mirror.append(message(2), POLICY)
    assert await due_at(store) == batch.frozen_at_ms + 60_000, "the batch in flight keeps its alarm"
    again = await freeze(mirror)
    assert again == batch
    await mirror.defer(TALK, 1, batch.number, 30.0, counts=True)
    assert await due_at(store) == (await mirror.load(TALK)).retry_at_ms
    await mirror.commit(TALK, 1, batch, "answered")
    assert await due_at(store) == late.deadline_ms


async def test_counts_of_a_lost_state_stay_sound(store: RedisStore, mirror: RedisMirror) -> None:
    """I2, I8: more is in the queue than was counted: what is left counts for one at least, and no bytes are owed."""
    await append(mirror, 1, 2, 3)
    await set_state(store, waiting=1, bytes=1)
    await freeze(mirror, WindowPolicy(max_batch_messages=2))
    state = place(TALK, PARTITIONS).own.state
    assert await store.command("HMGET", state, "waiting", "bytes") == [b"1", b"0"]


async def test_ids_are_forgotten_by_age_and_by_number_after_their_end(
    store: RedisStore, mirror: RedisMirror
) -> None:
    """I1, I8: 48 hours, and 10,000 of those that ended; what waits is counted besides."""
    keys = place(TALK, PARTITIONS).own
    now = (await mirror.load(TALK)).now_ms
    old, kept = now - 49 * 3_600_000, now - 47 * 3_600_000
    await store.command("ZADD", keys.seen, old, "old")
    many = [part for number in range(10_005) for part in (kept + number, f"ended{number}")]
    await store.command("ZADD", keys.seen, *many)
    await append(mirror, 1, 2)
    batch = await freeze(mirror, WindowPolicy(max_batch_messages=1))
    await mirror.commit(TALK, 1, batch, "answered")

    known = await store.command("ZRANGE", keys.seen, 0, -1)
    assert known[0] == b"ended6", "10,000 that ended, M1 among them"
    assert (known[-2:], len(known)) == ([b"M1", b"M2"], 10_001)


async def test_an_old_id_is_forgotten_unless_its_message_waits(
    mirror: RedisMirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I1, I8: by age alone, with few ids; a message that has waited for longer than ids are kept still counts once."""
    monkeypatch.setattr("daemon.mirror.mirror.KEEP_IDS_SECONDS", 0)
    await append(mirror, 1, 2)
    batch = await freeze(mirror, WindowPolicy(max_batch_messages=1))
    await mirror.commit(TALK, 1, batch, "answered")
    again = [(await mirror.append(message(number), POLICY)).duplicate for number in (1, 2)]
    assert again == [False, True]


async def test_a_stale_epoch_tidies_nothing(store: RedisStore, mirror: RedisMirror) -> None:
    """I5"""
    key, _, shared = place(TALK, PARTITIONS)
    await store.command("SADD", shared.active, key)
    assert await Upkeep(store, PARTITIONS).tidy({TALK: 2}) == []
    assert await store.command("SISMEMBER", shared.active, key) == 1
    assert await Upkeep(store, PARTITIONS).tidy({TALK: 1}) == [TALK]


async def test_a_clock_that_steps_back_between_two_appends_puts_nothing_off(
    store: RedisStore, mirror: RedisMirror
) -> None:
    """I7: the first came an hour ahead by the clock of then: the second brings its end back to a window from now."""
    first = await mirror.append(message(1), POLICY)
    await set_state(store, deadline=first.deadline_ms + 3_600_000)
    second = await mirror.append(message(2), POLICY)
    assert second.deadline_ms == second.now_ms + WINDOW_MS
    assert await due_at(store) == second.deadline_ms


# --- epochs ---


async def test_only_the_current_epoch_may_act(mirror: RedisMirror) -> None:
    """I5: a replaced owner changes nothing; neither does one that never held the partition."""
    await append(mirror, 1)
    batch = await freeze(mirror)
    await mirror.fence(dict.fromkeys(range(PARTITIONS), 2), "other")
    before = await mirror.load(TALK)

    for epoch in (1, 3):
        with pytest.raises(StaleEpoch):
            await mirror.freeze(TALK, epoch, "timeout", POLICY)
        with pytest.raises(StaleEpoch):
            await mirror.defer(TALK, epoch, batch.number, 5.0, counts=True)
        with pytest.raises(StaleEpoch):
            await mirror.commit(TALK, epoch, batch, "answered")
        assert (await mirror.due(dict.fromkeys(range(PARTITIONS), epoch)))[:2] == (
            [],
            list(range(PARTITIONS)),
        )

    after = await mirror.load(TALK)
    assert (after.waiting, after.frozen, after.retry_at_ms) == (
        before.waiting,
        before.frozen,
        before.retry_at_ms,
    )
    assert await mirror.freeze(TALK, 2, "timeout", POLICY) == batch


async def test_an_older_epoch_cannot_take_a_partition(mirror: RedisMirror) -> None:
    """I5: epochs only grow; the same owner may claim its partition again."""
    await mirror.fence({3: 7}, "new")

    assert await mirror.fence({2: 1, 3: 6}, "old") == {3: 7}
    assert await mirror.fence({3: 7}, "new") == {}


async def test_after_a_flush_no_epoch_may_act(store: RedisStore, mirror: RedisMirror) -> None:
    """I5, I15: without the lock nothing can be frozen until the partition is fenced again."""
    await append(mirror, 1)
    await store.command("FLUSHALL")
    with pytest.raises(StaleEpoch):
        await mirror.freeze(TALK, 1, "timeout", POLICY)


# --- whose data ---


async def test_a_redis_that_was_flushed_stores_nothing(store: RedisStore, mirror: RedisMirror) -> None:
    """I1, I15: already the next append is refused, and fencing does not make it ours again."""
    await append(mirror, 1)
    await store.command("FLUSHALL")
    for number in (1, 2):  # a repeat is not acknowledged either: its message is gone
        with pytest.raises(MirrorUnavailable, match=r"^foreign$"):
            await append(mirror, number)
    with pytest.raises(MirrorUnavailable, match=r"^foreign$"):
        await mirror.fence({0: 2}, "test")
    assert await store.command("KEYS", "*") == []


async def test_a_redis_emptied_after_the_check_of_its_stamp_is_not_fenced(
    store: RedisStore, mirror: RedisMirror
) -> None:
    """I15: stamp and locks are in different slots; the fence needs the lock that came with the stamp."""
    locks = [PartitionKeys.of(partition).lock for partition in range(PARTITIONS)]
    await store.command("DEL", *locks)
    assert await mirror.fence(dict.fromkeys(range(PARTITIONS), 2), "test") == dict.fromkeys(
        range(PARTITIONS), 0
    )
    assert await store.command("EXISTS", *locks) == 0


async def test_the_redis_of_another_installation_is_not_touched(
    store: RedisStore, mirror: RedisMirror
) -> None:
    """I1, I15: not even where both are at the same epoch, by chance."""
    await append(mirror, 1)
    await store.command("FLUSHALL")
    await fenced_mirror(store, installation="theirs")
    await append(mirror, 1)
    batch = await freeze(mirror)
    store.expect(INSTALLATION)
    before = await mirror.load(TALK)

    for number in (1, 2):
        with pytest.raises(MirrorUnavailable, match=r"^foreign$"):
            await append(mirror, number)
    with pytest.raises(StaleEpoch):
        await freeze(mirror)
    with pytest.raises(StaleEpoch):
        await mirror.defer(TALK, 1, batch.number, 5.0, counts=True)
    with pytest.raises(StaleEpoch):
        await mirror.commit(TALK, 1, batch, "answered")
    epochs = dict.fromkeys(range(PARTITIONS), 1)
    assert (await mirror.due(epochs))[:2] == ([], list(range(PARTITIONS)))
    assert await Upkeep(store, PARTITIONS).strays(epochs, -600) == []
    assert await Upkeep(store, PARTITIONS).tidy({TALK: 1}) == []
    with pytest.raises(MirrorUnavailable, match=r"^foreign$"):
        await mirror.fence(dict.fromkeys(range(PARTITIONS), 9), "test")
    after = await mirror.load(TALK)
    assert (after.waiting, after.frozen) == (before.waiting, before.frozen)


async def test_an_older_copy_of_our_own_redis_is_fenced_anew(store: RedisStore, mirror: RedisMirror) -> None:
    """I2, I5: it is ours and stores; nobody acts in it until its owner fenced it under the present epoch."""
    await append(mirror, 1)
    for epoch in (5, 6):
        with pytest.raises(StaleEpoch):
            await mirror.freeze(TALK, epoch, "timeout", POLICY)
    await append(mirror, 2)
    assert await mirror.fence(dict.fromkeys(range(PARTITIONS), 6), "test") == {}
    batch = await mirror.freeze(TALK, 6, "timeout", POLICY)
    assert batch is not None
    assert ids(batch.messages) == ["M1", "M2"]


async def test_a_lock_of_the_version_before_is_accepted_until_it_is_fenced(
    store: RedisStore, mirror: RedisMirror
) -> None:
    """A rolling upgrade: such a lock names no installation; the next fence names it."""
    for partition in range(PARTITIONS):
        await store.command("HDEL", PartitionKeys.of(partition).lock, "install")
    await append(mirror, 1)
    assert ids((await freeze(mirror)).messages) == ["M1"]
    assert await mirror.fence(dict.fromkeys(range(PARTITIONS), 2), "test") == {}
    store.expect("theirs")
    with pytest.raises(MirrorUnavailable, match=r"^foreign$"):
        await append(mirror, 2)


async def test_a_new_redis_stores_before_it_is_fenced(store: RedisStore) -> None:
    """I1, I2: from its stamp on it is ours: what another daemon appends is found when its owner has fenced it."""
    await stamp(store)
    mirror = RedisMirror(store, PARTITIONS)
    await append(mirror, 1)
    with pytest.raises(StaleEpoch):
        await freeze(mirror)
    assert ids((await freeze(await fenced_mirror(store))).messages) == ["M1"]


# --- many ---


@pytest.mark.parametrize("is_split", [False, True], ids=["together", "apart"])
async def test_what_is_due_comes_in_portions_and_none_is_left_out(
    store: RedisStore, mirror: RedisMirror, is_split: bool
) -> None:
    """I2, I8, I10: an answer is bounded, and the next one goes on behind it, also between those of one moment."""
    for number in range(40):
        await mirror.append(message(number, contact=str(number)), WindowPolicy(window_seconds=0.0))
    for part in range(PARTITIONS):  # many of one moment
        key = PartitionKeys.of(part).due
        members = await store.command("ZRANGE", key, 0, -1)
        if members and part % 2:
            await store.command("ZADD", key, *(one for member in members for one in (1000, member)))
    if is_split:
        store.split()
    await store.command("SET", CHANGES, 7)
    epochs = dict.fromkeys(range(PARTITIONS), 1)
    found, goes_on, answers = list[Conversation](), None, 0
    while goes_on is not None or not answers:
        first = goes_on.partition if goes_on else 0
        page = await mirror.due(
            {part: 1 for part in epochs if part >= first}, goes_on=goes_on, limit=PARTITIONS
        )
        assert len(page.conversations) <= PARTITIONS and page.changes == b"7"
        found, goes_on, answers = [*found, *page.conversations], page.goes_on, answers + 1
        assert answers < 60
    assert len(set(found)) == 40
    assert is_split or len(found) == 40
    recent = (await mirror.due(epochs, 60.0)).conversations
    assert set(recent) == {one for one in found if not one.partition(PARTITIONS) % 2}, (
        "the others are long overdue"
    )


@pytest.mark.parametrize("is_split", [False, True], ids=["together", "apart"])
async def test_what_is_counted_in_portions_is_what_is_there(
    store: RedisStore, mirror: RedisMirror, monkeypatch: pytest.MonkeyPatch, is_split: bool
) -> None:
    """I2: every message and conversation once, however many there are; so is what is searched for."""
    monkeypatch.setattr("daemon.mirror.survey.CHUNK", 3)
    if is_split:
        store.split()
    for number in range(20):
        await mirror.append(message(number, contact=str(number)), POLICY)
    frozen = Conversation("demo", "7")
    assert await mirror.freeze(frozen, 1, "timeout", POLICY) is not None
    await mirror.append(message(99, contact="7"), POLICY)
    totals = await Survey(store, mirror).totals(range(PARTITIONS))
    assert (totals.acknowledged, totals.pending) == (21, 21)
    strays = await Upkeep(store, PARTITIONS).strays(dict.fromkeys(range(PARTITIONS), 1), -600)
    assert sorted(int(one.contact) for one in strays) == list(range(20))


async def test_recovery_finds_everything_pending(store: RedisStore, mirror: RedisMirror) -> None:
    """I2, I7: open windows with their deadlines, frozen batches, and nothing that ended."""
    receipts = {}
    for number in range(1200):
        one = message(number, contact=str(number))
        receipts[one.conversation] = await mirror.append(one, POLICY)
    ended, frozen = Conversation("demo", "7"), Conversation("demo", "8")
    for conversation in (ended, frozen):
        batch = await mirror.freeze(conversation, 1, "timeout", POLICY)
        assert batch is not None
        if conversation == ended:
            await mirror.commit(conversation, 1, batch, "suppressed")
    found = {one.conversation: one for one in (await Survey(store, mirror).recover(range(PARTITIONS)))[0]}

    assert found.keys() == receipts.keys() - {ended}
    assert found.pop(frozen).frozen
    for conversation, snapshot in found.items():
        assert snapshot.deadline_ms == receipts[conversation].deadline_ms
        assert [entry.seq for entry in snapshot.waiting] == [receipts[conversation].seq]


async def test_the_stamp_of_an_installation_is_never_changed(store: RedisStore, mirror: RedisMirror) -> None:
    """I15: two installations cannot share one Redis unnoticed."""
    survey = Survey(store, mirror)
    first = await survey.install(PARTITIONS)

    assert await survey.install(PARTITIONS * 2, "another") == first
    await store.command("FLUSHALL")
    assert (await survey.install(PARTITIONS, "rebuilt")).install_id == "rebuilt"


async def test_scripts_that_redis_forgot_are_loaded_again(store: RedisStore, mirror: RedisMirror) -> None:
    """I1: after a restart or failover the scripts are missing, and the first append is stored all the same."""
    await append(mirror, 1)
    await store.command("SCRIPT", "FLUSH")
    outcomes = await mirror.append_group([AppendRequest(message(number), POLICY) for number in range(1, 4)])

    assert [isinstance(outcome, Receipt) and outcome.duplicate for outcome in outcomes] == [
        True,
        False,
        False,
    ]


# --- what the mirror in memory must do as well, so that the simulation plays by the true rules ---


@pytest.fixture(params=["memory", "fakeredis", "redis"])
async def any_mirror(request: pytest.FixtureRequest) -> AsyncIterator[Mirror]:
    if request.param == "memory":
        yield MemoryMirror()
    elif request.param == "fakeredis":
        async with fake_store() as fake:
            yield await fenced_mirror(fake)
    else:
        async with real_store(request.getfixturevalue("fresh_redis_url")) as real:
            yield await fenced_mirror(real)


async def frozen(mirror: Mirror, policy: WindowPolicy = POLICY) -> Batch:
    batch = await mirror.freeze(TALK, 1, "timeout", policy)
    assert batch is not None
    return batch


@pytest.mark.parametrize("epoch", [0, 2])
async def test_an_epoch_that_was_not_fenced_may_not_act(any_mirror: Mirror, epoch: int) -> None:
    """I5: a lease without its fence is not enough, although its epoch be higher."""
    await any_mirror.append(message(1), POLICY)
    batch = await frozen(any_mirror)
    with pytest.raises(StaleEpoch):
        await any_mirror.freeze(TALK, epoch, "timeout", POLICY)
    with pytest.raises(StaleEpoch):
        await any_mirror.defer(TALK, epoch, batch.number, 1.0, counts=True)
    with pytest.raises(StaleEpoch):
        await any_mirror.commit(TALK, epoch, batch, "answered")
    assert await frozen(any_mirror) == batch


async def test_a_receipt_tells_when_its_message_arrived(any_mirror: Mirror) -> None:
    """Of a repeat and of a moved message too; once nothing waits, nothing is left of a window."""
    first = await any_mirror.append(message(1), POLICY)
    moved = await any_mirror.append(message(2), POLICY, at_ms=first.at_ms - 3000)
    assert (moved.at_ms, moved.deadline_ms) == (first.at_ms - 3000, first.deadline_ms - 3000)
    again = await any_mirror.append(message(2), POLICY)
    assert (again.duplicate, again.seq, again.at_ms) == (True, moved.seq, moved.at_ms)
    assert (again.deadline_ms, again.waiting, again.frozen) == (moved.deadline_ms, 2, False)
    await any_mirror.commit(TALK, 1, await frozen(any_mirror), "answered")
    ended = await any_mirror.append(message(2), POLICY)
    assert (ended.duplicate, ended.seq, ended.waiting, ended.frozen) == (True, moved.seq, 0, False)
    assert ended.deadline_ms == ended.now_ms


async def test_a_batch_opened_with_the_earliest_arrival(any_mirror: Mirror) -> None:
    """I7: messages that move here bring their earlier time along, in whatever order they come."""
    first = await any_mirror.append(message(1), POLICY)
    await any_mirror.append(message(2), POLICY, at_ms=first.at_ms - 3000)
    await any_mirror.append(message(3), POLICY, at_ms=first.at_ms - 1000)
    assert (await frozen(any_mirror)).opened_at_ms == first.at_ms - 3000


async def test_what_does_not_fit_into_a_batch_has_a_window_of_its_own(any_mirror: Mirror) -> None:
    """I7: from its first message, and none where enough waits to close it."""
    policy = WindowPolicy(window_seconds=8.0, max_messages=3, max_batch_messages=2)
    receipts = [await any_mirror.append(message(number), policy) for number in range(7)]
    rest = await any_mirror.commit(TALK, 1, await frozen(any_mirror, policy), "answered")
    assert rest.deadline_ms is not None and rest.deadline_ms <= rest.now_ms
    await any_mirror.commit(TALK, 1, await frozen(any_mirror, policy), "answered")
    batch = await frozen(any_mirror, policy)
    assert batch.opened_at_ms == receipts[4].at_ms
    last = await any_mirror.commit(TALK, 1, batch, "answered")
    assert last.deadline_ms == receipts[6].at_ms + WINDOW_MS


async def test_the_end_of_a_batch_that_the_mirror_lost_does_nothing(any_mirror: Mirror) -> None:
    """I10: Redis came back empty, or from an older copy, while the turn ran."""
    batch = Batch(TALK, 7, 1, 1, "timeout", 0, 1, 1, ())
    await any_mirror.defer(TALK, 1, batch.number, 1.0, counts=True)
    assert (await any_mirror.commit(TALK, 1, batch, "answered")).waiting == ()
    await any_mirror.append(message(1), POLICY)
    await any_mirror.defer(TALK, 1, batch.number, 1.0, counts=True)
    snapshot = await any_mirror.commit(TALK, 1, batch, "answered")
    assert (len(snapshot.waiting), snapshot.retry_at_ms) == (1, None)
    assert (await frozen(any_mirror)).attempts == 0


REACTION = msgspec.structs.replace(message(90), aside="reaction", text='"aside":"" and "album":"X"')
EDIT = msgspec.structs.replace(message(91), amends="M1", kind="edit")
HEADER = msgspec.structs.replace(message(92), album="M92", album_size=3)
PARTS = [msgspec.structs.replace(message(93 + number), album="M92") for number in range(3)]


async def test_what_speaks_after_asides_is_heard_out(any_mirror: Mirror) -> None:
    """I7: from the first message that speaks, and no longer; a reaction alone has its end too."""
    now_ms = (await any_mirror.load(TALK)).now_ms
    early = await any_mirror.append(REACTION, POLICY, at_ms=now_ms - 5_000)
    assert early.deadline_ms == now_ms + 3_000
    other = await any_mirror.append(EDIT, POLICY)
    assert other.deadline_ms == early.deadline_ms
    said = await any_mirror.append(message(1), POLICY)
    assert said.deadline_ms == said.at_ms + WINDOW_MS
    more = await any_mirror.append(message(2), POLICY)
    assert more.deadline_ms == said.deadline_ms
    assert (await any_mirror.load(TALK)).deadline_ms == said.deadline_ms
    batch = await frozen(any_mirror)
    assert batch.opened_at_ms == said.at_ms
    assert len(batch.entries) == 4


async def test_an_album_is_one_message_and_asides_are_none(any_mirror: Mirror) -> None:
    """I7: whatever the customer writes in it, and whether its header comes or not."""
    quiet = msgspec.structs.replace(message(1), text='{"aside":"x","album":"M92"}')
    for one in (HEADER, *PARTS, REACTION, EDIT, quiet, message(2), message(3)):
        receipt = await any_mirror.append(one, POLICY)
        assert receipt.deadline_ms > receipt.now_ms, one.id
    fifth = await any_mirror.append(message(4), POLICY)
    assert fifth.deadline_ms <= fifth.now_ms


async def test_without_waiting_for_albums_each_part_counts(any_mirror: Mirror) -> None:
    policy = msgspec.structs.replace(POLICY, album_seconds=0.0, max_messages=4)
    receipts = [await any_mirror.append(one, policy) for one in (HEADER, *PARTS)]
    assert [one.deadline_ms <= one.now_ms for one in receipts] == [False, False, False, True]


@pytest.mark.parametrize("quiet", [True, False])
async def test_what_does_not_fit_into_a_batch_is_counted_anew(any_mirror: Mirror, quiet: bool) -> None:
    """I7: an album of which a part is left counts again; asides do not."""
    policy = msgspec.structs.replace(POLICY, max_messages=4, max_batch_messages=2)
    rest = [PARTS[1], REACTION, EDIT, message(5), message(6)] + ([] if quiet else [message(7)])
    for one in (HEADER, PARTS[0], *rest):
        await any_mirror.append(one, msgspec.structs.replace(policy, max_messages=50))
    await frozen(any_mirror, policy)
    left = await any_mirror.load(TALK)
    assert left.deadline_ms is not None and (left.deadline_ms > left.now_ms) == quiet
    last = await any_mirror.append(PARTS[2], policy)
    assert (last.deadline_ms > last.now_ms) == quiet, "another part of a known album"
    if quiet:
        full = await any_mirror.append(message(8), policy)
        assert full.deadline_ms <= full.now_ms


async def test_what_the_version_before_leaves_behind_puts_nothing_off(
    mirror: RedisMirror, store: RedisStore
) -> None:
    """I7: its scripts know nothing of asides, and freeze what they counted."""
    await mirror.append(REACTION, POLICY)
    await mirror.append(HEADER, POLICY)
    await mirror.commit(TALK, 1, await freeze(mirror), "answered")
    await set_state(store, quiet=1)
    await store.command("HSET", place(TALK, PARTITIONS).own.state, "albums", '"M92"')
    part = await mirror.append(PARTS[0], POLICY)
    later = await mirror.append(message(1), POLICY)
    assert later.deadline_ms == part.deadline_ms == part.at_ms + WINDOW_MS


# --- widen ---


def numbers(batch: Batch) -> list[str]:
    return [entry.message.id for entry in batch.entries]


async def widened(mirror: Mirror, batch: Batch, policy: WindowPolicy = POLICY) -> Batch:
    wide = await mirror.widen(TALK, 1, batch, policy)
    assert wide is not None
    return wide


async def test_a_widened_batch_holds_what_waited_under_the_same_number(any_mirror: Mirror) -> None:
    """I2, I3: nothing waits any more, no window is left, and the batch is the wide one whoever asks for it."""
    await any_mirror.append(message(1), POLICY)
    narrow = await frozen(any_mirror)
    await any_mirror.append(REACTION, POLICY)
    await any_mirror.append(message(2), POLICY)
    wide = await widened(any_mirror, narrow)
    assert numbers(wide) == ["M1", REACTION.id, "M2"]
    assert (wide.number, wide.lo, wide.supersedes, narrow.supersedes) == (narrow.number, narrow.lo, 1, 0)
    assert wide.hi == wide.entries[-1].seq
    assert (wide.opened_at_ms, wide.frozen_at_ms, wide.attempts) == (
        narrow.opened_at_ms,
        narrow.frozen_at_ms,
        0,
    )
    state = await any_mirror.load(TALK)
    assert (state.waiting, state.deadline_ms, state.batch_number) == ((), None, narrow.number)
    assert await frozen(any_mirror) == wide
    late = await any_mirror.append(message(3), POLICY)
    assert (late.waiting, late.deadline_ms) == (1, late.at_ms + WINDOW_MS), "a window of its own"
    after = await any_mirror.commit(TALK, 1, wide, "answered")
    assert [entry.message.id for entry in after.waiting] == ["M3"]
    following = await frozen(any_mirror)
    assert (numbers(following), following.supersedes) == (["M3"], 0)


async def test_widening_again_changes_nothing(any_mirror: Mirror) -> None:
    """I3: a lost answer is asked for once more; what came meanwhile is for the next time."""
    await any_mirror.append(message(1), POLICY)
    narrow = await frozen(any_mirror)
    await any_mirror.append(message(2), POLICY)
    wide = await widened(any_mirror, narrow)
    await any_mirror.append(message(3), POLICY)
    assert await widened(any_mirror, narrow) == wide
    wider = await widened(any_mirror, wide)
    assert (numbers(wider), wider.supersedes) == (["M1", "M2", "M3"], 2)


async def test_only_the_frozen_batch_is_widened_and_only_by_its_owner(any_mirror: Mirror) -> None:
    """I3, I5."""
    await any_mirror.append(message(1), POLICY)
    first = await frozen(any_mirror)
    await any_mirror.append(message(2), POLICY)
    for epoch in (0, 2):
        with pytest.raises(StaleEpoch):
            await any_mirror.widen(TALK, epoch, first, POLICY)
    await any_mirror.commit(TALK, 1, first, "answered")
    assert await any_mirror.widen(TALK, 1, first, POLICY) is None
    second = await frozen(any_mirror)
    assert await any_mirror.widen(TALK, 1, first, POLICY) is None
    assert await frozen(any_mirror) == second


async def test_a_batch_is_widened_no_further_than_it_may_be(any_mirror: Mirror) -> None:
    """I8: the rest has a window of its own; and that nothing fitted counts too, or it would go on for ever."""
    small = msgspec.structs.replace(POLICY, max_batch_messages=3)
    for number in (1, 2):
        await any_mirror.append(message(number), POLICY)
    narrow = await frozen(any_mirror, small)
    receipts = [await any_mirror.append(message(number), POLICY) for number in (3, 4, 5)]
    wide = await widened(any_mirror, narrow, small)
    assert numbers(wide) == ["M1", "M2", "M3"]
    rest = await any_mirror.load(TALK)
    assert [entry.message.id for entry in rest.waiting] == ["M4", "M5"]
    assert rest.deadline_ms == receipts[1].at_ms + WINDOW_MS
    again = await widened(any_mirror, wide, small)
    assert (numbers(again), again.hi, again.supersedes) == (numbers(wide), wide.hi, 2)
    still = await any_mirror.load(TALK)
    assert (still.waiting, still.deadline_ms) == (rest.waiting, rest.deadline_ms)


async def test_an_edit_and_what_follows_it_wait_for_the_next_batch(any_mirror: Mirror) -> None:
    await any_mirror.append(message(1), POLICY)
    narrow = await frozen(any_mirror)
    for one in (message(2), EDIT, message(3)):
        await any_mirror.append(one, POLICY)
    assert numbers(await widened(any_mirror, narrow)) == ["M1", "M2"]
    assert [entry.message.id for entry in (await any_mirror.load(TALK)).waiting] == [EDIT.id, "M3"]


async def test_a_widened_batch_can_be_read_in_one_reply(mirror: RedisMirror) -> None:
    """I8: as many bytes as may wait, however often it is widened."""
    huge = msgspec.structs.replace(message(1), text="x" * 1_500_000)
    await mirror.append(huge, POLICY)
    batch = await freeze(mirror)
    for number in (2, 3):
        await mirror.append(msgspec.structs.replace(huge, id=f"M{number}"), POLICY)
    batch = await widened(mirror, batch)
    assert numbers(batch) == ["M1", "M2"]
    await mirror.commit(TALK, 1, batch, "answered")
    assert numbers(await freeze(mirror)) == ["M3"]


async def test_what_the_version_before_leaves_behind_widens_nothing_less(
    store: RedisStore, mirror: RedisMirror
) -> None:
    """Its commit knows nothing of widened batches."""
    await append(mirror, 1)
    await set_state(store, supersedes=2)
    assert (await freeze(mirror)).supersedes == 0
    assert (await freeze(mirror)).supersedes == 0


async def test_a_widened_batch_is_counted_whole_and_keeps_its_alarm(
    store: RedisStore, mirror: RedisMirror
) -> None:
    """I2, I10."""
    await append(mirror, 1)
    narrow = await freeze(mirror)
    await append(mirror, 2, 3)
    wide = await widened(mirror, narrow)
    assert await due_at(store) >= narrow.frozen_at_ms + 60_000
    assert await store.command("HMGET", place(TALK, PARTITIONS).own.state, "waiting", "bytes") == [b"0", b"0"]
    totals = Survey(store, mirror).totals
    assert (await totals(range(PARTITIONS))).pending == 3
    await mirror.commit(TALK, 1, wide, "answered")
    assert (await totals(range(PARTITIONS))).answered == 3
    assert not await store.command("HEXISTS", place(TALK, PARTITIONS).own.state, "supersedes")


QUIET = msgspec.structs.replace(POLICY, kind="quiet", quiet_seconds=5.0, max_seconds=60.0)


async def test_by_quiet_whatever_speaks_moves_the_end_and_nothing_else_does(any_mirror: Mirror) -> None:
    """I7: a part of a known album speaks and does not count; the last one that speaks says how long."""
    for one in (message(1), HEADER, *PARTS, message(2)):
        receipt = await any_mirror.append(one, QUIET)
        assert receipt.deadline_ms == receipt.at_ms + 5_000, one.id
    for one in (REACTION, EDIT):
        assert (await any_mirror.append(one, QUIET)).deadline_ms == receipt.deadline_ms
    assert (await any_mirror.load(TALK)).deadline_ms == receipt.deadline_ms
    await any_mirror.append(message(3), QUIET)
    fifth = await any_mirror.append(message(4), QUIET)
    assert fifth.deadline_ms <= fifth.now_ms


async def test_by_quiet_no_window_is_longer_than_it_may(any_mirror: Mirror) -> None:
    """I7: from its first message, one that was moved here included; and what was moved shortens nothing."""
    policy = msgspec.structs.replace(QUIET, max_seconds=20.0)
    first = await any_mirror.append(message(1), policy)
    old = await any_mirror.append(message(2), policy, at_ms=first.at_ms - 4_000)
    assert old.deadline_ms == first.deadline_ms
    await any_mirror.append(message(3), policy, at_ms=first.at_ms - 18_000)
    last = await any_mirror.append(message(4), policy)
    assert last.deadline_ms == first.at_ms + 2_000


async def test_another_policy_counts_from_the_next_message_on(any_mirror: Mirror) -> None:
    """I7: so does the word of a daemon that knows the rule alone. What is stored stands until then."""
    first = await any_mirror.append(message(1), POLICY)
    longer = await any_mirror.append(message(2), msgspec.structs.replace(QUIET, quiet_seconds=30.0))
    assert longer.deadline_ms == longer.at_ms + 30_000 > first.deadline_ms
    assert (await any_mirror.append(message(3), POLICY)).deadline_ms == longer.deadline_ms
    assert (await any_mirror.load(TALK)).deadline_ms == longer.deadline_ms
    shorter = await any_mirror.append(message(4), QUIET)
    assert shorter.deadline_ms == shorter.at_ms + 5_000


async def test_a_quiet_window_that_another_daemon_made_longer_is_not_frozen(any_mirror: Mirror) -> None:
    """I7: its owner knows of its own messages alone. Who closes it for another reason may."""
    await any_mirror.append(message(1), QUIET)
    assert await any_mirror.freeze(TALK, 1, "quiet", QUIET) is None
    assert not (await any_mirror.load(TALK)).frozen
    batch = await any_mirror.freeze(TALK, 1, "flush", QUIET)
    assert batch is not None
    assert await any_mirror.freeze(TALK, 1, "quiet", QUIET) == batch
    await any_mirror.commit(TALK, 1, batch, "answered")
    moment = msgspec.structs.replace(QUIET, quiet_seconds=0.001)
    await any_mirror.append(message(2), moment)
    while (batch := await any_mirror.freeze(TALK, 1, "quiet", moment)) is None:
        pass  # a millisecond
    assert (batch.why, len(batch.entries)) == ("quiet", 1)


async def test_a_quiet_window_is_frozen_although_the_clock_was_set_back(
    store: RedisStore, mirror: RedisMirror
) -> None:
    """I7: its stored end would come in an hour; its owner has waited the whole of it."""
    heard = await mirror.append(message(1), QUIET)
    await set_state(store, deadline=heard.deadline_ms + 3_600_000)
    batch = await mirror.freeze(TALK, 1, "quiet", QUIET)
    assert batch is not None and batch.why == "quiet"


async def test_what_does_not_fit_into_a_batch_is_heard_out_from_its_last_message(any_mirror: Mirror) -> None:
    policy = msgspec.structs.replace(QUIET, max_batch_messages=1, max_seconds=100.0)
    first = await any_mirror.append(message(1), policy)
    await any_mirror.append(message(2), policy, at_ms=first.at_ms - 3_000)
    last = await any_mirror.append(message(3), policy)
    await any_mirror.append(REACTION, policy)
    assert await any_mirror.freeze(TALK, 1, "flush", policy) is not None
    assert (await any_mirror.load(TALK)).deadline_ms == last.at_ms + 5_000
