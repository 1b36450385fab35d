"""The layout as rules: who may import whom, and how a source file looks.

Every rule is a function from a source tree to the faults found in it, so that each is also tried on a small tree that
breaks it: a rule that could not fail would show nothing.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
MAX_LINES = 300
PURE = (
    *(
        "answer_cache",
        "balance",
        "batched",
        "breaker",
        "conversation",
        "errors",
        "escalation",
        "extraction",
        "facts",
    ),
    *(
        "identity",
        "instance",
        "limits",
        "lookup",
        "loose_json",
        "messages",
        "notices",
        "outcome",
        "plain_text",
    ),
    *("ports", "prompt", "red_flags", "reply", "reply_address", "retry", "triage", "window", "wording"),
)
"""Modules of `actors` that decide without waiting: time and chance are arguments."""
NEEDS_THE_WORLD = ("time", "random", "uuid", "socket")
ONE_HOME = {
    "asyncpg": "daemon/stores/postgres.py",
    "redis": "daemon/stores/redis.py",
    "httpx": "daemon/web/client.py",
    "httptools": "daemon/web/http1/head.py",
    "opentelemetry": "daemon/observe/tracing/otlp.py",
}
_PARTS = (
    "daemon.operate",
    "daemon.cli",
    "daemon.gateways",
    "daemon.ingress.webhooks",
    "daemon.ledger",
    "daemon.lookups",
    "daemon.mirror",
    "daemon.responders",
)
_MAY_KNOW = {
    "daemon.cli": ("daemon.operate",),  # the views it prints
    "daemon.ingress.webhooks": ("daemon.gateways",),  # what a parsed payload is
    "daemon.lookups": ("daemon.ledger",),  # how the ledger writes texts
}
STRANGERS = {
    part: tuple(other for other in _PARTS if other not in (part, *_MAY_KNOW.get(part, ()))) for part in _PARTS
}
"""Each part with those that it must not import."""
FORBIDDEN_WORDS = ("utils", "util", "helpers", "misc")


class Source(NamedTuple):
    """One Python file, by its path below the root."""

    path: str
    text: str

    @property
    def module(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def package(self) -> str:
        return self.module if self.path.endswith("/__init__.py") else self.module.rpartition(".")[0]

    @lru_cache(maxsize=4096)  # noqa: B019 - sources are values; the test process is their whole life
    def imports(self) -> frozenset[str]:
        """Every module that an import statement in it names, those inside functions too, in full."""
        found: set[str] = set()
        for node in ast.walk(ast.parse(self.text)):
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = self._absolute(node)
                # `from daemon import run` names a module as well as `import daemon.run` does.
                found.update((base, *(f"{base}.{alias.name}" for alias in node.names)))
        return frozenset(found)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.package.split(".")
        base = parts[: len(parts) - node.level + 1]
        return ".".join([*base, node.module] if node.module else base)


def _below(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def _faults(
    sources: Sequence[Source], who: Callable[[Source], bool], wrong: Callable[[str], bool]
) -> list[str]:
    """`path: imports module` for each import that one of `who` must not have."""
    return [
        f"{source.path}: imports {module}"
        for source in sources
        if who(source)
        for module in sorted(source.imports())
        if wrong(module)
    ]


def actors_know_little(sources: Sequence[Source]) -> list[str]:
    """`actors` imports the standard library, trio, msgspec and itself."""
    allowed = {*sys.stdlib_module_names, "trio", "msgspec", "actors"}
    return _faults(sources, _in_actors, lambda module: module.partition(".")[0] not in allowed)


def actors_get_the_world_passed(sources: Sequence[Source]) -> list[str]:
    """Nothing in `actors` asks the clock, chance or the network by itself."""
    return _faults(sources, _in_actors, lambda module: module.partition(".")[0] in NEEDS_THE_WORLD)


def pure_modules_do_not_wait(sources: Sequence[Source]) -> list[str]:
    """The pure modules import neither trio nor one another's shells."""
    pure = {f"actors.{name}" for name in PURE}

    def wrong(module: str) -> bool:
        of_ours = _below(module, "actors") and module != "actors"
        shell = of_ours and not any(_below(module, name) for name in pure)
        return module.partition(".")[0] == "trio" or shell

    faults = _faults(sources, lambda source: source.module in pure, wrong)
    missing = pure - {source.module for source in sources}
    return faults + [f"{module}: is named as pure and does not exist" for module in sorted(missing)]


def drivers_have_one_home(sources: Sequence[Source]) -> list[str]:
    """Each driver is imported in one file."""
    faults = []
    for driver, home in ONE_HOME.items():
        users = [source.path for source in sources if any(_below(m, driver) for m in source.imports())]
        faults += [f"{path}: imports {driver}, whose home is {home}" for path in users if path != home]
        if home not in users:
            faults.append(f"{home}: is the home of {driver} and does not import it")
    return faults


def only_the_command_line_composes(sources: Sequence[Source]) -> list[str]:
    """The composition root knows everybody; only the command line knows it."""

    def outside(source: Source) -> bool:
        return not (_below(source.module, "daemon.run") or _below(source.module, "daemon.cli"))

    return _faults(sources, outside, lambda module: _below(module, "daemon.run"))


