"""Queries of operators: turns with their trace, silent conversations, usage, and a status that stays cheap."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator

import pytest
import trio_asyncio

from actors.identity import Conversation
from actors.lookups import Span
from actors.messages import Answer
from actors.ports import Notice, Reply, Turn
from daemon.ledger.rows import Attention, HandedBack, SilenceReasons
from tests.daemon.ledger.test_ledger import UUID_TABLES
from tests.support.ledgers import DEMO, LID, PHONE, LedgerWorld, batch, open_world
from tests.support.stores import execute

HOUR = 3600.0
WATERFALL = (
    Span("history", "lookups", 1.0, 2.5, "ok"),
    Span("usage", "lookups", 1.0, 3.0, "failed", "LedgerError"),
)
ANSWER = Answer("hello", "main", "small", 800, 60, 412, True, ("name", "city"), 0.75)


@pytest.fixture
async def world(migrated_postgres_dsn: str) -> AsyncIterator[LedgerWorld]:
    async with open_world(migrated_postgres_dsn) as world:
        yield world


async def answered(world: LedgerWorld, number: int = 1, **changes: object) -> Turn:
    turn = await world.ledger.begin(batch("how much", "a room", number=number), 1)
    reply = Reply(**{"answer": ANSWER, "parts": ("hello",), "spans": WATERFALL, **changes})  # type: ignore[arg-type]
    return await world.ledger.answer(turn, 1, reply)


async def take_over(world: LedgerWorld, contact: str, seconds: float) -> None:
    sql = "INSERT INTO majlis_takeovers (instance, contact, until) VALUES ('demo', $1, now() + $2 * interval '1 s')"
    await world.rows(sql, contact, seconds)


async def test_a_turn_is_found_by_its_number(world: LedgerWorld) -> None:
    turn = await answered(world)
    found = await world.records.turn(turn.id)
    assert found is not None and found.conversation == DEMO
    assert [message.text for message in found.messages] == ["how much", "a room"]
    assert (found.provider, found.model, found.input_tokens, found.output_tokens) == (
        "main",
        "small",
        800,
        60,
    )
    assert (found.cost_micros, found.confidence, found.requested_fields) == (412, 0.75, ("name", "city"))
    assert found.needs_data_collection and found.waterfall == WATERFALL
    assert [part.text for part in found.parts] == ["hello"]
    assert (await world.records.turns(DEMO))[0] == found
    assert await world.records.turn(turn.id + 1) is None


async def test_a_suppressed_turn_keeps_its_rule_and_trace(world: LedgerWorld) -> None:
    turn = await world.ledger.begin(batch("how much"), 1)
    await world.ledger.suppress(turn, 1, "duplicate", WATERFALL)
    found = await world.records.turn(turn.id)
    assert found is not None
    assert (found.state, found.rule, found.waterfall) == ("suppressed", "duplicate", WATERFALL)


async def test_a_new_conversation_is_not_silent(world: LedgerWorld) -> None:
    assert await world.records.silence(DEMO, HOUR) == SilenceReasons()
    assert await world.records.silent(HOUR, 10) == {}
    assert await world.records.hand_back(DEMO) == HandedBack(0, 0)
    assert await world.records.silence(Conversation("nobody", PHONE), HOUR) == SilenceReasons()


async def test_escalation_and_take_over_are_shown_and_ended_separately(world: LedgerWorld) -> None:
    await answered(world, escalation="asks_for_human")
    silence = await world.records.silence(DEMO, HOUR)
    assert silence.taken_over is None
    assert silence.escalated is not None and silence.escalated.why == "asks_for_human"
    await take_over(world, PHONE, 600)
    silence = await world.records.silence(DEMO, HOUR)
    assert silence.taken_over is not None
    assert silence.taken_over.until - silence.taken_over.since == datetime.timedelta(seconds=600)
    assert await world.records.silent(HOUR, 10) == {DEMO: silence}
    assert await world.records.hand_back(DEMO) == HandedBack(escalations=1, takeovers=1)
    assert await world.records.hand_back(DEMO) == HandedBack(0, 0)
    assert await world.records.silence(DEMO, HOUR) == SilenceReasons()
    rows = await world.rows("SELECT resolved_by FROM whatsapp_escalated_conversations")
    assert [row["resolved_by"] for row in rows] == ["operator"]


async def test_a_take_over_under_the_lid_applies_to_the_phone(world: LedgerWorld) -> None:
    await world.ledger.link("demo", LID, PHONE)
    await take_over(world, LID, 600)
    assert (await world.records.silence(DEMO, HOUR)).taken_over is not None
    assert await world.records.hand_back(DEMO) == HandedBack(0, 1)


async def test_an_old_escalation_and_an_ended_take_over_no_longer_count(world: LedgerWorld) -> None:
    await answered(world, escalation="sensitive_topic")
    await world.rows("UPDATE whatsapp_escalated_conversations SET escalated_at = now() - interval '2 hours'")
    await take_over(world, PHONE, -1)
    assert await world.records.silence(DEMO, HOUR) == SilenceReasons()
    assert await world.records.silent(HOUR, 10) == {}
    assert await world.records.attention(HOUR) == Attention()
    assert (await world.records.attention(3 * HOUR)).escalated == 1


async def test_silent_conversations_come_latest_first_and_each_once(world: LedgerWorld) -> None:
    await world.rows(
        "INSERT INTO whatsapp_escalated_conversations (whatsapp_instance_id, user_phone, reason, escalated_at)"
        " SELECT i.id, phone, why, now() - age * interval '1 minute' FROM whatsapp_instances i,"
        " (VALUES ('+5511900000001', 'older', 9), ('5511900000001', 'newer', 3), ('5511900000003', 'x', 5))"
        " AS e (phone, why, age)"
    )
    await take_over(world, "5511900000002", 60)
    found = await world.records.silent(HOUR, 10)
    assert [conversation.contact[-1] for conversation in found] == ["2", "1", "3"]
    escalated = found[DEMO].escalated
    assert escalated is not None and escalated.why == "newer"
    assert len(await world.records.silent(HOUR, 2)) == 2


async def test_an_opt_out_holds_under_every_name_and_ends_only_by_name(world: LedgerWorld) -> None:
    """A hand-back leaves it alone: it is the customer's."""
    of_lid = Conversation("demo", LID)
    stop = Reply(Answer("bye", "opt_out"), ("bye",), rule="opted_out", opt_out="out")
    turn = await world.ledger.begin(batch("stop", conversation=of_lid), 1)
    await world.ledger.answer(turn, 1, stop)
    assert (await world.records.silence(DEMO, HOUR)).opted_out is None
    await world.ledger.link("demo", LID, PHONE)
    for name in (DEMO, of_lid):
        assert not await world.ledger.may_start(name)
        assert (await world.records.silence(name, HOUR)).opted_out is not None
    assert await world.ledger.may_start(Conversation("other", PHONE))
    assert [silence.opted_out is not None for silence in (await world.records.silent(HOUR, 10)).values()] == [
        True
    ]
    assert await world.records.hand_back(DEMO) == HandedBack(0, 0)
    assert not await world.ledger.may_start(DEMO)
    assert await world.records.opt_in(DEMO) and not await world.records.opt_in(DEMO)
    assert await world.ledger.may_start(of_lid)
    assert await world.records.silent(HOUR, 10) == {}


