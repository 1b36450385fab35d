"""A data_dir's own key: made once, whole, for its user alone."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from daemon.config.secret_keys import KEY_BYTES, read_key
from daemon.tenants.key_file import KeyFile, KeyFileUnfit


def test_it_is_made_when_it_is_needed_and_stays(tmp_path: Path) -> None:
    file = KeyFile(tmp_path)
    assert file.read() is None and not file.path.exists()
    key = file.read_or_make()
    assert len(key) == KEY_BYTES and file.read() == key == file.read_or_make()
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert read_key(file.path.read_text()) == key  # may be written into secrets.keys as it is
    assert list(tmp_path.iterdir()) == [file.path]


def test_two_at_once_get_the_same_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one makes the file while this one is about to."""
    file, sync = KeyFile(tmp_path), os.fsync
    made: list[bytes] = []

    def another_comes_first(descriptor: int) -> None:
        monkeypatch.setattr(os, "fsync", sync)
        sync(descriptor)
        made.append(KeyFile(tmp_path).read_or_make())

    monkeypatch.setattr(os, "fsync", another_comes_first)
    assert [file.read_or_make()] == made == [file.read()]
    assert list(tmp_path.iterdir()) == [file.path]


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 44, b"A" * 43 + b"!"])
def test_what_is_no_key_is_never_written_over(tmp_path: Path, content: bytes) -> None:
    file = KeyFile(tmp_path)
    file.path.write_bytes(content)
    file.path.chmod(0o600)
    with pytest.raises(KeyFileUnfit, match="holds no key"):
        file.read_or_make()
    assert file.path.read_bytes() == content


def test_one_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = KeyFile(tmp_path)
    file.read_or_make()
    for mode in (0o640, 0o604, 0o620):
        file.path.chmod(mode)
        with pytest.raises(KeyFileUnfit, match="chmod 600"):
            file.read()
    file.path.chmod(0o600)
    file.read()


def test_a_link_and_a_pipe_are_no_key_files(tmp_path: Path) -> None:
    file = KeyFile(tmp_path)
    (tmp_path / "elsewhere").write_text("A" * 43)
    file.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyFileUnfit):
        file.read()
    file.path.unlink()
    os.mkfifo(file.path, 0o600)
    with pytest.raises(KeyFileUnfit):
        file.read()


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """I15: it says so each time, and the next one makes a whole key."""

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    file = KeyFile(tmp_path)
    with monkeypatch.context() as patched, pytest.raises(KeyFileUnfit, match="No space left"):
        patched.setattr(os, "fsync", full)
        file.read_or_make()
    assert list(tmp_path.iterdir()) == []
    assert len(file.read_or_make()) == KEY_BYTES
