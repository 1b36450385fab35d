"""Stop and start words: what is one, what is said, and that it holds."""

from __future__ import annotations

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from actors import contacts, opt_out, triage
from actors.errors import TurnRefused
from actors.escalation import Interaction
from actors.instance import ContactTerms, FeatureFlags, InstanceRecord, OptOutTerms, ReplyTerms, Terms
from actors.lookups import CachedAnswer, Facts, TakeoverState, Usage
from actors.messages import Answer, Message
from actors.ports import Question, Turn
from daemon.config.sections import OptOutSettings
from tests.actors.test_identity import IN_TWO_FORMS
from tests.support.ledgers import DEMO, batch
from tests.support.world import World

WORDS = OptOutTerms(**OptOutSettings().model_dump())
TERMS = Terms(opt_out=WORDS)
OUT = TakeoverState(opted_out=True)


def message(text: str, kind: str = "text") -> Message:
    return Message("demo", "966500000001", "m", text, 1, kind)


@pytest.mark.parametrize(
    "text",
    [
        "STOP",
        "stop",
        "Stop.",
        "  *STOP*!! ",
        "stop stop",
        "🛑 stop 🛑",
        "إيقاف",
        "ايقاف",
        "أيقاف",
        "إيـقاف.",
        "الغاء الاشتراك",
        "إلغاء الإشتراك",
        "الغاء\nالاشتراك",
        "Sair",
        "PARAR!",
        "unsubscribe",
        "Stop promotions",
        "Descadastrar",
        "ＳＴＯＰ",
    ],
)
def test_a_stop_word_is_one_in_any_spelling(text: str) -> None:
    found = opt_out.wish((message(text),), WORDS)
    assert found is not None and found.wants_out


@pytest.mark.parametrize(
    "text",
    [
        "",
        "stop it please",
        "does the bus stop here",
        "don't stop",
        "الغاء الطلب",
        "الغاء",
        "non stop",
        "stopp",
        "st op",
        "stop " * 100,
        "🛑",
        "START",
    ],
)
def test_a_sentence_is_none(text: str) -> None:
    found = opt_out.wish((message(text),), WORDS)
    assert found is None or not found.wants_out


def test_only_typed_words_and_choices_count_and_only_where_it_is_on() -> None:
    assert opt_out.wish((message("STOP", "button"),), WORDS)
    assert not opt_out.wish((message("stop", "voice"),), WORDS)
    assert not opt_out.wish((message("STOP"),), msgspec.structs.replace(WORDS, enabled=False))
    assert not opt_out.wish((message("STOP"),), OptOutTerms())
    assert opt_out.wish((message("baja"),), OptOutTerms(stop_words=("Baja",)))


def test_a_correction_to_a_stop_word_is_one() -> None:
    assert opt_out.wish((message("corrected: stop", "edit"),), WORDS)
    assert not opt_out.wish((message("corrected: stop"),), WORDS)
    assert not opt_out.wish((message("corrected: do not stop", "edit"),), WORDS)


@pytest.mark.parametrize(
    ("text", "contact", "says", "back"),
    [
        ("STOP", "1", "no more messages", "START"),
        ("إيقاف", "966500000001", "لن تصلك", "ابدأ"),
        ("SAIR", "5511900000001", "Você", "VOLTAR"),
        ("PARAR", "5511900000001", "Você", "VOLTAR"),
        ("PARAR", "34600000001", "recibirá", "VOLVER"),
    ],
)
def test_it_is_confirmed_in_the_language_of_the_word_with_the_way_back(
    text: str, contact: str, says: str, back: str
) -> None:
    found = opt_out.wish((message(text),), WORDS)
    assert found is not None
    said = opt_out.confirmation(found, contact, WORDS)
    assert says in said and back in said
    again = opt_out.wish((message(back),), WORDS)
    assert again is not None and not again.wants_out, "what it tells works"
    assert opt_out.confirmation(again, contact, WORDS) != said
    own = msgspec.structs.replace(WORDS, message=" bye ", back_message="hi")
    assert (opt_out.confirmation(found, contact, own), opt_out.confirmation(again, contact, own)) == (
        "bye",
        "hi",
    )
    assert "{" not in opt_out.confirmation(found, contact, OptOutTerms())


def decided(*texts: str, facts: Facts | None = None, terms: Terms = TERMS) -> triage.TriageVerdict:
    record = InstanceRecord(escalation_enabled=True, escalated_message="a person comes")
    asked = Question(Turn(1, "started", "1"), batch(*texts), record, FeatureFlags(), terms)
    return triage.decide(asked, facts or Facts())


def ends(verdict: triage.TriageVerdict) -> tuple[str, str, str]:
    return type(verdict).__name__, getattr(verdict, "rule", ""), getattr(verdict, "opt_out", "")


STANDINGS = (
    TakeoverState(),
    TakeoverState(taken_over=True),
    TakeoverState(escalated=True),
    TakeoverState(escalated=True, escalation_expired=True),
)


