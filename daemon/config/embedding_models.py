"""What models that make vectors are known to want before a text. Pure.

Such models were trained with a word before each text that says whether it asks or answers; without it they find less.
The names and words are those of the models' own cards on Hugging Face.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

_TASK = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: "
_SENTENCE = "Represent this sentence for searching relevant passages: "


class Prefixes(NamedTuple):
    """What is put before a text."""

    query: str = ""
    passage: str = ""


_KNOWN: tuple[tuple[str, Prefixes], ...] = (
    (r"e5\b.*instruct|gte-qwen2|nv-embed(?!qa)", Prefixes(_TASK)),
    (r"qwen3-embedding", Prefixes(_TASK.rstrip())),
    (r"(?:^|/|-)e5-|multilingual-e5", Prefixes("query: ", "passage: ")),
    (r"nomic-embed", Prefixes("search_query: ", "search_document: ")),
    (r"arctic-embed.*v2|arctic-embed2", Prefixes("query: ")),
    (r"arctic-embed|mxbai-embed|bge-(?:small|base|large)-en", Prefixes(_SENTENCE)),
    (r"embedding-?gemma", Prefixes("task: search result | query: ", "title: none | text: ")),
    (r"jina-embeddings-v4", Prefixes("Query: ", "Passage: ")),
)
"""The first that fits a name counts."""


def prefixes(model: str, query: str | None, passage: str | None) -> Prefixes:
    """What goes before a question and before a passage.

    Args:
      query: as configured; None: what the model is known to want.
      passage: likewise.
    """
    name = model.lower()
    known = next((found for pattern, found in _KNOWN if re.search(pattern, name)), Prefixes())
    return Prefixes(
        known.query if query is None else query,
        known.passage if passage is None else passage,
    )


def vector_key(model: str, wanted: Prefixes) -> str:
    """Under what the vectors of a model are kept: with other prefixes they are others, and are never compared."""
    if not any(wanted):
        return model
    return f"{model}#{hashlib.sha256(repr(tuple(wanted)).encode()).hexdigest()[:8]}"
