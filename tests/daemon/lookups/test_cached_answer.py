"""The response cache in Postgres: exact and similar questions, expiry, bounds, separation of instances."""

from __future__ import annotations

import msgspec
import pytest

from actors.identity import Conversation
from actors.instance import FeatureFlags, Terms
from actors.lookups import CachedAnswer, CacheMiss, Facts
from actors.messages import Answer, Prompt
from actors.outcome import Sent
from actors.ports import Question, Reply
from actors.response_cache import hit, record, told_history
from daemon.knowledge.housekeeping import Housekeeping
from daemon.lookups import cached_answer
from daemon.lookups.history import told
from daemon.lookups.spec import Means
from tests.support.embeddings_server import FakeEmbeddings
from tests.support.shelf import Shelf

ANSWER = Answer("Sidr is 180 SAR.", "main", "gpt", 10, 5, 99, confidence=0.8)
TERMS = Terms(cache_scope="who", embedding_model="test")


class Counter:
    """Customers who each ask one question."""

    def __init__(self, shelf: Shelf, terms: Terms = TERMS) -> None:
        self.shelf = shelf
        self.terms = terms
        self.customers = 0

    async def asks(self, *texts: str, instance: str = "demo", terms: Terms | None = None) -> Question:
        self.customers += 1
        customer = Conversation(instance, f"96650{self.customers:07}")
        return await self.shelf.question(*texts, conversation=customer, terms=terms or self.terms)

    async def looks(self, question: Question, history_tokens: int = 800) -> CachedAnswer | CacheMiss | None:
        spec = cached_answer.lookup(self.shelf.embeddings)
        if spec.skip(question):
            return None
        means = Means(self.shelf.world.db, history_tokens=history_tokens)
        found: CachedAnswer | CacheMiss = await spec.run(means, question)
        return found

    async def finds(self, question: Question, history_tokens: int = 800) -> CachedAnswer | None:
        found = await self.looks(question, history_tokens)
        return found if isinstance(found, CachedAnswer) else None

    async def misses(self, text: str, terms: Terms | None = None) -> str:
        """Why there is no answer to it."""
        found = await self.looks(await self.asks(text, terms=terms))
        assert isinstance(found, CacheMiss), found
        return found.reason

    async def answered(self, question: Question, answer: Answer = ANSWER) -> None:
        """Store the answer (T2) with what became of the question, and send it."""
        world = self.shelf.world
        history = await told(Means(world.db), question)
        facts = Facts(history=history, cached_answer=await self.looks(question))
        texts = tuple(message.text for message in question.batch.messages)
        prompt = Prompt(question.batch.conversation.instance, texts, told_history(question, facts))
        kept = hit(answer) or record(prompt, answer, question, facts)
        turn = await world.ledger.answer(
            question.turn, world.epoch, Reply(answer, (answer.text,), cache=kept)
        )
        await world.ledger.claim(turn, world.epoch, 0, False, "claim")
        await world.ledger.settle(turn, world.epoch, 0, Sent(f"sent {turn.id}"))
        await world.ledger.finish(turn, world.epoch)

    async def learns(
        self, *texts: str, answer: Answer = ANSWER, instance: str = "demo", terms: Terms | None = None
    ) -> None:
        """A customer asks and the responder answers."""
        await self.answered(await self.asks(*texts, instance=instance, terms=terms), answer)

    async def age(self, hours: float) -> None:
        sql = (
            "UPDATE majlis_answer_cache SET created_at = created_at - make_interval(secs => $1),"
            " expires_at = expires_at - make_interval(secs => $1)"
        )
        await self.shelf.world.rows(sql, hours * 3600)


@pytest.fixture
def counter(by_words: Shelf) -> Counter:
    return Counter(by_words)


@pytest.fixture
def wise(by_meaning: Shelf) -> Counter:
    """With an embeddings server."""
    return Counter(by_meaning)


async def test_the_same_question_is_answered_again_for_an_hour(counter: Counter) -> None:
    await counter.learns("بكم", "عسل السدر؟")
    found = await counter.finds(await counter.asks("بكم عسل السِّدر"))
    assert found is not None
    assert (found.text, found.provider, found.model, found.confidence) == (
        "Sidr is 180 SAR.",
        "cache",
        "gpt",
        0.8,
    )
    assert (found.input_tokens, found.output_tokens, found.cost_micros) == (0, 0, 0)
    await counter.age(0.99)
    assert await counter.finds(await counter.asks("بكم عسل السدر"))
    await counter.age(0.02)
    assert await counter.finds(await counter.asks("بكم عسل السدر")) is None