@pytest.mark.parametrize("standing", STANDINGS)
def test_a_stop_word_works_whoever_speaks_and_is_confirmed_once(standing: TakeoverState) -> None:
    crowded = Usage(10, 1.0)
    terms = msgspec.structs.replace(TERMS, turns_per_minute_per_contact=1)
    facts = Facts(takeover=standing, duplicate=True, escalated_reply=True, usage=crowded)
    assert ends(decided("I want an agent", "Stop!", facts=facts, terms=terms)) == ("Say", "opted_out", "out")
    out = msgspec.structs.replace(facts, takeover=msgspec.structs.replace(standing, opted_out=True))
    for texts in (("STOP",), ("hello",), ("I want an agent",), ("START", "STOP")):
        assert ends(decided(*texts, facts=out)) == ("Silence", "opted_out", ""), texts
    assert ends(decided("STOP", "START", facts=out))[2] == "in"
    off = msgspec.structs.replace(TERMS, opt_out=msgspec.structs.replace(WORDS, enabled=False))
    assert ends(decided("STOP", facts=Facts(takeover=OUT), terms=off)) == ("AskResponder", "", "")


def test_a_start_word_ends_it_and_what_comes_with_it_is_answered() -> None:
    out = Facts(takeover=OUT)
    assert ends(decided("ابدأ", facts=out)) == ("Say", "opted_in", "in")
    verdict = decided("START", "what does it cost?", facts=out)
    assert isinstance(verdict, triage.AskResponder)
    assert (verdict.prompt.messages, verdict.opt_out) == (("what does it cost?",), "in")
    found = CachedAnswer("180 SAR, to both", "cache", "m")
    kept = msgspec.structs.replace(out, cached_answer=found)
    assert isinstance(decided("START", "what does it cost?", facts=kept), triage.AskResponder), (
        "for the burst"
    )
    assert ends(decided("START", "I want an agent", facts=out)) == ("Say", "escalated", "in")
    person = Facts(takeover=TakeoverState(opted_out=True, taken_over=True))
    assert ends(decided("START", "what does it cost?", facts=person)) == ("Say", "opted_in", "in")
    assert ends(decided("START")) == ("AskResponder", "", ""), "a word like any other"
    assert ends(decided("STOP", "START")) == ("AskResponder", "", ""), "the last one counts"


LISTS = ContactTerms(ignore=("966500000009", "9715*"), allow=("9665*", "971555555555", "5511*"))


@pytest.mark.parametrize(
    ("contact", "rule"),
    [
        ("966500000001", ""),
        ("966500000009", "ignored_contact"),
        ("971555555555", "ignored_contact"),
        ("971400000000", "not_allowed_contact"),
        ("96650000000", ""),
        ("9660", "not_allowed_contact"),
        ("966500000002", "staff"),
        ("966500000001@lid", "not_allowed_contact"),
        ("9715@lid", "not_allowed_contact"),
        ("999123456789012", ""),
    ],
)
def test_who_is_a_customer(contact: str, rule: str) -> None:
    terms = Terms(contacts=LISTS, notify_numbers=("966500000002",))
    assert contacts.rule(contact, terms) == rule
    answered = msgspec.structs.replace(LISTS, answer_staff=True)
    assert contacts.rule("966500000002", msgspec.structs.replace(terms, contacts=answered)) == ""
    assert contacts.rule(contact, Terms()) == ""


@pytest.mark.parametrize(("listed", "writes"), IN_TWO_FORMS)
def test_a_number_is_listed_under_either_of_its_addresses(listed: str, writes: str) -> None:
    lists = ContactTerms(ignore=(listed,))
    assert contacts.rule(writes, Terms(contacts=lists)) == "ignored_contact"
    assert contacts.rule(writes, Terms(contacts=ContactTerms(allow=(listed,)))) == ""
    assert contacts.rule(writes, Terms(notify_numbers=(listed,))) == "staff"
    apart = msgspec.structs.replace(lists, link_numbers=False)
    assert contacts.rule(writes, Terms(contacts=apart, notify_numbers=(listed,))) == ""


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("+966 50 000 0001", "966500000001"),
        ("966-50*", "96650*"),
        (" +55 (11) * ", "5511*"),
        ("1*", "1*"),
        ("*", None),
        ("0500*", None),
        ("0500000001", None),
        ("+", None),
        ("966*50", None),
        ("shop", None),
        ("1234567890123456*", None),
    ],
)
def test_numbers_and_prefixes_in_any_writing(written: str, meant: str | None) -> None:
    assert contacts.pattern(written) == meant


def test_a_number_of_ours_is_no_customer_unless_wanted() -> None:
    ours = Facts(takeover=TakeoverState(own_instance=True, opted_out=True, taken_over=True))
    assert ends(decided("hello", facts=ours)) == ("Silence", "own_instance", "")
    wanted = msgspec.structs.replace(TERMS, contacts=ContactTerms(answer_instances=True))
    verdict = decided("hello", facts=Facts(takeover=TakeoverState(own_instance=True)), terms=wanted)
    assert isinstance(verdict, triage.AskResponder)


