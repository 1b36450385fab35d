"""What is kept of unreadable payloads."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import trio

from daemon.ingress.quarantine import Quarantine, redact

SECRET = b"B6D711FC-DE4D-4FD5"


@pytest.mark.parametrize(
    "body",
    [
        b'{"apikey":"%s","x":1}' % SECRET,
        b'{"apiKey" : "%s"' % SECRET,
        b'{"api_key":"%s' % SECRET,
        b'{"Authorization": "Bearer %s"}' % SECRET,
        b'{"jwt_key":"a\\"%s"}' % SECRET,
        b'{"hash":{"access_token":"%s"}}' % SECRET,
        b'"{\\"apikey\\":\\"%s\\"}"' % SECRET,
        b"apikey=%s&x=1" % SECRET,
        b"{'apikey': '%s'}" % SECRET,
        b"authorization: Bearer %s\r\n" % SECRET,
        f'{{"apikey":"{SECRET.decode()}"}}'.encode("utf-16"),
        f'{{"apikey":"{SECRET.decode()}"}}'.encode("utf-16-be"),
    ],
)
def test_keys_are_redacted(body: bytes) -> None:
    """I11."""
    assert SECRET not in redact(body).replace(b"\0", b"")


def test_text_that_is_not_a_key_stays() -> None:
    body = b'{"event":"messages.upsert","apikey":null,"data":{"key":{"id":"A"}}'
    assert redact(body) == body.replace(b"null", b'"[redacted]"')


async def test_no_key_is_written(tmp_path: Path) -> None:
    """I11."""
    await Quarantine(tmp_path, lambda error: None).store(b'{"apikey":"%s"' % SECRET, "not_json")
    assert SECRET not in content_of_the_only_file(tmp_path)


def content_of_the_only_file(folder: Path) -> bytes:
    [file] = folder.iterdir()
    return file.read_bytes()


async def test_files_are_private_short_and_few(tmp_path: Path) -> None:
    """I8, I11."""
    errors: list[OSError] = []
    quarantine = Quarantine(tmp_path / "data" / "quarantine", errors.append, max_files=3, max_file_bytes=10)
    for number in range(5):
        await quarantine.store(b"%d" % number * 50, "Not/../JSON")
    files = sorted((tmp_path / "data" / "quarantine").iterdir())
    assert [file.read_bytes()[:1] for file in files] == [b"2", b"3", b"4"]
    assert all(file.stat().st_size == 10 and stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    assert all(file.name.endswith("-not_json.payload") for file in files)
    assert stat.S_IMODE(files[0].parent.stat().st_mode) == 0o700
    assert (quarantine.stored, quarantine.dropped, errors) == (5, 0, [])


async def test_a_failing_disk_is_reported_and_raises_nothing(tmp_path: Path) -> None:
    """I14."""
    (tmp_path / "quarantine").write_text("no folder")
    errors: list[OSError] = []
    quarantine = Quarantine(tmp_path / "quarantine", errors.append)
    await quarantine.store(b"x", "not_json")
    assert (quarantine.dropped, len(errors)) == (1, 1)


def count_files(folder: Path) -> int:
    return len(list(folder.iterdir()))


async def test_many_payloads_at_once_are_stored_or_counted_as_dropped(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, lambda error: None)
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(quarantine.store, b"x", "not_json")
    assert quarantine.stored + quarantine.dropped == 20
    assert quarantine.stored <= count_files(tmp_path) <= 20


async def test_old_payloads_go_by_the_day_they_were_stored(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, lambda error: None)
    assert await quarantine.forget(30) == 0
    await quarantine.store(b"{", "not_json")
    old = with_an_old_one(tmp_path)
    assert await quarantine.forget(32) == 0
    assert await quarantine.forget(30) == 1 and not old.exists()
    assert content_of_the_only_file(tmp_path) == b"{"


def with_an_old_one(folder: Path) -> Path:
    """As it was stored 31 days ago."""
    [new] = folder.iterdir()
    old = new.with_name(f"{int(new.name[:20]) - 31 * 86_400 * 10**9:020d}-not_json.payload")
    old.write_bytes(b"{")
    return old
