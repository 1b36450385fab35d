"""Starting and stopping: signals at any time, hanging turns, kills, double starts, ports in use, wrong settings."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.harness import ROOT, DaemonUnderTest, Said, daemon_under_test, evolution, openai
from tests.acceptance.process import START_SECONDS
from tests.support.gateway_server import FakeEvolution
from tests.support.openai_server import FakeOpenAI
from tests.support.patience import PATIENCE_SECONDS

CANNOT_START, BAD_CONFIG = 1, 2
DRAIN = {"drain_seconds": 3 * PATIENCE_SECONDS}
"""Longer than any wait here: what ends sooner did not wait for a drain."""


@pytest.fixture(scope="module")
def only_daemon(gateway: FakeEvolution, model: FakeOpenAI) -> Iterator[DaemonUnderTest]:
    with daemon_under_test(evolution(gateway), openai(model), DRAIN) as started:
        yield started


@pytest.fixture
def daemon(only_daemon: DaemonUnderTest, model: FakeOpenAI) -> Iterator[DaemonUnderTest]:
    """Ready at the start of every test, restarted if the previous test ended it."""
    if not only_daemon.is_alive:
        only_daemon.start()
    drain_seconds = only_daemon.settings["drain_seconds"]
    yield only_daemon
    only_daemon.settings["drain_seconds"] = drain_seconds
    model.clear_orders()


def hang(daemon: DaemonUnderTest, model: FakeOpenAI, said: Said) -> None:
    """Send a message and wait until its turn hangs in the responder."""
    model.order("hang", 1, lambda text: text == said.text)
    daemon.burst(said)
    model.wait_until(lambda: said.text in [each.asked for each in model.questions], "the turn runs")


def answers(gateway: FakeEvolution, said: Said) -> list[str]:
    return [text for text in gateway.texts(said.phone) if text.endswith(f": {said.text}")]


def gone(pids: list[int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_answers_accepted_messages(
    number: signal.Signals, daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    """I13, I1: 503 for new work, the running turn and the open window are answered, exit 0, no store left behind."""
    stores = daemon.children()
    running = Said("demo", f"551160001{number:04d}", f"running {number}", f"RUN-{number}")
    waiting = Said("demo", f"551160002{number:04d}", f"waiting {number}", f"WAIT-{number}")
    late = Said("demo", f"551160003{number:04d}", f"late {number}", f"LATE-{number}")
    gate = model.gate()
    daemon.burst(running)
    gate.wait_arrived()
    daemon.burst(waiting)
    daemon.signal(number)
    daemon.wait_for(lambda: daemon.request("GET", "/health/ready").status == 503, "it says that it stops")
    assert b"draining" in daemon.request("GET", "/health/ready").body
    said_why = daemon.wait_for(lambda: daemon.events("daemon.draining"), "the log says why")[-1]
    assert (said_why["why"], said_why["signal"]) == ("signal", number.name)
    assert daemon.admin("/v1/status")["stopping"] == number.name
    refused = daemon.post(late)
    assert refused.status == 503 and refused.retry_after is not None
    gate.release()
    assert daemon.wait_exit() == 0
    assert [len(answers(gateway, said)) for said in (running, waiting, late)] == [1, 1, 0]
    assert len(stores) == 2 and gone(stores)


def test_a_hanging_turn_is_left_for_the_next_start(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    """I13, I2, I6: drain_seconds pass, exit 0; after a restart it is answered, once."""
    said = Said("demo", "5511600010001", "left behind", "LEFT-1")
    daemon.terminate()
    daemon.settings["drain_seconds"] = 1
    daemon.start()
    hang(daemon, model, said)
    assert daemon.terminate() == 0
    assert answers(gateway, said) == []
    daemon.start()
    daemon.wait_for(lambda: answers(gateway, said), "it is answered after the restart")
    daemon.wait_settled()
    assert len(answers(gateway, said)) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(
    number: signal.Signals, daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    """I13, I2: no drain, status 128 + signal, no store left behind; the next start answers, once."""
    stores = daemon.children()
    said = Said("demo", f"551160002{number:04d}", f"in a hurry {number}", f"HURRY-{number}")
    hang(daemon, model, said)
    daemon.signal(number)
    daemon.wait_for(lambda: daemon.events("daemon.draining"), "the first signal is seen")
    daemon.signal(number)
    assert daemon.wait_exit() == 128 + number
    assert daemon.events("daemon.cut_short")[-1]["signal"] == number.name
    assert gone(stores)
    daemon.start()
    daemon.wait_for(lambda: answers(gateway, said), "it is answered after the restart")
    daemon.wait_settled()
    assert len(answers(gateway, said)) == 1


def test_a_kill_leaves_nothing_behind_and_an_immediate_start_works(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    """I13, I2: SIGKILL in a turn; its stores die with it, and a start in the same moment answers, once."""
    stores = daemon.children()
    said = Said("demo", "5511600030001", "killed", "KILLED-1")
    hang(daemon, model, said)
    daemon.signal(signal.SIGKILL)
    assert daemon.wait_exit() == -signal.SIGKILL
    daemon.start()
    daemon.wait_for(lambda: gone(stores), "the former stores are gone")
    daemon.wait_for(lambda: answers(gateway, said), "it is answered after the restart")
    daemon.wait_settled()
    assert len(answers(gateway, said)) == 1


def test_a_stop_before_ready(daemon: DaemonUnderTest) -> None:
    """I13: a signal while the stores are starting: exit 0, nothing left behind, and the next start works."""
    daemon.terminate()
    daemon.start(until_ready=False)
    daemon.wait_for(lambda: daemon.events("store.starting"), "the stores start")
    stores = daemon.children()
    assert daemon.terminate() == 0
    assert gone(stores)
    daemon.start()


def test_a_second_daemon_on_the_same_data_is_refused(daemon: DaemonUnderTest, gateway: FakeEvolution) -> None:
    """I15: it says so and exits with a status; the first daemon goes on."""
    second = daemon.majlis("run")
    assert second.returncode == CANNOT_START
    assert second.stderr.strip().splitlines()[-1] == (
        f"majlis: another majlis runs on {daemon.data_dir}: stop it first, or give this one a data_dir of its own."
    )
    assert daemon.majlis("migrate").returncode == CANNOT_START
    said = Said("demo", "5511600040001", "still here", "STILL-1")
    daemon.burst(said)
    daemon.wait_for(lambda: answers(gateway, said), "the first one answers")


def test_a_port_in_use_is_reported(tmp_path: Path) -> None:
    """I15: the error names the address and says what to do; nothing keeps running."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        listen = f"127.0.0.1:{holder.getsockname()[1]}"
        ended = run_majlis(tmp_path, f"ingress.listen={listen}")
    assert ended.returncode == CANNOT_START
    assert f"majlis: {listen} is taken by another program" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_unusable_data_dir_is_reported(tmp_path: Path) -> None:
    """I15: the error names the directory and says what to do."""
    (tmp_path / "file").write_text("")
    ended = run_majlis(tmp_path, f"data_dir={tmp_path}/file/data")
    assert ended.returncode == CANNOT_START
    assert f"majlis: {tmp_path}/file/data cannot be used" in ended.stderr
    assert "set data_dir" in ended.stderr and "Traceback" not in ended.stderr


