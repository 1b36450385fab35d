"""A start where nothing can be written says why, and what to do: it is not always a right that is missing."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest

from actors.errors import MajlisError
from daemon import run as root
from daemon.config import Settings, load
from daemon.run.lifecycle import lock_data_dir

CAUSES = {
    errno.ENOSPC: "No space left on device): its disk is full, make room",
    errno.EDQUOT: "this user's quota on its disk is used up",
    errno.EROFS: "its disk is read-only, mount it writable",
    errno.EIO: "its disk fails",
    errno.EMFILE: "too many files are open, raise the limit",
    errno.EACCES: "Permission denied): give this user write access",
}


class Broken:
    """Fails as the system would."""

    def __init__(self, number: int) -> None:
        self._error = OSError(number, os.strerror(number))

    def __call__(self, *_args: object, **_named: object) -> NoReturn:
        raise self._error


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    file = tmp_path / "config.yaml"
    file.write_text('{"ingress": {"listen": "127.0.0.1:0"}, "redis": {"url": "redis://127.0.0.1:9/0"}}')
    dsn = "postgresql://nobody@127.0.0.1:9/none"
    return load(file, environment={"MAJLIS_DATA_DIR": str(tmp_path / "d"), "MAJLIS_POSTGRES__DSN": dsn})


@pytest.mark.parametrize("number", CAUSES)
def test_the_cause_of_an_unwritable_place_is_named(
    number: int, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock, the admin socket and the daemon's name, one after the other; each with the setting that moves it."""
    steps: tuple[tuple[object, str, str], ...] = (
        (Path, "mkdir", "data_dir"),
        (os, "open", "data_dir"),
        (root, "open_unix_listener", "admin.socket"),
        (Path, "write_text", "node_id"),
    )
    for owner, name, setting in steps:
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, Broken(number))
            with pytest.raises(MajlisError) as caught:
                root.run(settings)
        assert CAUSES[number] in str(caught.value) and f"set {setting}" in str(caught.value)


def test_a_file_in_place_of_data_dir_is_named(tmp_path: Path) -> None:
    (tmp_path / "d").touch()
    with (
        pytest.raises(MajlisError, match="it is not a directory, move that file away"),
        lock_data_dir(tmp_path / "d"),
    ):
        pass