async def test_a_chosen_silence_is_counted_like_an_answer(world: LedgerWorld) -> None:
    turn = await world.ledger.begin(batch("thanks"), 1)
    silence = Reply(Answer("", "p", "m", 11, 7, 5, is_silence=True), (), rule="model_silence")
    await world.ledger.answer(turn, 1, silence)
    await world.ledger.answer(turn, 1, silence)
    [used] = await world.records.usage(1)
    assert (used.answers, used.input_tokens, used.output_tokens, used.cost_micros) == (1, 11, 7, 5)
    found = await world.records.turn(turn.id)
    assert found is not None
    assert (found.state, found.rule, found.output_tokens, found.parts) == (
        "suppressed",
        "model_silence",
        7,
        (),
    )
    assert await world.rows("SELECT FROM whatsapp_ai_interactions") == []


async def test_the_numbers_of_instances_are_kept_for_a_month_after_they_were_seen(world: LedgerWorld) -> None:
    async def is_ours(number: str) -> bool:
        return bool(await world.db.value("SELECT majlis_is_own_number('demo', $1)", number))

    await world.records.store_numbers({"demo": PHONE, "other": "966500000002"})
    assert await is_ours(PHONE) and await is_ours("966500000002")
    await world.records.store_numbers({"demo": "966500000003"})
    assert await is_ours("966500000003") and not await is_ours(PHONE)
    await world.rows("UPDATE majlis_instance_numbers SET seen_at = now() - interval '31 days'")
    assert not await is_ours("966500000003")


