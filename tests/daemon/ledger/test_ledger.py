"""The steps of a turn in Postgres: what they write, and that each is safe to repeat."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import pytest
import trio
import trio_asyncio

from actors import repeats
from actors.amendments import amended
from actors.errors import StaleEpoch, TurnFailed
from actors.identity import Conversation
from actors.messages import Answer, Batch
from actors.outcome import NotSent, Sent, Unknown
from actors.ports import Turn
from actors.send_facts import Proof
from daemon.ledger import PostgresLedger, Records
from daemon.ledger.wire import text_hash
from daemon.stores.postgres import LedgerError
from tests.support.ledgers import (
    DEMO,
    LID,
    PARTITIONS,
    PHONE,
    LedgerWorld,
    batch,
    found,
    look,
    new_token,
    open_postgres,
    open_world,
    prepare,
    reply_of,
    until,
)
from tests.support.pg_proxy import PostgresProxy

ANSWER = Answer("one two", "rehearsal", "model", 3, 2)
OF_LID = Conversation("demo", LID)
UUID_TABLES = """
    CREATE TABLE whatsapp_instances (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(), instance_name varchar(80) NOT NULL UNIQUE, colour text);
    CREATE TABLE whatsapp_conversations (
        id uuid PRIMARY KEY, instance_id uuid NOT NULL REFERENCES whatsapp_instances, user_phone varchar(40) NOT NULL,
        status varchar(20) CHECK (status IN ('active', 'inactive', 'closed')), last_activity timestamp,
        conversation_data json, shop text DEFAULT 'main', UNIQUE (instance_id, user_phone));
    CREATE TABLE whatsapp_messages (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        conversation_id uuid NOT NULL REFERENCES whatsapp_conversations,
        sender_type varchar(20) CHECK (sender_type IN ('user', 'assistant')), content text,
        message_id varchar(80) UNIQUE, created_at timestamp DEFAULT now());
    INSERT INTO whatsapp_instances (instance_name) VALUES ('demo');
    INSERT INTO whatsapp_conversations
        SELECT gen_random_uuid(), id, '+5511900000001', 'inactive', now() - interval '1 day', '{"k": 1}'
        FROM whatsapp_instances;
    INSERT INTO whatsapp_messages (conversation_id, sender_type, content, message_id, created_at)
        SELECT id, 'user', 'before', 'old', now() - interval '1 day' FROM whatsapp_conversations;
