"""Is there a cached answer to this question, or to one that means the same? And if not, why?

For the first question of a conversation, or (`cache.context: snippet`) for a later one after the same history: that is
looked up here too, because it is part of the key, and only then.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from actors.instance import SIMILAR
from actors.lookups import CachedAnswer, CacheEntry, CacheMiss
from actors.ports import Question
from actors.response_cache import CACHE, fits, key, meaning, refusal
from actors.snippet import Snippet, snippet, whole, without_greetings
from daemon.knowledge.calibration import Calibrator
from daemon.knowledge.embeddings import EmbeddingsClient, EmbeddingsUnavailable, Vector
from daemon.ledger.wire import storable
from daemon.lookups import history
from daemon.lookups.spec import LookupSpec, Means

NEAR = 0.05
"""So much under the threshold a similar question is counted as a near miss."""

_SQL = "SELECT majlis_cache_look($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"


def lookup(embeddings: EmbeddingsClient | None, calibrator: Calibrator | None = None) -> LookupSpec:
    """Make the lookup.

    Args:
      embeddings: None if no embeddings server is configured.
      calibrator: knows what the threshold `auto` is; None: nothing was measured.
    """
    return LookupSpec("cached_answer", partial(_run, embeddings, calibrator), _skip)


def _skip(question: Question) -> bool:
    return refusal(question) != ""


async def _run(
    embeddings: EmbeddingsClient | None, calibrator: Calibrator | None, means: Means, question: Question
) -> CachedAnswer | CacheMiss:
    """One round trip; one more for the history where it counts, and one if a vector had to be fetched."""
    told, before, spoken = await _told(means, question)
    entry = None if told.refused else key(question, told.digest)
    if entry is None:
        return CacheMiss(told.refused or refusal(question) or "failed")
    wanted = question.terms.cache_similarity
    threshold = calibrator.similarity(wanted) if calibrator else SIMILAR if wanted == "auto" else wanted
    look = partial(_find, embeddings, threshold, means, question, entry, spoken)
    found = await look(None)
    why = found["why"]
    if found["wants_vector"] and embeddings is not None:
        try:
            vector = await embeddings.vector(meaning(question.batch))
        except EmbeddingsUnavailable:
            why = why if why == "expired" else "no_vector"
        else:
            found = await look(vector)
            why = found["why"]
    rows = found["answers"]
    fitting = (row for row in rows if fits(entry.question, row["question"], row["answer"]["text"]))
    row = next(fitting, None)
    if row is not None:
        return _answer(row, before)
    # After a history in which others spoke nothing is kept either.
    return CacheMiss("differs" if rows else why, "" if why == "other_history" else before)


async def _told(means: Means, question: Question) -> tuple[Snippet, str, str]:
    """What the model is told was said, where that is part of the key; all of it; and what must be true of it."""
    if means.history_tokens <= 0:
        return Snippet(), "", "none"
    if question.terms.cache_context != "snippet":
        return Snippet(), "", "first"
    said = await history.told(means, question)
    return snippet(without_greetings(said)), whole(said), "ours" if said else "first"


async def _find(
    embeddings: EmbeddingsClient | None,
    threshold: float,
    means: Means,
    question: Question,
    entry: CacheEntry,
    spoken: str,
    vector: Vector | None,
) -> Any:
    terms = question.terms
    found = await means.db.value(
        _SQL,
        question.turn.id,
        spoken,
        history.MAX_MESSAGES,
        storable(question.batch.conversation.instance),
        entry.scope,
        entry.question_hash,
        storable(entry.features),
        terms.cache_exact_seconds,
        terms.cache_similar_seconds,
        threshold,
        threshold - NEAR,
        storable(embeddings.key) if embeddings else "",
        entry.text_hash,
        vector,
        embeddings.cache_seconds if embeddings else 0.0,
    )
    return msgspec.json.decode(found)


def _answer(row: Mapping[str, Any], told: str) -> CachedAnswer:
    answer = row["answer"]
    return CachedAnswer(
        text=answer["text"],
        provider=CACHE,
        model=answer["model"],
        confidence=answer["confidence"],
        entry=row["entry"],
        how="hit_snippet" if told else row["how"],
        told=told,
    )
