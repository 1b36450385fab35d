"""`auto`: measured once for a model, in the background, by texts of our own; a number is never changed."""

from __future__ import annotations

import json
import math

import pytest
import trio

from actors.instance import RELEVANT, SIMILAR
from daemon.config.embedding_models import Prefixes, prefixes, vector_key
from daemon.knowledge import calibration
from daemon.knowledge.calibration import Calibrator, measured
from daemon.knowledge.calibration_texts import LANGUAGES, PASSAGES, QUESTIONS, VERSION
from daemon.knowledge.embeddings import EmbeddingsClient
from tests.support.embeddings_server import FakeEmbeddings
from tests.support.shelf import Shelf


def vector(topic: int, language: int, way: float, base: float) -> str:
    """As a model gives it: a part that is the same for all texts, one of the topic, and one of the language."""
    values = [0.0] * (2 + 10 + 4 + 1)
    values[0] = math.sqrt(base)
    values[2 + topic] = math.sqrt(max(0.0, 1 - base - way))
    values[12 + language] = math.sqrt(way)
    return json.dumps(values)


def model(base: float) -> tuple[list[str], list[str]]:
    """Vectors of a model that finds any two texts at least so much alike."""
    size = len(LANGUAGES[0])
    questions, passages = [], []
    for place in range(len(PASSAGES)):
        language, topic = divmod(place, size)
        near = (topic + 1) % size
        asked = vector(topic, language, 0.02, base)
        alike = [
            0.95 * a + 0.3 * b
            for a, b in zip(json.loads(asked), json.loads(vector(near, language, 0.02, 0)), strict=True)
        ]
        questions += [asked, vector(topic, language, 0.04, base), json.dumps(alike)]
        passages.append(vector(topic, language, 0.1, base))
    return questions, passages


def test_thresholds_part_what_is_alike_for_this_model() -> None:
    cold, warm = measured(*model(0.05)), measured(*model(0.75))
    for found in (cold, warm):
        assert (found.same_found, found.passages_found, found.across_languages_found) == (1, 1, 1)
    assert cold.similarity == warm.similarity or 0.9 < cold.similarity < 1
    assert warm.floor > 0.75 > cold.floor, "below what any two texts have in common nothing counts"


def test_a_model_that_tells_nothing_apart_gets_the_strictest_thresholds() -> None:
    same = json.dumps([1.0, 0.0])
    found = measured([same] * len(QUESTIONS), [same] * len(PASSAGES))
    assert (found.similarity, found.floor) == (1, 0.95)


async def calibrated(shelf: Shelf, embeddings: EmbeddingsClient) -> Calibrator:
    calibrator = Calibrator(shelf.world.db, embeddings, shelf.feed)
    assert calibrator.similarity("auto") == SIMILAR and calibrator.relevance("auto") == (RELEVANT, 0.0)
    with trio.fail_after(30):
        await calibrator.run()
    return calibrator


async def test_a_model_is_measured_once_for_all_daemons(
    by_meaning: Shelf, embeddings: EmbeddingsClient, server: FakeEmbeddings
) -> None:
    first = await calibrated(by_meaning, embeddings)
    calls = len(server.asked())
    second = await calibrated(by_meaning, embeddings)
    assert first.measured is not None and first.measured == second.measured
    assert len(server.asked()) == calls
    assert sum(map(len, server.asked())) == first.measured.texts == 160
    assert first.similarity("auto") == first.measured.similarity != SIMILAR
    assert (first.similarity(0.5), first.relevance(0.5)) == (0.5, (0.5, 0.0))
    events = [event for event in by_meaning.feed.names() if event.startswith("calibration")]
    assert events == ["calibration.measured"]


async def test_a_server_that_is_down_at_first_is_asked_again_and_in_small_portions(
    by_meaning: Shelf, embeddings: EmbeddingsClient, server: FakeEmbeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though this daemon had told the others that it measures."""
    monkeypatch.setattr(calibration, "_FIRST_PAUSE_SECONDS", 0.01)
    server.order("status", status=404)
    await calibrated(by_meaning, embeddings)
    events = [event for event in by_meaning.feed.names() if event.startswith("calibration")]
    assert events == ["calibration.failed", "calibration.measured"]
    assert max(map(len, server.asked())) <= 10


async def test_what_another_version_kept_is_measured_anew(
    by_meaning: Shelf, embeddings: EmbeddingsClient
) -> None:
    await by_meaning.world.db.value("SELECT majlis_calibration_keep($1, $2, '{}')", embeddings.key, VERSION)
    assert (await calibrated(by_meaning, embeddings)).measured is not None


async def test_without_auto_nothing_is_measured(by_meaning: Shelf, embeddings: EmbeddingsClient) -> None:
    calibrator = Calibrator(by_meaning.world.db, embeddings, by_meaning.feed)
    calibrator.similarity(0.9)
    calibrator.relevance(0.3)
    with trio.move_on_after(0.05) as waiting:
        await calibrator.run()
    assert waiting.cancelled_caught and calibrator.measured is None


def test_what_a_model_is_known_to_want_goes_before_a_text() -> None:
    for name, wanted in (
        ("intfloat/multilingual-e5-large", Prefixes("query: ", "passage: ")),
        ("nomic-embed-text", Prefixes("search_query: ", "search_document: ")),
        ("text-embedding-3-small", Prefixes()),
        ("BAAI/bge-m3", Prefixes()),
    ):
        assert prefixes(name, None, None) == wanted
    assert prefixes("multilingual-e5-large-instruct", None, None).query.startswith("Instruct: ")
    assert prefixes("Qwen/Qwen3-Embedding-0.6B", None, None).query.endswith("query\nQuery:"), (
        "without a blank"
    )
    assert prefixes("e5-small", "", "p ") == Prefixes("", "p "), "what is configured counts"
    keys = {vector_key("e5-small", prefixes("e5-small", query, None)) for query in (None, "", "q: ")}
    assert len(keys) == 3 and vector_key("small", Prefixes()) == "small", "other prefixes make other vectors"