async def test_a_new_answer_replaces_the_old_entry(counter: Counter) -> None:
    await counter.learns("hello")
    await counter.age(2)
    await counter.learns("hello", answer=Answer("Welcome!", "main", "gpt"))
    found = await counter.finds(await counter.asks("hello"))
    assert found is not None and found.text == "Welcome!"
    assert len(await counter.shelf.world.rows("SELECT FROM majlis_answer_cache")) == 1


async def test_a_conversation_with_a_history_gets_no_cached_answer(counter: Counter) -> None:
    await counter.learns("hello")
    question = await counter.asks("something else first")
    same = question.batch.conversation
    asked = await counter.shelf.question("hello", conversation=same, terms=TERMS)
    await counter.shelf.world.rows(
        "INSERT INTO whatsapp_messages (conversation_id, sender_type, content, message_id, created_at)"
        " SELECT conversation_id::bigint, 'user', 'before', 'earlier', now() - interval '1 day'"
        " FROM majlis_turns WHERE id = $1",
        asked.turn.id,
    )
    assert await counter.finds(asked) is None
    assert await counter.finds(asked, history_tokens=0) is not None, (
        "a responder without history gives the same answer"
    )


async def test_no_answer_crosses_from_one_instance_to_another(wise: Counter) -> None:
    await wise.learns("what is the price", instance="acme")
    for asked in ("what is the price", "what is the cost"):
        assert await wise.finds(await wise.asks(asked)) is None
        assert await wise.finds(await wise.asks(asked, instance="acme")) is not None


async def test_a_change_of_files_or_prompt_invalidates_the_cache(counter: Counter) -> None:
    await counter.learns("hello")
    await counter.shelf.add("opening hours")
    assert await counter.finds(await counter.asks("hello")) is None
    await counter.learns("hello")
    assert await counter.finds(await counter.asks("hello")) is not None
    other = Terms(cache_scope="others")
    assert await counter.finds(await counter.asks("hello", terms=other)) is None


async def test_a_question_that_means_the_same_is_answered_for_a_day(wise: Counter) -> None:
    await wise.learns("what is the price")
    asked = await wise.asks("what is the cost")
    found = await wise.finds(asked)
    assert found is not None and found.text == "Sidr is 180 SAR."
    await wise.age(23.9)
    assert await wise.finds(await wise.asks("what is the cost"))
    assert await wise.finds(await wise.asks("what is the price")), "the same words are alike, too"
    await wise.age(0.2)
    assert await wise.finds(await wise.asks("what is the cost")) is None


async def test_a_question_that_is_not_similar_enough_is_asked_again(wise: Counter) -> None:
    await wise.learns("what is the price of it today")
    assert await wise.finds(await wise.asks("today, price of it please")) is None
    lax = Terms(cache_scope="who", embedding_model="test", cache_similarity=0.5)
    assert await wise.finds(await wise.asks("today, price of it please", terms=lax)) is not None
    strict = Terms(cache_scope="who", embedding_model="test", cache_similar_seconds=0.0)
    assert await wise.finds(await wise.asks("what is the cost of it today", terms=strict)) is None


async def test_different_numbers_make_a_different_question(wise: Counter) -> None:
    lax = Terms(cache_scope="who", embedding_model="test", cache_similarity=0.5)
    await wise.learns("what is the price of 3 kg", terms=lax)
    assert await wise.finds(await wise.asks("what is the cost of 5 kg", terms=lax)) is None
    assert await wise.finds(await wise.asks("what is the cost of 3 kg", terms=lax)) is not None


async def test_an_answer_about_something_else_is_not_given(wise: Counter) -> None:
    lax = Terms(cache_scope="who", embedding_model="test", cache_similarity=0.5)
    await wise.learns("what is the price of sidr honey", terms=lax)
    assert await wise.finds(await wise.asks("what is the price of talh honey", terms=lax)) is None


async def test_without_vectors_only_the_same_words_match(counter: Counter) -> None:
    await counter.learns("what is the price")
    assert await counter.finds(await counter.asks("what is the cost")) is None


async def test_without_the_embeddings_server_exact_questions_still_match(
    wise: Counter, server: FakeEmbeddings
) -> None:
    await wise.learns("what is the price")
    server.order("status", times=3, status=500)
    assert await wise.finds(await wise.asks("what is the cost today")) is None
    assert await wise.finds(await wise.asks("what is the price")) is not None


