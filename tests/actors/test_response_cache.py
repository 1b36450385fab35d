"""Which answers may be given again, and under what they are found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import response_cache
from actors.identity import Conversation
from actors.instance import ContextTerms, FeatureFlags, InstanceRecord, ReplyTerms, Terms
from actors.lookups import Facts, Span, TakeoverState
from actors.messages import Answer, Batch, Context, HistoryEntry, Message, Prompt, Waiting
from actors.ports import CacheEntry, Question, Turn
from actors.response_cache import CachedAnswer, entry_for, fits, hit, is_personal, key, may_give
from actors.text import normalised

MONDAY_MS = 1_795_996_800_000
"""30 November 2026, midnight UTC."""
SHOP = ("daily 09:00-22:00",)
ANSWER = Answer("Sidr honey is 180 SAR.", "main", "gpt", 10, 5)


def question(
    *texts: str,
    instance: str = "acme",
    quoted: str = "",
    record: InstanceRecord | None = None,
    flags: FeatureFlags | None = None,
    context: Sequence[Context] = (),
    name: str = "",
    now_ms: int = 0,
    told: ContextTerms | None = None,
    **terms: Any,
) -> Question:
    conversation = Conversation(instance, "966500000001")
    messages = (
        Message(
            *conversation,
            f"m{place}",
            text,
            1,
            push_name=name,
            context=(*([Context("quote", quoted)] if quoted else ()), *context),
        )
        for place, text in enumerate(texts)
    )
    entries = tuple(Waiting(place, 1, message) for place, message in enumerate(messages))
    batch = Batch(conversation, 1, 0, len(texts), "timeout", 0, 1, 2, entries)
    given: dict[str, Any] = {
        "cache_scope": "who",
        "embedding_model": "small",
        "context": told or ContextTerms(),
    }
    return Question(
        Turn(1, "started", "1"),
        batch,
        record or InstanceRecord(),
        flags or FeatureFlags(),
        Terms(**given | terms),
        now_ms,
    )


def prompt(asked: Question, **more: Any) -> Prompt:
    return Prompt(asked.batch.conversation.instance, tuple(m.text for m in asked.batch.messages), **more)


def of(asked: Question) -> CacheEntry:
    entry = key(asked)
    assert entry is not None
    return entry


def test_the_same_words_are_the_same_question() -> None:
    first = of(question("كم سعر", "عسل السِّدر؟"))
    second = of(question("كم سعر عسل السدر"))
    assert (first.scope, first.question_hash) == (second.scope, second.question_hash)
    assert first.text_hash == second.text_hash, "one vector for all its spellings"
    assert of(question("كم سعر عسل الطلح")).question_hash != first.question_hash


@pytest.mark.parametrize(
    "other",
    [
        question("hello", instance="other"),
        question("hello", cache_scope="others"),
        question("hello", quoted="the price list of yesterday"),
        question("hello", context=[Context("quote", id="G1")]),
        question("hello", context=[Context("ad", "Abaya")]),
        question("hello", context=[Context("status", "Abaya")]),
        question("hello", context=[Context("quote", "Abaya", by="business")]),
        question("hello", now_ms=MONDAY_MS),
        question("hello", record=InstanceRecord(system_prompt="Be brief.")),
        question("hello", record=InstanceRecord(knowledge_version=1)),
        question("hello", flags=FeatureFlags(knowledge=False)),
        question("hello", knowledge_threshold=0.5),
    ],
)
def test_everything_given_to_the_responder_is_part_of_the_key(other: Question) -> None:
    assert of(other).scope != of(question("hello")).scope
    assert of(other).question_hash == of(question("hello")).question_hash


def test_the_way_an_answer_is_formatted_is_part_of_the_key() -> None:
    """A cached answer is formatted already."""
    asked = question("how much is it?")
    unchanged = question("how much is it?", reply=ReplyTerms(formatting="unchanged"))
    assert key(asked) != key(unchanged)


def test_a_quote_with_an_id_alone_has_no_others_answer() -> None:
    """Nobody but our ledger, and that only later, knows what it says."""
    first, other = (question("this one", context=[Context("quote", id=id)]) for id in ("G1", "G2"))
    assert of(first).scope != of(other).scope
    assert of(first).scope == of(question("this one", context=[Context("quote", id="G1")])).scope
    untold = ContextTerms(references=False)
    ignored = question("this one", context=[Context("quote", id="G1")], told=untold)
    assert of(ignored).scope == of(question("this one", quoted="a list", told=untold)).scope


def test_which_message_refers_to_something_is_part_of_the_key() -> None:
    """The words are the same, and so is what is quoted; the question is another one."""
    texts, quote = ("how much is it?", "do you deliver it?"), Context("quote", "Abaya", by="business")

    def scope(*contexts: tuple[Context, ...], texts: Sequence[str] = texts) -> str:
        asked = question(*texts)
        entries = tuple(
            msgspec.structs.replace(entry, message=msgspec.structs.replace(entry.message, context=context))
            for entry, context in zip(asked.batch.entries, contexts, strict=True)
        )
        batch = msgspec.structs.replace(asked.batch, entries=entries)
        return of(msgspec.structs.replace(asked, batch=batch)).scope

    assert len({scope((quote,), ()), scope((), (quote,)), scope((quote,), (quote,)), scope((), ())}) == 4
    assert scope((quote,), ()) == scope((quote,), texts=[" ".join(texts)])
    assert scope((), (quote,)) != scope((), (quote,), texts=["how much", "is it? do you deliver it?"])


def test_a_payment_that_somebody_typed_has_not_the_answer_to_one() -> None:
    words = "[payment of 50 SAR]"
    typed = question(words)
    paid = msgspec.structs.replace(typed.batch.entries[0].message, kind="payment")
    entries = (Waiting(0, 1, paid),)
    batch = msgspec.structs.replace(typed.batch, entries=entries)
    assert of(msgspec.structs.replace(typed, batch=batch)).scope != of(typed).scope


def test_the_day_and_whether_it_is_open_are_part_of_the_key() -> None:
    """Of the instance's clock: at half past nine in the evening by UTC it is the next day in Riyadh."""

    def scope(hour: float, **context: Any) -> str:
        terms = ContextTerms(**{"timezone": "Asia/Riyadh", "hours": SHOP} | context)
        return of(question("hello", now_ms=MONDAY_MS + int(hour * 3_600_000), told=terms)).scope

    assert scope(9) == scope(17), "open, and the same day"
    assert scope(9) != scope(20), "closed in Riyadh"
    assert scope(20) != scope(21.5), "another day in Riyadh"
    assert scope(22) != scope(43), "closed until today, closed until tomorrow"
    assert scope(9) != scope(9, hours=()) != scope(9, hours=("daily 09:00-21:00",))
    assert scope(9, clock=False) == scope(20, clock=False)


