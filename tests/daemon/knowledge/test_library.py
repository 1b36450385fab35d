"""Files in Postgres: added whole or not at all, replaced at once, never seen by another instance."""

from __future__ import annotations

import pytest

from actors.errors import Conflict, Missing
from actors.messages import Passage
from daemon.knowledge import library
from daemon.knowledge.embeddings import EmbeddingsUnavailable
from daemon.knowledge.housekeeping import Housekeeping
from daemon.knowledge.library import ChunkText
from tests.support.embeddings_server import FakeEmbeddings
from tests.support.shelf import ACME, Shelf

HONEY = "عسل سدر: 180 ريال\nعسل طلح: 95 ريال"


def texts(passages: tuple[Passage, ...]) -> list[str]:
    return [passage.text for passage in passages]


async def test_a_file_is_found_once_it_is_complete(by_words: Shelf) -> None:
    load = await by_words.begin(HONEY)
    await by_words.put(load, HONEY)
    assert await by_words.search("سعر عسل السدر") == ()
    ready = await by_words.library.commit("demo", load.file, 2)
    assert (ready.chunks, ready.replaced) == (2, False)
    assert texts(await by_words.search("سعر عسل السدر"))[0] == "عسل سدر: 180 ريال"


async def test_a_load_with_a_missing_chunk_cannot_be_committed(by_words: Shelf) -> None:
    load = await by_words.begin(HONEY)
    await by_words.put(load, HONEY)
    with pytest.raises(Conflict, match="add the file again"):
        await by_words.library.commit("demo", load.file, 3)


async def test_every_step_may_be_repeated(by_words: Shelf) -> None:
    load = await by_words.begin(HONEY)
    await by_words.put(load, HONEY)
    await by_words.put(load, HONEY)
    first = await by_words.library.commit("demo", load.file, 2)
    assert (await by_words.library.commit("demo", load.file, 2)).chunks == first.chunks
    assert len(await by_words.world.rows("SELECT FROM majlis_knowledge_chunks")) == 2
    assert (await by_words.question("x")).record.knowledge_version == 1


async def test_a_file_of_the_same_name_replaces_the_other_at_once(by_words: Shelf) -> None:
    await by_words.add(HONEY)
    new = "عسل سدر: 200 ريال"
    load = await by_words.begin(new)
    await by_words.put(load, new)
    assert texts(await by_words.search("عسل سدر"))[0] == "عسل سدر: 180 ريال"
    assert (await by_words.library.commit("demo", load.file, 1)).replaced
    assert texts(await by_words.search("عسل سدر")) == ["عسل سدر: 200 ريال"]
    question = await by_words.question("x")
    assert (question.record.knowledge_files, question.record.knowledge_version) == (1, 2)


async def test_the_same_content_again_is_unchanged(by_words: Shelf) -> None:
    await by_words.add(HONEY)
    again = await by_words.begin(HONEY)
    assert (again.state, again.chunks) == ("unchanged", 2)


async def test_files_are_listed_and_removed(by_words: Shelf) -> None:
    await by_words.add(HONEY)
    await by_words.add("التوصيل 20 ريال", "delivery.md")
    page = await by_words.library.files("demo")
    assert [(file.name, file.chunks, file.model) for file in page.files] == [
        ("delivery.md", 1, ""),
        ("prices.txt", 2, ""),
    ]
    gone = await by_words.library.remove("demo", ["prices.txt", "nothing.txt"])
    assert (gone.removed, gone.missing) == (["prices.txt"], ["nothing.txt"])
    assert await by_words.search("عسل") == ()
    question = await by_words.question("x")
    assert (question.record.knowledge_files, question.record.knowledge_version) == (1, 3)


async def test_an_unknown_instance_is_an_error(by_words: Shelf) -> None:
    for call in (
        by_words.begin("x", instance="nobody"),
        by_words.library.files("nobody"),
        by_words.library.remove("nobody", ["x"]),
    ):
        with pytest.raises(Missing, match="has no instance 'nobody'"):
            await call


async def test_no_instance_touches_anothers_files(by_words: Shelf) -> None:
    await by_words.add(HONEY)
    await by_words.add("عسل السدر عند أكمي: 999 ريال", instance="acme")
    assert texts(await by_words.search("عسل السدر", conversation=ACME)) == ["عسل السدر عند أكمي: 999 ريال"]
    assert not any("999" in text for text in texts(await by_words.search("عسل السدر")))
    load = await by_words.begin("تمر", "dates.txt")
    with pytest.raises(Conflict):
        await by_words.library.put("acme", load.file, [ChunkText(0, "", "تمر")])
    with pytest.raises(Conflict):
        await by_words.library.commit("acme", load.file, 0)
    assert (await by_words.library.remove("acme", ["dates.txt"])).removed == []
    assert len((await by_words.library.files("demo")).files) == 1


