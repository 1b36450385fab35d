"""The response cache in numbers: what is kept, which share of the questions it answered, and why not the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from actors.lookups import CacheHit, MissReason, NotKept
from daemon.ledger.wire import storable
from daemon.stores.postgres import Postgres

DAY_HOURS, WEEK_HOURS = 24, 168
KEPT_DAYS = 8
"""How long the counts are kept."""

HIT = "hit_"
"""Begins the outcomes of questions that were answered from the cache."""
NOT_KEPT = "not kept: "

REASONS: Mapping[CacheHit | MissReason | NotKept, str] = {
    "hit_exact": "the same question",
    "hit_similar": "one that means the same",
    "hit_snippet": "the same later in a conversation",
    "not_seen": "not asked before",
    "not_similar": "nothing that means the same",
    "near_miss": "just under cache.similarity",
    "differs": "alike, but other numbers, days, names or signs",
    "expired": "kept too long ago",
    "has_history": "not the first question (cache.context: first_question)",
    "long_history": "too much was said before",
    "personal_history": "something personal was said before",
    "other_history": "a person or other software wrote before, or something else than words",
    "handed_back": "a person had handled it",
    "start_word": "it came with a start word",
    "personal": "something personal is in it",
    "too_long": "it is too long",
    "symbols": "it has no words, or signs that nobody sees",
    "no_vector": "the embeddings server did not answer",
    "failed": "the lookup failed",
    "off": "the cache is off",
    "needs_data": "the model asked for details",
    "low_quality": "the model was not sure",
    "moment": "the answer names a time of day",
    "customer": "the customer is named, or may be",
    "lookup_failed": "a lookup had failed",
    "cut": "the answer was cut",
    "no_answer": "there was nothing to keep",
    "settings_changed": "the model or its settings were changed meanwhile",
}
"""What operators read of an outcome."""

_KEPT = """
    SELECT instance, count(*) AS entries, count(*) FILTER (WHERE model <> '') AS with_vectors,
           sum(hits)::bigint AS hits, min(created_at) AS oldest_at
    FROM majlis_answer_cache WHERE expires_at > now() AND ($1::text IS NULL OR instance = $1)
    GROUP BY instance
"""
_COUNTED = f"""
    SELECT instance, outcome, hour > now() - interval '{DAY_HOURS} hours' AS is_today,
           sum(questions)::bigint AS questions, sum(input_tokens)::bigint AS input_tokens,
           sum(output_tokens)::bigint AS output_tokens, sum(cost_micros)::bigint AS cost_micros
    FROM majlis_cache_hours
    WHERE hour > now() - interval '{WEEK_HOURS} hours' AND ($1::text IS NULL OR instance = $1)
    GROUP BY 1, 2, 3
"""


class CacheWindow(msgspec.Struct, frozen=True, kw_only=True):
    """The questions of the last hours to which the responder or the cache gave an answer."""

    hours: int
    questions: int = 0
    hits: int = 0
    """Answered from the cache: calls that were saved."""
    share: float = 0.0
    """Of the questions, from 0 to 1."""
    saved_input_tokens: int = 0
    """What the answers had cost that were given again."""
    saved_output_tokens: int = 0
    saved_cost: float = 0.0
    """In the currency of the providers' prices."""
    outcomes: dict[str, int] = {}
    """Questions by how they were answered from the cache, or why not; the most frequent first."""
    not_kept: dict[str, int] = {}
    """Answers of the responder that were not kept, by the reason."""


class CacheRow(msgspec.Struct, frozen=True, kw_only=True):
    instance: str
    entries: int = 0
    with_vectors: int = 0
    """Entries that a question can be compared with by meaning."""
    hits: int = 0
    """How often the cached answers were used."""
    oldest_at: str = ""
    """Empty: nothing is cached."""
    day: CacheWindow
    week: CacheWindow


class CacheStats(msgspec.Struct, frozen=True, kw_only=True):
    instances: list[CacheRow]
    day: CacheWindow
    """Of these instances together."""
    week: CacheWindow


async def cache_stats(db: Postgres, instance: str | None) -> CacheStats:
    """Of one instance or all. Raises `Unavailable`."""
    only = None if instance is None else storable(instance)
    kept = {row["instance"]: row for row in await db.fetch(_KEPT, only)}
    counted = await db.fetch(_COUNTED, only)
    names = sorted({*kept, *(row["instance"] for row in counted)})
    return CacheStats(
        instances=[
            _row(name, kept.get(name), [row for row in counted if row["instance"] == name]) for name in names
        ],
        day=_window(DAY_HOURS, (row for row in counted if row["is_today"])),
        week=_window(WEEK_HOURS, counted),
    )


def _row(name: str, kept: Mapping[str, Any] | None, counted: Iterable[Mapping[str, Any]]) -> CacheRow:
    counted = list(counted)
    oldest: datetime | None = kept["oldest_at"] if kept else None
    return CacheRow(
        instance=name,
        entries=kept["entries"] if kept else 0,
        with_vectors=kept["with_vectors"] if kept else 0,
        hits=kept["hits"] if kept else 0,
        oldest_at=oldest.isoformat() if oldest else "",
        day=_window(DAY_HOURS, (row for row in counted if row["is_today"])),
        week=_window(WEEK_HOURS, counted),
    )


def _window(hours: int, counted: Iterable[Mapping[str, Any]]) -> CacheWindow:
    outcomes: dict[str, int] = {}
    saved = [0, 0, 0]
    for row in counted:
        outcomes[row["outcome"]] = outcomes.get(row["outcome"], 0) + row["questions"]
        if row["outcome"].startswith(HIT):
            for place, column in enumerate(("input_tokens", "output_tokens", "cost_micros")):
                saved[place] += row[column]
    asked = {name: count for name, count in _by_count(outcomes) if not name.startswith(NOT_KEPT)}
    questions = sum(asked.values())
    hits = sum(count for name, count in asked.items() if name.startswith(HIT))
    return CacheWindow(
        hours=hours,
        questions=questions,
        hits=hits,
        share=round(hits / questions, 4) if questions else 0.0,
        saved_input_tokens=saved[0],
        saved_output_tokens=saved[1],
        saved_cost=saved[2] / 1_000_000,
        outcomes=asked,
        not_kept={
            name.removeprefix(NOT_KEPT): count
            for name, count in _by_count(outcomes)
            if name.startswith(NOT_KEPT)
        },
    )


def _by_count(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