"""


@pytest.fixture
async def world(migrated_postgres_dsn: str) -> AsyncIterator[LedgerWorld]:
    async with open_world(migrated_postgres_dsn) as world:
        yield world


async def states(world: LedgerWorld) -> list[str]:
    """Of all turns."""
    return [row["state"] for row in await world.rows("SELECT state FROM majlis_turns ORDER BY id")]


async def complete(world: LedgerWorld, turn: Turn, *parts: str) -> None:
    turn = await world.ledger.answer(turn, world.epoch, reply_of(ANSWER, *parts))
    for part in turn.parts:
        await world.ledger.claim(turn, world.epoch, part.number, False, new_token())
        await world.ledger.settle(turn, world.epoch, part.number, Sent(f"g{turn.id}.{part.number}"))
    await world.ledger.finish(turn, world.epoch)


async def test_what_was_found_later_is_stored_at_its_own_time(world: LedgerWorld) -> None:
    """The history is in the order in which things were said; a time that is none counts as now."""
    await complete(world, await world.ledger.begin(batch("hello"), 1), "one")
    hour_ago = int(time.time()) - 3600
    mixed = found(batch("long ago", "missed", number=2), "too_old", "missed", sent_at=hour_ago)
    turn = await world.ledger.begin(mixed, 1)
    assert await world.ledger.begin(mixed, 1) == turn
    assert await world.messages() == [
        ("user", "long ago"),
        ("user", "missed"),
        ("user", "hello"),
        ("assistant", "one"),
    ]
    [stored] = await world.rows(
        "SELECT extract(epoch FROM min(created_at))::float8 AS first FROM whatsapp_messages"
    )
    assert stored["first"] == hour_ago
    # To the responder, what is not to be answered is history, in its place.
    said = await look(world.lookups, turn, mixed, "history")
    assert [(entry.role, entry.text) for entry in said] == [
        ("user", "long ago"),
        ("user", "hello"),
        ("assistant", "one"),
    ]
    for number, odd in enumerate((0, -5, 2**62, hour_ago + 90_000), start=3):
        await world.ledger.begin(found(batch(f"odd {number}", number=number), "missed", sent_at=odd), 1)
    assert [text for _, text in await world.messages()][4:] == ["odd 3", "odd 4", "odd 5", "odd 6"]


async def test_what_is_set_aside_is_history_as_its_writer_left_it(world: LedgerWorld) -> None:
    """The history has the edited text, no line of what was emptied, and says what was deleted later."""
    said = batch("2 boxes", "my PIN is 1234", "3 boxes", "", "[reacted]", "old question")
    hour_ago = int(time.time()) - 3600
    changes: list[dict[str, object]] = [
        {},
        {},
        {"kind": "edit", "amends": said.messages[0].id},
        {"kind": "deletion", "amends": said.messages[1].id},
        {"kind": "reaction", "aside": "reaction"},
        {"aside": "backlog", "sent_at": hour_ago},
    ]
    mixed = amended(changed(said, changes))
    turn = await world.ledger.begin(mixed, 1)
    assert turn.rule == ""
    assert await world.messages() == [("user", "old question"), ("user", "3 boxes"), ("user", "[reacted]")]
    history = await look(world.lookups, turn, mixed.asked, "history")
    assert [entry.text for entry in history] == ["old question", "[reacted]"]
    await complete(world, turn, "one")
    later: list[dict[str, object]] = [{"kind": "deletion", "amends": said.messages[0].id, "text": ""}, {}]
    noted = amended(changed(batch("gone", "hello", number=2), later))
    await world.ledger.begin(noted, 1)
    assert (await world.messages())[-2:] == [("user", "[deleted a message: 3 boxes]"), ("user", "hello")]


def changed(frozen: Batch, changes: list[dict[str, object]]) -> Batch:
    """The batch with its messages changed, each as `changes` say."""
    entries = tuple(
        msgspec.structs.replace(entry, message=msgspec.structs.replace(entry.message, **change))
        for entry, change in zip(frozen.entries, changes, strict=True)
    )
    return msgspec.structs.replace(frozen, entries=entries)


async def test_a_whole_turn_is_written_once(world: LedgerWorld) -> None:
    for _ in range(2):
        turn = await world.ledger.begin(batch("hello", "there"), 1)
        assert await world.messages() == [("user", "hello"), ("user", "there")]
    await complete(world, turn, "one", "two")
    await world.ledger.finish(turn, 1)
    assert await world.messages() == [
        ("user", "hello"),
        ("user", "there"),
        ("assistant", "one"),
        ("assistant", "two"),
    ]
    [interaction] = await world.rows(
        "SELECT user_phone, user_message, metadata ->> 'model' AS model FROM whatsapp_ai_interactions"
    )
    assert interaction == {"user_phone": PHONE, "user_message": "hello\nthere", "model": "model"}
    assert await world.ledger.gateway_ids(turn) == {f"g{turn.id}.0", f"g{turn.id}.1"}
    assert await states(world) == ["done"]


async def test_two_daemons_make_one_conversation(world: LedgerWorld) -> None:
    """Two batches of one contact that begin at the same moment share one conversation row."""
    turns: list[Turn] = []

    async def begin(number: int) -> None:
        turns.append(await world.ledger.begin(batch("hello", number=number), 1))

    async with trio.open_nursery() as nursery:
        for number in range(1, 9):
            nursery.start_soon(begin, number)
    assert len({turn.conversation_id for turn in turns}) == 1
    assert len({turn.id for turn in turns}) == 8
    assert len(await world.rows("SELECT FROM whatsapp_conversations")) == 1


async def test_the_same_batch_begun_at_once_is_one_turn(world: LedgerWorld) -> None:
    """I3"""
    turns: list[Turn] = []

    async def begin() -> None:
        turns.append(await world.ledger.begin(batch("hello"), 1))

    async with trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(begin)
    assert len({turn.id for turn in turns}) == 1
    assert len(await world.messages()) == 1


async def test_a_reused_batch_number_is_another_turn(world: LedgerWorld) -> None:
    """I2, fault 23: a mirror that lost its state reuses numbers; its new messages do not count as answered."""
    old = await world.ledger.begin(batch("hello", "there", id_prefix="a"), 1)
    await complete(world, old, "one")
    new = await world.ledger.begin(batch("other", id_prefix="b"), 1)
    assert new.id != old.id
    assert new.state == "started"
    assert (await world.ledger.begin(batch("other", id_prefix="b"), 1)).id == new.id
    assert (await world.ledger.begin(batch("hello", "there", id_prefix="a"), 1)).id == old.id
    # A failover that lost the end of the batch: what is left of it was answered before.
    assert (await world.ledger.begin(batch("hello", id_prefix="a"), 1)).id == old.id


@pytest.mark.parametrize("step", ["begin", "answer", "claim", "settle", "finish", "suppress", "bury", "link"])
async def test_a_commit_whose_reply_was_lost_is_repeated(migrated_postgres_dsn: str, step: str) -> None:
    """Fault 29, I3, I6: the step succeeds, and happened once."""
    proxy = PostgresProxy(migrated_postgres_dsn)
    async with trio_asyncio.open_loop(), trio.open_nursery() as nursery:
        await nursery.start(proxy.serve)
        async with open_postgres(migrated_postgres_dsn) as direct, open_postgres(proxy.dsn, 1) as db:
            world = await prepare(direct)
            turn = await world.ledger.begin(batch("hello"), 1)
            if step in ("claim", "settle", "finish"):
                turn = await world.ledger.answer(turn, 1, reply_of(ANSWER, "one"))
            if step in ("settle", "finish"):
                await world.ledger.claim(turn, 1, 0, False, new_token())
            if step == "finish":
                await world.ledger.settle(turn, 1, 0, Sent("g"))
            ledger = PostgresLedger(db, PARTITIONS)
            steps: dict[str, Callable[[], Awaitable[object]]] = {
                "begin": lambda: ledger.begin(batch("hello", number=2), 1),
                "answer": lambda: ledger.answer(turn, 1, reply_of(ANSWER, "one")),
                "claim": lambda: ledger.claim(turn, 1, 0, False, new_token()),
                "settle": lambda: ledger.settle(turn, 1, 0, NotSent("connection_closed", "retry")),
                "finish": lambda: ledger.finish(turn, 1),
                "suppress": lambda: ledger.suppress(turn, 1, "duplicate"),
                "bury": lambda: ledger.bury(turn, 1, "garbage", ""),
                "link": lambda: ledger.link("demo", LID, PHONE),
            }
            proxy.lose_answers = 1
            await steps[step]()
            assert proxy.lose_answers == 0
            counted = await direct.fetch(
                "SELECT (SELECT count(*) FROM majlis_outbox) + (SELECT count(*) FROM majlis_dead_letters)"
                " + (SELECT count(*) FROM whatsapp_ai_interactions) + (SELECT count(*) FROM majlis_identities) AS n"
            )
            assert counted == [{"n": {"begin": 0, "suppress": 0, "finish": 2}.get(step, 1)}]
        nursery.cancel_scope.cancel()


async def test_each_step_is_one_round_trip(migrated_postgres_dsn: str) -> None:
    proxy = PostgresProxy(migrated_postgres_dsn)
    async with trio_asyncio.open_loop(), trio.open_nursery() as nursery:
        await nursery.start(proxy.serve)
        async with open_postgres(proxy.dsn, 1) as db:
            world = await prepare(db)
            await complete(world, await world.ledger.begin(batch("warm"), 1), "one")
            before = proxy.round_trips
            await complete(world, await world.ledger.begin(batch("hello", number=2), 1), "one")
            assert proxy.round_trips - before == 5
        nursery.cancel_scope.cancel()


async def test_a_step_waits_for_a_takeover_in_progress(world: LedgerWorld) -> None:
    """I5: no step gets in between the check of the epoch and the commit of the takeover."""
    async with world.db.session() as other, trio.open_nursery() as nursery:
        await other.run("BEGIN; UPDATE majlis_partitions SET epoch = epoch + 1")

        async def begin() -> None:
            with pytest.raises(StaleEpoch):
                await world.ledger.begin(batch("hello"), 1)

        nursery.start_soon(begin)
        await until(
            world.db,
            "SELECT true FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
        )
        await other.run("COMMIT")
    assert await world.messages() == []


async def test_nothing_is_claimed_while_another_step_ends_the_turn(world: LedgerWorld) -> None:
    """I6: a step whose caller was cancelled may still be under way in the server: the next one waits for it."""
    turn = await world.ledger.answer(await world.ledger.begin(batch("hello"), 1), 1, reply_of(ANSWER, "one"))
    async with world.db.session() as other, trio.open_nursery() as nursery:
        await other.run(f"BEGIN; SELECT majlis_bury_turn({turn.id}, 1, 'held_too_long', '')")

        async def claim() -> None:
            with pytest.raises(TurnFailed, match="claim_conflict"):
                await world.ledger.claim(turn, 1, 0, False, new_token())

        nursery.start_soon(claim)
        await until(
            world.db,
            "SELECT true FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
        )
        await other.run("COMMIT")


async def test_a_stuck_step_does_not_block_a_lease_renewal(world: LedgerWorld) -> None:
    """I9: a turn that waits for a lock holds the row of its partition, and the lease is renewed all the same."""
    async with world.db.session() as other:
        await other.run(f"BEGIN; SELECT majlis_fence({DEMO.partition(PARTITIONS)}, 1)")
        await world.db.fetch("UPDATE majlis_partitions SET until = now()")
        await other.run("ROLLBACK")


async def test_an_inactive_conversation_becomes_active(world: LedgerWorld) -> None:
    turn = await world.ledger.begin(batch("hello"), 1)
    await world.rows("UPDATE whatsapp_conversations SET status = 'inactive'")
    again = await world.ledger.begin(batch("again", number=2), 1)
    assert again.conversation_id == turn.conversation_id
    [row] = await world.rows(
        "SELECT status, conversation_data #>> '{context,reactivated}' AS reactivated"
        " FROM whatsapp_conversations"
    )
    assert row == {"status": "active", "reactivated": "true"}


@pytest.mark.parametrize("switch", ["instance", "ai_config"])
async def test_an_inactive_instance_ends_by_rule(world: LedgerWorld, switch: str) -> None:
    if switch == "instance":
        await world.rows("UPDATE whatsapp_instances SET is_active = false")
    else:
        await world.rows(
            "INSERT INTO whatsapp_ai_config (whatsapp_instance_id, is_active)"
            " SELECT id, false FROM whatsapp_instances"
        )
    turn = await world.ledger.begin(batch("hello"), 1)
    assert (turn.rule, turn.conversation_id) == ("inactive_instance", None)
    assert await world.messages() == []
    await world.rows("UPDATE whatsapp_instances SET is_active = true")
    await world.rows(
        "INSERT INTO whatsapp_ai_config (whatsapp_instance_id) SELECT id FROM whatsapp_instances"
    )
    assert (await world.ledger.begin(batch("hello", number=2), 1)).rule == ""


async def test_a_lid_conversation_becomes_the_phones(world: LedgerWorld) -> None:
    """Fault 39: the phone number is learned later; what was said under the LID is its history."""
    first = await world.ledger.begin(batch("hello", conversation=OF_LID), 1)
    second = await world.ledger.begin(batch("it is me", lid=LID), 1)
    assert second.conversation_id == first.conversation_id
    assert len(await world.rows("SELECT FROM whatsapp_conversations")) == 1
    third = await world.ledger.begin(batch("again", number=2, conversation=OF_LID), 1)
    assert (third.moved_to, third.conversation_id) == (PHONE, None)
    assert await world.messages() == [("user", "hello"), ("user", "it is me")]


async def test_an_id_is_known_under_both_names_for_as_long_as_gateways_repeat(world: LedgerWorld) -> None:
    """I6, law 12: two days later, under the other of LID and phone number, it is still the same message."""
    for number, first, second in ((1, OF_LID, DEMO), (3, DEMO, OF_LID)):
        heard = batch("only once", number=number, conversation=first, lid=LID, id_prefix=f"M{number}-")
        turn = await world.ledger.begin(heard, 1)
        await complete(world, turn, "answer")
        await world.rows("UPDATE majlis_turns SET created_at = now() - interval '47 hours'")
        again = batch("only once", number=number + 1, conversation=second, lid=LID, id_prefix=f"M{number}-")
        assert (await world.ledger.begin(again, 1)).rule == "duplicate"


async def test_two_conversations_of_one_person_become_one(world: LedgerWorld) -> None:
    """Fault 39: if both exist, messages and turns move to the conversation of the phone number."""
    of_lid = await world.ledger.begin(batch("from lid", conversation=OF_LID), 1)
    await complete(world, of_lid, "answer")
    of_phone = await world.ledger.begin(batch("from phone"), 1)
    await world.ledger.link("demo", LID, PHONE)
    rows = await world.rows("SELECT DISTINCT conversation_id::text FROM whatsapp_messages")
    assert [row["conversation_id"] for row in rows] == [of_phone.conversation_id]
    assert await world.ledger.gateway_ids(of_phone) == {f"g{of_lid.id}.0"}
    statuses = await world.rows("SELECT user_phone, status FROM whatsapp_conversations ORDER BY id")
    assert [row["status"] for row in statuses] == ["inactive", "active"]


async def test_proof_of_a_send_stands(world: LedgerWorld) -> None:
    """I6"""
    turn = await world.ledger.answer(await world.ledger.begin(batch("hello"), 1), 1, reply_of(ANSWER, "one"))
    await world.ledger.claim(turn, 1, 0, False, new_token())
    await world.ledger.settle(turn, 1, 0, Sent("g1"))
    for later in (NotSent("connection_closed", "retry"), Unknown("timeout"), Sent("g2")):
        await world.ledger.settle(turn, 1, 0, later)
    assert await world.ledger.gateway_ids(turn) == {"g1"}


async def test_evidence_is_looked_for_since_the_first_claim(world: LedgerWorld) -> None:
    """I6: a resend does not hide that the first send may have arrived; a disproved send starts over."""
    turn = await world.ledger.answer(await world.ledger.begin(batch("hello"), 1), 1, reply_of(ANSWER, "one"))

    async def claimed(resend: bool) -> int | None:
        await world.ledger.claim(turn, 1, 0, resend, new_token())
        return (await world.ledger.begin(batch("hello"), 1)).parts[0].claimed_at_ms

    first = await claimed(False)
    await world.rows("UPDATE majlis_outbox SET claimed_at = claimed_at - interval '1 minute'")
    await world.ledger.settle(turn, 1, 0, NotSent("connection_closed", "retry"))
    second = await claimed(False)
    assert first and second and second >= first
    await world.ledger.settle(turn, 1, 0, Unknown("timeout"))
    assert await claimed(True) == second
    await world.ledger.settle(turn, 1, 0, NotSent("connection_closed", "retry"))
    assert await claimed(False) == second


async def test_steps_out_of_order_are_refused(world: LedgerWorld) -> None:
    """I2, I6: an ended turn stays ended; unsent parts cannot be finished, sent ones cannot be suppressed."""
    turn = await world.ledger.begin(batch("hello"), 1)
    with pytest.raises(LedgerError, match="MJ003"):
        await world.ledger.finish(turn, 1)
    turn = await world.ledger.answer(turn, 1, reply_of(ANSWER, "one"))
    with pytest.raises(LedgerError, match="MJ003"):
        await world.ledger.settle(turn, 1, 0, Unknown("timeout"))
    await world.ledger.claim(turn, 1, 0, False, new_token())
    for step in (world.ledger.finish(turn, 1), world.ledger.suppress(turn, 1, "duplicate")):
        with pytest.raises(LedgerError, match="MJ003"):
            await step
    await world.ledger.settle(turn, 1, 0, Sent("g"))
    await world.ledger.finish(turn, 1)
    for step in (world.ledger.suppress(turn, 1, "duplicate"), world.ledger.bury(turn, 1, "x", "")):
        with pytest.raises(LedgerError, match="MJ003"):
            await step


async def test_a_dead_letter_shows_what_the_customer_saw(world: LedgerWorld) -> None:
    """I2"""
    turn = await world.ledger.answer(
        await world.ledger.begin(batch("hello"), 1), 1, reply_of(ANSWER, "one", "two", "three")
    )
    await world.ledger.claim(turn, 1, 0, False, new_token())
    await world.ledger.settle(turn, 1, 0, Sent("g"))
    await world.ledger.claim(turn, 1, 1, False, new_token())
    await world.ledger.bury(turn, 1, "send_unresolved", "timeout")
    await world.ledger.bury(turn, 1, "again", "")
    [letter] = await world.records.dead_letters()
    assert (letter.reason, letter.detail) == ("send_unresolved", "timeout")
    assert (letter.provider, letter.parts) == ("rehearsal", ("sent", "sending", "pending"))
    assert await world.messages() == [("user", "hello"), ("assistant", "one")]


@pytest.mark.parametrize(
    ("status", "becomes"), [("inactive", "active"), ("closed", "closed"), ("active", "active")]
)
async def test_the_newest_conversation_of_any_status_continues(
    world: LedgerWorld, status: str, becomes: str
) -> None:
    """Of several rows of one contact; only an inactive one is reactivated."""
    for days_ago, row_status in ((3, "active"), (1, status), (2, "inactive")):
        await world.rows(
            "INSERT INTO whatsapp_conversations (instance_id, user_phone, status, last_activity)"
            " SELECT id, $1, $2, now() - make_interval(days => $3) FROM whatsapp_instances",
            PHONE,
            row_status,
            days_ago,
        )
    turn = await world.ledger.begin(batch("hello"), 1)
    [row] = await world.rows(
        "SELECT status, conversation_data -> 'context' ->> 'reactivated' AS woken FROM whatsapp_conversations"
        " WHERE id::text = $1",
        turn.conversation_id,
    )
    assert (row["status"], row["woken"]) == (becomes, "true" if status == "inactive" else None)
    rows = await world.rows("SELECT status FROM whatsapp_conversations ORDER BY last_activity DESC")
    assert [row["status"] for row in rows] == [becomes, "inactive", "active"]


async def test_what_postgres_cannot_hold_is_replaced(world: LedgerWorld) -> None:
    """I14, fault 34: NUL and lone surrogates do not make a batch fail."""
    poison = batch("a\x00b", "c\ud83dd", "\\u0000")
    turn = await world.ledger.begin(poison, 1)
    assert await world.ledger.begin(poison, 1) == turn
    assert [text for _, text in await world.messages()] == ["a\ufffdb", "c\ufffdd", "\\u0000"]
    turn = await world.ledger.answer(turn, 1, reply_of(Answer("x\x00", "p"), "x\x00", "🙂\ud800"))
    assert [part.text for part in turn.parts] == ["x\ufffd", "🙂\ufffd"]
    await world.ledger.bury(turn, 1, "r\x00", "d\udfff")
    assert not await look(world.lookups, turn, poison, "duplicate")


async def test_a_deleted_conversation_does_not_stop_the_turn(world: LedgerWorld) -> None:
    turn = await world.ledger.begin(batch("hello"), 1)
    await world.rows("DELETE FROM whatsapp_messages")
    await world.rows("DELETE FROM whatsapp_conversations")
    await complete(world, turn, "one")
    assert await states(world) == ["done"]
    assert await world.messages() == []


async def test_an_existing_database_with_uuids_is_used_as_it_is(fresh_postgres_dsn: str) -> None:
    async with trio_asyncio.open_loop(), open_postgres(fresh_postgres_dsn) as db:
        async with db.session() as session:
            await session.run(UUID_TABLES)
        world = await prepare(db)
        [existing] = await world.rows("SELECT id::text FROM whatsapp_conversations")
        turn = await world.ledger.begin(batch("hello", lid=LID), 1)
        assert turn.conversation_id == existing["id"]
        assert [entry.text for entry in await look(world.lookups, turn, batch("hello"), "history")] == [
            "before"
        ]
        await complete(world, turn, "one")
        assert await world.messages() == [("user", "before"), ("user", "hello"), ("assistant", "one")]
        [row] = await world.rows(
            "SELECT status, shop, conversation_data::text AS data FROM whatsapp_conversations"
        )
        assert (row["status"], row["shop"]) == ("active", "main")
        assert '"k": 1' in row["data"]
        other = await world.ledger.begin(batch("new", conversation=DEMO._replace(contact="5511900000009")), 1)
        assert other.conversation_id not in (None, existing["id"])


async def test_operators_see_and_retry_dead_letters(world: LedgerWorld) -> None:
    turn = await world.ledger.begin(batch("hello", "there"), 1)
    await world.ledger.bury(turn, 1, "garbage", "three times")
    records: Records = world.records
    [letter] = await records.dead_letters()
    assert (letter.conversation, letter.batch_number, letter.turn_id) == (DEMO, 1, turn.id)
    assert letter.messages == batch("hello", "there").messages
    assert await records.dead_letter(letter.id) == letter
    assert await records.dead_letter(letter.id + 1) is None
    assert await records.mark_retried(letter.id)
    assert not await records.mark_retried(letter.id)
    assert await records.dead_letters() == ()
    assert len(await records.dead_letters(with_retried=True)) == 1


async def test_without_the_mirror_nobody_knows_when_each_message_came(world: LedgerWorld) -> None:
    """I3: what may have been written after the answer is a new question. Of a single message it is known."""
    await world.ledger.begin(batch("hello", "hello"), 1)
    await world.ledger.begin(batch("hello", number=2), 1)
    several, single = await world.ledger.open_turns(DEMO)
    assert repeats.waited_seconds(several) == [0, 0]
    assert single.entries[0].at_ms == single.opened_at_ms


async def test_turns_left_unfinished_by_a_lost_mirror_become_dead_letters(world: LedgerWorld) -> None:
    """I2: turns in the ledger that the mirror lost become visible and replayable, once."""
    done = await world.ledger.begin(batch("done"), 1)
    await world.ledger.suppress(done, 1, "duplicate")
    left = await world.ledger.begin(batch("left", number=2), 1)
    assert [found.number for found in await world.ledger.open_turns(DEMO)] == [2]
    assert await world.records.bury_unfinished() == 1
    assert await world.ledger.open_turns(DEMO) == ()
    assert await world.records.bury_unfinished() == 0
    [letter] = await world.records.dead_letters()
    assert (letter.turn_id, letter.reason) == (left.id, "mirror_lost")


async def test_what_is_left_of_a_batch_is_stored_as_if_it_had_been_alone(world: LedgerWorld) -> None:
    """I6: texts, and their hash for the look-up of equal ones, are of the messages that were not heard before."""
    first = batch("one", id_prefix="a")
    await complete(world, await world.ledger.begin(first, 1), "answer")
    mixed = batch("one", " two\u00a0", "\tthree\n", number=2, id_prefix="a")
    turn = await world.ledger.begin(mixed, 1)
    [stored] = await world.rows(
        "SELECT text, text_hash, message_ids FROM majlis_turns WHERE id = $1", turn.id
    )
    left = mixed.without(turn.repeated)
    assert stored == {"text": left.text, "text_hash": text_hash(left.text), "message_ids": ["a1", "a2"]}
    said = [text for sender, text in await world.messages() if sender == "user"]
    assert said == ["one", " two\u00a0", "\tthree\n"]
    history = await look(world.lookups, turn, left, "history")
    assert [entry.text for entry in history] == ["one", "answer"]


async def test_operators_see_turns_and_counts(world: LedgerWorld) -> None:
    await complete(world, await world.ledger.begin(batch("hello"), 1), "one")
    await world.ledger.begin(batch("again", number=2), 1)
    newest, oldest = await world.records.turns(DEMO)
    assert (newest.state, newest.batch_number, newest.parts) == ("started", 2, ())
    assert (oldest.state, oldest.text, oldest.answer) == ("done", "hello", "one two")
    assert [(part.text, part.state) for part in oldest.parts] == [("one", "sent")]
    assert await states(world) == ["done", "started"]


async def test_declared_instances_get_a_row_once(world: LedgerWorld) -> None:
    assert await world.records.register_instances(["demo", "shop", "shop"]) == ("shop",)
    assert await world.records.register_instances(["demo", "shop"]) == ()
    await world.records.audit(1000, 42, "flush", DEMO.key, {"why": "asked"})
    assert await world.rows("SELECT uid, pid, action, detail ->> 'why' AS why FROM majlis_audit") == [
        {"uid": 1000, "pid": 42, "action": "flush", "why": "asked"}
    ]


async def test_two_answers_at_once_are_one(world: LedgerWorld) -> None:
    """I6: the turn's row is locked, so the second T2 sees the first one's reply and keeps it."""
    turn = await world.ledger.begin(batch("hello"), 1)
    seen: list[tuple[str, ...]] = []

    async def answer(text: str) -> None:
        stored = await world.ledger.answer(turn, 1, reply_of(ANSWER, text))
        seen.append(tuple(part.text for part in stored.parts))

    async with trio.open_nursery() as nursery:
        for text in ("one", "two", "three", "four"):
            nursery.start_soon(answer, text)
    assert len(set(seen)) == 1
    assert len(seen[0]) == 1


async def test_ages_are_never_negative(world: LedgerWorld) -> None:
    """The server's clock was set back: what was claimed and settled lies in its future."""
    turn = await world.ledger.answer(await world.ledger.begin(batch("hello"), 1), 1, reply_of(ANSWER, "one"))
    await world.ledger.claim(turn, 1, 0, False, new_token())
    ahead = "interval '1 hour'"
    for state in ("sending", "unknown"):
        await world.rows(
            f"UPDATE majlis_outbox SET claimed_at = now() + {ahead}, last_claimed_at = now() + {ahead},"
            f" settled_at = now() + {ahead}"
        )
        part = (await world.ledger.begin(batch("hello"), 1)).parts[0]
        assert (part.state, part.open_ago_ms, part.first_claim_ago_ms) == (state, 0, 0)
        if state == "sending":
            await world.ledger.settle(turn, 1, 0, Unknown("timeout"))


