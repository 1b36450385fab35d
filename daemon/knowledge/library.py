"""The files of instances and the response cache, for operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from actors.errors import Conflict, Missing
from actors.ports import Feed
from actors.response_cache import text_hash
from daemon.knowledge.cache_stats import CacheStats, cache_stats
from daemon.knowledge.embeddings import EmbeddingsClient, Vector
from daemon.knowledge.search_words import search_words
from daemon.ledger.wire import encoded, storable
from daemon.stores.postgres import Postgres

MAX_CHUNKS = 10_000
"""The most chunks per instance; each is compared with every question."""

_KNOWN = "SELECT EXISTS (SELECT FROM whatsapp_instances WHERE instance_name = $1)"
_FILES = """
    SELECT name, bytes, chunks, model, touched_at FROM majlis_knowledge_files
    WHERE instance = $1 AND state = 'ready' ORDER BY name
"""
_CLEAR = """
    WITH gone AS (DELETE FROM majlis_answer_cache WHERE $1::text IS NULL OR instance = $1 RETURNING 1)
    SELECT count(*) FROM gone
"""


PostgresInteger = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
"""Within the range of a Postgres integer."""


class FileHead(msgspec.Struct, frozen=True, kw_only=True):
    """A file to be added, as read by the command line."""

    name: str
    sha256: str
    bytes: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class ChunkText(msgspec.Struct, frozen=True):
    """A chunk of a file."""

    ordinal: PostgresInteger
    heading: str
    text: str


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    state: Literal["loading", "unchanged"]
    file: int
    chunks: int = 0
    """The number of chunks, if the file is unchanged."""


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    chunks: PostgresInteger
    """The number of chunks; in a request, the expected number."""
    replaced: bool = False
    """Whether it replaced a file of the same name."""


class FileView(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    bytes: int
    chunks: int
    model: str
    """The model of the vectors of its chunks; empty: it is found by words alone."""
    other_vectors: bool = False
    """It has none of the model that is configured now, with its prefixes: it is found by words alone until it is added
    again."""
    added_at: str


class FilePage(msgspec.Struct, frozen=True, kw_only=True):
    instance: str
    files: list[FileView]


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    removed: list[str]
    missing: list[str]


class Cleared(msgspec.Struct, frozen=True):
    entries: int


class PostgresLibrary:
    """Every method may raise `Unavailable`, and `Missing` for an unknown instance.

    Args:
      embeddings: None if no embeddings server is configured.
    """

    def __init__(self, db: Postgres, embeddings: EmbeddingsClient | None, feed: Feed) -> None:
        self._db = db
        self._embeddings = embeddings
        self._feed = feed

    async def begin(self, instance: str, head: FileHead) -> Begun:
        """Start loading a file; it is not found before `commit`."""
        model = self._embeddings.key if self._embeddings else ""
        row = await self._json(
            "SELECT majlis_knowledge_begin($1, $2, $3, $4, $5)",
            storable(instance),
            storable(head.name),
            storable(head.sha256),
            head.bytes,
            storable(model),
        )
        if row["state"] == "unknown_instance":
            raise _unknown(instance)
        return Begun(state=row["state"], file=row["file"], chunks=row.get("chunks", 0))

    async def put(self, instance: str, file: int, chunks: Sequence[ChunkText]) -> None:
        """Store some chunks. Idempotent.

        Raises:
          Conflict: the load was abandoned, or the instance would hold too many chunks.
          EmbeddingsUnavailable: a file is found with all its vectors or not at all.
        """
        rows = [_chunk_row(chunk) for chunk in chunks]
        vectors = await self._missing_vectors(
            file, {text_hash(_searched_text(chunk)): _searched_text(chunk) for chunk in chunks}
        )
        sql = "SELECT majlis_knowledge_put($1, $2, $3, $4, $5)"
        put = await self._db.value(sql, storable(instance), file, encoded(rows), encoded(vectors), MAX_CHUNKS)
        if put == "full":
            raise Conflict(
                f"{instance} would hold more than {MAX_CHUNKS:,} chunks: remove files that are not needed"
            )
        if put == "gone":
            raise _abandoned()

    async def commit(self, instance: str, file: int, chunks: int) -> Ready:
        """Make the file findable. Idempotent. Raises `Conflict` if chunks are missing or the load was abandoned."""
        sql = "SELECT majlis_knowledge_commit($1, $2, $3)"
        row = await self._json(sql, storable(instance), file, chunks)
        if row["state"] != "ready":
            raise _abandoned()
        self._feed.emit("knowledge.changed", instance=instance, change="added", chunks=row["chunks"])
        return Ready(chunks=row["chunks"], replaced=row["replaced"])

    async def files(self, instance: str) -> FilePage:
        await self._must_be_known(instance)
        key = self._embeddings.key if self._embeddings else ""
        rows = await self._db.fetch(_FILES, storable(instance))
        found = [
            FileView(
                name=row["name"],
                bytes=row["bytes"],
                chunks=row["chunks"],
                model=row["model"],
                other_vectors=key not in ("", row["model"]),
                added_at=row["touched_at"].isoformat(),
            )
            for row in rows
        ]
        return FilePage(instance=instance, files=found)

    async def remove(self, instance: str, names: Sequence[str]) -> Removed:
        await self._must_be_known(instance)
        wanted = [storable(name) for name in names]
        sql = "SELECT majlis_knowledge_remove($1, $2)"
        removed: list[str] = await self._db.value(sql, storable(instance), wanted)
        if removed:
            self._feed.emit("knowledge.changed", instance=instance, change="removed", files=len(removed))
        return Removed(removed=removed, missing=[name for name in wanted if name not in removed])

    async def cache_stats(self, instance: str | None) -> CacheStats:
        """Raises `Missing` for an instance of which nothing is known and nothing was counted."""
        stats = await cache_stats(self._db, instance)
        if instance is not None and not stats.instances:
            await self._must_be_known(instance)
        return stats

    async def cache_clear(self, instance: str | None) -> Cleared:
        return Cleared(await self._db.value(_CLEAR, None if instance is None else storable(instance)))

    async def _missing_vectors(self, file: int, texts: Mapping[str, str]) -> dict[str, Vector]:
        """The vectors of texts that have none yet, by hash. Texts shared with other files are not paid for twice."""
        embeddings = self._embeddings
        if embeddings is None or not await self._db.value(
            "SELECT model <> '' FROM majlis_knowledge_files WHERE id = $1", file
        ):
            return {}
        rows = await self._db.fetch(
            "SELECT * FROM majlis_embeddings_missing($1, $2, $3) AS hash",
            storable(embeddings.key),
            list(texts),
            embeddings.cache_seconds,
        )
        missing = [row["hash"] for row in rows]
        vectors = await embeddings.vectors([texts[name] for name in missing])
        return dict(zip(missing, vectors, strict=True))

    async def _must_be_known(self, instance: str) -> None:
        if not await self._db.value(_KNOWN, storable(instance)):
            raise _unknown(instance)

    async def _json(self, sql: str, *args: object) -> Any:
        return msgspec.json.decode(await self._db.value(sql, *args))


def _chunk_row(chunk: ChunkText) -> dict[str, Any]:
    """A chunk as `majlis_knowledge_put` expects it."""
    return {
        "ordinal": chunk.ordinal,
        "heading": chunk.heading,
        "text": chunk.text,
        "words": search_words(_searched_text(chunk)),
        "text_hash": text_hash(_searched_text(chunk)),
    }


def _searched_text(chunk: ChunkText) -> str:
    """The text that is searched and compared; it includes the heading."""
    return storable(f"{chunk.heading}\n{chunk.text}" if chunk.heading else chunk.text)


def _unknown(instance: str) -> Missing:
    return Missing(
        f"The database has no instance {instance!r}: add it to instances in config.yaml, or to the database."
    )


def _abandoned() -> Conflict:
    return Conflict("Loading this file was abandoned, or chunks are missing: add the file again.")
