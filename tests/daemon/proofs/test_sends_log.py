"""`sends.log`: what a killed daemon may still prove, and what a damaged file must not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import trio

from actors.errors import LeaseUncertain
from actors.outcome import NotSent, Sent
from actors.send_facts import Proof
from daemon.proofs import sends_log
from daemon.proofs.kept import KeptFacts
from daemon.proofs.sends_log import SendsLog

BOOT = "boot-1"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sends.log"


def after_a_kill(path: Path, boot: str = BOOT) -> SendsLog:
    return SendsLog(path, boot)


def test_a_claim_proves_nothing_under_another_boot(path: Path) -> None:
    SendsLog(path, BOOT).claim("a1")
    assert after_a_kill(path).nothing_left("a1")
    assert not after_a_kill(path, "boot-2").nothing_left("a1")
    assert not after_a_kill(path, "").nothing_left("a1")


def test_what_was_proven_never_to_leave_cannot_start(path: Path) -> None:
    log = SendsLog(path, BOOT)
    log.claim("a1")
    assert log.nothing_left("a1")
    with pytest.raises(LeaseUncertain):
        log.start("a1")


@pytest.mark.parametrize("room", ["none", "half a line"])
def test_a_start_that_does_not_fit_empties_the_file(
    path: Path, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = SendsLog(path, BOOT)
    log.claim("a1")
    write = os.write

    def no_room(fd: int, data: bytes) -> int:
        if room == "none":
            raise OSError(28, "No space left on device")
        return write(fd, data[: len(data) // 2])

    monkeypatch.setattr("os.write", no_room)
    log.start("a1")
    monkeypatch.undo()
    log.claim("b2")
    again = after_a_kill(path)
    assert not again.nothing_left("a1")
    assert again.nothing_left("b2")


def test_where_it_cannot_be_emptied_nothing_leaves(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = SendsLog(path, BOOT)
    log.claim("a1")

    def refuse(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.write", refuse)
    monkeypatch.setattr("os.ftruncate", refuse)
    with pytest.raises(LeaseUncertain, match="sends_log_stuck"):
        log.start("a1")


def test_the_start_after_a_torn_line_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed write may leave any part of its line; it must not swallow the next one."""
    log = SendsLog(path, BOOT)
    log.claim("a1")
    write = os.write

    def tear(fd: int, data: bytes) -> int:
        return write(fd, data[:-1])  # everything but the end of the line

    def refuse(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.write", tear)
    monkeypatch.setattr("os.ftruncate", refuse)
    log.claim("b2")
    monkeypatch.undo()
    log.start("a1")
    log.start("b2")
    again = after_a_kill(path)
    assert not again.nothing_left("a1")
    assert not again.nothing_left("b2")


@pytest.mark.parametrize(
    "content",
    [
        b"claim a1 boot-1",
        b'\x00\xff\n\nclaim\nclaim a1\nsent a1\nsent a1 x.y {\nsent a1 1.0 [\nsent a1 99999999999999999999.0 "x"\n',
        b"claim a1 boot-1!\nstart\n",
    ],
    ids=["torn", "garbage", "ended by the next write"],
)
def test_a_damaged_file_is_no_evidence(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    log = SendsLog(path, BOOT)
    assert not log.nothing_left("a1")
    log.claim("b2")
    assert after_a_kill(path).nothing_left("b2")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "fifo"])
def test_what_is_no_file_stops_nobody(path: Path, make: Callable[[Path], None]) -> None:
    make(path)
    log = SendsLog(path, BOOT)
    log.claim("a1")
    log.start("a1")
    assert not log.keep(Proof(1, 0, "a1", Sent("x")))
    assert log.proof("a1") is not None


def test_the_file_stays_small_and_keeps_what_is_open(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sends_log, "MAX_BYTES", 2_000)
    log = SendsLog(path, BOOT)
    kept = Proof(1, 0, "kept", Sent("id"))
    log.keep(kept)
    log.keep(Proof(1, 1, "other", NotSent("busy", "hold")))
    log.claim("open")
    for number in range(500):
        log.claim(f"t{number}")
        log.start(f"t{number}")
        log.forget(f"t{number}")
    assert path.stat().st_size < 3_000
    again = after_a_kill(path)
    assert again.nothing_left("open")
    assert again.proof("kept") == kept
    assert again.proof("other") == Proof(1, 1, "other", NotSent("busy", "hold"))
    assert not again.nothing_left("t1")


async def test_what_a_stop_cut_off_from_the_ledger_is_written_down(path: Path) -> None:
    """The gateway has answered, and the daemon is halted before Postgres has the answer."""
    proof = Proof(7, 0, "a1", Sent("3EB0"))
    facts = KeptFacts(cast(Any, None), SendsLog(path, BOOT), cast(Any, None), 8)
    facts.claiming("a1")
    facts.starting("a1")
    facts.remember(proof)
    await trio.lowlevel.checkpoint()
    facts.close()
    assert after_a_kill(path).proof("a1") == proof