async def test_the_chunks_of_an_instance_are_bounded(
    by_words: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "MAX_CHUNKS", 3)
    await by_words.add(HONEY)
    load = await by_words.begin("one\ntwo", "other.txt")
    with pytest.raises(Conflict, match="remove files that are not needed"):
        await by_words.put(load, "one\ntwo")
    await by_words.add(HONEY, instance="acme")


async def test_an_abandoned_load_is_deleted(by_words: Shelf) -> None:
    await by_words.add(HONEY)
    load = await by_words.begin("one\ntwo", "other.txt")
    await by_words.put(load, "one\ntwo")
    housekeeping = Housekeeping(by_words.world.db, by_words.feed)
    assert (await housekeeping.sweep())["loads"] == 0
    await by_words.world.rows("UPDATE majlis_knowledge_files SET touched_at = now() - interval '16 minutes'")
    assert (await housekeeping.sweep())["loads"] == 1
    assert len(await by_words.world.rows("SELECT FROM majlis_knowledge_chunks")) == 2
    with pytest.raises(Conflict, match="abandoned"):
        await by_words.put(load, "one")


async def test_chunks_get_vectors_in_portions_and_once(by_meaning: Shelf, server: FakeEmbeddings) -> None:
    lines = [f"line number {number}" for number in range(10)]
    await by_meaning.add("\n".join(lines))
    assert [len(portion) for portion in server.asked()] == [8, 2]
    await by_meaning.add("\n".join([*lines, "one more"]))
    assert server.asked()[2:] == [["one more"]], "what is known is not bought again"
    rows = await by_meaning.world.rows(
        "SELECT model, embedding IS NOT NULL AS has FROM majlis_knowledge_chunks"
    )
    assert [(row["model"], row["has"]) for row in rows] == [("test", True)] * 11


async def test_vectors_expire(by_meaning: Shelf, server: FakeEmbeddings) -> None:
    await by_meaning.add("one line")
    await by_meaning.world.rows("UPDATE majlis_embeddings SET created_at = now() - interval '25 hours'")
    assert (await Housekeeping(by_meaning.world.db, by_meaning.feed).sweep())["vectors"] == 1
    await by_meaning.add("one line\nand more")
    assert server.asked() == [["one line"], ["one line", "and more"]]


async def test_the_oldest_vectors_are_dropped_when_there_are_too_many(by_meaning: Shelf) -> None:
    await by_meaning.add("\n".join(f"line {number}" for number in range(5)))
    await by_meaning.add("newest", "other.txt")
    sweeper = Housekeeping(by_meaning.world.db, by_meaning.feed, max_embeddings=1)
    assert (await sweeper.sweep())["vectors"] == 5


async def test_a_file_gets_vectors_when_a_server_comes_later(by_words: Shelf, by_meaning: Shelf) -> None:
    await by_words.add(HONEY)
    for shelf, is_other in ((by_words, False), (by_meaning, True)):
        assert [file.other_vectors for file in (await shelf.library.files("demo")).files] == [is_other]
    assert (await by_meaning.begin(HONEY)).state == "loading"


async def test_without_its_vectors_a_file_is_not_found_at_all(
    by_meaning: Shelf, server: FakeEmbeddings
) -> None:
    server.order("status", times=1, status=401)
    load = await by_meaning.begin(HONEY)
    with pytest.raises(EmbeddingsUnavailable, match=r"check embeddings\.api_key"):
        await by_meaning.put(load, HONEY)
    with pytest.raises(Conflict):
        await by_meaning.library.commit("demo", load.file, 2)


async def test_without_pgvector_words_alone_are_searched(by_meaning: Shelf, server: FakeEmbeddings) -> None:
    """As on a server without pgvector; the next file that is added after its installation brings vectors back."""
    await by_meaning.world.rows("DROP EXTENSION vector CASCADE")
    await by_meaning.world.rows(
        "CREATE OR REPLACE FUNCTION majlis_enable_vectors() RETURNS boolean LANGUAGE sql RETURN false"
    )
    await by_meaning.add(HONEY)
    assert texts(await by_meaning.search("عسل سدر"))[0] == "عسل سدر: 180 ريال"
    assert server.asked() == []


async def test_vectors_come_with_the_next_file_once_the_server_has_them(by_meaning: Shelf) -> None:
    rows = by_meaning.world.rows
    await rows("DROP EXTENSION vector CASCADE")
    await rows(
        "DO $$ BEGIN CREATE ROLE majlis_visitor;"
        " GRANT EXECUTE ON FUNCTION majlis_enable_vectors, majlis_has_vectors TO majlis_visitor;"
        " SET LOCAL ROLE majlis_visitor;"
        " ASSERT NOT majlis_enable_vectors(), 'who may not make extensions goes without';"
        " RESET ROLE; DROP OWNED BY majlis_visitor; DROP ROLE majlis_visitor; END $$"
    )
    assert not await by_meaning.world.db.value("SELECT majlis_has_vectors()")
    await by_meaning.add("price list")
    assert await by_meaning.world.db.value("SELECT majlis_has_vectors()")
    assert texts(await by_meaning.search("cost")) == ["price list"]