async def test_what_needs_attention_is_counted(world: LedgerWorld) -> None:
    turn = await answered(world, escalation="asks_for_human")
    await world.ledger.notify((Notice("webhook", "demo", "http://127.0.0.1/a", "{}"),) * 3)
    await world.rows(
        "UPDATE majlis_notices SET sent_at = now() WHERE id = (SELECT min(id) FROM majlis_notices)"
    )
    await world.rows(
        "UPDATE majlis_notices SET given_up_at = now() WHERE id = (SELECT max(id) FROM majlis_notices)"
    )
    await world.ledger.bury(turn, 1, "refused", "")
    await take_over(world, "5511900000002", 60)
    assert await world.records.attention(HOUR) == Attention(
        taken_over=1, escalated=1, notices_waiting=1, notices_given_up=1, dead_letters=1
    )


async def test_each_count_of_the_status_uses_its_index(world: LedgerWorld) -> None:
    """There are many old rows and few that count."""
    await world.rows(
        "INSERT INTO majlis_takeovers (instance, contact, until, ended_at)"
        " SELECT 'demo', n::text, now(), now() FROM generate_series(1, 20000) n"
    )
    await world.rows(
        "INSERT INTO whatsapp_escalated_conversations (whatsapp_instance_id, user_phone, reason, resolved_at)"
        " SELECT i.id, n::text, '', now() FROM whatsapp_instances i, generate_series(1, 20000) n"
    )
    await world.rows(
        "INSERT INTO majlis_notices (kind, instance, target, body, sent_at)"
        " SELECT 'webhook', 'demo', '', '', now() FROM generate_series(1, 20000)"
    )
    for table in ("majlis_takeovers", "whatsapp_escalated_conversations", "majlis_notices"):
        await world.rows(f"ANALYZE {table}")
    counts = {
        "majlis_takeovers_open_idx": "majlis_takeovers WHERE ended_at IS NULL AND until > now()",
        "majlis_escalated_open_idx": "whatsapp_escalated_conversations"
        " WHERE resolved_at IS NULL AND escalated_at > now() - 60.0 * interval '1 second'",
        "majlis_notices_due_idx": "majlis_notices WHERE sent_at IS NULL AND given_up_at IS NULL",
        "majlis_notices_given_up_idx": "majlis_notices WHERE given_up_at IS NOT NULL",
    }
    for index, what in counts.items():
        plan = await world.rows(f"EXPLAIN SELECT count(*) FROM {what}")
        assert index in " ".join(row["QUERY PLAN"] for row in plan)


async def test_usage_is_listed_by_day_and_instance(world: LedgerWorld) -> None:
    await answered(world)
    await answered(world, number=2, answer=Answer("hello", "cache"))
    await world.rows(
        "INSERT INTO majlis_usage (instance, day, answers, input_tokens, cost_micros)"
        " SELECT name, (now() AT TIME ZONE 'UTC')::date - age, 5, 100, 7"
        " FROM unnest(ARRAY['demo', 'shop']) name, unnest(ARRAY[1, 2]) age"
    )
    today = await world.rows("SELECT (now() AT TIME ZONE 'UTC')::date AS day")
    used = await world.records.usage(2)
    assert [(one.instance, (today[0]["day"] - one.day).days, one.answers) for one in used] == [
        ("demo", 0, 2),
        ("demo", 1, 5),
        ("shop", 1, 5),
    ]
    first = used[0]
    assert (first.cached, first.input_tokens, first.output_tokens, first.cost_micros) == (1, 800, 60, 412)
    assert [one.instance for one in await world.records.usage(9, "shop")] == ["shop", "shop"]


async def test_an_instance_is_known_by_its_row(world: LedgerWorld) -> None:
    assert await world.records.knows_instance("demo")
    assert not await world.records.knows_instance("de\x00mo")


async def test_ids_of_any_type_are_looked_up(fresh_postgres_dsn: str) -> None:
    """An existing database has uuid ids and timestamps without a zone."""
    async with trio_asyncio.open_loop():
        await trio_asyncio.aio_as_trio(execute)(fresh_postgres_dsn, UUID_TABLES)
    async with open_world(fresh_postgres_dsn) as world:
        await answered(world, escalation="asks_for_human")
        silence = await world.records.silence(DEMO, HOUR)
        assert silence.escalated is not None
        assert await world.records.silent(HOUR, 10) == {DEMO: silence}
        assert await world.records.hand_back(DEMO) == HandedBack(1, 0)
