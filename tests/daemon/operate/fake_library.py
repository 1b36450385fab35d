"""The instances' files as the admin door sees them, in memory: one instance, `acme`, whose loads keep their chunks."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from daemon.operate.knowledge import (
    Begun,
    CacheRow,
    CacheStats,
    ChunkText,
    Cleared,
    FileHead,
    FilePage,
    FileView,
    Ready,
    Removed,
)
from daemon.operate.protocol import Conflict, NotFound

AT = "2026-01-31T10:02:00+00:00"


class FakeLibrary:
    """`fails_at`: the chunk whose upload is refused."""

    def __init__(self) -> None:
        self.heads: dict[int, FileHead] = {}
        self.loads: dict[int, dict[int, ChunkText]] = {}
        self.ready: dict[str, int] = {}
        self.kept = {"acme": 3, "other": 1}
        self.fails_at: int | None = None

    async def begin(self, instance: str, head: FileHead) -> Begun:
        await self._know(instance)
        load = self.ready.get(head.name)
        if load is not None and self.heads[load].sha256 == head.sha256:
            return Begun(state="unchanged", file=load, chunks=len(self.loads[load]))
        load = len(self.heads) + 1
        self.heads[load], self.loads[load] = head, {}
        return Begun(state="loading", file=load)

    async def put(self, instance: str, file: int, chunks: Sequence[ChunkText]) -> None:
        await self._know(instance)
        for chunk in chunks:
            if chunk.ordinal == self.fails_at:
                raise Conflict("acme would hold more than 10,000 chunks: remove files that are not needed")
            self.loads[file][chunk.ordinal] = chunk

    async def commit(self, instance: str, file: int, chunks: int) -> Ready:
        await self._know(instance)
        if len(self.loads[file]) != chunks:
            raise Conflict("Loading this file was abandoned, or chunks are missing: add the file again.")
        replaced = self.heads[file].name in self.ready
        self.ready[self.heads[file].name] = file
        return Ready(chunks=chunks, replaced=replaced)

    async def files(self, instance: str) -> FilePage:
        await self._know(instance)
        found = [
            FileView(
                name=name,
                bytes=self.heads[load].bytes,
                chunks=len(self.loads[load]),
                model="",
                added_at=AT,
            )
            for name, load in sorted(self.ready.items())
        ]
        return FilePage(instance=instance, files=found)

    async def remove(self, instance: str, names: Sequence[str]) -> Removed:
        await self._know(instance)
        removed = [name for name in names if self.ready.pop(name, None) is not None]
        return Removed(removed=removed, missing=[name for name in names if name not in removed])

    async def cache_stats(self, instance: str | None) -> CacheStats:
        await trio.lowlevel.checkpoint()
        rows = [
            CacheRow(instance=name, entries=entries, with_vectors=1, hits=7, oldest_at=AT)
            for name, entries in self.kept.items()
            if instance in (None, name)
        ]
        return CacheStats(rows)

    async def cache_clear(self, instance: str | None) -> Cleared:
        await trio.lowlevel.checkpoint()
        gone = [name for name in self.kept if instance in (None, name)]
        return Cleared(sum(self.kept.pop(name) for name in gone))

    async def _know(self, instance: str) -> None:
        await trio.lowlevel.checkpoint()
        if instance != "acme":
            raise NotFound(f"The database has no instance {instance!r}: add it to instances in config.yaml.")