WRONG = {
    "file_unknown_key": (("batching:\n  window: 3\n", {}, ()), ("batching.window", "window_seconds", "3")),
    "file_bad_value": (
        ("turn:\n  max_tries: many\n", {}, ()),
        ("turn.max_tries", "'many'", "whole number", "config.yaml"),
    ),
    "file_no_yaml": (("batching: [", {}, ()), ("config.yaml",)),
    "environment_bad_value": (
        ("", {"MAJLIS_BATCHING__WINDOW_SECONDS": "-1"}, ()),
        ("batching.window_seconds", "-1", "greater than 0", "MAJLIS_BATCHING__WINDOW_SECONDS"),
    ),
    "environment_unknown_key": (
        ("", {"MAJLIS_BATCHING__WINDOWS": "1"}, ()),
        ("batching.windows", "unknown key", "MAJLIS_BATCHING__WINDOWS"),
    ),
    "set_bad_value": (
        ("", {}, ("gateway.kind=carrier-pigeon",)),
        ("gateway.kind", "'carrier-pigeon'", "'console', 'evolution' or 'realtime'", "--set"),
    ),
    "set_unknown_key": (("", {}, ("drain=5",)), ("drain", "drain_seconds", "--set")),
    "relation": (
        ("", {}, ("gateway.kind=evolution",)),
        ("gateway.base_url", "must be set for kind evolution"),
    ),
    "secret_stays_secret": (
        ("", {}, ("ingress.auth.token=[one-canary, two-canary, three-canary]",)),
        ("ingress.auth.token", "at most two"),
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_settings_are_reported_by_name(case: str, tmp_path: Path) -> None:
    """I15: exit 2, one sentence per fault: the key, the value, what is allowed, and where it is set."""
    (text, environment, assignments), expected = WRONG[case]
    config = tmp_path / "config.yaml"
    config.write_text(text)
    ended = run_majlis(tmp_path, *assignments, config=config, environment=environment)
    assert ended.returncode == BAD_CONFIG
    assert all(words in ended.stderr for words in expected), ended.stderr
    assert all(line.startswith("majlis: ") for line in ended.stderr.splitlines())
    assert "canary" not in ended.stderr
    assert not (tmp_path / "data").exists()


def run_majlis(
    directory: Path, *assignments: str, config: Path | None = None, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A `majlis run` that must end by itself."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("MAJLIS_")}
    options = ["-c", str(config)] if config else []
    for assignment in (f"data_dir={directory / 'data'}", "ingress.listen=127.0.0.1:0", *assignments):
        options += ["--set", assignment]
    return subprocess.run(
        [sys.executable, "-m", "daemon", "run", *options],
        capture_output=True,
        text=True,
        cwd=directory,
        env=inherited | {"PYTHONPATH": str(ROOT)} | (environment or {}),
        timeout=START_SECONDS,
        check=False,
    )


def test_an_unhandled_bug_ends_the_process_cleanly(daemon: DaemonUnderTest) -> None:
    """I11, I13, I14: exit 70, a log line with type and place but no text, no store left behind; it can start again."""
    daemon.terminate()
    daemon.crash_at("recovering", action="raise")
    daemon.start(until_ready=False)
    assert daemon.wait_exit() == 70
    [crash] = daemon.events("daemon.crashed")
    assert "Ordered" in str(crash["exception"]) and "ordered by a test" not in str(crash["exception"])
    assert gone([int(str(event["pid"])) for event in daemon.events("store.ready")])
    daemon.start()