@pytest.mark.parametrize(
    ("name", "answer", "kept"),
    [
        ("Huda", "Sukkari is 90 SAR", True),
        ("Huda", "Dear Huda, it is 90 SAR", False),
        ("هدى", "أهلا يا هدى، السعر ٩٠", False),
        ("Huda", "أهلا هدى", False),
        ("هدى", "السعر ٩٠ ريال", True),
        ("", "We are open until 22:00", False),
        ("", "نفتح الساعة ٩", False),
        ("", "Good evening! It is 90 SAR", False),
    ],
)
def test_what_is_true_of_one_customer_or_one_moment_is_not_stored(name: str, answer: str, kept: bool) -> None:
    asked = question("hello", name=name, now_ms=MONDAY_MS)
    given = msgspec.structs.replace(ANSWER, text=answer)
    assert (entry_for(prompt(asked), given, asked) is not None) is kept
    # Where neither is told, neither is in an answer but by chance.
    untold = question(
        "hello", name=name, now_ms=MONDAY_MS, told=ContextTerms(clock=False, customer_name=False)
    )
    assert entry_for(prompt(untold), given, untold) is not None


def test_a_quoted_text_counts_in_full() -> None:
    long = "word " * 300
    assert of(question("hello", quoted=long + "a")).scope != of(question("hello", quoted=long + "b")).scope


