"""What the admin door needs of the instances' files and of the kept answers, and what it shows of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec


class FileHead(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is about to be added, as the command line read it."""

    name: str
    sha256: str
    bytes: int


class ChunkText(msgspec.Struct, frozen=True):
    """A piece of it."""

    ordinal: int
    heading: str
    text: str


class ChunkPage(msgspec.Struct, frozen=True):
    chunks: list[ChunkText]


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    state: Literal["loading", "unchanged"]
    file: int
    chunks: int = 0
    """Of a file that is unchanged."""


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    chunks: int
    """How many it has; what is asked for when a load is ended."""
    replaced: bool = False
    """There was a file of this name before."""


class FileView(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    bytes: int
    chunks: int
    model: str
    """Whose vectors its chunks have; empty: it is found by its words alone."""
    added_at: str


class FilePage(msgspec.Struct, frozen=True, kw_only=True):
    instance: str
    files: list[FileView]


class FileNames(msgspec.Struct, frozen=True):
    names: list[str]


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    removed: list[str]
    missing: list[str]


class CacheRow(msgspec.Struct, frozen=True, kw_only=True):
    instance: str
    entries: int
    with_vectors: int
    """How many of them questions can be compared with by their meaning."""
    hits: int
    """How often the answers that are kept now were given again."""
    oldest_at: str


class CacheStats(msgspec.Struct, frozen=True):
    instances: list[CacheRow]


class Cleared(msgspec.Struct, frozen=True):
    entries: int


class Library(Protocol):
    """Implemented by `daemon.knowledge.library`. Any may raise `Unavailable`; `NotFound` for an unknown instance."""

    async def begin(self, instance: str, head: FileHead) -> Begun:
        """A load of its own; nothing of it is found before `commit`."""

    async def put(self, instance: str, file: int, chunks: Sequence[ChunkText]) -> None:
        """Repeatable. Raises `Conflict` when the load was given up, or the instance holds too much."""

    async def commit(self, instance: str, file: int, chunks: int) -> Ready:
        """Repeatable. Raises `Conflict` when the load is incomplete or was given up."""

    async def files(self, instance: str) -> FilePage: ...

    async def remove(self, instance: str, names: Sequence[str]) -> Removed: ...

    async def cache_stats(self, instance: str | None) -> CacheStats: ...

    async def cache_clear(self, instance: str | None) -> Cleared: ...