def only_the_root_names_concrete_parts(sources: Sequence[Source]) -> list[str]:
    """Gateways, responders, mirror and ledger are chosen in `daemon/run` and do not know one another."""
    return [
        fault
        for family, strangers in STRANGERS.items()
        for fault in _faults(sources, partial(_of, family), partial(_any_of, strangers))
    ]


def http1_stands_alone(sources: Sequence[Source]) -> list[str]:
    """The HTTP server knows nothing of what it serves."""

    def wrong(module: str) -> bool:
        return _below(module, "actors") or (
            _below(module, "daemon") and module != "daemon" and not _below(module, "daemon.web.http1")
        )

    return _faults(sources, lambda source: _below(source.module, "daemon.web.http1"), wrong)


def nothing_is_called_utils(sources: Sequence[Source]) -> list[str]:
    """A module says in its name what is in it."""
    words = [(source, step) for source in sources for step in source.module.split(".")]
    return [f"{source.path}: {step} says nothing" for source, step in words if step in FORBIDDEN_WORDS]


def every_file_says_what_it_is(sources: Sequence[Source]) -> list[str]:
    """A docstring stands at the head, but for empty `__init__` files."""
    return [
        f"{source.path}: has no docstring"
        for source in sources
        if not (source.path.endswith("__init__.py") and not source.text.strip())
        and not ast.get_docstring(ast.parse(source.text))
    ]


def no_file_is_too_long(sources: Sequence[Source]) -> list[str]:
    """At most 300 lines: longer means two subjects."""
    lengths = [(source.path, source.text.count("\n")) for source in sources]
    return [f"{path}: has {length} lines" for path, length in lengths if length > MAX_LINES]


Rule = Callable[[Sequence[Source]], list[str]]
RULES: tuple[Rule, ...] = (
    actors_know_little,
    actors_get_the_world_passed,
    pure_modules_do_not_wait,
    drivers_have_one_home,
    only_the_command_line_composes,
    only_the_root_names_concrete_parts,
    http1_stands_alone,
    nothing_is_called_utils,
    every_file_says_what_it_is,
    no_file_is_too_long,
)


def _of(package: str, source: Source) -> bool:
    return _below(source.module, package)


def _any_of(packages: Sequence[str], module: str) -> bool:
    return any(_below(module, package) for package in packages)


def _in_actors(source: Source) -> bool:
    return _below(source.module, "actors")


def _tree() -> list[Source]:
    files = [path for package in ("actors", "daemon") for path in sorted((ROOT / package).rglob("*.py"))]
    return [Source(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")) for path in files]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_tree_keeps_the_rule(rule: Rule) -> None:
    """Each rule of the layout holds for every file of the two packages."""
    faults = rule(_tree())
    assert not faults, "\n".join(faults)


BREACHES: tuple[tuple[Rule, str, str], ...] = (
    (actors_know_little, "actors/turn.py", "import httpx"),
    (actors_know_little, "actors/turn.py", "from daemon.mirror import mirror"),
    (actors_get_the_world_passed, "actors/turn.py", "def now():\n    import time"),
    (actors_get_the_world_passed, "actors/turn.py", "from random import random"),
    (pure_modules_do_not_wait, "actors/window.py", "import trio"),
    (pure_modules_do_not_wait, "actors/window.py", "from actors.supervisor import Supervisor"),
    (pure_modules_do_not_wait, "actors/reply.py", "from . import turn"),
    (drivers_have_one_home, "daemon/ledger/ledger.py", "import asyncpg"),
    (drivers_have_one_home, "daemon/mirror/mirror.py", "from redis.asyncio import Redis"),
    (drivers_have_one_home, "daemon/operate/doctor.py", "import httpx"),
    (only_the_command_line_composes, "daemon/run/lifecycle.py", "from daemon import run"),
    (only_the_command_line_composes, "daemon/operate/api.py", "import daemon.run.stores"),
    (
        only_the_root_names_concrete_parts,
        "daemon/gateways/evolution/client.py",
        "from daemon.ledger import Records",
    ),
    (only_the_root_names_concrete_parts, "daemon/mirror/mirror.py", "from daemon import ledger"),
    (only_the_root_names_concrete_parts, "daemon/ledger/ledger.py", "import daemon.mirror.keys"),
    (http1_stands_alone, "daemon/web/http1/server.py", "from daemon.observe.logs import logger"),
    (http1_stands_alone, "daemon/web/http1/server.py", "from actors.errors import Overloaded"),
    (nothing_is_called_utils, "daemon/utils.py", ""),
    (every_file_says_what_it_is, "daemon/observe/feed.py", "x = 1"),
    (no_file_is_too_long, "daemon/observe/feed.py", "\n" * 301),
)


@pytest.mark.parametrize(
    ("rule", "path", "text"), BREACHES, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_breach_is_found(rule: Rule, path: str, text: str) -> None:
    """Each rule fails on a file that breaks it, and names that file."""
    honest = {source.path: source for source in _tree()}
    before = rule(list(honest.values()))
    honest[path] = Source(path, text)
    found = set(rule(list(honest.values()))) - set(before)
    assert any(fault.startswith(f"{path}:") for fault in found), found
