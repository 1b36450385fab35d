"""The lookups behind the rules: who speaks, earlier questions, usage, the stored webhook."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import LedgerUnavailable
from actors.escalation import Interaction
from actors.identity import Conversation
from actors.instance import FeatureFlags, InstanceRecord, Terms
from actors.lookups import Facts, TakeoverState, Usage
from actors.messages import Answer, Context
from actors.ports import Question, Reply, Turn
from daemon.lookups import LOOKUPS
from daemon.lookups.interactions import quality
from tests.support.ledgers import DEMO, LID, PHONE, LedgerWorld, batch, look, open_world

ESCALATING = InstanceRecord(escalation_enabled=True)
OTHER = Conversation("demo", "5511900000002")
LIMITED = Terms(turns_per_minute=10)
PLAIN = Answer("", "p")
KEPT_AS_A_STRING = r'''"{\"response_quality\": \"0.25\"}"'''


@pytest.fixture
async def world(migrated_postgres_dsn: str) -> AsyncIterator[LedgerWorld]:
    async with open_world(migrated_postgres_dsn) as world:
        yield world


class Talk:
    """Turns of one conversation, and what the lookups find in the newest one."""

    def __init__(self, world: LedgerWorld, conversation: Conversation = DEMO) -> None:
        self._world = world
        self._conversation = conversation
        self._number = 0

    async def ask(self, text: str = "hello", context: tuple[Context, ...] = ()) -> Turn:
        self._number += 1
        self.batch = batch(text, number=self._number, conversation=self._conversation, context=context)
        self.turn = await self._world.ledger.begin(self.batch, 1)
        return self.turn

    async def answered(self, answer: Answer = PLAIN, rule: str = "", text: str = "hello") -> None:
        turn = await self.ask(text)
        await self._world.ledger.answer(turn, 1, Reply(answer, (), rule=rule))
        await self._world.ledger.finish(turn, 1)

    async def takeover(self, terms: Terms | None = None, takeover: bool = True) -> TakeoverState:
        await self.ask()
        found = await look(
            self._world.lookups,
            self.turn,
            self.batch,
            "takeover",
            terms=terms,
            flags=FeatureFlags(takeover=takeover),
        )
        assert isinstance(found, TakeoverState)
        return found

    async def usage(self, terms: Terms | None = None, again: bool = False) -> Usage:
        """The usage that a new turn finds, or the same turn in another attempt."""
        if not again:
            await self.ask()
        found = await look(self._world.lookups, self.turn, self.batch, "usage", terms=terms or LIMITED)
        assert isinstance(found, Usage)
        return found


async def escalate(world: LedgerWorld, phone: str, *, hours_ago: float = 0, resolved: bool = False) -> None:
    await world.rows(
        "INSERT INTO whatsapp_escalated_conversations (whatsapp_instance_id, user_phone, escalated_at, resolved_at)"
        " SELECT id, $1, now() - make_interval(secs => $2), CASE WHEN $3 THEN now() END FROM whatsapp_instances",
        phone,
        hours_ago * 3600,
        resolved,
    )


async def take_over(world: LedgerWorld, contact: str, *, until_hours: float, ended: bool = False) -> None:
    await world.rows(
        "INSERT INTO majlis_takeovers (instance, contact, started_at, until, ended_at)"
        " VALUES ('demo', $1, now() - interval '1 day', now() + make_interval(secs => $2),"
        " CASE WHEN $3 THEN now() END)",
        contact,
        until_hours * 3600,
        ended,
    )


async def test_by_default_majlis_answers(world: LedgerWorld) -> None:
    talk = Talk(world)
    assert await talk.takeover() == TakeoverState()
    await talk.answered()
    assert await talk.takeover() == TakeoverState()


@pytest.mark.parametrize("spelling", [PHONE, f"+{PHONE}", f"{PHONE}@s.whatsapp.net"])
async def test_an_escalation_applies_under_every_spelling_of_the_number(
    world: LedgerWorld, spelling: str
) -> None:
    await escalate(world, spelling)
    assert await Talk(world).takeover() == TakeoverState(escalated=True)
    assert await Talk(world, OTHER).takeover() == TakeoverState()


async def test_an_old_escalation_counts_as_handed_back(world: LedgerWorld) -> None:
    talk = Talk(world)
    await talk.answered()
    await escalate(world, PHONE, hours_ago=25)
    old = TakeoverState(escalated=True, escalation_expired=True, handed_back=True)
    assert await talk.takeover() == old
    for seconds, expected in (
        (26 * 3600.0, TakeoverState(escalated=True)),
        (1e300, TakeoverState(escalated=True)),
    ):
        assert await talk.takeover(Terms(hand_back_seconds=seconds)) == expected
    await world.rows("UPDATE whatsapp_escalated_conversations SET escalated_at = NULL")
    assert await talk.takeover() == old


async def test_the_newest_escalation_counts(world: LedgerWorld) -> None:
    await escalate(world, PHONE, hours_ago=50)
    await escalate(world, PHONE, hours_ago=1)
    assert await Talk(world).takeover() == TakeoverState(escalated=True)


async def test_a_resolved_escalation_was_handed_back_until_the_next_answer(world: LedgerWorld) -> None:
    talk = Talk(world)
    await talk.answered()
    await escalate(world, PHONE, hours_ago=2, resolved=True)
    assert await talk.takeover() == TakeoverState(handed_back=True)
    await talk.answered(Answer("x", "escalation"), rule="escalated")
    assert await talk.takeover() == TakeoverState(handed_back=True), "no responder has answered yet"
    await talk.answered()
    assert await talk.takeover() == TakeoverState()


async def test_an_open_escalation_is_not_handed_back(world: LedgerWorld) -> None:
    await escalate(world, PHONE, hours_ago=2, resolved=True)
    await escalate(world, PHONE)
    assert await Talk(world).takeover() == TakeoverState(escalated=True)
    await take_over(world, PHONE, until_hours=1)
    assert await Talk(world).takeover() == TakeoverState(escalated=True, taken_over=True)


async def test_a_taken_over_conversation_is_not_handed_back(world: LedgerWorld) -> None:
    await escalate(world, PHONE, hours_ago=2, resolved=True)
    await take_over(world, PHONE, until_hours=1)
    assert await Talk(world).takeover() == TakeoverState(taken_over=True)


async def test_a_takeover_lasts_until_it_ends(world: LedgerWorld) -> None:
    talk = Talk(world)
    await take_over(world, PHONE, until_hours=1)
    assert await talk.takeover() == TakeoverState(taken_over=True)
    assert await talk.takeover(takeover=False) == TakeoverState()
    await world.rows("UPDATE majlis_takeovers SET ended_at = now()")
    assert await talk.takeover() == TakeoverState(handed_back=True)
    await world.rows("UPDATE majlis_takeovers SET ended_at = NULL, until = now()")
    assert await talk.takeover() == TakeoverState(handed_back=True)
    await talk.answered()
    assert await talk.takeover() == TakeoverState()


async def test_a_takeover_under_the_lid_counts_for_its_phone(world: LedgerWorld) -> None:
    await take_over(world, LID, until_hours=1)
    assert await Talk(world).takeover() == TakeoverState()
    await world.ledger.link("demo", LID, PHONE)
    assert await Talk(world).takeover() == TakeoverState(taken_over=True)
    await world.rows("UPDATE majlis_takeovers SET ended_at = now()")
    assert await Talk(world).takeover() == TakeoverState(handed_back=True)


async def test_a_recent_escalated_message_is_found(world: LedgerWorld) -> None:
    talk = Talk(world)

    async def repeated(repeat_seconds: float = 300.0) -> object:
        await talk.ask()
        terms = Terms(escalated_repeat_seconds=repeat_seconds)
        return await look(
            world.lookups, talk.turn, talk.batch, "escalated_reply", record=ESCALATING, terms=terms
        )

    await talk.answered()
    assert await repeated() is False
    await talk.answered(Answer("wait", "escalation"), rule="escalated")
    await talk.answered()
    assert await repeated() is True
    assert await repeated(0) is False
    assert await repeated(1e300) is True
    await world.rows("UPDATE majlis_turns SET answered_at = now() - interval '6 minutes'")
    assert await repeated() is False
    assert await repeated(400) is True


async def test_an_unsent_escalated_message_does_not_count(world: LedgerWorld) -> None:
    talk = Talk(world)
    turn = await talk.ask()
    await world.ledger.answer(turn, 1, Reply(Answer("wait", "escalation"), ("wait",), rule="escalated"))
    await world.ledger.bury(turn, 1, "gateway", "")
    await talk.ask()
    assert await look(world.lookups, talk.turn, talk.batch, "escalated_reply", record=ESCALATING) is False


async def test_the_last_five_interactions_newest_first(world: LedgerWorld) -> None:
    talk = Talk(world)
    for number in range(7):
        await talk.answered(Answer(f"a{number // 6}", "p", confidence=number / 10), text=f"q{number}")
    await world.rows(
        "INSERT INTO whatsapp_ai_interactions (whatsapp_instance_id, user_phone, user_message, metadata, created_at)"
        " SELECT id, said.phone, said.text, said.metadata, said.at FROM whatsapp_instances, (VALUES"
        f" ('+{PHONE}', 'of old', NULL::jsonb, now() + interval '1 second'),"
        f" ('{PHONE}@s.whatsapp.net', NULL, '{KEPT_AS_A_STRING}', now() + interval '2 seconds'),"
        f" ('{PHONE}', 'undated', '{{}}', NULL),"
        f" ('{PHONE}', 'theirs', '{{\"turn\": 999999999999999999}}', now() + interval '1.5 seconds'),"
        f" ('{OTHER.contact}', 'not mine', '{{}}', now() + interval '3 seconds')) AS said (phone, text, metadata, at)"
    )
    await talk.ask()
    found = await look(world.lookups, talk.turn, talk.batch, "interactions", record=ESCALATING)
    assert [(past.text, past.quality) for past in found] == [
        ("", 0.25),
        ("theirs", None),
        ("of old", None),
        ("q6", 0.6),
        ("q5", 0.5),
    ]
    answers = [past.answer for past in found]
    assert answers[:3] == ["", "", ""] and "" != answers[3] != answers[4] != ""


@pytest.mark.parametrize("column_type", ["json", "text", "varchar(4000)"])
async def test_metadata_may_be_of_any_type(world: LedgerWorld, column_type: str) -> None:
    await world.rows("ALTER TABLE whatsapp_ai_interactions ALTER COLUMN metadata DROP DEFAULT")
    await world.rows(
        f"ALTER TABLE whatsapp_ai_interactions ALTER COLUMN metadata TYPE {column_type}"
        f" USING metadata::text::{column_type}"
    )
    await world.rows(
        "INSERT INTO whatsapp_ai_interactions (whatsapp_instance_id, user_phone, user_message, metadata)"
        f" SELECT id, '{PHONE}', 'x', '{{\"response_quality\": 0.5, \"n\": \"\\u0000\"}}' FROM whatsapp_instances"
    )
    talk = Talk(world)
    await talk.ask()
    found = await look(world.lookups, talk.turn, talk.batch, "interactions", record=ESCALATING)
    assert found == (Interaction("x", 0.5),)


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        (None, None),
        ("", None),
        ("not json", None),
        ("[1]", None),
        ("{}", None),
        ('{"response_quality": null}', None),
        ('{"response_quality": true}', None),
        ('{"response_quality": "good"}', None),
        ('{"response_quality": "NaN"}', None),
        ('{"response_quality": 1e999}', None),
        ('{"response_quality": {"a": 1}}', None),
        ('{"response_quality": 0}', 0.0),
        ('{"response_quality": 0.3}', 0.3),
        ('{"response_quality": " 0.3 "}', 0.3),
        ('"{\\"response_quality\\": 1}"', 1.0),
    ],
)
def test_quality_is_read_leniently(metadata: str | None, expected: float | None) -> None:
    assert quality(metadata) == expected


@given(
    st.one_of(
        st.none(),
        st.text(),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
            lambda inner: st.dictionaries(st.sampled_from(["response_quality", "x"]), inner),
        ).map(lambda value: msgspec.json.encode(value).decode()),
    )
)
def test_quality_never_fails(metadata: str | None) -> None:
    found = quality(metadata)
    assert found is None or isinstance(found, float)


async def test_places_are_counted_by_contact_and_instance(world: LedgerWorld) -> None:
    """If the rate has room, the turn takes its place in the same step; another attempt keeps it."""
    limits = Terms(turns_per_minute_per_contact=2, turns_per_minute=3)
    talk, other = Talk(world), Talk(world, OTHER)
    first = await talk.usage(limits)
    assert (first.contact_turns, first.contact_wait_seconds, first.instance_turns) == (0, 0, 0)
    assert (await talk.usage(limits, again=True)).contact_turns == 0
    assert (await talk.usage(limits)).contact_turns == 1
    full = await talk.usage(limits)
    assert (full.contact_turns, full.instance_turns) == (2, 2)
    assert 0 < full.contact_wait_seconds <= 60
    assert (await other.usage(limits)).instance_turns == 2
    used_up = await other.usage(limits)
    assert (used_up.contact_turns, used_up.instance_turns) == (1, 3)
    assert 0 < used_up.instance_wait_seconds <= 60
    await world.rows("UPDATE majlis_places SET at = at - interval '61 seconds'")
    assert (await other.usage(limits, again=True)).instance_turns == 0


async def test_no_two_turns_take_the_last_place(world: LedgerWorld) -> None:
    """Twenty concurrent turns, and room for five."""
    limits = Terms(turns_per_minute=5)
    talks = [Talk(world, Conversation("demo", f"55119000001{number:02d}")) for number in range(20)]
    let_through: list[bool] = []

    async def one(talk: Talk) -> None:
        let_through.append((await talk.usage(limits)).instance_turns < 5)

    async with trio.open_nursery() as nursery:
        for talk in talks:
            nursery.start_soon(one, talk)
    assert let_through.count(True) == 5


async def test_usage_is_counted_by_day(world: LedgerWorld) -> None:
    talk, other, budgets = Talk(world), Talk(world, OTHER), Terms(tokens_per_day=100)
    nothing = await talk.usage(budgets)
    assert (nothing.tokens_today, nothing.cost_micros_today) == (0, 0)
    assert 0 < nothing.day_wait_seconds <= 86_400
    await talk.answered(Answer("", "p", input_tokens=3, output_tokens=4, cost_micros=50))
    await other.answered(Answer("", "p", input_tokens=10, output_tokens=20, cost_micros=500))
    await talk.answered(Answer("", "escalation"), rule="escalated")
    used = await talk.usage(budgets)
    assert (used.tokens_today, used.cost_micros_today, used.answers_today) == (37, 550, 2)
    assert (await talk.usage(Terms(cost_per_message_micros=1))).answers_today == 2
    assert await world.rows("SELECT FROM majlis_places") == []
    await world.rows("UPDATE majlis_usage SET day = day - 1")
    assert (await talk.usage(budgets)).tokens_today == 0


async def test_a_recent_fallback_message_is_found(world: LedgerWorld) -> None:
    talk = Talk(world)
    assert not (await talk.usage()).fallback_said
    await talk.answered(Answer("later", "fallback"), rule="budget_reached")
    assert (await talk.usage()).fallback_said
    await world.rows("UPDATE majlis_turns SET answered_at = answered_at - interval '301 seconds'")
    assert not (await talk.usage()).fallback_said


async def test_interactions_before_a_hand_back_do_not_count(world: LedgerWorld) -> None:
    """After three poor answers and a hand-back, the next message is answered again."""
    talk = Talk(world)
    for number in range(3):
        await talk.answered(Answer("", "p", confidence=0.1), text=f"question {number}")
    await talk.ask("thanks")
    seen = await look(world.lookups, talk.turn, talk.batch, "interactions", record=ESCALATING)
    assert [interaction.quality for interaction in seen] == [0.1, 0.1, 0.1]
    await escalate(world, talk.batch.conversation.contact)
    await world.rows("SELECT majlis_hand_back('demo', $1, 'operator', true)", talk.batch.conversation.contact)
    assert await look(world.lookups, talk.turn, talk.batch, "interactions", record=ESCALATING) == ()


async def test_an_escalation_under_a_lid_applies_to_the_phone(world: LedgerWorld) -> None:
    talk = Talk(world)
    await escalate(world, LID)
    assert not (await talk.takeover()).escalated
    await world.ledger.link("demo", LID, talk.batch.conversation.contact)
    assert (await talk.takeover()).escalated
    await world.rows("SELECT majlis_hand_back('demo', $1, 'operator', true)", talk.batch.conversation.contact)
    assert not (await talk.takeover()).escalated


async def test_the_newest_webhook_of_the_instance(world: LedgerWorld) -> None:
    terms = Terms(allowed_origins=("https://gate.example",))
    talk = Talk(world)
    await talk.ask()
    assert await look(world.lookups, talk.turn, talk.batch, "webhook", terms=terms) == ""
    await world.rows(
        "INSERT INTO whatsapp_webhook_config (whatsapp_instance_id, webhook_url, created_at)"
        " SELECT id, url, now() - age FROM whatsapp_instances, (VALUES ('https://old', interval '2 days'),"
        " ('https://new', interval '1 day'), (NULL, interval '0'), ('', interval '0'), ('https://undated', NULL))"
        " AS stored (url, age)"
    )
    assert await look(world.lookups, talk.turn, talk.batch, "webhook", terms=terms) == "https://new"


@pytest.mark.parametrize(
    ("skipped", "record", "flags", "terms"),
    [
        (
            {"webhook", "escalated_reply", "interactions", "usage", "quoted"},
            InstanceRecord(),
            FeatureFlags(),
            Terms(),
        ),
        ({"webhook", "usage", "quoted"}, ESCALATING, FeatureFlags(), Terms()),
        (
            {"webhook", "escalated_reply", "interactions", "usage", "quoted"},
            ESCALATING,
            FeatureFlags(escalation=False),
            Terms(),
        ),
        ({"usage", "quoted"}, ESCALATING, FeatureFlags(), Terms(allowed_origins=("https://gate.example",))),
        *(
            (
                {"webhook", "escalated_reply", "interactions", "quoted"},
                InstanceRecord(),
                FeatureFlags(),
                terms,
            )
            for terms in (
                Terms(turns_per_minute_per_contact=1),
                Terms(turns_per_minute=1),
                Terms(tokens_per_day=1),
                Terms(cost_per_day_micros=1),
            )
        ),
    ],
)
def test_unneeded_lookups_are_skipped(
    skipped: set[str], record: InstanceRecord, flags: FeatureFlags, terms: Terms
) -> None:
    question = Question(Turn(1, "started", "1"), batch("hello"), record, flags, terms)
    assert {spec.name for spec in LOOKUPS if spec.skip(question)} == skipped


def test_a_replayed_dead_letter_is_not_looked_up_as_a_duplicate() -> None:
    replay = batch("hello", id_prefix="dead-7-")
    question = Question(Turn(1, "started", "1"), replay, InstanceRecord(), FeatureFlags(), Terms())
    assert "duplicate" in {spec.name for spec in LOOKUPS if spec.skip(question)}


def test_every_lookup_has_a_unique_name_and_a_default() -> None:
    names = [spec.name for spec in LOOKUPS]
    assert len(names) == len(set(names))
    assert set(names) <= set(Facts.__struct_fields__)


async def test_an_unavailable_store_is_raised(world: LedgerWorld) -> None:
    talk = Talk(world)
    await talk.ask(context=(Context("quote", id="G1"),))
    await world.db.close()
    for name in (spec.name for spec in LOOKUPS):
        terms = Terms(allowed_origins=("https://gate.example",), turns_per_minute=1)
        with pytest.raises(LedgerUnavailable):
            # So that the pace is asked for, and whether this is a repetition.
            turn = msgspec.structs.replace(talk.turn, lately=None, said_before=None)
            await look(world.lookups, turn, talk.batch, name, record=ESCALATING, terms=terms)
