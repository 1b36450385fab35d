"""The order of the rules: who speaks, and what is said, for everything that may be known of a burst."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import limits, triage
from actors.escalation import Interaction
from actors.instance import FeatureFlags, InstanceRecord, LimitPolicy, Terms
from actors.lookups import CachedAnswer, Facts, TakeoverState, Usage
from actors.messages import Answer, Context, HistoryEntry, Passage
from actors.ports import Question, Turn
from tests.support.ledgers import batch

RECORD = InstanceRecord(escalation_enabled=True, escalated_message="a person comes", fallback_message="later")
TURN = Turn(1, "started", "1")
OFF = FeatureFlags(cache=False, knowledge=False, escalation=False, takeover=False)
CACHED = CachedAnswer("cached", "cache")


def question(
    *texts: str,
    record: InstanceRecord = RECORD,
    flags: FeatureFlags | None = None,
    terms: Terms | None = None,
) -> Question:
    return Question(
        TURN, batch(*(texts or ("what is the price?",))), record, flags or FeatureFlags(), terms or Terms()
    )


def test_a_plain_question_goes_to_the_responder_with_everything_in_view() -> None:
    history, passages = (HistoryEntry("user", "hi"),), (Passage("prices.pdf", "10 SAR", 0.8),)
    record = msgspec.structs.replace(RECORD, system_prompt="You sell dates.")
    verdict = triage.decide(
        question("how much", "for two?", record=record), Facts(history=history, knowledge=passages)
    )
    assert isinstance(verdict, triage.AskResponder)
    prompt = verdict.prompt
    assert (prompt.messages, prompt.history, prompt.knowledge) == (
        ("how much", "for two?"),
        history,
        passages,
    )
    assert (prompt.system_prompt, prompt.handed_back) == ("You sell dates.", False)


def test_the_responder_is_told_what_a_message_refers_to_and_what_holds_now() -> None:
    quote = Context("quote", id="G1")
    asked = msgspec.structs.replace(
        question(), batch=batch("this one", context=(quote,)), now_ms=1_796_042_096_000
    )
    known = Facts(quoted=(Context("quote", "Sukkari 90 SAR", "G1", "business"),))
    verdict = triage.decide(asked, known)
    assert isinstance(verdict, triage.AskResponder)
    assert verdict.prompt.messages == ('[answers the business\'s message: "Sukkari 90 SAR"]\nthis one',)
    assert "30 November 2026" in verdict.prompt.situation


def test_the_first_matching_rule_decides() -> None:
    everything = Facts(
        duplicate=True,
        takeover=TakeoverState(taken_over=True, escalated=True),
        cached_answer=CACHED,
        usage=Usage(10, 1.0),
    )
    asked = question("I want to talk to an agent", terms=Terms(turns_per_minute_per_contact=1))
    assert triage.decide(asked, everything) == triage.Silence("taken_over")
    known = msgspec.structs.replace(everything, takeover=TakeoverState(escalated=True))
    said = triage.decide(asked, known)
    assert said == triage.Say(Answer("a person comes", triage.ESCALATION), "escalated")
    known = msgspec.structs.replace(known, takeover=TakeoverState())
    said = triage.decide(asked, known)
    assert isinstance(said, triage.Say)
    assert said.escalation == "asks_for_human"
    harmless = question(terms=Terms(turns_per_minute_per_contact=1))
    assert triage.decide(harmless, known) == triage.Silence("duplicate")
    known = msgspec.structs.replace(known, duplicate=False)
    assert isinstance(triage.decide(harmless, known), triage.Wait)
    assert triage.decide(question(), known) == triage.Say(CACHED)


def test_the_escalated_message_is_repeated_only_after_a_while() -> None:
    known = Facts(takeover=TakeoverState(escalated=True), escalated_reply=True)
    assert triage.decide(question(), known) == triage.Silence("escalated")
    known = Facts(takeover=TakeoverState(escalated=True), escalated_reply=False)
    assert isinstance(triage.decide(question(), known), triage.Say)
    assert triage.decide(question(record=InstanceRecord()), known) == triage.Silence("escalated")


def test_after_an_escalation_the_past_is_context() -> None:
    over = TakeoverState(escalated=True, escalation_expired=True)
    verdict = triage.decide(question(), Facts(takeover=over))
    assert isinstance(verdict, triage.AskResponder)
    assert verdict.prompt.handed_back
    bad = (Interaction("a", 0.1), Interaction("b", 0.1), Interaction("c", 0.1))
    assert isinstance(triage.decide(question(), Facts(takeover=over, interactions=bad)), triage.AskResponder)
    verdict = triage.decide(question(), Facts(takeover=TakeoverState(handed_back=True)))
    assert isinstance(verdict, triage.AskResponder)
    assert verdict.prompt.handed_back


@pytest.mark.parametrize(
    ("text", "interactions", "reason"),
    [
        ("can I speak to someone", (), "asks_for_human"),
        ("where is it?", (Interaction("Where is it"), Interaction("where is it")), "repeated_question"),
        ("ok", (Interaction("a", 0.1), Interaction("b", 0.2), Interaction("c", 0.39)), "low_quality"),
        ("I want a refund", (), "sensitive_topic"),
    ],
)
def test_each_rule_escalates_and_says_so(
    text: str, interactions: tuple[Interaction, ...], reason: str
) -> None:
    verdict = triage.decide(question(text), Facts(interactions=interactions))
    assert isinstance(verdict, triage.Say)
    assert (verdict.escalation, verdict.rule, verdict.answer.text) == (reason, "escalated", "a person comes")


@pytest.mark.parametrize("how", ["row", "flag"])
def test_nothing_is_escalated_where_escalation_is_off(how: str) -> None:
    record = RECORD if how == "flag" else msgspec.structs.replace(RECORD, escalation_enabled=False)
    flags = FeatureFlags(escalation=how != "flag")
    asked = question("I want a refund from an agent", record=record, flags=flags)
    assert isinstance(triage.decide(asked, Facts()), triage.AskResponder)


def test_with_every_flag_off_the_responder_is_asked_without_extras() -> None:
    known = Facts(
        takeover=TakeoverState(taken_over=True, escalated=True),
        cached_answer=CACHED,
        knowledge=(Passage("a", "b", 1.0),),
    )
    verdict = triage.decide(question(flags=OFF), known)
    assert isinstance(verdict, triage.AskResponder)
    assert verdict.prompt.knowledge == ()


def test_the_rows_texts_override_the_configured_ones() -> None:
    terms = Terms(escalated_message="configured", fallback_message="configured later")
    bare = InstanceRecord(escalation_enabled=True)
    said = triage.decide(question("agent", record=bare, terms=terms), Facts())
    assert isinstance(said, triage.Say)
    assert said.answer.text == "configured"
    assert triage.fallback(bare, terms) == Answer("configured later", triage.FALLBACK)
    assert triage.fallback(RECORD, terms) == Answer("later", triage.FALLBACK)
    assert triage.fallback(bare, Terms()) is None


USED_UP = Usage(
    contact_turns=3, contact_wait_seconds=20.0, instance_turns=30, instance_wait_seconds=5.0,
    tokens_today=1000, cost_micros_today=2_000_000, day_wait_seconds=3600.0,
)  # fmt: skip
LIMITS: dict[limits.LimitKind, tuple[str, int]] = {
    "contact_rate": ("turns_per_minute_per_contact", 3),
    "instance_rate": ("turns_per_minute", 30),
    "tokens_per_day": ("tokens_per_day", 1000),
    "cost_per_day": ("cost_per_day_micros", 2_000_000),
}


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("policy", ["alert", "fallback", "hold", "suppress"])
def test_a_reached_limit_does_what_its_policy_says_and_is_always_reported(
    kind: limits.LimitKind, policy: LimitPolicy
) -> None:
    """A turn never dies silently of a budget."""
    name, limit = LIMITS[kind]
    terms = msgspec.structs.replace(Terms(on_rate=policy, on_budget=policy), **{name: limit})
    verdict = triage.decide(question(terms=terms), Facts(usage=USED_UP))
    assert [reached.kind for reached in verdict.reached] == [kind]
    match policy:
        case "alert":
            assert isinstance(verdict, triage.AskResponder)
        case "fallback":
            assert isinstance(verdict, triage.Say)
            assert verdict.answer == Answer("later", triage.FALLBACK)
            assert verdict.rule in ("rate_limited", "budget_reached")
        case "hold":
            assert isinstance(verdict, triage.Wait)
            assert (verdict.reason, verdict.seconds in (20.0, 5.0, 3600.0)) == (kind, True)
        case "suppress":
            assert isinstance(verdict, triage.Silence)
            assert verdict.rule in ("rate_limited", "budget_reached")
    if policy == "fallback":
        again = msgspec.structs.replace(USED_UP, fallback_said=True)
        assert isinstance(triage.decide(question(terms=terms), Facts(usage=again)), triage.Silence)
    below = msgspec.structs.replace(terms, **{name: limit + 1})
    assert isinstance(triage.decide(question(terms=below), Facts(usage=USED_UP)), triage.AskResponder)


def test_a_cached_answer_costs_nothing_and_needs_no_budget() -> None:
    terms = Terms(tokens_per_day=1, on_budget="suppress")
    known = Facts(usage=Usage(tokens_today=5), cached_answer=CACHED)
    assert triage.decide(question(terms=terms), known) == triage.Say(CACHED)


def test_without_a_fallback_message_the_turn_ends_by_its_rule() -> None:
    terms = Terms(cost_per_day_micros=1)
    verdict = triage.decide(
        question(record=InstanceRecord(), terms=terms), Facts(usage=Usage(cost_micros_today=1))
    )
    assert isinstance(verdict, triage.Silence)
    assert verdict.rule == "budget_reached"


FACTS = st.builds(
    Facts,
    duplicate=st.booleans(),
    takeover=st.builds(TakeoverState, st.booleans(), st.booleans(), st.booleans(), st.booleans()),
    escalated_reply=st.booleans(),
    interactions=st.lists(
        st.builds(Interaction, st.text(max_size=8), st.none() | st.floats(0, 1)), max_size=5
    ).map(tuple),
    cached_answer=st.none() | st.just(CACHED),
    usage=st.builds(Usage, st.integers(0, 5), st.floats(0, 60), st.integers(0, 5)),
)
FLAGS_ON = st.builds(FeatureFlags, *[st.booleans()] * 6)
TERMS = st.builds(
    Terms,
    turns_per_minute_per_contact=st.none() | st.integers(1, 5),
    turns_per_minute=st.none() | st.integers(1, 5),
    on_rate=st.sampled_from(["alert", "fallback", "hold", "suppress"]),
)


@given(
    text=st.text(max_size=60),
    known=FACTS,
    flags=FLAGS_ON,
    terms=TERMS,
    record=st.sampled_from([RECORD, InstanceRecord()]),
)
def test_any_facts_give_one_verdict(
    text: str, known: Facts, flags: FeatureFlags, terms: Terms, record: InstanceRecord
) -> None:
    """Silence has a name, a wait has an end, and who is taken over is never answered."""
    verdict = triage.decide(question(text, record=record, flags=flags, terms=terms), known)
    match verdict:
        case triage.Silence(rule):
            assert rule
        case triage.Wait(reason, seconds):
            assert reason
            assert seconds >= 1
        case triage.Say(answer):
            assert answer.provider in (triage.ESCALATION, triage.FALLBACK, "cache")
    if flags.takeover and known.takeover.taken_over:
        assert verdict == triage.Silence("taken_over")