async def test_a_hit_counts_on_its_entry(wise: Counter) -> None:
    await wise.learns("what is the price")
    for text in ("what is the price", "what is the cost"):
        question = await wise.asks(text)
        found = await wise.finds(question)
        assert found is not None
        await wise.answered(question, found)
    [row] = (await wise.shelf.library.cache_stats("demo")).instances
    assert (row.entries, row.with_vectors, row.hits) == (1, 1, 2)


async def test_a_hit_does_not_extend_the_life_of_an_answer(counter: Counter) -> None:
    await counter.learns("hello")
    await counter.age(0.9)
    question = await counter.asks("hello")
    found = await counter.finds(question)
    assert found is not None
    await counter.answered(question, found)
    await counter.age(0.2)
    assert await counter.finds(await counter.asks("hello")) is None


async def test_the_oldest_entries_are_dropped_when_there_are_too_many(counter: Counter) -> None:
    few = Terms(cache_scope="who", cache_max_entries=3)
    await counter.learns("hello", instance="acme")
    for text in ("one", "two", "three", "one", "four"):
        await counter.learns(text, terms=few)
    kept = await counter.shelf.world.rows("SELECT question FROM majlis_answer_cache WHERE instance = 'demo'")
    assert sorted(row["question"] for row in kept) == ["four", "one", "three"]
    assert await counter.finds(await counter.asks("hello", instance="acme")) is not None


async def test_expired_entries_are_deleted(counter: Counter) -> None:
    await counter.learns("hello")
    housekeeping = Housekeeping(counter.shelf.world.db, counter.shelf.feed)
    assert (await housekeeping.sweep())["answers"] == 0
    await counter.age(24.1)
    assert [row.entries for row in (await counter.shelf.library.cache_stats(None)).instances] == [0]
    assert (await housekeeping.sweep())["answers"] == 1


async def test_clearing_is_for_one_instance_or_for_all(counter: Counter) -> None:
    library = counter.shelf.library
    for instance in ("acme", "demo"):
        for text in ("hello", "good morning"):
            await counter.learns(text, instance=instance)
    assert (await library.cache_clear("acme")).entries == 2
    rows = (await library.cache_stats(None)).instances
    assert [(row.instance, row.entries) for row in rows] == [("acme", 0), ("demo", 2)]
    assert (await library.cache_clear(None)).entries == 2
    assert await counter.finds(await counter.asks("hello")) is None


GREETINGS = ("Hi!", "مرحبا")


