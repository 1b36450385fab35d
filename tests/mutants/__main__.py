"""Takes out one safety mechanism after another and expects the related tests to fail.

    make mutants                      all of them, two at a time
    make mutants ARGS="-k outbox"     those with `outbox` in their name, group or file
    make mutants ARGS="--list"        only name them, with what each guards

Each runs in a copy of the tree. The tests must pass on the unmutated copy first. Verdicts:

    noticed   a test failed
    survived  its tests passed: write the test that is missing, or remove a mechanism that guards nothing
    unclear   nothing can be said: tests that cannot be collected, a fixture that fails, an entry that no longer
              applies, or tests that do not end (unless it says `hangs = true`, because it takes out a bound)

The list is tests/mutants/mutants.toml. An entry names a file, a text that stands there exactly once (`old`), what
takes its place (`new`), what the mechanism guards, and the narrowest tests that must notice. Exit status: 0 when every
one was noticed, 1 when one was not, 2 when none has that word.
"""

# ruff: noqa: T201  what it prints is what it is for

from __future__ import annotations

import argparse
import contextlib
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple
from xml.etree import ElementTree

from tests.mutants.entries import Mutant, load

ROOT = Path(__file__).parents[2]
PARTS = ("actors", "daemon", "tests", "docs", "systemd", "config.yaml", "pyproject.toml", "README.md")
LIMIT_SECONDS = 240.0
"""For one mutant's tests; generous, so that a slow machine is no verdict."""
HANG_SECONDS = 40.0
"""For those of a mutant that makes them hang."""

Verdict = Literal["noticed", "survived", "unclear"]


class Ran(NamedTuple):
    """How pytest ended. `status` None: it was ended for taking too long."""

    status: int | None
    failed: int
    tail: str


class Judged(NamedTuple):
    mutant: Mutant
    verdict: Verdict
    seconds: float
    why: str


def main() -> int:
    options = _options()
    chosen = [one for one in load() if options.k in f"{one.name} {one.group} {one.file}"]
    if options.list or not chosen:
        print("\n".join(f"{one.name} ({one.guards})" for one in chosen) or "no such mutant")
        return 0 if chosen else 2
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copies = [_copy(Path(folder) / str(number)) for number in range(options.jobs)]
        if not options.trust and not _all_pass(copies[0], chosen, options.jobs):
            return 1
        judged = _judge_all(chosen, copies)
    _report(judged, time.monotonic() - began)
    return 0 if all(one.verdict == "noticed" for one in judged) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-k", default="", metavar="WORD", help="only those with WORD in name, group or file")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="how many at a time (2)")
    parser.add_argument(
        "--list", action="store_true", help="name them, with what each guards, and run nothing"
    )
    parser.add_argument(
        "--trust", action="store_true", help="do not run the tests on the unmutated tree first"
    )
    return parser.parse_args()


def _copy(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in PARTS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)
    # Compiled once, and found valid by content: a mutant may have the size and the second of the text it replaces.
    compile_all = [
        "-m",
        "compileall",
        "-q",
        "--invalidation-mode",
        "checked-hash",
        "actors",
        "daemon",
        "tests",
    ]
    subprocess.run([sys.executable, *compile_all], cwd=folder, check=True)
    return folder


def _all_pass(copy: Path, chosen: Sequence[Mutant], jobs: int) -> bool:
    tests = list(dict.fromkeys(test for one in chosen for test in one.tests))
    print(f"{len(tests)} tests on the unmutated tree …", flush=True)
    ran = _run(copy, tests, LIMIT_SECONDS * 4, "-n", str(jobs), "--dist", "loadfile")
    if ran.status != 0:
        print(ran.tail, "\nThese tests must pass before any mutant is tried.", sep="\n")
    return ran.status == 0


def _judge_all(chosen: Sequence[Mutant], copies: Sequence[Path]) -> list[Judged]:
    free: queue.SimpleQueue[Path] = queue.SimpleQueue()
    for copy in copies:
        free.put(copy)
    printing = threading.Lock()

    def judge(mutant: Mutant) -> Judged:
        copy = free.get()
        try:
            one = _judge(mutant, copy)
        finally:
            free.put(copy)
        with printing:
            print(f"{one.verdict:9} {one.seconds:5.1f} s  {mutant.name}", flush=True)
            if one.verdict != "noticed":
                print(one.why, flush=True)
        return one

    with ThreadPoolExecutor(len(copies)) as pool:
        return list(pool.map(judge, chosen))


def _judge(mutant: Mutant, copy: Path) -> Judged:
    path, began = copy / mutant.file, time.monotonic()
    text = path.read_text()
    try:
        path.write_text(mutant.apply(text))
        ran = _run(copy, mutant.tests, HANG_SECONDS if mutant.hangs else LIMIT_SECONDS, "-x")
    except ValueError as error:
        return Judged(mutant, "unclear", 0.0, str(error))
    finally:
        path.write_text(text)
    verdict: Verdict = "unclear"
    if ran.status == 0:
        verdict = "survived"
    elif (ran.status == 1 and ran.failed) or (ran.status is None and mutant.hangs):
        verdict = "noticed"
    return Judged(mutant, verdict, time.monotonic() - began, ran.tail)


def _run(copy: Path, tests: Sequence[str], seconds: float, *arguments: str) -> Ran:
    """Run pytest in the copy. Only a test that fails counts as failed, not a fixture."""
    report = copy / "report.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=line", f"--junitxml={report}"]
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [*command, *arguments, *tests],
            cwd=copy,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status: int | None = process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with the servers that its tests started
            process.wait()
        output.seek(0)
        tail = "\n".join(output.read().splitlines()[-20:])
    failed = 0
    if report.exists():
        failed = sum(int(suite.get("failures", 0)) for suite in ElementTree.parse(report).iter("testsuite"))
    return Ran(status, failed, tail)


def _report(judged: Sequence[Judged], seconds: float) -> None:
    all_of = Counter(one.mutant.group for one in judged)
    noticed = Counter(one.mutant.group for one in judged if one.verdict == "noticed")
    print("\n| group | mutants | noticed |\n| --- | --- | --- |")
    for group in all_of:
        print(f"| {group} | {all_of[group]} | {noticed[group]} |")
    print(f"| all | {all_of.total()} | {noticed.total()} |")
    for one in judged:
        if one.verdict != "noticed":
            print(f"{one.verdict}: {one.mutant.name} ({one.mutant.guards})")
    tested = sum(one.seconds for one in judged)
    print(f"{seconds / 60:.1f} minutes; {tested / 60:.1f} minutes of tests")


if __name__ == "__main__":
    sys.exit(main())