async def test_a_table_that_refuses_the_interaction_does_not_undo_that_the_reply_left(
    world: LedgerWorld,
) -> None:
    """I6: the proof stands, and the last step says what is wrong with the table."""
    await world.rows("ALTER TABLE whatsapp_ai_interactions ADD CONSTRAINT none CHECK (user_message = '')")
    turn, token = await world.ledger.begin(batch("hello"), 1), new_token()
    turn = await world.ledger.answer(turn, 1, reply_of(Answer("one", "rehearsal"), "one"), token)
    assert not await world.ledger.settle_last(turn, 1, Proof(turn.id, 0, token, Sent("g")))
    again = await world.ledger.begin(batch("hello"), 1)
    assert (again.state, again.parts[0].state) == ("answered", "sent")
    assert await world.ledger.gateway_ids(turn) == {"g"}
    with pytest.raises(LedgerError):
        await world.ledger.finish(turn, 1)
    await world.rows("ALTER TABLE whatsapp_ai_interactions DROP CONSTRAINT none")
    await world.ledger.finish(turn, 1)
    assert await states(world) == ["done"]


async def test_the_steps_change_a_turn_on_its_page(world: LedgerWorld) -> None:
    """No index of the turns names what a step changes, not even in its WHERE, and the changing columns come last."""
    changed = "{state,answered_at,finished_at,epoch,answer,waterfall,cost_micros,input_tokens,output_tokens}"
    named = await world.rows(
        "SELECT DISTINCT d.objid::regclass::text AS index, a.attname FROM pg_depend d"
        " JOIN pg_index i ON i.indexrelid = d.objid"
        " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = d.refobjsubid"
        " WHERE d.classid = 'pg_class'::regclass AND d.refobjid = 'majlis_turns'::regclass"
        " AND a.attname = ANY ($1::text::name[])",
        changed,
    )
    assert named == []
    last = await world.rows(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'majlis_turns'::regclass AND NOT attisdropped"
        " AND attname <> 'estimated' ORDER BY attnum DESC LIMIT 2"  # of a byte, behind them
    )
    assert [row["attname"] for row in last] == ["state", "finished_at"]