class Talk:
    """Conversations of a counter, each of a customer of its own; every question is answered, from the cache or not."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter
        self.asked = 0

    async def says(self, *texts: str, terms: Terms | None = None) -> list[str]:
        """How each was answered."""
        self.asked += 1
        customer = Conversation("demo", f"96655{self.asked:07}")
        outcomes: list[str] = []
        for number, text in enumerate(texts, 1):
            question = await self.counter.shelf.question(
                text, conversation=customer, terms=terms or LATER, number=number
            )
            found = await self.counter.looks(question)
            assert found is not None
            outcomes.append(found.how if isinstance(found, CachedAnswer) else found.reason)
            words = "Hello!" if text in GREETINGS else f"An answer to {text}."
            said = msgspec.structs.replace(ANSWER, text=words)
            await self.counter.answered(question, found if isinstance(found, CachedAnswer) else said)
        return outcomes


LATER = Terms(cache_scope="who", cache_context="snippet")


async def test_conversations_that_begin_alike_are_answered_alike(counter: Counter) -> None:
    """Not where they began otherwise, nor where a first question alone may be answered from the cache."""
    talk = Talk(counter)
    asked = ("Hi!", "price of honey?", "do you deliver?")
    assert await talk.says(*asked) == ["not_seen"] * 3
    assert await talk.says(*asked) == ["hit_exact", "hit_snippet", "hit_snippet"]
    assert await talk.says("مرحبا", *asked[1:]) == ["not_seen", "hit_snippet", "hit_snippet"], (
        "a greeting is none"
    )
    assert await talk.says(*asked[1:]) == ["hit_exact", "hit_snippet"]
    assert await talk.says(asked[2], asked[1]) == ["not_seen"] * 2
    assert await talk.says(*asked, terms=TERMS) == ["hit_exact", "has_history", "has_history"]


async def test_where_a_person_wrote_nothing_is_kept_or_given(counter: Counter) -> None:
    """What a person of the business says is for one customer; it stands in the history like an answer."""
    talk = Talk(counter)
    await talk.says("Hi!", "price of honey?")
    customer = Conversation("demo", "966559999999")
    first = await counter.shelf.question("Hi!", conversation=customer, terms=LATER, number=1)
    await counter.answered(first, msgspec.structs.replace(ANSWER, text="An answer to Hi!."))
    await counter.shelf.world.rows(
        "INSERT INTO whatsapp_messages (conversation_id, sender_type, content, message_id, created_at)"
        " SELECT conversation_id::bigint, 'assistant', 'For you it is 100.', 'own', now()"
        " FROM majlis_turns WHERE id = $1",
        first.turn.id,
    )
    question = await counter.shelf.question("price of honey?", conversation=customer, terms=LATER, number=2)
    assert await counter.looks(question) == CacheMiss("other_history")
    entries = "SELECT count(*) AS n FROM majlis_answer_cache"
    [before] = await counter.shelf.world.rows(entries)
    await counter.answered(question)
    assert await counter.shelf.world.rows(entries) == [before]


async def test_every_miss_says_why(wise: Counter, server: FakeEmbeddings) -> None:
    lax = Terms(cache_scope="who", embedding_model="test", cache_similarity=0.8)
    assert await wise.misses("are you open on friday", lax) == "not_seen"
    await wise.learns("are you open on friday", terms=lax)
    assert await wise.misses("are you open on thursday", lax) == "differs"
    strict = msgspec.structs.replace(lax, cache_similarity=0.84)
    assert await wise.misses("are you open on thursday", strict) == "near_miss"
    assert await wise.misses("how much is honey", lax) == "not_similar"
    exact = Terms(cache_scope="who", embedding_model="test", cache_similar_seconds=0.0)
    await wise.learns("hello", terms=exact)
    await wise.age(1.1)
    assert await wise.misses("hello", exact) == "expired"
    server.order("status", times=3, status=500)
    assert await wise.misses("is this a new question", lax) == "no_vector"


async def test_an_entry_of_a_daemon_before_is_never_found_by_meaning(wise: Counter) -> None:
    await wise.learns("what is the price")
    assert await wise.finds(await wise.asks("what is the cost")) is not None
    await wise.shelf.world.rows("UPDATE majlis_answer_cache SET features = NULL")
    assert await wise.finds(await wise.asks("what is the cost")) is None


async def test_hits_and_misses_are_counted_with_what_was_saved(counter: Counter) -> None:
    for _ in range(3):
        question = await counter.asks("hello")
        await counter.answered(question, await counter.finds(question) or ANSWER)
    await counter.learns("who are you", answer=msgspec.structs.replace(ANSWER, confidence=0.1))
    await counter.answered(await counter.asks("my number is 0500000001"))
    await counter.shelf.world.rows(
        "UPDATE majlis_cache_hours SET hour = hour - interval '3 days' WHERE outcome = 'personal'"
    )
    stats = await counter.shelf.library.cache_stats(None)
    day, week = stats.day, stats.week
    assert (day.questions, day.hits, day.share) == (4, 2, 0.5)
    assert (week.questions, week.hits, week.share) == (5, 2, 0.4)
    assert week.outcomes == {"hit_exact": 2, "not_seen": 2, "personal": 1}
    assert week.not_kept == {"low_quality": 1}
    assert (week.saved_input_tokens, week.saved_output_tokens, week.saved_cost) == (20, 10, 0.000198)
    assert [row.week for row in stats.instances] == [week]
    assert (await counter.shelf.library.cache_stats("acme")).week.questions == 0
    await counter.shelf.world.rows("UPDATE majlis_cache_hours SET hour = hour - interval '8 days'")
    assert (await counter.shelf.library.cache_stats(None)).week.questions == 0
    assert (await Housekeeping(counter.shelf.world.db, counter.shelf.feed).sweep())["cache_hours"] == 4


async def test_no_lookup_when_the_cache_is_switched_off(counter: Counter) -> None:
    spec = cached_answer.lookup(None)
    question = await counter.shelf.question("hello", terms=TERMS, flags=FeatureFlags(cache=False))
    assert spec.skip(question)
    assert spec.skip(await counter.asks("my number is 0500000001"))
    assert not spec.skip(await counter.asks("hello"))
