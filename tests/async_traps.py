"""Look for the traps of Trio that ruff does not know, with flake8-async's rules: `python -m tests.async_traps`.

Its own command walks four times through the concrete syntax of every file, and finds out anew each time where each
node stands. That is most of what it costs, and serves two needs only: ASYNC101, which is about `yield`, and comments
that silence a rule. Here a file is read in that way where it has one of them, once, and walked for those that it has.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import libcst
from flake8_async import Plugin
from flake8_async.base import Error
from flake8_async.runner import Flake8AsyncRunner, Flake8AsyncRunner_cst
from flake8_async.visitors.visitor_utility import NoqaHandler

FOLDERS = ("actors", "daemon", "tests", "bench")
OPTIONS = (
    # ASYNC100 is checked by ruff; ASYNC300 is about tasks of asyncio, of which there are none.
    *("--disable", "ASYNC9,ASYNC124,ASYNC100,ASYNC300"),
    *("--startable-in-context-manager", "run,serve,run_embedded_redis,run_embedded_postgres,_watch_signals"),
)
_WAITS = re.compile(r"\basync (def|with|for)\b|\btrio\b")
_HAS_NOQA = re.compile(r"\bnoqa\b", re.IGNORECASE)
_HAS_YIELD = re.compile(r"\byield\b")


def sources(root: Path) -> Iterator[Path]:
    """The files that have to do with Trio, the longest first: both cores are busy to the end."""
    found = [
        path for folder in FOLDERS for path in (root / folder).rglob("*.py") if ".venv" not in path.parts
    ]
    yield from sorted(found, key=lambda path: path.stat().st_size, reverse=True)


def traps(text: str) -> list[str]:
    """What flake8-async says of one source, in the order of its lines."""
    if not _WAITS.search(text):
        return []
    noqas, problems = _of_concrete_syntax(text)
    for problem in Flake8AsyncRunner.run(ast.parse(text), _options()):
        silenced = noqas.get(problem.line)
        if silenced is None or (silenced and problem.code not in silenced):
            problems.append(problem)
    return [str(problem) for problem in sorted(problems)]


def _of_concrete_syntax(text: str) -> tuple[dict[int, set[str]], list[Error]]:
    """Which codes each line silences, an empty set for all; and what ASYNC101 says, if it can say anything."""
    has_noqa, has_yield = _HAS_NOQA.search(text), _HAS_YIELD.search(text)
    if not (has_noqa or has_yield):
        return {}, []
    runner = Flake8AsyncRunner_cst(_options(), libcst.parse_module(text))
    read = libcst.MetadataWrapper(runner.module, unsafe_skip_copy=True)
    for visitor in (*runner.utility_visitors, *runner.visitors):
        if has_noqa if isinstance(visitor, NoqaHandler) else has_yield:
            read.visit(visitor)
    return runner.state.noqas, runner.state.problems


def _options() -> object:
    if Plugin._options is None:
        parser = argparse.ArgumentParser()
        Plugin.add_options(parser)
        Plugin.parse_options(parser.parse_args(OPTIONS))
    return Plugin._options


def _traps_in(path: Path) -> list[str]:
    return [f"{path}:{trap}" for trap in traps(path.read_text())]


def main() -> int:
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = [trap for some in pool.map(_traps_in, sources(Path()), chunksize=4) for trap in some]
    sys.stdout.writelines(f"{trap}\n" for trap in found)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
