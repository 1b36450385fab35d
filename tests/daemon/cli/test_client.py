"""What a command says when it fails: one sentence that says what to do, and an exit status."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from actors.errors import LedgerUnavailable
from tests.daemon.cli.conftest import Typed
from tests.daemon.cli.scene import CONTACT
from tests.support.operators import DoorInThread


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("show", f"acme/{CONTACT}9"), 1, "There is no conversation"),
        (("show", CONTACT), 1, "write a conversation as its label"),
        (("show", "acme/"), 1, "write its label, or INSTANCE/PHONE"),
        (("dead", "show", "99999"), 1, "There is no dead letter 99999"),
        (("dead", "retry"), 2, "majlis dead retry --all"),
        (("dead", "retry", "17", "--all"), 2, "majlis dead retry --all"),
        (("show", "99999"), 1, "There is no turn of this number"),
        (("flags", "set", "parralel", "on"), 1, "flag must be one of parallel, cache"),
        (("flags", "clear", "cache"), 1, "cache is not set for this daemon"),
        (
            ("flags", "--json", "set", "cache", "on"),
            2,
            "write options after the subcommand: majlis flags set",
        ),
        (("actors", "--state", "bored"), 1, "state must be one of waiting"),
        (("status", "--set", "batching.windw=3"), 2, "batching.windw: unknown key"),
        (("status", "--config", "nowhere.yaml"), 2, "nowhere.yaml: cannot be read"),
    ],
)
def test_a_failure_is_one_sentence_and_an_exit_status(
    door: DoorInThread, majlis: Typed, arguments: tuple[str, ...], status: int, words: str
) -> None:
    done = majlis(*arguments)
    assert done.status == status and done.out == ""
    assert words in done.err and len(done.err.splitlines()) == 1 and done.err.startswith("majlis: ")


def test_a_failure_inside_the_daemon_is_one_sentence(
    door: DoorInThread, majlis: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> object:
        raise LedgerUnavailable("postgres is away")

    monkeypatch.setattr(door.operators.records, "usage", away)
    done = majlis("cost")
    assert done.status == 1 and done.err == "majlis: this cannot be done now, try again: postgres is away\n"


def test_without_a_daemon_the_error_says_how_to_start_it(majlis: Typed, tmp_path: Path) -> None:
    done = majlis("status")
    socket = tmp_path / "door" / "admin.sock"
    assert done.status == 3
    assert done.err == (
        f"majlis: majlis is not running at {socket}; start it with `majlis run`, or pass the running "
        "daemon's settings file with --config\n"
    )


def test_a_socket_left_by_a_killed_daemon_counts_as_not_running(majlis: Typed, tmp_path: Path) -> None:
    (tmp_path / "door").mkdir()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "door" / "admin.sock"))
    done = majlis("tail")
    assert done.status == 3 and "is not running at" in done.err


def test_without_permission_the_error_says_who_has_it(
    door: DoorInThread, majlis: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    done = majlis("status")
    assert done.status == 1 and "belongs to" in done.err and "run this as" in done.err


def test_no_command_waits_for_a_driver_or_a_reader_to_be_imported() -> None:
    heavy = {
        "asyncpg",
        "trio_asyncio",
        "redis",
        "structlog",
        "trio_websocket",
        "prometheus_client",
        *("pypdfium2", "mammoth", "openpyxl", "selectolax", "chardet", "markdown_it"),
        *("cryptography", "segno", "phonenumbers"),
    }
    script = f"import sys, daemon.cli; print(*sorted({heavy} & set(sys.modules)))"
    root = str(Path(__file__).parents[3])
    output = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=root, timeout=60
    ).stdout
    assert output.split() == []
