"""Look for the traps of Trio that ruff does not know, with flake8-async's rules: `python -m tests.async_traps`.

Its own command walks four times through the concrete syntax of every file, and finds out anew each time where each
node stands. That is most of what it costs, and serves two needs only: ASYNC101, which is about a `yield` inside a
scope, and comments that silence a rule. Here a file is read in that way where it has such a `yield`, or such a comment
and a trap, once, and walked for those that it has. Most of the rest is to ask each rule about each node: here each is
asked about the kinds of nodes that it knows.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import libcst
from flake8_async import Plugin
from flake8_async.base import Error
from flake8_async.runner import Flake8AsyncRunner, Flake8AsyncRunner_cst
from flake8_async.visitors.visitor101 import _CANCEL_SCOPE_CMS
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
_SCOPES = frozenset(name.rpartition(".")[2] for name in _CANCEL_SCOPE_CMS)
"""The last names of what opens a nursery or a cancel scope."""


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
    tree = ast.parse(text)
    found = list(_Runner.run(tree, _options()))
    may_yield = bool(_HAS_YIELD.search(text)) and yields_in_a_scope(tree)
    if not found and not may_yield:
        return []
    noqas, problems = _of_concrete_syntax(text, may_yield)
    for problem in found:
        silenced = noqas.get(problem.line)
        if silenced is None or (silenced and problem.code not in silenced):
            problems.append(problem)
    return [str(problem) for problem in sorted(problems)]


def yields_in_a_scope(tree: ast.AST) -> bool:
    """Whether ASYNC101 may have something to say: a `with` of such a name, around a `yield`."""
    imported = (node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom))
    others = {name.asname for node in imported for name in node.names if name.asname} - {None}
    names = _SCOPES | others
    return any(
        any(isinstance(inner, ast.Yield) for inner in ast.walk(node))
        and any(_name(inner) in names for item in node.items for inner in ast.walk(item.context_expr))
        for node in ast.walk(tree)
        if isinstance(node, ast.With | ast.AsyncWith)
    )


def _name(node: ast.AST) -> str | None:
    return getattr(node, "id", None) or getattr(node, "attr", None)


class _Runner(Flake8AsyncRunner):  # type: ignore[misc]
    """Asks the rules in the same way, but not those that have nothing to say of a kind of nodes."""

    def __init__(self, options: object) -> None:
        super().__init__(options)
        self._all = (*self.utility_visitors, *self.visitors)
        self._asked: dict[type[ast.AST], list[tuple[Any, Callable[[ast.AST], object]]]] = {}
        self._left_out: set[object] = set()
        """Those that went through the children of a node by themselves, while the others do."""

    def visit(self, node: ast.AST) -> None:
        asked = self._asked.get(type(node))
        if asked is None:
            asked = self._asked[type(node)] = list(self._rules_about(type(node).__name__))
        left_out = []
        for rule, ask in asked:
            if rule not in self._left_out:
                ask(node)
                if rule.novisit:
                    left_out.append(rule)
        self._left_out.update(left_out)
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, list):
                for item in value:
                    if isinstance(item, ast.AST):
                        self.visit(item)
            elif isinstance(value, ast.AST) and value._fields:  # not an operator
                self.visit(value)
        for rule in left_out:
            rule.novisit = False
        self._left_out.difference_update(left_out)
        for rule in self._all:
            if rule.outer and node in rule.outer and rule not in self._left_out:
                rule.set_state(rule.outer.pop(node))

    def _rules_about(self, kind: str) -> Iterator[tuple[Any, Callable[[ast.AST], object]]]:
        for rule in self._all:
            own = getattr(type(rule), f"visit_{kind}", None)
            # Every visitor inherits one about constants, which only looks for methods of older Pythons.
            if own is not None and own is not getattr(ast.NodeVisitor, f"visit_{kind}", None):
                yield rule, getattr(rule, f"visit_{kind}")


def _of_concrete_syntax(text: str, may_yield: bool) -> tuple[dict[int, set[str]], list[Error]]:
    """Which codes each line silences, an empty set for all; and what ASYNC101 says, if it can say anything."""
    has_noqa = _HAS_NOQA.search(text)
    if not (has_noqa or may_yield):
        return {}, []
    runner = Flake8AsyncRunner_cst(_options(), libcst.parse_module(text))
    read = libcst.MetadataWrapper(runner.module, unsafe_skip_copy=True)
    for visitor in (*runner.utility_visitors, *runner.visitors):
        if has_noqa if isinstance(visitor, NoqaHandler) else may_yield:
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
