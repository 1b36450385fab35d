"""The list of mutants keeps up with the code and the tests, so that `make mutants` can run at any time."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from lupa import lua51

from tests.mutants.entries import Mutant, load

ROOT = Path(__file__).parents[2]
MUTANTS = load()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_still_applies(mutant: Mutant) -> None:
    mutated = mutant.apply((ROOT / mutant.file).read_text())
    if mutant.file.endswith(".py"):
        compile(mutated, mutant.file, "exec")
    elif mutant.file.endswith(".lua"):
        prelude = (ROOT / "daemon/mirror/scripts/prelude.lua").read_text()
        lua51.LuaRuntime().compile(mutated if mutant.file.endswith("prelude.lua") else prelude + mutated)
    assert mutant.tests
    for test in mutant.tests:
        path, _, name = test.partition("::")
        assert (ROOT / path).is_file(), f"there is no {path}"
        assert not name or name.partition("[")[0] in _functions(path), f"there is no {test}"


@pytest.mark.parametrize(
    "mutant", [one for one in MUTANTS if "/migrations/" in one.file], ids=lambda one: one.name
)
def test_a_mutated_function_is_the_one_in_force(mutant: Mutant) -> None:
    """A later migration may define it anew: then the change would be dead, and survive."""
    before = (ROOT / mutant.file).read_text().partition(mutant.old)[0]
    signature = _signatures(before)[-1]
    migrations = sorted((ROOT / "daemon/ledger/migrations").glob("*.sql"))
    defining = [path for path in migrations if signature in _signatures(path.read_text())]
    assert defining[-1] == ROOT / mutant.file, f"{mutant.name}: {defining[-1].name} defines it anew"


def _signatures(sql: str) -> list[str]:
    """Name and parameters of each function that is defined there, in order."""
    found = re.findall(r"^CREATE OR REPLACE FUNCTION (\w+\s*\([^)]*\))", sql, re.MULTILINE)
    return [" ".join(signature.split()) for signature in found]


def test_each_mutant_has_its_own_name_and_change() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert len({(mutant.file, mutant.old, mutant.new) for mutant in MUTANTS}) == len(MUTANTS)


def test_the_score_counts_the_whole_list() -> None:
    """docs/testing.md has a row for each group."""
    expected = {**Counter(mutant.group for mutant in MUTANTS), "all": len(MUTANTS)}
    text = (ROOT / "docs/testing.md").read_text(encoding="utf-8").partition("The score of the list")[2]
    rows = re.findall(r"^\| ([\w ]+) \| (\d+) \| \d+ \|$", text.partition("\n\n## ")[0], re.MULTILINE)
    assert {group: int(number) for group, number in rows} == expected


def test_what_is_out_of_date_is_found() -> None:
    mutant = Mutant("x", "x", "", "x.py", "once", "", ())
    for text in ("", "once once"):
        with pytest.raises(ValueError, match="not once"):
            mutant.apply(text)


@cache
def _functions(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
