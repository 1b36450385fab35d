"""Knowledge and the response cache: instances' files are added, listed and removed, cached answers cleared."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from daemon.knowledge.cache_stats import CacheStats
from daemon.knowledge.library import (
    Begun,
    ChunkText,
    Cleared,
    FileHead,
    FilePage,
    PostgresLibrary,
    Ready,
    Removed,
)
from daemon.operate.call import AdminCall
from daemon.operate.instances import OneInstance
from daemon.operate.parameters import MAX_ID, MUST_BE, Instance, Parameters
from daemon.operate.route import Route
from daemon.web.http1 import Response, json_response


class ChunkPage(msgspec.Struct, frozen=True):
    chunks: list[ChunkText]


class ChunksStored(msgspec.Struct, frozen=True):
    stored: int


class FileNames(msgspec.Struct, frozen=True):
    names: list[str]


class OneLoad(OneInstance, frozen=True, kw_only=True):
    id: Annotated[
        int,
        Meta(
            ge=1,
            le=MAX_ID,
            description="The number of a load, as returned when it began.",
            extra={MUST_BE: "the number returned when the load began"},
        ),
    ]


class CacheQuery(Parameters, frozen=True, kw_only=True):
    instance: Instance | None = None


class KnowledgeFiles:
    """`reload` lets the daemon use a changed file at once."""

    def __init__(self, library: PostgresLibrary, reload: Callable[[], Awaitable[object]]) -> None:
        self.library = library
        self.reload = reload


async def _list(knowledge: KnowledgeFiles, call: AdminCall, asked: OneInstance) -> Response:
    """The files of an instance."""
    return json_response(200, await knowledge.library.files(asked.instance))


async def _begin(knowledge: KnowledgeFiles, call: AdminCall, asked: OneInstance) -> Response:
    """Begin to add a file: its name, sha256 and bytes."""
    head: FileHead = call.body
    await call.audit("knowledge.add", f"{asked.instance}: {head.name}")
    return json_response(200, await knowledge.library.begin(asked.instance, head))


async def _put(knowledge: KnowledgeFiles, call: AdminCall, asked: OneLoad) -> Response:
    """Add chunks to a file that is being loaded: ordinal, heading and text of each."""
    page: ChunkPage = call.body
    await knowledge.library.put(asked.instance, asked.id, page.chunks)
    return json_response(200, ChunksStored(len(page.chunks)))


async def _commit(knowledge: KnowledgeFiles, call: AdminCall, asked: OneLoad) -> Response:
    """Finish a load, when all chunks are there: from now on searches find the file."""
    whole: Ready = call.body
    # Another operator may have begun the load, and what went into it becomes visible only now: record who ends it.
    await call.audit("knowledge.ready", f"{asked.instance}: load {asked.id}")
    ready = await knowledge.library.commit(asked.instance, asked.id, whole.chunks)
    await knowledge.reload()
    return json_response(200, ready)


async def _remove(knowledge: KnowledgeFiles, call: AdminCall, asked: OneInstance) -> Response:
    """Remove files by name."""
    names = call.body.names
    await call.audit("knowledge.remove", f"{asked.instance}: {', '.join(names)}")
    removed = await knowledge.library.remove(asked.instance, names)
    await knowledge.reload()
    return json_response(200, removed)


async def _cache_stats(knowledge: KnowledgeFiles, call: AdminCall, asked: CacheQuery) -> Response:
    """How many answers are cached, how many questions they answered, and why the others were not answered so."""
    return json_response(200, await knowledge.library.cache_stats(asked.instance or None))


async def _cache_clear(knowledge: KnowledgeFiles, call: AdminCall, asked: CacheQuery) -> Response:
    """Clear the cached answers."""
    await call.audit("cache.clear", asked.instance or "all instances")
    return json_response(200, await knowledge.library.cache_clear(asked.instance or None))


_FILES = "/v1/knowledge/{instance}"
_LOAD = f"{_FILES}/files/{{id}}"
ROUTES = (
    Route("GET", _FILES, KnowledgeFiles, _list, "read", FilePage, OneInstance),
    Route("POST", f"{_FILES}/files", KnowledgeFiles, _begin, "operate", Begun, OneInstance, FileHead),
    Route("POST", f"{_LOAD}/chunks", KnowledgeFiles, _put, "operate", ChunksStored, OneLoad, ChunkPage),
    Route("POST", f"{_LOAD}/ready", KnowledgeFiles, _commit, "operate", Ready, OneLoad, Ready),
    Route("POST", f"{_FILES}/remove", KnowledgeFiles, _remove, "operate", Removed, OneInstance, FileNames),
    Route("GET", "/v1/cache", KnowledgeFiles, _cache_stats, "read", CacheStats, CacheQuery),
    Route("POST", "/v1/cache/clear", KnowledgeFiles, _cache_clear, "operate", Cleared, CacheQuery),
)