@given(st.text(max_size=60), st.lists(st.text(max_size=20), max_size=3), st.booleans())
def test_whatever_is_written_it_has_an_end(text: str, listed: list[str], out: bool) -> None:
    terms = Terms(opt_out=OptOutTerms(stop_words=tuple(listed), start_words=tuple(reversed(listed))))
    facts = Facts(takeover=TakeoverState(opted_out=out), interactions=(Interaction(text, answer="a"),) * 4)
    assert decided(text, facts=facts, terms=terms)


# Whole turns


def rules(world: World) -> list[object]:
    return [fields["rule"] for event, _, fields in world.feed.events if event == "turn.suppressed"]


async def test_after_stop_there_is_silence_until_start(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = World(term=TERMS)
    await world.start(nursery)
    for text in ("hello", "STOP", "hello?", "stop", "START", "hello again"):
        await world.say(text)
        await trio.sleep(10)
    assert world.replies[0] == "Heard 1: hello" and world.replies[-1] == "Heard 1: hello again"
    assert len(world.replies) == 4 and "START" in world.replies[1] and "STOP" in world.replies[2]
    assert rules(world) == ["opted_out", "opted_out"]
    assert [name for name in world.feed.names() if name.startswith("contact.")] == [
        "contact.opted_out",
        "contact.opted_in",
    ]


async def test_an_answer_beside_a_start_word_is_not_kept_for_the_whole_burst(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = World(term=TERMS)
    world.ledger.opted_out.add(DEMO)
    await world.start(nursery)
    await world.say("START")
    await world.say("what does it cost?")
    await trio.sleep(10)
    [prompt] = world.responder.prompts
    assert prompt.messages == ("what does it cost?",)
    [said] = [fields for event, _, fields in world.feed.events if event == "turn.answered"]
    assert said["cache"] == "start_word"


async def test_stop_is_confirmed_though_a_person_writes_there(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """The claim of the confirmation is made all the same, and of nothing else."""
    world = World(term=TERMS)
    world.ledger.taken_over.add(DEMO)
    await world.start(nursery)
    await world.say("STOP")
    await trio.sleep(10)
    assert len(world.replies) == 1 and DEMO in world.ledger.opted_out
    await world.say("hello")
    await trio.sleep(10)
    assert (len(world.replies), rules(world)) == (1, ["opted_out"])


async def test_nothing_is_said_by_itself_to_somebody_who_opted_out(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """A turn that was begun before: its dead letter has no fallback message."""
    world = World(term=msgspec.structs.replace(TERMS, fallback_message="Please try later."))
    world.responder.script = [TurnRefused("bad_request"), TurnRefused("bad_request")]
    world.responder.delay_seconds = 1
    await world.start(nursery)
    await world.say("hello")
    await trio.sleep(8.5)
    world.ledger.opted_out.add(DEMO)
    await trio.sleep(10)
    assert (world.ledger.dead(), world.replies) == (["bad_request"], [])
    world.ledger.opted_out.clear()
    await world.say("hello?")
    await trio.sleep(20)
    assert world.replies == ["Please try later."]


async def test_who_is_no_customer_costs_nothing(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """No lookup, no model, no place in a rate; and no fallback should the turn die."""
    asked: list[str] = []

    async def note(operation: str) -> None:
        await trio.lowlevel.checkpoint()
        asked.append(operation)

    world = World(term=Terms(contacts=ContactTerms(ignore=(DEMO.contact,))))
    world.ledger.fault = note
    await world.start(nursery)
    await world.say("hello")
    await trio.sleep(10)
    assert (rules(world), world.replies, world.responder.prompts) == (["ignored_contact"], [], [])
    assert set(asked) - {"unfinished", "open_turns"} == {"begin", "instance", "suppress"}


async def test_the_model_may_say_nothing(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """No attempt is burnt, nothing is sent, kept or said in its place; what it cost is told."""
    world = World(term=msgspec.structs.replace(TERMS, fallback_message="Please try later."))
    silence = Answer("", "memory", "m", 11, 7, 5, is_silence=True)
    world.responder.script = [silence]
    await world.start(nursery)
    await world.say("ok thanks")
    await trio.sleep(10)
    assert (world.replies, world.ledger.states(), rules(world)) == ([], ["suppressed"], ["model_silence"])
    [spent] = [fields for event, _, fields in world.feed.events if event == "turn.answered"]
    assert (spent["input_tokens"], spent["output_tokens"], spent["cost_micros"]) == (11, 7, 5)
    assert [prompt.may_be_silent for prompt in world.responder.prompts] == [True]
    assert world.feed.names().count("turn.failed") == 0
    world.term = msgspec.structs.replace(world.term, reply=ReplyTerms(model_silence=False))
    world.responder.script = [silence, silence, silence]
    await world.say("thanks again")
    await trio.sleep(60)
    assert (world.ledger.dead(), world.replies) == (["garbage"], ["Please try later."])
    assert [prompt.may_be_silent for prompt in world.responder.prompts[1:]] == [False] * 3
