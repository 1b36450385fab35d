"""How objects are made: whole, by their constructor, from a handful of arguments that belong together.

Each rule is a function from source files to faults, and is also tried on a file that breaks it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
MAX_PARAMETERS = 8
COMPOSITION = "daemon/run/"
"""Names every part once; its constructors may take as many."""
SET_BY_OTHERS = {
    "deadline": "Trio: a cancel scope's deadline is moved by setting it",
    "no_wrap": "Rich: a text is configured by its attributes",
    "overflow": "Rich: a text is configured by its attributes",
    "children": "Rich: a tree's branches are given by setting them",
    "pos": "markdown-it: a rule moves on by setting it",
    "posMax": "markdown-it: a rule reads a part of the text by setting it",
    "content": "markdown-it: a token is filled after it was pushed",
    "args": "Python: an exception is copied by its arguments",
}


class Source(NamedTuple):
    """One Python file, by its path below the root."""

    path: str
    text: str


def attributes_are_set_by_their_own_module(sources: Sequence[Source]) -> Iterator[str]:
    """An attribute is set in the module of its class, and nowhere else: what an object needs, its constructor gets.

    Objects that are wired together afterwards work only in one order, and nothing says which. A value that exists
    later is asked for by a callable (see `daemon/run/late.py`). Counting up or down (`+=`, `-=`) is not setting.
    """
    declared = {source.path: set(_declared(source)) for source in sources}
    for source in sources:
        own = declared[source.path]
        for line, attribute in _set_elsewhere(ast.parse(source.text)):
            if attribute not in own and attribute not in SET_BY_OTHERS:
                yield f"{source.path}:{line}: sets {attribute}, which no class of this module declares"


def constructors_take_few_arguments(sources: Sequence[Source]) -> Iterator[str]:
    """More than eight are several things in one: what belongs together goes into a struct with a name."""
    for source in sources:
        if source.path.startswith(COMPOSITION):
            continue
        for owner in _classes(ast.parse(source.text)):
            for function in owner.body:
                if isinstance(function, ast.FunctionDef) and function.name == "__init__":
                    count = _parameters(function)
                    if count > MAX_PARAMETERS:
                        yield f"{source.path}:{function.lineno}: {owner.name} takes {count} arguments"


Rule = Callable[[Sequence[Source]], Iterator[str]]


def _classes(tree: ast.AST) -> Iterator[ast.ClassDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def _parameters(function: ast.FunctionDef) -> int:
    """Without `self`."""
    taken = function.args
    return len(taken.posonlyargs) + len(taken.args) + len(taken.kwonlyargs) - 1


def _declared(source: Source) -> Iterator[str]:
    """The attributes that classes of this module have: annotated or assigned in the class, or set on `self`."""
    for owner in _classes(ast.parse(source.text)):
        for node in ast.walk(owner):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                yield node.target.id
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_self(node.value):
                yield node.attr


def _set_elsewhere(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and attribute of everything that is set on something other than `self`, in whatever form."""
    counted = {
        id(node.target)
        for node in ast.walk(tree)
        if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add | ast.Sub)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            if not _is_self(node.value) and id(node) not in counted:
                yield node.lineno, node.attr
        elif isinstance(node, ast.Call) and _is_setattr(node.func) and not _is_self(node.args[0]):
            name = node.args[1]
            yield node.lineno, str(name.value) if isinstance(name, ast.Constant) else "an attribute"


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def _is_setattr(called: ast.expr) -> bool:
    named = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
    return named in ("setattr", "__setattr__")


def _tree() -> list[Source]:
    files = [path for package in ("actors", "daemon") for path in sorted((ROOT / package).rglob("*.py"))]
    return [Source(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")) for path in files]


RULES: tuple[Rule, ...] = (attributes_are_set_by_their_own_module, constructors_take_few_arguments)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_tree_keeps_the_rule(rule: Rule) -> None:
    """Each rule holds for every file of the two packages."""
    faults = list(rule(_tree()))
    assert not faults, "\n".join(faults)


WIDE = ", ".join(f"a{number}" for number in range(9))
BREACHES: tuple[tuple[Rule, str], ...] = (
    (attributes_are_set_by_their_own_module, "def wire(door, api):\n    door.handler = api.handle"),
    (
        attributes_are_set_by_their_own_module,
        "class A:\n    def b(self):\n        self._door.handler = self.b",
    ),
    (attributes_are_set_by_their_own_module, "def f(a):\n    a.b, c = 1, 2"),
    (attributes_are_set_by_their_own_module, "def f(a):\n    a.b: int = 1"),
    (attributes_are_set_by_their_own_module, "def f(a):\n    a.b |= True"),
    (attributes_are_set_by_their_own_module, "def f(a):\n    with open('c') as a.b:\n        pass"),
    (attributes_are_set_by_their_own_module, "def f(a):\n    setattr(a, 'b', 1)"),
    (attributes_are_set_by_their_own_module, "def f(a):\n    object.__setattr__(a, 'b', 1)"),
    (attributes_are_set_by_their_own_module, "def f(a):\n    del a.b"),
    (constructors_take_few_arguments, f"class A:\n    def __init__(self, {WIDE}):\n        pass"),
    (constructors_take_few_arguments, f"class A:\n    def __init__(self, *, {WIDE}):\n        pass"),
)
KEPT: tuple[tuple[Rule, str], ...] = (
    (attributes_are_set_by_their_own_module, "class A:\n    def __init__(self):\n        self.b = 1"),
    (attributes_are_set_by_their_own_module, "class A:\n    b: int = 0\ndef f(a: A):\n    a.b = 1"),
    (attributes_are_set_by_their_own_module, "def f(counters):\n    counters.requests += 1"),
    (attributes_are_set_by_their_own_module, "def f(scope):\n    scope.deadline = 1"),
    (constructors_take_few_arguments, f"class A:\n    def __init__(self, {WIDE[:-4]}):\n        pass"),
    (constructors_take_few_arguments, f"class A(NamedTuple):\n    {WIDE.replace(', ', ': int; ')}: int"),
)


@pytest.mark.parametrize(("rule", "text"), BREACHES, ids=lambda value: getattr(value, "__name__", None))
def test_a_breach_is_found(rule: Rule, text: str) -> None:
    """Each rule fails on a file that breaks it, and names that file."""
    path = "daemon/observe/example.py"
    assert [fault.partition(":")[0] for fault in rule([Source(path, text)])] == [path]


@pytest.mark.parametrize(("rule", "text"), KEPT, ids=lambda value: getattr(value, "__name__", None))
def test_what_keeps_the_rule_is_let_through(rule: Rule, text: str) -> None:
    assert not list(rule([Source("daemon/observe/example.py", text)]))


def test_the_composition_may_take_more() -> None:
    wide = Source(f"{COMPOSITION}example.py", f"class A:\n    def __init__(self, {WIDE}):\n        pass")
    assert not list(constructors_take_few_arguments([wide]))


def test_no_exception_is_left_over() -> None:
    """Each of the allowed attributes is still set by somebody."""
    sources = _tree()
    found = {attribute for source in sources for _, attribute in _set_elsewhere(ast.parse(source.text))}
    assert set(SET_BY_OTHERS) <= found
