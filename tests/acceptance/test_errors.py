"""User errors against a running daemon: an exit status, and a sentence that says what to do."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path

import pytest

from daemon.cli import main
from tests.acceptance.harness import DaemonUnderTest, daemon_under_test
from tests.acceptance.test_command_line import Command

FAILED, BAD_COMMAND, NOT_RUNNING = 1, 2, 3
NOBODY = 65_534

REFUSED: tuple[tuple[tuple[str, ...], str], ...] = (
    (("actors", "--state", "sleeping"), "state must be one of waiting, queued, answering"),
    (("actors", "--sort", "age"), "sort must be one of urgency, left, messages, tries, instance"),
    (("show", "xyz"), "write a conversation as its label, or as INSTANCE/PHONE"),
    (("show", "966550000001"), "write a conversation as its label, or as INSTANCE/PHONE"),
    (("show", "0123456789"), "No active conversation is labelled 0123456789"),
    (("show", "demo/"), "is not a conversation; write its label, or INSTANCE/PHONE"),
    (("show", "demo/966550000001"), "check the spelling"),
    (("show", "4711"), "`majlis show` of a conversation lists its turns"),
    (("explain", "nothing"), "`majlis show` lists the ids of a conversation"),
    (("explain", "two\nlines"), "copy it again"),
    (("flush", "demo/966550000001"), "there is nothing to flush"),
    (("pause", "--instance", "acme"), "The database has no instance called acme: check the spelling"),
    (("resume", "demo/966550000001"), "it is not escalated, taken over, silent to a machine, held or parked"),
    (("resume", "--instance", "demo"), "demo is not paused"),
    (("resume", "--all"), "`majlis status` shows pauses of single instances"),
    (("dead", "show", "4711"), "see `majlis dead list`"),
    (("dead", "retry", "4711"), "see `majlis dead list`"),
    (("dead", "drop", "4711"), "see `majlis dead list`"),
    (("flags", "set", "speed", "on"), "flag must be one of parallel, cache, knowledge"),
    (("flags", "set", "cache", "off", "--instance", "acme"), "check the spelling"),
    (("flags", "clear", "cache"), "see `majlis flags`"),
    (("knowledge", "add", "demo", "nowhere.md"), "check its name and permissions"),
    (("knowledge", "add", "demo", "/"), "is a directory: name the files in it"),
    (("knowledge", "add", "demo", sys.executable), "save it as PDF or text"),
    (("knowledge", "list", "acme"), "add it to instances in config.yaml, or to the database"),
    (("knowledge", "remove", "demo", "prices.pdf"), "see `majlis knowledge list demo`"),
    (("log-level", "loud"), "level must be one of debug, info, warning, error"),
    (("tail", "--kind", "turn.dnoe"), "a name such as turn.done, or a subject such as turn"),
    (("tail", "--conversation", "12"), "ten hexadecimal digits"),
)
"""Refused by the daemon, or by the command before it asks."""

MISTYPED: tuple[tuple[tuple[str, ...], str], ...] = (
    (("pause",), "name a conversation, or give --instance NAME, or --all"),
    (("resume", "demo/966550000001", "--all"), "name a conversation, or give --instance NAME, or --all"),
    (("dead", "retry"), "give a number or --all: majlis dead retry NUMBER, or majlis dead retry --all"),
    (
        ("dead", "retry", "1", "--all"),
        "give a number or --all: majlis dead retry NUMBER, or majlis dead retry --all",
    ),
    (("top", "--sort", "age"), "--sort must be one of urgency, left, messages, tries, instance"),
    (("log-level", "3"), "is not a log level: write debug, info, warning or error"),
    (("status", "--set", "batching"), "must be written section.key=value"),
    (("status", "--set", "batching.window=1"), "did you mean batching.window_seconds?"),
    (("simulate", "--url", "nowhere"), "is not http://host:port"),
    (("simulate", "--url", "http://127.0.0.1:9", "--kill"), "leave out --kill or --url"),
)

BOXED: tuple[tuple[tuple[str, ...], str], ...] = (
    (("sattus",), "Did you mean 'status'?"),
    (("actors", "--sate", "idle"), "--state"),
    (("show",), "Missing argument 'CONVERSATION|TURN'"),
    (("dead", "show", "first"), "Invalid value for 'NUMBER'"),
    (("cost", "--days", "0"), "greater than or equal to 1"),
    (("flags", "set", "cache", "maybe"), "is not one of 'on', 'off'"),
)
"""Found by the parser, shown in its box with a pointer to the help."""


@pytest.fixture(scope="module")
def daemon() -> Iterator[DaemonUnderTest]:
    with daemon_under_test() as started:
        yield started


@pytest.fixture
def majlis(daemon: DaemonUnderTest) -> Command:
    return Command(daemon)


@pytest.mark.parametrize(("typed", "words"), REFUSED, ids=lambda value: str(value)[:40])
def test_an_impossible_request_is_answered_with_a_sentence(
    typed: tuple[str, ...], words: str, majlis: Command
) -> None:
    assert words in majlis.refused(*typed, status=FAILED)


@pytest.mark.parametrize(("typed", "words"), MISTYPED, ids=lambda value: str(value)[:40])
def test_a_typing_error_is_answered_with_a_sentence(typed: tuple[str, ...], words: str) -> None:
    status, out, err = said(*typed)
    assert (status, out) == (BAD_COMMAND, "") and err.startswith("majlis: ")
    assert words in err and err.count("\n") == 1


@pytest.mark.parametrize(("typed", "words"), BOXED, ids=lambda value: str(value)[:40])
def test_a_parser_error_points_to_the_help(typed: tuple[str, ...], words: str) -> None:
    status, out, err = said(*typed)
    assert (status, out) == (BAD_COMMAND, "")
    assert words in err and "--help' for help" in err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"batching: [", "is not valid YAML; check indentation and quotes there"),
        (b"- batching", "must hold sections such as `batching:`"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"batchign: {}", "did you mean batching?"),
        (b"ingress: {listen: here}", "must be host:port, e.g. 127.0.0.1:8080"),
    ],
)
def test_a_settings_file_that_cannot_be_used(text: bytes, words: str, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_bytes(text)
    status, out, err = said("status", "-c", str(config))
    assert (status, out) == (BAD_COMMAND, "") and words in err and str(config) in err


def test_a_file_of_certificates_that_cannot_be_used(tmp_path: Path) -> None:
    """A service manager does not try wrong settings again."""
    name = tmp_path / "none.pem"
    status, _, err = said("run", "--set", f"data_dir={tmp_path}", "--set", f"tls.ca_file={name}")
    assert status == BAD_COMMAND
    assert err == f"majlis: tls.ca_file: {name} cannot be read (No such file or directory).\n"


def test_no_settings_file_and_no_daemon(tmp_path: Path) -> None:
    status, _, err = said("status", "-c", str(tmp_path / "nowhere.yaml"))
    assert status == BAD_COMMAND and "No such file or directory; name another file with --config" in err
    status, _, err = said("status", "--set", f"data_dir={tmp_path}")
    assert status == NOT_RUNNING
    assert "start it with `majlis run`, or pass the running daemon's settings file with --config" in err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_learns_who_is_allowed(daemon: DaemonUnderTest) -> None:
    """A settings file in a folder without access, and the daemon of another user."""
    with tempfile.TemporaryDirectory(prefix="majlis-closed-", dir="/tmp") as closed:
        config = Path(closed) / "config.yaml"
        config.write_text("batching: {}\n")
        for command in ("status", "install-service"):
            status, err = said_as(NOBODY, command, "-c", str(config))
            assert status == BAD_COMMAND and "Permission denied; name another file with --config" in err
    status, err = said_as(NOBODY, "status", "--set", f"data_dir={daemon.data_dir}")
    assert status == FAILED and "run this as the user that majlis runs as, or as root" in err


def said(*typed: str) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ending:
        main(typed)
    assert isinstance(ending.value.code, int)
    return ending.value.code, out.getvalue(), err.getvalue()


def said_as(uid: int, *typed: str) -> tuple[int, str]:
    """The same as another user, in a child process that drops root for good."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            os.dup2(writing, 2)
            sys.stderr = os.fdopen(2, "w")
            try:
                main(typed)
            except SystemExit as ending:
                sys.stderr.flush()
                os._exit(int(str(ending.code)))
        os._exit(99)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as output:
        err = output.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), err
