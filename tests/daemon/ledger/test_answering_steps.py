"""What the steps of a turn store besides the reply: escalation, notices, usage and cost, the trace; and what a
take-over does to them. Against a real Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from actors.errors import StaleEpoch, TakenOver
from actors.lookups import FailedCall, Span
from actors.messages import Answer, Spent
from actors.outcome import Sent, Unknown
from actors.ports import Notice, Reply, Turn
from daemon.ledger.migrate import check_schema
from tests.support.ledgers import PHONE, LedgerWorld, batch, new_token, open_world

ANSWER = Answer("one", "main", "gpt", 30, 12, 450, True, ("email", "size"), 0.25)
STAFF = Notice("whatsapp", "demo", "966500000001", "come")
ALERT = Notice("webhook", "demo", "https://desk.example/alert", "{}", "limit/today")
WATERFALL = (
    Span("conversation", "opening", 0.1, 4.2, "ok"),
    Span("history", "lookups", 4.3, 3000, "timed_out"),
)


@pytest.fixture
async def world(migrated_postgres_dsn: str) -> AsyncIterator[LedgerWorld]:
    async with open_world(migrated_postgres_dsn) as world:
        yield world


async def begun(world: LedgerWorld, text: str = "hello", number: int = 1) -> Turn:
    return await world.ledger.begin(batch(text, number=number), world.epoch)


async def taken_over(world: LedgerWorld, contact: str = PHONE) -> None:
    sql = (
        "INSERT INTO majlis_takeovers (instance, contact, until) VALUES ('demo', $1, now() + interval '1 h')"
    )
    await world.rows(sql, contact)


async def test_all_parts_of_a_reply_are_stored_in_one_step_and_once(world: LedgerWorld) -> None:
    """I6: a repeated T2 (its response was lost) stores nothing twice."""
    turn = await begun(world)
    reply = Reply(
        ANSWER, ("one",), escalation="asks_for_human", origin="https://evo2.example",
        notices=(STAFF, ALERT), spans=WATERFALL,
    )  # fmt: skip
    stored = await world.ledger.answer(turn, 1, reply)
    assert (stored.state, stored.origin) == ("answered", "https://evo2.example")
    assert await world.ledger.answer(turn, 1, reply) == stored
    [row] = await world.rows("SELECT * FROM majlis_turns")
    assert (row["cost_micros"], row["requested_fields"], row["confidence"]) == (450, ["email", "size"], 0.25)
    assert row["needs_data_collection"]
    assert msgspec.json.decode(row["waterfall"], type=tuple[Span, ...]) == WATERFALL
    [escalated] = await world.rows("SELECT * FROM whatsapp_escalated_conversations")
    assert (escalated["user_phone"], escalated["reason"]) == (PHONE, "asks_for_human")
    assert escalated["escalated_at"] is not None
    assert escalated["resolved_at"] is None
    notices = await world.rows("SELECT kind, target FROM majlis_notices ORDER BY id")
    assert [notice["kind"] for notice in notices] == ["whatsapp", "webhook"]
    [used] = await world.rows("SELECT * FROM majlis_usage")
    assert (used["answers"], used["input_tokens"], used["output_tokens"], used["cost_micros"]) == (
        1,
        30,
        12,
        450,
    )


async def test_usage_adds_up_by_day_and_only_responders_cost(world: LedgerWorld) -> None:
    await world.ledger.answer(await begun(world), 1, Reply(ANSWER, ("one",)))
    await world.ledger.answer(await begun(world, "a", 2), 1, Reply(ANSWER, ("one",)))
    await world.ledger.answer(await begun(world, "b", 3), 1, Reply(Answer("kept", "cache"), ("kept",)))
    await world.ledger.answer(
        await begun(world, "c", 4), 1, Reply(Answer("x", "escalation"), ("x",), "escalated")
    )
    [used] = await world.rows("SELECT * FROM majlis_usage")
    assert (used["answers"], used["cached"], used["cost_micros"]) == (3, 1, 900)


async def test_a_turn_tells_what_all_its_attempts_cost(world: LedgerWorld) -> None:
    """So the turns of a day add up to its usage; an answer that is cut says why."""
    turn = await begun(world)
    call = FailedCall(
        provider="first", reason="garbage", attempt=1, at_ms=1, took_ms=2.5, spent=Spent(5, 6, 7)
    )
    await world.ledger.spend(turn, 1, "0-1", Spent(5, 6, 7), (call,))
    reply = Reply(msgspec.structs.replace(ANSWER, cut="length"), ("one",))
    for _ in range(2):
        await world.ledger.answer(turn, 1, reply)
    [row] = await world.rows("SELECT input_tokens, output_tokens, cost_micros, cut FROM majlis_turns")
    assert tuple(row.values()) == (35, 18, 457, "length")
    [used] = await world.rows("SELECT answers, input_tokens, output_tokens, cost_micros FROM majlis_usage")
    assert tuple(used.values()) == (1, 35, 18, 457)
    stored = await world.records.turn(turn.id)
    assert stored is not None and (stored.cut, stored.failures) == ("length", (call,))


async def test_the_cost_of_a_dead_turn_stays_with_it_and_beside_its_fallback(world: LedgerWorld) -> None:
    turn = await begun(world)
    await world.ledger.spend(turn, 1, "0-1", Spent(2**31 - 1, 6, 7), ())
    await world.ledger.spend(turn, 1, "1-1", Spent(2**31 - 1, 6, 7), ())
    doomed = Reply(Answer("later", "fallback"), ("later",), "fallback", dead_reason="garbage")
    await world.ledger.answer(turn, 1, doomed)
    await world.ledger.bury(turn, 1, "garbage", "")
    [letter] = await world.records.dead_letters()
    assert (letter.cost_micros, letter.parts, letter.provider) == (14, ("pending",), "fallback")
    [row] = await world.rows("SELECT input_tokens, state FROM majlis_turns")
    assert tuple(row.values()) == (2**31 - 1, "dead")
    [used] = await world.rows("SELECT answers, input_tokens FROM majlis_usage")
    assert tuple(used.values()) == (0, 2 * (2**31 - 1))


async def test_a_notice_with_a_key_is_stored_once(world: LedgerWorld) -> None:
    await world.ledger.notify((ALERT, STAFF))
    await world.ledger.notify((ALERT, STAFF))
    rows = await world.rows("SELECT kind, count(*) AS n FROM majlis_notices GROUP BY kind ORDER BY kind")
    assert [(row["kind"], row["n"]) for row in rows] == [("webhook", 1), ("whatsapp", 2)]


async def test_an_escalated_conversation_is_escalated_once_until_it_is_handed_back(
    world: LedgerWorld,
) -> None:
    said = Reply(Answer("x", "escalation"), ("x",), "escalated", "sensitive_topic")
    for number in (1, 2):
        await world.ledger.answer(await begun(world, str(number), number), 1, said)
    assert len(await world.rows("SELECT FROM whatsapp_escalated_conversations")) == 1
    await world.ledger.answer(await begun(world, "3", 3), 1, Reply(ANSWER, ("one",), hand_back="timeout"))
    [row] = await world.rows("SELECT resolved_by, resolved_at FROM whatsapp_escalated_conversations")
    assert row["resolved_by"] == "timeout"
    await world.ledger.answer(await begun(world, "4", 4), 1, said)
    again = msgspec.structs.replace(said, hand_back="timeout")
    await world.ledger.answer(await begun(world, "5", 5), 1, again)
    rows = await world.rows(
        "SELECT resolved_at IS NULL AS open FROM whatsapp_escalated_conversations ORDER BY id"
    )
    assert [row["open"] for row in rows] == [False, False, True]


async def test_no_part_is_claimed_while_a_person_writes(world: LedgerWorld) -> None:
    turn = await world.ledger.answer(await begun(world), 1, Reply(ANSWER, ("one", "two")))
    await taken_over(world)
    with pytest.raises(TakenOver):
        await world.ledger.claim(turn, 1, 0, False, new_token())
    await world.ledger.claim(turn, 1, 0, False, new_token(), heed_takeover=False)
    await world.ledger.settle(turn, 1, 0, Sent("g"))
    await world.rows("UPDATE majlis_takeovers SET until = now() - interval '1 s'")
    await world.ledger.claim(turn, 1, 1, False, new_token())


async def test_a_reply_is_not_claimed_as_it_is_stored_while_a_person_writes(world: LedgerWorld) -> None:
    """I6: what it cost is counted; nothing leaves, nobody is told, and the turn has its end."""
    await taken_over(world)
    notice = Notice("whatsapp", "demo", "5511", "come")
    reply = Reply(ANSWER, ("one", "two"), escalation="asks_for_human", notices=(notice,))
    turn = await begun(world)
    for _ in range(2):
        stored = await world.ledger.answer(turn, 1, reply, new_token())
        assert (stored.state, stored.rule) == ("suppressed", "taken_over")
        assert [part.state for part in stored.parts] == ["dropped", "dropped"]
    [row] = await world.rows("SELECT answer FROM majlis_turns")
    assert row["answer"] == ANSWER.text
    [used] = await world.rows("SELECT answers, input_tokens FROM majlis_usage")
    assert used == {"answers": 1, "input_tokens": ANSWER.input_tokens}
    assert not await world.rows(
        "SELECT FROM majlis_notices UNION ALL SELECT FROM whatsapp_escalated_conversations"
    )
    told_anyway = batch("stop", number=2)
    turn = await world.ledger.begin(told_anyway, 1)
    stored = await world.ledger.answer(turn, 1, Reply(ANSWER, ("bye",)), new_token(), heed_takeover=False)
    assert stored.parts[0].state == "sending"


async def test_a_take_over_under_the_lid_silences_the_phone(world: LedgerWorld) -> None:
    turn = await world.ledger.answer(await begun(world), 1, Reply(ANSWER, ("one",)))
    await taken_over(world, "1685@lid")
    await world.ledger.claim(turn, 1, 0, False, new_token())
    await world.ledger.settle(turn, 1, 0, Unknown("timed_out"))
    await world.ledger.link("demo", "1685@lid", PHONE)
    with pytest.raises(TakenOver):
        await world.ledger.claim(turn, 1, 0, True, new_token())


@pytest.mark.parametrize(
    ("settled", "state", "parts"),
    [
        (None, "suppressed", ["dropped", "dropped"]),
        (Sent("g"), "done", ["sent", "dropped"]),
        (Unknown("timed_out"), "done", ["unknown", "dropped"]),
    ],
)
async def test_unsent_parts_are_never_sent(
    world: LedgerWorld, settled: Sent | Unknown | None, state: str, parts: list[str]
) -> None:
    turn = await world.ledger.answer(await begun(world), 1, Reply(ANSWER, ("one", "two")))
    if settled is not None:
        await world.ledger.claim(turn, 1, 0, False, new_token())
        await world.ledger.settle(turn, 1, 0, settled)
    dropped = await world.ledger.drop_rest(turn, 1, "taken_over")
    assert (dropped.state, dropped.rule) == (state, "taken_over")
    assert [part.state for part in dropped.parts] == parts
    for again in (await world.ledger.drop_rest(turn, 1, "taken_over"), await begun(world)):
        assert (again.state, [part.state for part in again.parts]) == (state, parts)
    interactions = await world.rows("SELECT FROM whatsapp_ai_interactions")
    assert len(interactions) == (1 if state == "done" else 0)


async def test_the_fallback_of_a_dead_turn_is_recognized_after_a_crash(world: LedgerWorld) -> None:
    """I2: after a crash, the next run of the batch sends the message and records the dead letter."""
    doomed = Reply(
        Answer("later", "fallback"), ("later",), "fallback", dead_reason="overloaded", dead_detail="main"
    )
    await world.ledger.answer(await begun(world), 1, doomed)
    turn = await begun(world)
    assert (turn.state, turn.dead_reason, turn.dead_detail) == ("answered", "overloaded", "main")
    await world.ledger.claim(turn, 1, 0, False, new_token())
    await world.ledger.settle(turn, 1, 0, Sent("g"))
    await world.ledger.bury(turn, 1, turn.dead_reason, turn.dead_detail)
    [letter] = await world.records.dead_letters()
    assert (letter.reason, letter.detail) == ("overloaded", "main")
    assert (letter.provider, letter.parts) == ("fallback", ("sent",))
    assert await world.messages() == [("user", "hello"), ("assistant", "later")]
    assert await world.rows("SELECT FROM majlis_usage") == []


async def test_a_suppressed_turn_keeps_its_trace(world: LedgerWorld) -> None:
    turn = await begun(world)
    await world.ledger.suppress(turn, 1, "duplicate", WATERFALL)
    await world.ledger.suppress(turn, 1, "duplicate")
    [row] = await world.rows("SELECT state, rule, waterfall FROM majlis_turns")
    assert (row["state"], row["rule"]) == ("suppressed", "duplicate")
    assert msgspec.json.decode(row["waterfall"], type=tuple[Span, ...]) == WATERFALL


async def test_an_interaction_records_the_question_and_the_quality(world: LedgerWorld) -> None:
    turn = await world.ledger.answer(await begun(world), 1, Reply(ANSWER, ("one",)))
    await world.ledger.claim(turn, 1, 0, False, new_token())
    await world.ledger.settle(turn, 1, 0, Sent("g"))
    await world.ledger.finish(turn, 1)
    [row] = await world.rows("SELECT metadata FROM whatsapp_ai_interactions")
    metadata = msgspec.json.decode(row["metadata"])
    assert metadata["response_quality"] == 0.25
    assert metadata["requested_fields"] == ["email", "size"]
    assert metadata["needs_data_collection"] is True


@pytest.mark.parametrize(
    "change",
    [
        "ALTER COLUMN reason TYPE integer USING NULL",
        "ADD UNIQUE (whatsapp_instance_id, user_phone)",
        "ADD CHECK (reason IN ('manual'))",
        "ALTER COLUMN resolved_by TYPE uuid USING NULL",
    ],
)
async def test_an_existing_table_of_escalations_is_used_as_it_is(world: LedgerWorld, change: str) -> None:
    """I15: escalating and handing back work repeatedly, whatever columns and keys the table has."""
    await world.rows(f"ALTER TABLE whatsapp_escalated_conversations {change}")
    for number in (1, 2):
        said = Reply(Answer("x", "escalation"), ("x",), "escalated", "asks_for_human")
        stored = await world.ledger.answer(await begun(world, str(number), number), 1, said)
        assert stored.state == "answered"
        assert await world.db.value("SELECT majlis_hand_back('demo', $1, 'operator', true)", PHONE) == 1
    assert await check_schema(world.db) is None


async def test_an_unknown_required_column_of_escalations_is_named(world: LedgerWorld) -> None:
    """I15: refusing to start is better than an escalation that fails."""
    await world.rows("ALTER TABLE whatsapp_escalated_conversations ADD COLUMN desk text NOT NULL")
    assert "whatsapp_escalated_conversations.desk" in (await check_schema(world.db) or "")


async def test_a_fallback_finished_by_an_older_daemon_keeps_its_dead_letter(world: LedgerWorld) -> None:
    """I2."""
    doomed = Reply(Answer("later", "fallback"), ("later",), "fallback", dead_reason="overloaded")
    turn = await world.ledger.answer(await begun(world), 1, doomed)
    await world.ledger.claim(turn, 1, 0, False, new_token())
    await world.ledger.settle(turn, 1, 0, Sent("g"))
    await world.ledger.finish(turn, 1)
    [letter] = await world.records.dead_letters()
    assert letter.reason == "overloaded"


async def test_a_daemon_of_the_previous_version_still_works(world: LedgerWorld) -> None:
    """During a rolling upgrade both versions work with the new tables."""
    turn = await begun(world)
    answer = '{"text": "one", "provider": "main", "model": "", "input_tokens": 3, "output_tokens": 4}'
    view = await world.db.value("SELECT majlis_record_answer($1, 1, $2, $3)", turn.id, answer, '["one"]')
    stored = msgspec.json.decode(view, type=Turn)
    assert (stored.state, stored.rule, [part.text for part in stored.parts]) == ("answered", "", ["one"])
    await world.db.value("SELECT majlis_claim_part($1, 1, 0, false, 'token')", turn.id)
    await world.ledger.settle(stored, 1, 0, Sent("g"))
    await world.ledger.finish(stored, 1)
    other = await begun(world, "again", 2)
    await world.db.value("SELECT majlis_suppress_turn($1, 1, 'duplicate')", other.id)
    [used] = await world.rows("SELECT answers, input_tokens, cost_micros FROM majlis_usage")
    assert (used["answers"], used["input_tokens"], used["cost_micros"]) == (1, 3, 0)


async def test_the_new_steps_keep_the_fence(world: LedgerWorld) -> None:
    """I5: nothing is stored under an old epoch."""
    turn = await world.ledger.answer(await begun(world), 1, Reply(ANSWER, ("one",)))
    await world.take_over()
    for step in (
        world.ledger.claim(turn, 1, 0, False, new_token()),
        world.ledger.drop_rest(turn, 1, "taken_over"),
        world.ledger.suppress(turn, 1, "duplicate", WATERFALL),
    ):
        with pytest.raises(StaleEpoch):
            await step
