"""Is there a cached answer to this question, or to one that means the same?

Only for the first question of a conversation (`majlis_cache_find` checks): any later one may depend on what was said.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

import msgspec

from actors.instance import SIMILAR
from actors.ports import CacheEntry, Question
from actors.response_cache import CACHE, CachedAnswer, fits, key, meaning
from daemon.knowledge.calibration import Calibrator
from daemon.knowledge.embeddings import EmbeddingsClient, EmbeddingsUnavailable, Vector
from daemon.ledger.wire import storable
from daemon.lookups.spec import LookupSpec, Means

_SQL = "SELECT majlis_cache_find($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"


def lookup(embeddings: EmbeddingsClient | None, calibrator: Calibrator | None = None) -> LookupSpec:
    """Make the lookup.

    Args:
      embeddings: None if no embeddings server is configured.
      calibrator: knows what the threshold `auto` is; None: nothing was measured.
    """
    return LookupSpec("cached_answer", partial(_run, embeddings, calibrator), _skip)


def _skip(question: Question) -> bool:
    return key(question) is None


async def _run(
    embeddings: EmbeddingsClient | None, calibrator: Calibrator | None, means: Means, question: Question
) -> CachedAnswer | None:
    """One round trip, or two if a vector had to be fetched."""
    entry = key(question)
    if entry is None:
        return None
    wanted = question.terms.cache_similarity
    similarity = calibrator.similarity(wanted) if calibrator else SIMILAR if wanted == "auto" else wanted
    found = await _find(embeddings, similarity, means, question, entry, None)
    if found["wants_vector"] and embeddings is not None:
        with suppress(EmbeddingsUnavailable):
            vector = await embeddings.vector(meaning(question.batch))
            found = await _find(embeddings, similarity, means, question, entry, vector)
    fitting = (
        row for row in found["answers"] if fits(entry.question, row["question"], row["answer"]["text"])
    )
    return next((_answer(row) for row in fitting), None)


async def _find(
    embeddings: EmbeddingsClient | None,
    similarity: float,
    means: Means,
    question: Question,
    entry: CacheEntry,
    vector: Vector | None,
) -> Any:
    terms = question.terms
    found = await means.db.value(
        _SQL,
        question.turn.id,
        means.history_tokens > 0,
        storable(question.batch.conversation.instance),
        entry.scope,
        entry.question_hash,
        storable(entry.numbers),
        terms.cache_exact_seconds,
        terms.cache_similar_seconds,
        similarity,
        storable(embeddings.key) if embeddings else "",
        entry.text_hash,
        vector,
        embeddings.cache_seconds if embeddings else 0.0,
    )
    return msgspec.json.decode(found)


def _answer(row: dict[str, Any]) -> CachedAnswer:
    answer = row["answer"]
    return CachedAnswer(
        text=answer["text"],
        provider=CACHE,
        model=answer["model"],
        confidence=answer["confidence"],
        entry=row["entry"],
    )
