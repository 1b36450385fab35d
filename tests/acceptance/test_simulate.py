"""`majlis simulate` against real daemons: a temporary one, one that is killed, and a running one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.harness import DaemonUnderTest, daemon_under_test
from tests.acceptance.process import clean_environment
from tests.acceptance.settings import Tree
from tests.support.patience import PATIENCE_SECONDS, wait_until
from tests.support.scratch import scratch_dir

SECONDS = 3 * PATIENCE_SECONDS
"""A bound for a machine that is busy; a rehearsal takes a few seconds of waiting, and starts a daemon."""
SHORT = ("--set", "batching.window_seconds=0.6", "--set", "turn.backoff_seconds=[0.2,0.4]")
SMALL = ("--customers", "25", "--messages", "80", "--seed", "1", "--rate", "20")


@pytest.fixture
def short_place() -> Iterator[Path]:
    """A directory for a rehearsal. Its name is short because Unix sockets are created below it."""
    with tempfile.TemporaryDirectory(
        prefix="majlis-", dir=scratch_dir(), ignore_cleanup_errors=True
    ) as directory:
        yield Path(directory)


@pytest.fixture
def place(short_place: Path) -> Iterator[Path]:
    """The same, with a check that nothing is left there."""
    yield short_place
    assert not list(short_place.glob("majlis-simulate-*")), "a temporary daemon was not thrown away"


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "daemon", "simulate", *options]


def environment(place: Path) -> dict[str, str]:
    others = {"MAJLIS_TURN__MAX_TRIES": "none", "CREDENTIALS_DIRECTORY": str(place / "nowhere")}
    return clean_environment() | others | {"TMPDIR": str(place), "COLUMNS": "80"}


def simulate(place: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*options),
        capture_output=True,
        text=True,
        env=environment(place),
        cwd=place,
        timeout=SECONDS,
        check=False,
    )


def faultless(ended: subprocess.CompletedProcess[str], messages: int) -> Tree:
    """The report of a faultless rehearsal: every message acknowledged and answered once, in order."""
    assert ended.returncode == 0, (ended.stdout, ended.stderr)
    report = json.loads(ended.stdout)
    assert isinstance(report, dict)
    expected = {
        "sent": messages,
        "acknowledged": messages,
        "answered": messages,
        **dict.fromkeys(("lost", "waiting", "given_up", "doubled", "out_of_order", "unmatched"), 0),
    }
    assert {name: report[name] for name in expected} == expected
    return report


def test_a_rehearsal_with_its_own_daemon(place: Path) -> None:
    """Every message is answered once, in order, and nothing stays on the machine.

    Settings of a Majlis on this machine are read neither from its file nor from the environment.
    """
    (place / "config.yaml").write_text("batching: {window_seconds: [")
    report = faultless(simulate(place, *SMALL, *SHORT, "--json"), 80)
    assert isinstance(report["ack"], dict)
    assert isinstance(report["answer"], dict)
    assert isinstance(report["repeated"], int)
    assert report["ack"]["count"] >= 80 + report["repeated"]
    assert report["answer"]["p50_seconds"] >= 0.5, "an answer comes when its window closes"
    assert report["repeated"] > 0
    assert report["restarts"] == []


def test_a_rehearsal_with_a_kill(place: Path) -> None:
    """SIGKILL half way, while messages arrive and replies leave: no loss, no duplicate."""
    report = faultless(simulate(place, *SMALL, *SHORT, "--kill", "--json"), 80)
    assert isinstance(report["restarts"], list)
    assert len(report["restarts"]) == 1
    assert report["troubles"], "messages came while the daemon was dead, and were sent again"


def test_a_rehearsal_with_a_running_daemon(place: Path) -> None:
    """With gateway.base_url pointing at the simulator; a report for people; a second run works."""
    listen = f"127.0.0.1:{free_port()}"
    gateway = {"kind": "evolution", "base_url": f"http://{listen}", "api_key": "any"}
    auth = {"mode": "token", "token": "open sesame"}
    settings: Tree = {
        "gateway": gateway,
        "ingress": {"listen": "127.0.0.1:0", "auth": auth},
        "instances": {"acme": {}},
    }
    with daemon_under_test(settings) as daemon:
        options = ["--url", f"http://127.0.0.1:{daemon.port}", "--listen", listen, "--instance", "acme"]
        options += ["--token", "open sesame", "--customers", "10", "--messages", "30", "--rate", "20"]
        for more in ([], ["--responder", "any"]):
            ended = simulate(place, *options, *more)
            assert ended.returncode == 0, (ended.stdout, ended.stderr)
            assert "answered      30 by" in ended.stdout
            assert ended.stdout.endswith("Nothing was lost.\n")
            assert max(map(len, ended.stdout.splitlines())) <= 80
        daemon.wait_settled()
        assert daemon.count("acknowledged") == 60


def _few_messages(daemon: DaemonUnderTest) -> list[str]:
    """Four messages to a running daemon."""
    words = f"--url http://127.0.0.1:{daemon.port} --listen 127.0.0.1:0 --customers 2 --messages 4 --rate 20"
    return words.split()


def test_a_daemon_that_answers_elsewhere(place: Path) -> None:
    """Every message counts as lost; the report says what to set."""
    with daemon_under_test() as daemon:
        ended = simulate(place, *_few_messages(daemon), "--patience", "2")
        assert ended.returncode == 1
        assert "lost          4" in ended.stdout
        assert "majlis show demo/999000000" in ended.stdout
        assert "base_url: http://127.0.0.1:" in ended.stderr


def test_a_daemon_that_refuses_everything(place: Path) -> None:
    """The gateway does not retry after a wrong token: the messages are given up, and the exit status shows it."""
    with daemon_under_test({"ingress": {"auth": {"mode": "token", "token": "other"}}}) as daemon:
        ended = simulate(place, *_few_messages(daemon), "--token", "wrong", "--json")
    assert ended.returncode == 1
    report = json.loads(ended.stdout)
    assert (report["given_up"], report["acknowledged"]) == (4, 0)
    assert "--token" in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_gives_the_report_so_far(place: Path, number: signal.Signals) -> None:
    with (place / "out").open("wb") as out:
        process = subprocess.Popen(
            command("--customers", "20", "--rate", "20", "--minutes", "30", *SHORT, "--json"),
            stdout=out,
            env=environment(place),
            cwd=place,
        )
    try:
        wait_for_log(place, "turn.done")
        process.send_signal(number)
        assert process.wait(SECONDS) == 130
    finally:
        process.kill()
        process.wait()
    report = json.loads((place / "out").read_bytes())
    assert report["interrupted"]
    assert report["answered"] > 0
    assert (report["lost"], report["doubled"], report["out_of_order"]) == (0, 0, 0)


def test_a_closed_terminal_ends_it_and_the_data_of_a_loss_is_kept(short_place: Path) -> None:
    """The daemon is stopped, and its data is kept for inspection."""
    with (short_place / "out").open("wb") as out, _heeded(signal.SIGHUP):
        process = subprocess.Popen(
            # The time to wait is so short that every message pending at the end counts as lost.
            command(
                "--customers", "20", "--rate", "20", "--minutes", "30", "--patience", "0.1", *SHORT, "--json"
            ),
            stdout=out,
            stderr=subprocess.STDOUT,
            env=environment(short_place),
            cwd=short_place,
        )
    try:
        wait_for_log(short_place, "turn.done")
        process.send_signal(signal.SIGHUP)
        assert process.wait(SECONDS) == 130
    finally:
        process.kill()
        process.wait()
    (kept,) = short_place.glob("majlis-simulate-*")
    assert f"are kept in {kept}" in (short_place / "out").read_text()
    assert (kept / "log").exists()
    assert not running_below(short_place)


@contextmanager
def _heeded(number: signal.Signals) -> Iterator[None]:
    """What starts in here does not ignore the signal, even if this process was started with nohup."""
    before = signal.signal(number, lambda *_: None)  # a handler, unlike "ignore", is not inherited
    try:
        yield
    finally:
        signal.signal(number, before)


def test_a_killed_simulator_leaves_nothing_running(short_place: Path) -> None:
    """Its daemon and stores die with it; only the directory stays."""
    process = subprocess.Popen(
        command("--customers", "5", "--rate", "5", "--minutes", "30", *SHORT),
        stdout=subprocess.DEVNULL,
        env=environment(short_place),
        cwd=short_place,
    )
    try:
        wait_for_log(short_place, "daemon.ready")
    finally:
        process.kill()
        process.wait()
    wait_until(lambda: not running_below(short_place), "its daemon and the stores are gone")


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (("--minutes", "1", "--messages", "1"), 2, "not both"),
        (("--url", "http://127.0.0.1:1", "--kill"), 2, "temporary daemon only"),
        (("--url", "http://127.0.0.1:1", "--set", "a=b"), 2, "temporary daemon only"),
        (("--url", "127.0.0.1:1", "--listen", "127.0.0.1:0"), 2, "is not http://host:port"),
        (("--url", "http://127.0.0.1:1", "--listen", "127.0.0.1:0"), 3, "no daemon answers"),
        (("--listen", "nowhere"), 1, "--listen"),
        (("--set", "gateway.base_url=http://a"), 1, "the rehearsal sets gateway.base_url itself"),
        (("--set", "batching.windows=1"), 1, "batching.windows: unknown key"),
    ],
)
def test_a_mistake_is_answered_with_a_sentence(
    place: Path, options: Sequence[str], status: int, words: str, request: pytest.FixtureRequest
) -> None:
    ended = simulate(place, *options)
    assert ended.returncode == status, ended
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not ended.stdout
    for kept in place.glob("majlis-simulate-*"):  # a daemon that does not start leaves its log to be read
        assert "unknown key" in words
        (kept / "log").unlink()
        (kept / "config.yaml").unlink()
        kept.rmdir()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_log(place: Path, event: str) -> None:
    """Wait until the temporary daemon logs this event."""
    wait_until(
        lambda: any(event in log.read_text() for log in place.glob("majlis-simulate-*/log")),
        f"it logs {event}",
        SECONDS,
    )


def running_below(place: Path) -> list[str]:
    """The command lines of processes that name this directory."""
    commands = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command_line = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if str(place) in command_line:
                commands.append(command_line)
    return commands
