"""The commands of `majlis` against a running daemon, as text and as JSON, and what they say without one."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemon.cli import main
from tests.acceptance.harness import ROOT, DaemonUnderTest, Said, Tree, daemon_under_test, evolution, openai
from tests.support.gateway_server import FakeEvolution
from tests.support.openai_server import FakeOpenAI
from tests.support.stores import empty_redis_database, new_postgres_database

DONE, FAILED, NOT_RUNNING = 0, 1, 3

OPENED = Said("demo", "5511500000001", "an open window", "CLI-1")
"""Waits in a window that only a flush closes soon."""
BURIED = Said("quick", "5511500000002", "a dead letter", "CLI-2")
ANSWERED = Said("quick", "5511500000003", "an answer", "CLI-3")
SECRETS = [part for said in (OPENED, BURIED, ANSWERED) for part in (said.phone, said.text)]


@pytest.fixture(scope="module")
def daemon(gateway: FakeEvolution, model: FakeOpenAI) -> Iterator[DaemonUnderTest]:
    """One conversation waits, one was answered, one is a dead letter."""
    settings = {
        "batching": {"window_seconds": 600},
        "turn": {"max_tries": 1},
        "instances": {"acme": {}, "demo": {}, "quick": {"batching": {"window_seconds": 0.3}}},
    }
    with daemon_under_test(evolution(gateway), openai(model), settings) as started:
        model.order("status", 1, lambda text: text == BURIED.text)
        started.burst(BURIED, ANSWERED, OPENED)
        started.wait_for(lambda: started.count("dead_letters_open") == 1, "there is a dead letter")
        started.wait_for(lambda: gateway.texts(ANSWERED.phone), "there is an answer")
        started.wait_for(lambda: started.count("answered") == 1, "it is recorded")
        started.wait_for(lambda: not started.count("running_turns"), "no turn runs")
        yield started


@dataclass(frozen=True)
class Ended:
    status: int
    out: str
    err: str


class Command:
    """The command line for one daemon, run inside this process: starting Python is most of the time of a command."""

    def __init__(self, daemon: DaemonUnderTest, config: Path | None = None) -> None:
        self._config = str(config or daemon.config)

    def run(self, *arguments: str) -> Ended:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ending:
            main([*arguments, "-c", self._config])
        status = ending.value.code
        assert isinstance(status, int)
        return Ended(status, out.getvalue(), err.getvalue())

    def json(self, *arguments: str) -> Tree:
        ended = self.run(*arguments, "--json")
        assert ended.status == DONE, ended
        document = json.loads(ended.out)
        assert isinstance(document, dict)
        return document

    def text(self, *arguments: str) -> str:
        ended = self.run(*arguments)
        assert (ended.status, ended.err) == (DONE, ""), ended
        return ended.out

    def both(self, *arguments: str) -> tuple[str, Tree]:
        """Text and JSON; neither contains a phone number or a message text without --reveal."""
        text, document = self.text(*arguments), self.json(*arguments)
        if "--reveal" not in arguments:
            assert not [secret for secret in SECRETS if secret in text + json.dumps(document)]
        return text, document

    def refused(self, *arguments: str, status: int = FAILED) -> str:
        """The one sentence of a command that fails."""
        ended = self.run(*arguments)
        assert (ended.status, ended.out) == (status, ""), ended
        assert ended.err.startswith("majlis: ") and ended.err.count("\n") == 1, ended
        return ended.err


@pytest.fixture
def majlis(daemon: DaemonUnderTest) -> Command:
    return Command(daemon)


def items(document: Tree, name: str) -> list[Tree]:
    found = document[name]
    assert isinstance(found, list)
    return found


def test_status(daemon: DaemonUnderTest, majlis: Command) -> None:
    """A shell gets the same answer as this process."""
    text, document = majlis.both("status")
    from_shell = daemon.majlis("status", "--json")
    assert json.loads(from_shell.stdout).keys() == document.keys() and from_shell.returncode == DONE
    assert "is ready" in text and f"127.0.0.1:{daemon.port}" in text and "256 of 256 owned" in text
    expected = {
        "ready": True,
        "stores": {"redis": "ok", "postgres": "ok"},
        "partitions_owned": 256,
        "open_windows": 1,
        "running_turns": 0,
        "acknowledged": 3,
        "answered": 1,
        "suppressed": 0,
        "dead": 1,
        "waiting_messages": 1,
    }
    assert {name: document[name] for name in expected} == expected
    assert isinstance(document["oldest_waiting_seconds"], float)


def test_actors_and_show(majlis: Command) -> None:
    text, document = majlis.both("actors")
    (actor,) = (actor for actor in items(document, "actors") if actor["state"] == "waiting")
    assert (actor["instance"], actor["state"], actor["waiting_messages"]) == ("demo", "waiting", 1)
    assert actor["why"] == "window open"
    left = actor["closes_in_seconds"]
    assert isinstance(left, float) and 0 < left <= 600
    label = str(actor["conversation"])
    assert label in text and "window open" in text
    text, document = majlis.both("show", label)
    assert document["conversation"] == label
    assert document == majlis.json("show", f"{OPENED.instance}/{OPENED.phone}") | {
        "closes_in_seconds": document["closes_in_seconds"]
    }
    text, document = majlis.both("show", f"{OPENED.instance}/{OPENED.phone}", "--reveal")
    assert OPENED.text in text and OPENED.phone in text
    assert [message["text"] for message in items(document, "waiting")] == [OPENED.text]
    text, document = majlis.both("show", f"{ANSWERED.instance}/{ANSWERED.phone}", "--reveal")
    (turn,) = items(document, "turns")
    (part,) = items(turn, "parts")
    assert (turn["state"], turn["closed_by"], part["state"]) == ("done", "timeout", "sent")
    assert str(part["text"]).endswith(f": {ANSWERED.text}") and ANSWERED.text in text


def test_unknown_names_are_refused_with_a_sentence(majlis: Command) -> None:
    assert "There is no conversation" in majlis.refused("show", "demo/5511509999999")
    assert "No active conversation is labelled 0123456789" in majlis.refused("show", "0123456789")
    assert "Nothing waits in" in majlis.refused("flush", "demo/5511509999999")
    assert "There is no dead letter 4711" in majlis.refused("dead", "show", "4711")
    assert "There is no dead letter 4711" in majlis.refused("dead", "retry", "4711")
    assert "give a number or --all" in majlis.refused("dead", "retry", status=2)


def test_dead_letters_and_tail(daemon: DaemonUnderTest, gateway: FakeEvolution, majlis: Command) -> None:
    """I2: a dead letter is listed, shown and, once retried, answered; `tail` shows it as it happens."""
    text, document = majlis.both("dead", "list")
    (letter,) = items(document, "letters")
    number = str(letter["id"])
    assert (document["open"], letter["reason"]) == (1, "server_error") and "server_error" in text
    text, document = majlis.both("dead", "show", number)
    assert f"majlis dead retry {number}" in text and document["id"] == letter["id"]
    text, document = majlis.both("dead", "show", number, "--reveal")
    assert BURIED.phone in text and BURIED.text in text
    with tail(daemon) as for_program, tail(daemon, "--json") as for_person:
        assert "1 dead letter queued" in majlis.text("dead", "retry", number)
        daemon.wait_for(lambda: "turn.done" in for_program.read_text(), "the tail prints the event")
        daemon.wait_for(lambda: "turn.done" in for_person.read_text(), "the tail prints the event as JSON")
        events = [json.loads(line) for line in for_person.read_text().splitlines()]
        text = for_program.read_text() + for_person.read_text()
    names = [event["event"] for event in events if event.get("instance") == "quick"]
    assert [name for name in names if name in ("window.closed", "turn.done")] == [
        "window.closed",
        "turn.done",
    ]
    assert not [secret for secret in SECRETS if secret in text]
    assert [text.endswith(f": {BURIED.text}") for text in gateway.texts(BURIED.phone)] == [True]
    assert majlis.json("dead", "list")["letters"] == []
    assert [letter["id"] for letter in items(majlis.json("dead", "list", "--all"), "letters")] == [
        int(number)
    ]
    assert majlis.json("dead", "retry", "--all") == {"retried": 0}
    assert "was already retried at" in majlis.refused("dead", "retry", number)


def test_flush(daemon: DaemonUnderTest, gateway: FakeEvolution, majlis: Command) -> None:
    """A window of ten minutes is closed by hand, with text and with JSON output."""
    for number, options in enumerate(((), ("--json",))):
        said = Said("demo", f"551150001000{number}", f"flushed {number}", f"FLUSH-{number}")
        daemon.burst(said)
        text = majlis.text("flush", f"demo/{said.phone}", *options)
        assert json.loads(text)["messages"] == 1 if options else "1 message will be answered now" in text
        daemon.wait_for(lambda: gateway.texts(said.phone), "it is answered")  # noqa: B023
        assert majlis.json("show", f"demo/{said.phone}")["turns"][0]["closed_by"] == "flush"  # type: ignore[index]


def test_flush_of_an_instance_and_of_all(
    daemon: DaemonUnderTest, gateway: FakeEvolution, majlis: Command
) -> None:
    """Every window of the instance closes, and none of another instance."""
    heard = [
        Said("acme", f"551150002000{number}", f"flushed with all {number}", f"ALL-{number}")
        for number in range(3)
    ]
    other = Said("demo", "5511500020009", "another instance", "ALL-9")
    daemon.burst(*heard, other)
    text = majlis.text("flush", "--instance", "acme")
    assert text == "acme: 3 messages in 3 conversations will be answered now\n"
    daemon.wait_for(lambda: all(gateway.texts(said.phone) for said in heard), "they are answered")
    assert gateway.texts(other.phone) == []
    assert majlis.json("flush", "--all")["instance"] == ""
    daemon.wait_for(lambda: gateway.texts(other.phone), "all are answered")
    daemon.wait_settled()
    assert "0 messages in 0 conversations" in majlis.text("flush", "--all")
    assert "no instance called nope" in majlis.refused("flush", "--instance", "nope")
    assert "name a conversation" in majlis.refused("flush", status=2)


def test_doctor(gateway: FakeEvolution, model: FakeOpenAI, majlis: Command) -> None:
    """I15: no problem; then a refused key, then unreachable servers: exit 1, and advice for each."""
    text, document = majlis.both("doctor")
    assert "evolution: connected" in text
    assert document["well"] is True and document["from_daemon"] is True
    assert {"data_dir", "redis", "postgres", "gateway of demo", "responder main"} <= {
        str(check["name"]) for check in items(document, "checks")
    }
    keys = gateway.api_key, model.api_key
    gateway.api_key = model.api_key = "changed"
    try:
        found = problems(majlis)
    finally:
        gateway.api_key, model.api_key = keys
    assert "the key is refused" in found["gateway of demo"] and "gateway.api_key" in found["gateway of demo"]
    assert "the key is refused" in found["responder main"] and "api_key" in found["responder main"]
    gateway.down()
    model.down()
    try:
        found = problems(majlis)
    finally:
        gateway.up()
        model.up()
    assert "gateway.base_url" in found["gateway of demo"] and "base_url" in found["responder main"]
    assert set(found) == {"gateway of acme", "gateway of demo", "gateway of quick", "responder main"}


def problems(majlis: Command) -> dict[str, str]:
    """Finding and advice of each failed check."""
    ended = majlis.run("doctor", "--json")
    assert ended.status == FAILED, ended
    document = json.loads(ended.out)
    assert document["well"] is False
    checks = [check for check in document["checks"] if check["state"] == "problem"]
    assert all(check["advice"] for check in checks)
    return {check["name"]: f"{check['detail']} {check['advice']}" for check in checks}


def test_without_a_daemon() -> None:
    """Exit 3 and a sentence; the doctor runs its checks itself."""
    with daemon_under_test(start=False) as absent:
        absent.config.write_text(json.dumps(absent.settings))
        majlis = Command(absent)
        sentence = (
            f"majlis: majlis is not running at {absent.data_dir}/run/admin.sock; start it with `majlis run`, or pass "
            "the running daemon's settings file with --config\n"
        )
        for command in (
            ("status",),
            ("actors", "--json"),
            ("show", "demo/5511500000009"),
            ("tail",),
            ("flush", "demo/5511500000009"),
            ("dead", "list"),
            ("dead", "show", "1", "--json"),
            ("dead", "retry", "--all"),
        ):
            assert majlis.refused(*command, status=NOT_RUNNING) == sentence
        doctor = majlis.run("doctor")
    assert doctor.status == DONE and doctor.err == "majlis is not running: these checks ran without it\n"


def test_an_external_database_is_migrated_by_command(
    redis_url: str, durable_postgres_dsn: str, gateway: FakeEvolution
) -> None:
    """I15: without migrations it is not ready and names the command; afterwards it becomes ready by itself."""
    with empty_redis_database(redis_url) as url, new_postgres_database(durable_postgres_dsn) as dsn:
        settings = {"redis": {"url": url}, "postgres": {"dsn": dsn}}
        with daemon_under_test(evolution(gateway), settings, start=False) as daemon:
            majlis, said = Command(daemon), Said("demo", "5511500020001", "migrated", "MIGRATED-1")
            daemon.start(until_ready=False)
            daemon.wait_for(lambda: b"run `majlis migrate`" in _ready(daemon), "it says what to do")
            assert "run `majlis migrate`" in majlis.text("status")
            assert daemon.post(said).status == 503
            assert "this cannot be done" in majlis.refused("dead", "list")
            assert majlis.json("migrate")["applied"]
            daemon.wait_ready()
            assert set(map(str, majlis.json("migrate").values())) == {"[]"}, "there is nothing more to do"
            assert "up to date" in majlis.text("migrate")
            daemon.burst(said)
            daemon.wait_for(lambda: gateway.texts(said.phone), "it is answered")


def _ready(daemon: DaemonUnderTest) -> bytes:
    return daemon.request("GET", "/health/ready").body


@contextmanager
def tail(daemon: DaemonUnderTest, *options: str) -> Iterator[Path]:
    """`majlis tail` inside the block, its output in a file."""
    path = daemon.root / f"tail{''.join(options)}"
    command = [sys.executable, "-m", "daemon", "tail", "-c", str(daemon.config), *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    with path.open("wb") as out, subprocess.Popen(command, stdout=out, env=environment) as process:
        try:
            daemon.wait_for(lambda: daemon.post(ANSWERED) and path.stat().st_size, "it shows the duplicates")
            yield path
        finally:
            process.terminate()
