"""flush, dead, tail, doctor, and the words of every bad end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors.errors import LedgerUnavailable
from daemon.operate import FLAGS, Check, DoctorReport
from tests.daemon.cli.conftest import Typed
from tests.daemon.operate.fake_operations import CONTACT, HELD, LABEL, TEXT, DoorInThread
from tests.support.patience import PATIENCE_SECONDS

ROOT = Path(__file__).parents[3]
COMMANDS = (
    "run",
    "migrate",
    "doctor",
    "status",
    "actors",
    "silent",
    "show",
    "cost",
    "flags",
    "tail",
    "flush",
    "pause",
    "resume",
    "reload",
)


def test_flush_closes_the_window_now(door: DoorInThread, majlis: Typed) -> None:
    assert majlis("flush", f"acme/{CONTACT}").out == f"{LABEL}: 2 messages will be answered now\n"
    assert json.loads(majlis("flush", LABEL, "--json").out) == {"conversation": LABEL, "messages": 2}
    assert door.operations.flushed == [HELD, LABEL]


def test_pause_says_until_when(door: DoorInThread, majlis: Typed) -> None:
    silent = f"{LABEL}: Majlis is silent until 2026-01-01 14:00:00 UTC\n"
    assert majlis("pause", f"acme/{CONTACT}").out == silent
    assert json.loads(majlis("pause", LABEL, "--seconds", "60", "--json").out)["conversation"] == LABEL
    assert door.operations.paused == [(HELD, None), (LABEL, 60)]
    shorter = majlis("pause", LABEL, "--seconds", "60").out
    assert shorter == f"{silent[:-1]}: a pause that is no shorter stood already, `majlis resume` ends it\n"


def test_resume_says_what_was_ended_and_that_there_was_nothing(door: DoorInThread, majlis: Typed) -> None:
    done = majlis("resume", LABEL)
    assert done.out == f"{LABEL}: its escalation is over, its take-over is over, it was parked and is awake\n"
    again = majlis("resume", LABEL)
    assert (again.status, again.err) == (1, f"majlis: there is nothing to resume in {LABEL}\n")
    assert json.loads(majlis("resume", f"acme/{CONTACT}", "--json").out)["taken_over"] is True


def test_reload_says_what_it_read_and_what_not(door: DoorInThread, majlis: Typed) -> None:
    out = majlis("reload").out
    assert out.startswith("0 flags read;") and "config.yaml is not read again" in out
    assert json.loads(majlis("reload", "--json").out) == {"flags": 0}


def test_flags_are_shown_set_and_cleared(door: DoorInThread, majlis: Typed) -> None:
    assert "parallel" in majlis("flags").out
    lines = majlis("flags", "set", "cache", "off", "--instance", "acme").out.splitlines()
    assert next(line.split() for line in lines if line.startswith("cache")) == [
        *("cache", "on", "-", "on", "acme", "off")
    ]
    lines = majlis("flags", "set", "cache", "off").out.splitlines()
    assert next(line.split() for line in lines if line.startswith("cache"))[1:4] == ["on", "off", "off"]
    majlis("flags", "clear", "cache", "--instance", "acme")
    assert door.operations.set == {("cache", None): False}
    document = json.loads(majlis("flags", "--json").out)
    assert document["node_id"] == "node-a" and [flag["flag"] for flag in document["flags"]] == list(FLAGS)


def test_dead_letters_are_listed_shown_and_put_back(door: DoorInThread, majlis: Typed) -> None:
    listed = majlis("dead", "list").out
    assert "not_on_whatsapp: no account for …12" in listed and "1 dead letter open" in listed
    shown = majlis("dead", "show", "17").out
    assert "after 3 tries" in shown and "majlis dead retry 17" in shown and TEXT not in shown
    assert TEXT in majlis("dead", "show", "17", "--reveal").out
    assert majlis("dead", "retry", "17").out == "1 dead letter put back to be answered\n"
    assert json.loads(majlis("dead", "retry", "--all", "--json").out) == {"retried": 1}
    assert door.operations.retried == [17, 17]
    assert json.loads(majlis("dead", "list", "--json").out)["open"] == 1


def test_doctor_asks_the_running_daemon_and_fails_on_a_problem(door: DoorInThread, majlis: Typed) -> None:
    assert majlis("doctor").status == 0
    problem = Check(name="gateway", state="problem", detail="answers 401", advice="set gateway.api_key")
    door.operations.report = DoctorReport(checks=[problem])
    done = majlis("doctor")
    assert done.status == 1 and "answers 401" in done.out and "→ set gateway.api_key" in done.out
    document = json.loads(majlis("doctor", "--json").out)
    assert document["well"] is False and document["from_daemon"] is True


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("show", f"acme/{CONTACT}9"), 1, "no such conversation"),
        (("show", CONTACT), 1, "write a conversation as its label"),
        (("show", "acme/"), 1, "write its label, or INSTANCE/PHONE"),
        (("dead", "show", "99"), 1, "there is no dead letter 99"),
        (("dead", "retry"), 2, "majlis dead retry --all"),
        (("dead", "retry", "17", "--all"), 2, "majlis dead retry --all"),
        (("show", "8"), 1, "no such turn"),
        (("flags", "set", "parralel", "on"), 1, "there is no such flag: it is one of parallel, cache"),
        (("flags", "clear", "cache"), 1, "cache is not set there"),
        (("flags", "--json", "set", "cache", "on"), 2, "write the options at the end: majlis flags set"),
        (("actors", "--state", "bored"), 1, "state must be one of waiting"),
        (("status", "--set", "batching.windw=3"), 2, "batching.windw: unknown key"),
        (("status", "--config", "nowhere.yaml"), 2, "nowhere.yaml: cannot be read"),
    ],
)
def test_a_bad_end_is_one_sentence_and_a_status(
    door: DoorInThread, majlis: Typed, arguments: tuple[str, ...], status: int, words: str
) -> None:
    done = majlis(*arguments)
    assert done.status == status and done.out == ""
    assert words in done.err and len(done.err.splitlines()) == 1 and done.err.startswith("majlis: ")


def test_what_fails_in_the_daemon_is_one_sentence(door: DoorInThread, majlis: Typed) -> None:
    door.operations.fails = LedgerUnavailable("postgres is away")
    done = majlis("status")
    assert done.status == 1 and done.err == "majlis: this cannot be done now, try again: postgres is away\n"


def test_no_daemon_is_told_with_the_way_to_start_it(majlis: Typed, tmp_path: Path) -> None:
    done = majlis("status")
    socket = tmp_path / "door" / "admin.sock"
    assert done.status == 3
    assert done.err == (
        f"majlis: majlis is not running at {socket}; start it with `majlis run`, or name the settings of the one "
        "that runs with --config\n"
    )


def test_a_socket_that_a_killed_daemon_left_is_no_daemon(majlis: Typed, tmp_path: Path) -> None:
    (tmp_path / "door").mkdir()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "door" / "admin.sock"))
    done = majlis("tail")
    assert done.status == 3 and "is not running at" in done.err


def test_a_closed_door_says_who_may(
    door: DoorInThread, majlis: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    done = majlis("status")
    assert done.status == 1 and "belongs to" in done.err and "run this as" in done.err


@contextmanager
def tailing(door: DoorInThread, *options: str) -> Iterator[subprocess.Popen[str]]:
    """`majlis tail` as a process, with the first event already received."""
    command = [sys.executable, "-m", "daemon", "tail", "--set", f"admin.socket={door.socket}", *options]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        try:
            door.wait_for_tail()
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_tail_streams_until_interrupted_and_ends_quietly(
    door: DoorInThread, options: tuple[str, ...]
) -> None:
    with tailing(door, *options) as process:
        door.emit("turn.lookups", batch=2, failures=[], waterfall={"history": [0.1, 2.0, "ok"]})
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 130
        assert process.stderr.read() == ""
    label = HELD.label("test install")
    if options:
        assert json.loads(line)["event"] == "turn.lookups" and "history" in line
    else:
        assert line.split("  ", 1)[1].split() == ["turn.lookups", "acme", label, "batch=2", "failures=none"]


def test_tail_ends_when_the_daemon_does(door: DoorInThread) -> None:
    with tailing(door) as process:
        door.stop()
        assert process.wait(PATIENCE_SECONDS) == 1
        assert process.stderr is not None and len(process.stderr.read().splitlines()) == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_with_an_example(
    majlis: Typed, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    out = majlis(command, "--help").out
    assert f"Example: majlis {command}" in out and "--json" in out and "--config" in out and "--set" in out


@pytest.mark.parametrize("command", ["dead list", "dead show", "dead retry", "flags set", "flags clear"])
def test_every_command_below_another_does_so_too(majlis: Typed, command: str) -> None:
    out = majlis(*command.split(), "--help").out
    assert f"Example: majlis {command}" in out and "--json" in out
