"""The passages in the instance's files that bear on this question.

Both words and meaning count (`majlis_knowledge_search` says how they combine into one relevance). The vector of a
question is cached for a day. If it is missing it is fetched, with a short time limit; without it, words alone decide.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
import trio

from actors.instance import RELEVANT
from actors.messages import Passage
from actors.ports import Question
from actors.response_cache import meaning, text_hash
from daemon.knowledge.calibration import Calibrator
from daemon.knowledge.embeddings import EmbeddingsClient, EmbeddingsUnavailable, Vector
from daemon.knowledge.search_words import distinctive_words
from daemon.ledger.wire import storable
from daemon.lookups.history import BYTES_PER_TOKEN
from daemon.lookups.spec import LookupSpec, Means
from daemon.stores.postgres import Postgres

MAX_WORDS = 32
"""The most words of a question that are searched for."""

_SQL = "SELECT majlis_knowledge_search($1, $2, $3, $4, $5, $6, $7, $8, $9)"


def lookup(embeddings: EmbeddingsClient | None, calibrator: Calibrator | None = None) -> LookupSpec:
    """Make the lookup.

    Args:
      embeddings: None if no embeddings server is configured.
      calibrator: knows what the threshold `auto` is; None: nothing was measured.
    """
    return LookupSpec("knowledge", partial(_run, embeddings, calibrator), _skip)


def _skip(question: Question) -> bool:
    return not (question.flags.knowledge and question.record.knowledge_files)


async def _run(
    embeddings: EmbeddingsClient | None, calibrator: Calibrator | None, means: Means, question: Question
) -> tuple[Passage, ...]:
    """At most two round trips; none for a mere greeting."""
    asked = meaning(question.batch)
    words = distinctive_words(asked)[:MAX_WORDS]  # of a bounded length, unlike the batch
    if not words:
        await trio.lowlevel.checkpoint()
        return ()
    wanted = question.terms.knowledge_threshold
    least = calibrator.relevance(wanted) if calibrator else (RELEVANT if wanted == "auto" else wanted, 0.0)
    found = await _search(means.db, embeddings, least, question, words, asked, None)
    if found["wants_vector"] and embeddings is not None:
        with suppress(EmbeddingsUnavailable):
            vector = await embeddings.vector(asked)
            found = await _search(means.db, embeddings, least, question, words, asked, vector)
    passages = (_passage(row) for row in found["passages"])
    return within(passages, question.terms.knowledge_max_tokens)


async def _search(
    db: Postgres,
    embeddings: EmbeddingsClient | None,
    least: tuple[float, float],
    question: Question,
    words: list[str],
    asked: str,
    vector: Vector | None,
) -> Any:
    threshold, floor = least
    found = await db.value(
        _SQL,
        storable(question.batch.conversation.instance),
        words,
        threshold,
        question.terms.knowledge_max_passages,
        storable(embeddings.key) if embeddings else "",
        text_hash(asked),
        vector,
        embeddings.cache_seconds if embeddings else 0.0,
        floor,
    )
    return msgspec.json.decode(found)


def _passage(row: dict[str, Any]) -> Passage:
    text = f"{row['heading']}\n{row['text']}" if row["heading"] else row["text"]
    return Passage(row["source"], text, row["relevance"])


def within(passages: Iterable[Passage], max_tokens: int) -> tuple[Passage, ...]:
    """Pure. The best passages that fit together, whole; if not even the best one fits, it is cut."""
    left = max_tokens * BYTES_PER_TOKEN
    kept: list[Passage] = []
    for passage in passages:
        size = len(passage.text.encode())
        if size <= left:
            kept.append(passage)
            left -= size
        elif not kept:
            cut = passage.text.encode()[:left].decode(errors="ignore")
            return (msgspec.structs.replace(passage, text=cut),)
    return tuple(kept)