@pytest.mark.parametrize(
    "text",
    [
        "call me at 0500000001",
        "my number is 050 123 4567",
        "+966-50-123-4567",
        "رقمي ٠٥٥١٢٣٤٥٦٧",
        "write to me@example.com",
        "where is order 1234?",
        "وين طلبي رقم 9876",
        "order number 123",
        "ORD-1234",
        "my code AB123",
        "#77",
    ],
)
def test_personal_data_is_not_stored(text: str) -> None:
    assert is_personal(normalised(text))
    assert key(question(text)) is None
    assert key(question("hello", quoted=text)) is None


@pytest.mark.parametrize(
    "text",
    [
        "how much is 1 kg?",
        "بكم عسل السدر ٥٠٠ غرام",
        "are you open from 9:00 to 22:30?",
        "is it 1,250 or 900 riyals?",
    ],
)
def test_amounts_and_times_are_not_personal(text: str) -> None:
    assert key(question(text)) is not None


@pytest.mark.parametrize(
    "asked",
    [
        question("x " * 251),
        question("؟؟ 👍"),
        question("hello", flags=FeatureFlags(cache=False)),
        question("hello", cache_exact_seconds=0.0, cache_similar_seconds=0.0),
    ],
)
def test_some_questions_are_never_cached(asked: Question) -> None:
    assert key(asked) is None
    assert entry_for(prompt(asked), ANSWER, asked) is None


def test_an_answer_is_stored_as_configured() -> None:
    asked = question(
        "2 kg of honey for 100?", cache_exact_seconds=60.0, cache_similar_seconds=30.0, cache_max_entries=7
    )
    entry = entry_for(prompt(asked), ANSWER, asked)
    assert entry == key(asked) and entry is not None
    assert (entry.keep_seconds, entry.max_entries, entry.numbers, entry.model) == (60.0, 7, "100 2", "small")
    assert entry.hit is None


@pytest.mark.parametrize(
    ("more", "answer", "outcome"),
    [
        ({"history": (HistoryEntry("user", "hi"),)}, {}, "ok"),
        ({"handed_back": True}, {}, "ok"),
        ({}, {"needs_data_collection": True}, "ok"),
        ({}, {"requested_fields": ("name",)}, "ok"),
        ({}, {"model": ""}, "ok"),
        ({}, {"text": ""}, "ok"),
        ({}, {"confidence": 0.39}, "ok"),
        ({}, {}, "failed"),
        ({}, {}, "timed_out"),
    ],
)
def test_an_answer_that_depends_on_more_is_not_stored(more: Any, answer: Any, outcome: Any) -> None:
    asked = question("hello")
    spans = (Span("history", "lookups", 0, 1, "skipped"), Span("knowledge", "lookups", 0, 1, outcome))
    given = msgspec.structs.replace(ANSWER, **answer)
    assert entry_for(prompt(asked, **more), given, asked, spans) is None
    assert entry_for(prompt(asked), ANSWER, asked, spans[:1]) is not None


def test_a_cached_answer_is_given_only_where_it_would_be_the_same() -> None:
    asked, found = question("hello"), Facts(cached_answer=CachedAnswer("hi", "cache"))
    assert may_give(asked, found)
    assert not may_give(asked, Facts())
    assert not may_give(question("hello", flags=FeatureFlags(cache=False)), found)
    for more in (
        {"history": (HistoryEntry("user", "before"),)},
        {"takeover": TakeoverState(handed_back=True)},
        {"takeover": TakeoverState(escalation_expired=True)},
    ):
        assert not may_give(asked, msgspec.structs.replace(found, **more))


def test_a_hit_counts_for_the_entry_it_came_from() -> None:
    asked = question("hello")
    counted = hit(CachedAnswer("hi", "cache", entry=9), asked)
    assert counted is not None and counted.hit == 9
    assert hit(ANSWER, asked) is None


def test_an_answer_with_details_of_another_question_is_not_used() -> None:
    assert fits("price of sidr honey", "the price of sidr honey", "180 SAR")
    assert not fits("price of talh honey", "price of sidr honey", "Sidr is 180 SAR")
    assert not fits("i am khaled are you open", "i am ahmed are you open", "Yes, Ahmed!")


@given(st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    asked = question(text)
    entry = key(asked)
    assert entry is None or (len(entry.scope), len(entry.question_hash)) == (32, 32)
    assert len(response_cache.text_hash(response_cache.meaning(asked.batch))) == 64
