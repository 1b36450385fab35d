"""Searching the files of an instance: by words, by words and meaning, limits and relevance."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.instance import FeatureFlags, Terms
from actors.messages import Passage
from daemon.knowledge import embeddings as embeddings_module
from daemon.knowledge.calibration import Calibration, Calibrator
from daemon.knowledge.embeddings import EmbeddingsClient
from daemon.knowledge.library import ChunkText
from daemon.knowledge.search_words import distinctive_words, search_words
from daemon.lookups import knowledge
from daemon.lookups.history import BYTES_PER_TOKEN
from daemon.lookups.knowledge import within
from daemon.lookups.spec import Means
from tests.support.embeddings_server import FakeEmbeddings
from tests.support.shelf import ACME, SHOP, Shelf

PRICES = """عسل سدر جبلي ٥٠٠ غرام: ١٨٠ ريالاً
عسل طلح 1 كيلو: 95 ريال
تمر سكري فاخر: 75 ريالاً
التوصيل داخل الرياض 20 ريالاً وخارجها 35
Sidr honey from the mountains, 180 SAR
Returns within 7 days"""


async def best(shelf: Shelf, *asked: str) -> str:
    found = await shelf.search(*asked)
    return found[0].text if found else ""


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("السلام عليكم بكم عسل السِّدر لو سمحت؟", "عسل سدر جبلي ٥٠٠ غرام: ١٨٠ ريالاً"),
        ("كم سعر التمر السكري", "تمر سكري فاخر: 75 ريالاً"),
        ("عندكم توصيل للرياض؟", "التوصيل داخل الرياض 20 ريالاً وخارجها 35"),
        ("How much is your SIDR honey, please?", "Sidr honey from the mountains, 180 SAR"),
        ("can I return it? returns", "Returns within 7 days"),
    ],
)
async def test_words_alone_find_the_passage(by_words: Shelf, asked: str, says: str) -> None:
    await by_words.add(PRICES)
    assert await best(by_words, asked) == says


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("أسعار المنتجات", "كم أسعاركم؟"),
        ("ثلاجة صغيرة", "عندكم ثلاجات؟"),
        ("تمر سكري", "كم التمرة السكرية"),
        ("توصيل المدن", "وين توصيلكم"),
        ("the price of delivery", "your prices?"),
        ("company policies", "what is your policy"),
    ],
)
def test_endings_make_no_difference(text: str, asked: str) -> None:
    assert set(search_words(text)) & set(distinctive_words(asked))


@pytest.mark.parametrize("word", ["glass", "status", "this", "gas", "شاي", "ريال", "عسل", "1990s", "24h"])
def test_a_word_that_only_looks_like_a_plural_stays(word: str) -> None:
    assert search_words(word) == [word]


async def test_a_question_in_several_messages_is_one(by_words: Shelf) -> None:
    await by_words.add(PRICES)
    assert await best(by_words, "مرحبا", "بكم", "عسل", "سدر") == "عسل سدر جبلي ٥٠٠ غرام: ١٨٠ ريالاً"


async def test_a_question_of_stop_words_finds_nothing(by_words: Shelf) -> None:
    await by_words.add("السلام عليكم، كيف حالكم\nhow are you and what do you want")
    assert (
        distinctive_words("Bom dia, tudo bem?") == [] and distinctive_words("Hola, ¿cómo está usted?") == []
    )
    assert distinctive_words("السلام عليكم") == [] and distinctive_words("hello, how are you?") == []
    assert await by_words.search("السلام عليكم") == ()
    assert await by_words.search("hello, how are you?") == ()
    assert await by_words.search("؟؟ 👍") == ()


def test_what_is_a_thing_in_one_language_is_no_stop_word_of_another() -> None:
    assert distinctive_words("hay for my son, party favors, Uno and Mi") == [
        "hay",
        "son",
        "party",
        "favor",
        "uno",
        "mi",
    ]


async def test_a_greeting_fetches_no_vector(by_meaning: Shelf, server: FakeEmbeddings) -> None:
    await by_meaning.add("hello, how are you")
    assert await by_meaning.search("hello, how are you?") == ()
    assert len(server.asked()) == 1


async def test_no_search_without_files_or_with_the_flag_off(by_words: Shelf) -> None:
    spec = knowledge.lookup(None)
    assert spec.skip(await by_words.question("عسل"))
    await by_words.add(PRICES)
    assert not spec.skip(await by_words.question("عسل"))
    assert spec.skip(await by_words.question("عسل", flags=FeatureFlags(knowledge=False)))
    await by_words.library.remove("demo", ["prices.txt"])
    assert spec.skip(await by_words.question("عسل"))


async def test_relevance_is_the_share_of_the_questions_weight(by_words: Shelf) -> None:
    """A word in n chunks weighs 1 / (1 + ln n), a word in none a quarter."""
    await by_words.add("apple pear\napple plum\ncherry")
    everything = Terms(knowledge_threshold=0.0)

    async def relevance(asked: str) -> dict[str, float]:
        found = await by_words.search(asked, terms=everything)
        return {passage.text: round(passage.relevance, 3) for passage in found}

    assert await relevance("cherry") == {"cherry": 1.0}
    assert await relevance("cherry tomato") == {"cherry": 0.8}  # 1 / 1.25
    assert await relevance("apple pear") == {"apple pear": 1.0, "apple plum": 0.371}  # 0.591 / 1.591
    assert await relevance("cherry cherry the CHERRY") == {"cherry": 1.0}
    assert await relevance("tomato") == {}


async def test_passages_below_the_threshold_are_dropped(by_words: Shelf) -> None:
    await by_words.add("apple pear\napple plum")
    asked = "apple pear"
    assert len(await by_words.search(asked, terms=Terms(knowledge_threshold=0.3))) == 2
    assert len(await by_words.search(asked, terms=Terms(knowledge_threshold=0.4))) == 1
    assert len(await by_words.search(asked, terms=Terms(knowledge_max_passages=1))) == 1


async def test_the_heading_is_searched_and_returned(by_words: Shelf) -> None:
    load = await by_words.begin("x", "shop.md")
    await by_words.library.put("demo", load.file, [ChunkText(0, "Delivery › Riyadh", "20 SAR")])
    await by_words.library.commit("demo", load.file, 1)
    [passage] = await by_words.search("delivery riyadh?")
    assert (passage.source, passage.text) == ("shop.md", "Delivery › Riyadh\n20 SAR")


async def test_meaning_finds_what_words_do_not(by_meaning: Shelf) -> None:
    """The server gives `cost` and `price` the same meaning; the texts share no word."""
    await by_meaning.add("price list\nopening hours")
    [passage] = await by_meaning.search("cost?")
    assert passage.text == "price list" and 0.3 <= passage.relevance < 1


async def test_words_and_meaning_both_count(by_meaning: Shelf, by_words: Shelf) -> None:
    await by_meaning.add("sidr honey price\nsidr tree")
    [first, *_] = await by_meaning.search("sidr cost")
    [words_alone, *_] = await by_words.search("sidr cost")
    assert first.text == "sidr honey price"
    assert first.relevance > words_alone.relevance
    assert first.relevance <= 1.0


async def test_the_vector_of_a_question_is_fetched_once_a_day(
    by_meaning: Shelf, server: FakeEmbeddings
) -> None:
    await by_meaning.add("price list")
    await by_meaning.search("What does it  cost?")
    await by_meaning.search("what does it cost")
    assert server.asked() == [["price list"], ["what does it cost"]]
    await by_meaning.world.rows("UPDATE majlis_embeddings SET created_at = now() - interval '25 hours'")
    await by_meaning.search("what does it cost")
    assert len(server.asked()) == 3


async def test_without_the_server_words_alone_answer(by_meaning: Shelf, server: FakeEmbeddings) -> None:
    await by_meaning.add(PRICES)
    for fault in ("status", "reset", "garbage"):
        server.order(fault)
        assert await best(by_meaning, f"بكم عسل السدر {fault}") == "عسل سدر جبلي ٥٠٠ غرام: ١٨٠ ريالاً"


async def test_a_slow_server_does_not_hold_up_a_turn(
    by_meaning: Shelf, server: FakeEmbeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await by_meaning.add(PRICES)
    monkeypatch.setattr(embeddings_module, "TURN_SECONDS", 0.5)
    server.order("slow", seconds=60)
    assert await best(by_meaning, "بكم عسل السدر") == "عسل سدر جبلي ٥٠٠ غرام: ١٨٠ ريالاً"


async def test_vectors_of_another_model_are_not_compared(
    by_meaning: Shelf, embeddings: EmbeddingsClient, server: FakeEmbeddings
) -> None:
    await by_meaning.add("price list")
    embeddings.key = "another"
    assert await by_meaning.search("cost") == ()
    assert len(server.asked()) == 1


async def test_a_question_finds_a_passage_in_another_language(
    by_meaning: Shelf, server: FakeEmbeddings
) -> None:
    """Where a model knows what words mean, their language does not matter: none of these words is in the text."""
    server.synonyms.update(
        {"quanto": "price", "custa": "price", "عسل": "honey", "mel": "honey", "سعر": "price"}
    )
    await by_meaning.add("سعر عسل\nopening hours are nine to five")
    assert await best(by_meaning, "Quanto custa o mel?") == "سعر عسل"


async def test_below_the_floor_of_a_model_nothing_is_alike(
    by_meaning: Shelf, embeddings: EmbeddingsClient
) -> None:
    """A model that finds all texts alike tells nothing by it; words count as before."""

    class Measured(Calibrator):
        def __init__(self, floor: float) -> None:
            super().__init__(by_meaning.world.db, embeddings, by_meaning.feed)
            self.measured = Calibration(
                similarity=0.9, floor=floor, same_found=1, passages_found=1, across_languages_found=1
            )

    await by_meaning.add("one two three price\nfour five six")
    question = await by_meaning.question("cost seven eight nine")  # alike by a quarter
    auto = msgspec.structs.replace(question.terms, knowledge_threshold="auto")

    async def found(floor: float, terms: Terms) -> int:
        spec = knowledge.lookup(embeddings, Measured(floor))
        about = msgspec.structs.replace(question, terms=terms)
        return len(await spec.run(Means(by_meaning.world.db), about))

    low = msgspec.structs.replace(question.terms, knowledge_threshold=0.2)
    assert [await found(floor, auto) for floor in (-0.3, 0.0, 0.5)] == [1, 0, 0]
    assert await found(0.5, low) == 1, "a number in the settings is never changed"


async def test_at_most_two_round_trips(by_meaning: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    await by_meaning.add("price list")
    question = await by_meaning.question("cost")
    calls: list[str] = []
    value = by_meaning.world.db.value

    async def counted(sql: str, *args: object, repeatable: bool = True) -> object:
        calls.append(sql)
        return await value(sql, *args, repeatable=repeatable)

    monkeypatch.setattr(by_meaning.world.db, "value", counted)
    spec = knowledge.lookup(by_meaning.embeddings)
    assert await spec.run(Means(by_meaning.world.db), question)
    assert len(calls) == 2
    assert await spec.run(Means(by_meaning.world.db), question)
    assert len(calls) == 3


async def test_no_instance_finds_the_files_of_another(by_meaning: Shelf) -> None:
    await by_meaning.add("secret price list", instance="acme")
    await by_meaning.add("opening hours")
    assert await by_meaning.search("secret price list", conversation=SHOP) == ()
    [passage] = await by_meaning.search("secret price list", conversation=ACME)
    assert passage.text == "secret price list"


async def test_very_long_words_and_unusual_characters(by_words: Shelf) -> None:
    await by_words.add(f"{'x' * 890}\nit's a 'quoted' \\word & more | less: !")
    assert await best(by_words, "x" * 5000) == "x" * 890
    assert "quoted" in await best(by_words, "'quoted' | \\word")


async def test_the_search_uses_the_index(by_words: Shelf) -> None:
    await by_words.world.rows(
        "INSERT INTO majlis_knowledge_files (instance, name, sha256, bytes, state)"
        " SELECT 'tenant ' || n, 'f', '', 0, 'ready' FROM generate_series(1, 300) n"
    )
    await by_words.world.rows(
        "INSERT INTO majlis_knowledge_chunks (file_id, instance, ordinal, text, search)"
        " SELECT f.id, f.instance, n, 't', array_to_tsvector(ARRAY['common', 'word' || n])"
        " FROM majlis_knowledge_files f, generate_series(1, 100) n"
    )
    await by_words.world.rows("ANALYZE majlis_knowledge_chunks")
    plan = "\n".join(
        str(row["QUERY PLAN"])
        for row in await by_words.world.rows(
            "EXPLAIN SELECT * FROM majlis_knowledge_words('tenant 7', ARRAY['common', 'word3'])"
        )
    )
    assert "majlis_knowledge_chunks_instance_idx" in plan or "majlis_knowledge_chunks_search_idx" in plan
    assert "Seq Scan on majlis_knowledge_chunks" not in plan


@given(st.lists(st.text(max_size=60), max_size=8), st.integers(0, 60))
def test_passages_fit_their_budget(texts: list[str], max_tokens: int) -> None:
    passages = [Passage("f", text, 1.0) for text in texts]
    kept = within(passages, max_tokens)
    assert sum(len(passage.text.encode()) for passage in kept) <= max_tokens * BYTES_PER_TOKEN
    if texts and max_tokens * BYTES_PER_TOKEN >= 240:
        assert kept[0] == passages[0]
