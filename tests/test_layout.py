"""The layout as rules: who may import whom, and how a source file looks.

Which rooms there are and what each may import stands in one table, docs/architecture.md; it is read here. Every rule is
a function from a source tree to the faults found in it, so that each is also tried on a small tree that breaks it: a
rule that could not fail would show nothing.
"""

from __future__ import annotations

import ast
import re
import sys
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
LONG_LINES = 400
"""A file beyond it gets a warning: look whether it has two subjects."""
MAX_ROOMS, MAX_ARROWS = 30, 137
SHELL = (
    "actor",
    "actor_services",
    "alarms",
    "fairness",
    "inquiry",
    "outbox",
    "send_waits",
    "parallel",
    "permits",
    "supervisor",
    "turn",
    "turn_end",
    "turn_services",
)
"""Modules of `actors` that wait. All others are pure: they decide, and time and chance are arguments."""
NEEDS_THE_WORLD = ("time", "random", "uuid", "socket")
ONE_HOME: dict[str, str | tuple[str, ...]] = {
    "asyncpg": "daemon/stores/postgres.py",
    "redis": "daemon/stores/redis.py",
    "httpx2": "daemon/web/client.py",
    "httptools": ("daemon/web/http1/head.py", "daemon/web/outgoing/response.py"),
    "markdown_it": "daemon/responders/markdown.py",
    "regex": "actors/cuts.py",
    "opentelemetry": "daemon/observe/tracing/otlp.py",
}
FORBIDDEN_WORDS = ("utils", "util", "helpers", "misc", "common")


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

    @property
    def room(self) -> str:
        """`actors`, a folder of `daemon`, or one of the two files beside them."""
        first, _, rest = self.path.partition("/")
        if first == "actors":
            return "actors"
        return {"__init__.py": "daemon", "__main__.py": "__main__"}.get(rest, rest.partition("/")[0])

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


# The table of rooms


def _table(page: str) -> dict[str, tuple[str, ...]]:
    """The rooms of docs/architecture.md from the top down, each with those that it may import."""
    rows = re.findall(r"^\| `(\S+)` \| .+? \| (.*?)\s*\|$", page, re.MULTILINE)
    files = {"daemon/__init__.py": "daemon", "daemon/__main__.py": "__main__"}
    return {
        files.get(path, path.removeprefix("daemon/")): tuple(re.findall(r"\w+", allowed))
        for path, allowed in rows
    }


PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOMS = _table(PAGE)


def _arrows(sources: Sequence[Source]) -> dict[tuple[str, str], list[str]]:
    """Who imports whom among the rooms, with `path: imports module` for each import behind it."""
    room_of = {source.module: source.room for source in sources}
    arrows = defaultdict(list)
    for source in sources:
        for module in sorted(source.imports()):
            room = room_of.get(module)
            # `from daemon import run` also names the package, which is no import of its file's contents.
            if room in (None, source.room) or (
                module == "daemon" and f"{module}.package_version" not in source.imports()
            ):
                continue
            arrows[source.room, room].append(f"{source.path}: imports {module}")
    return arrows


def every_room_is_in_the_table(sources: Sequence[Source]) -> list[str]:
    """A new folder or a loose file of `daemon` is a room: it needs a row in docs/architecture.md."""
    rooms = {source.room: source.path for source in sources}
    missing = [
        f"{path}: {room} is not in docs/architecture.md" for room, path in rooms.items() if room not in ROOMS
    ]
    return missing + [f"docs/architecture.md: there is no room {room}" for room in ROOMS if room not in rooms]


def imports_follow_the_table(sources: Sequence[Source]) -> list[str]:
    """A room imports what its row names, and nothing else."""
    return [
        fault
        for (room, other), faults in _arrows(sources).items()
        if other not in ROOMS.get(room, ())
        for fault in faults
    ]


def the_table_allows_no_more_than_is_used(sources: Sequence[Source]) -> list[str]:
    """A permission that nobody needs any more goes."""
    arrows = _arrows(sources)
    return [
        f"docs/architecture.md: {room} need not import {other}"
        for room, allowed in ROOMS.items()
        for other in allowed
        if (room, other) not in arrows
    ]


def test_the_table_reads_from_the_top_down() -> None:
    """A room may import only rooms below its own row: so there is no circle, and no arrow that runs back up."""
    order = list(ROOMS)
    wrong = [
        f"{room} may import {other}, which does not stand below it"
        for room, allowed in ROOMS.items()
        for other in allowed
        if other not in order or order.index(other) <= order.index(room)
    ]
    assert not wrong, "\n".join(wrong)


def test_there_are_few_rooms_and_few_arrows() -> None:
    """What a newcomer can keep in view."""
    assert len(ROOMS) <= MAX_ROOMS
    assert sum(len(allowed) for allowed in ROOMS.values()) <= MAX_ARROWS


def _picture() -> str:
    """The table as a Mermaid chart. An arrow that a longer way implies is left out, else nobody could read it."""

    def reached(room: str) -> set[str]:
        return {room}.union(*(reached(other) for other in ROOMS[room]))

    lines = ["```mermaid", "flowchart TD"]
    for room, allowed in ROOMS.items():
        for other in allowed:
            if not any(other in reached(between) for between in allowed if between != other):
                lines.append(f"    {room} --> {other}")
    return "\n".join([*lines, "```"])


def test_the_picture_shows_the_table() -> None:
    """The chart in docs/architecture.md is the one that its table makes; when it is not, put in the one shown here."""
    assert _picture() in PAGE, _picture()


# Rules for files


def actors_know_little(sources: Sequence[Source]) -> list[str]:
    """`actors` imports the standard library, trio, msgspec, regex (which has one home) and itself."""
    allowed = {*sys.stdlib_module_names, "trio", "msgspec", "regex", "actors"}
    return _faults(sources, _in_actors, lambda module: module.partition(".")[0] not in allowed)


def actors_get_the_world_passed(sources: Sequence[Source]) -> list[str]:
    """Nothing in `actors` asks the clock, chance or the network by itself."""
    return _faults(sources, _in_actors, lambda module: module.partition(".")[0] in NEEDS_THE_WORLD)


def pure_modules_do_not_wait(sources: Sequence[Source]) -> list[str]:
    """The pure modules import neither trio nor the modules that wait."""
    shell = tuple(f"actors.{name}" for name in SHELL)

    def wrong(module: str) -> bool:
        return module.partition(".")[0] == "trio" or any(_below(module, name) for name in shell)

    missing = set(shell) - {source.module for source in sources}
    faults = _faults(sources, lambda source: _in_actors(source) and source.module not in shell, wrong)
    return faults + [f"{module}: is named as a shell and does not exist" for module in sorted(missing)]


def drivers_have_one_home(sources: Sequence[Source]) -> list[str]:
    """Each driver is imported in one file; what reads requests and responses, in one for each."""
    faults = []
    for driver, named in ONE_HOME.items():
        homes = (named,) if isinstance(named, str) else named
        users = [source.path for source in sources if any(_below(m, driver) for m in source.imports())]
        faults += [f"{path}: imports {driver}, whose home is {named}" for path in users if path not in homes]
        faults += [
            f"{home}: is a home of {driver} and does not import it" for home in homes if home not in users
        ]
    return faults


def http1_stands_alone(sources: Sequence[Source]) -> list[str]:
    """The HTTP server knows nothing of what it serves."""

    def wrong(module: str) -> bool:
        return _below(module, "actors") or (
            _below(module, "daemon")
            and module not in ("daemon", "daemon.web")
            and not _below(module, "daemon.web.http1")
        )

    return _faults(sources, lambda source: _below(source.module, "daemon.web.http1"), wrong)


def nothing_is_called_utils(sources: Sequence[Source]) -> list[str]:
    """A module says in its name what is in it."""
    words = [(source, step) for source in sources for step in source.module.split(".")]
    return [f"{source.path}: {step} says nothing" for source, step in words if step in FORBIDDEN_WORDS]


def no_files_import_one_another(sources: Sequence[Source]) -> list[str]:
    """No two files need each other, not even for their types: what both need stands in a third."""
    modules = {source.module: source for source in sources}
    # A package's own file hands on names of the files in it, which it may import and they may not.
    needs = {
        module: [other for other in source.imports() & modules.keys() if not _below(module, other)]
        for module, source in modules.items()
    }

    def below(module: str) -> set[str]:
        found, to_follow = set(), list(needs[module])
        while to_follow:
            if (other := to_follow.pop()) not in found:
                found.add(other)
                to_follow += needs[other]
        return found

    return [
        f"{source.path}: imports itself in a circle"
        for source in sources
        if source.module in below(source.module)
    ]


def every_file_says_what_it_is(sources: Sequence[Source]) -> list[str]:
    """A docstring stands at the head of every file, and every room's says in a few sentences what the room is for."""
    return [
        f"{source.path}: has no docstring"
        for source in sources
        if not ast.get_docstring(ast.parse(source.text))
    ]


def every_room_says_what_it_is_for(sources: Sequence[Source]) -> list[str]:
    """The `__init__.py` of a room says in two or three sentences what it is for and what it may import."""
    faults = []
    for source in sources:
        if source.path in ("actors/__init__.py", f"daemon/{source.room}/__init__.py"):
            said = ast.get_docstring(ast.parse(source.text)) or ""
            if len(re.findall(r"[.:](?=\s|$)", said)) < 2 or "mport" not in said:
                faults.append(f"{source.path}: does not say what the room is for and what it may import")
    return faults


_ALIAS = re.compile(r"[A-Z]\w*[a-z]\w*")
"""The name of a type alias; constants have no small letters."""


def a_name_means_one_type(sources: Sequence[Source]) -> list[str]:
    """No public type name is defined in two modules: one fact has one shape, and a search finds one place."""
    places: dict[str, list[str]] = defaultdict(list)
    for source in sources:
        for node in ast.parse(source.text).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(source.path)
            elif isinstance(node, ast.Assign):
                names = [target.id for target in node.targets if isinstance(target, ast.Name)]
                for name in filter(_ALIAS.fullmatch, names):
                    places[name].append(source.path)
    return [
        f"{path}: {name} is defined in {' and '.join(paths)}"
        for name, paths in sorted(places.items())
        if len(paths) > 1
        for path in paths
    ]


Rule = Callable[[Sequence[Source]], list[str]]
RULES: tuple[Rule, ...] = (
    every_room_is_in_the_table,
    imports_follow_the_table,
    the_table_allows_no_more_than_is_used,
    actors_know_little,
    actors_get_the_world_passed,
    pure_modules_do_not_wait,
    drivers_have_one_home,
    http1_stands_alone,
    nothing_is_called_utils,
    no_files_import_one_another,
    every_file_says_what_it_is,
    every_room_says_what_it_is_for,
    a_name_means_one_type,
)


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


def test_long_files_are_looked_at() -> None:
    """A long file is not an error; the warning asks whether it has two subjects."""
    for source in _tree():
        lines = source.text.count("\n")
        if lines > LONG_LINES:
            warnings.warn(f"{source.path} has {lines} lines: has it two subjects?", stacklevel=1)


BREACHES: tuple[tuple[Rule, str, str], ...] = (
    (every_room_is_in_the_table, "daemon/attic/box.py", '"""A box."""'),
    (every_room_is_in_the_table, "daemon/loose.py", '"""A loose module."""'),
    (imports_follow_the_table, "daemon/gateways/router.py", "from daemon.ledger import Records"),
    (imports_follow_the_table, "daemon/mirror/mirror.py", "from daemon import ledger"),
    (imports_follow_the_table, "daemon/observe/feed.py", "from daemon.operate.status import Status"),
    (imports_follow_the_table, "daemon/run/lifecycle.py", "from daemon import cli"),
    (imports_follow_the_table, "daemon/operate/api.py", "from daemon import run"),
    (actors_know_little, "actors/turn.py", "import httpx2"),
    (actors_know_little, "actors/turn.py", "from daemon.mirror import mirror"),
    (actors_get_the_world_passed, "actors/turn.py", "def now():\n    import time"),
    (actors_get_the_world_passed, "actors/turn.py", "from random import random"),
    (pure_modules_do_not_wait, "actors/window.py", "import trio"),
    (pure_modules_do_not_wait, "actors/window.py", "from actors.supervisor import Supervisor"),
    (pure_modules_do_not_wait, "actors/reply.py", "from . import turn"),
    (drivers_have_one_home, "daemon/ledger/ledger.py", "import asyncpg"),
    (drivers_have_one_home, "daemon/mirror/mirror.py", "from redis.asyncio import Redis"),
    (drivers_have_one_home, "daemon/operate/doctor.py", "import httpx2"),
    (drivers_have_one_home, "actors/reply.py", "import regex"),
    (http1_stands_alone, "daemon/web/http1/server.py", "from daemon.observe.logs import logger"),
    (http1_stands_alone, "daemon/web/http1/server.py", "from actors.errors import Overloaded"),
    (nothing_is_called_utils, "daemon/web/utils.py", ""),
    (no_files_import_one_another, "actors/messages.py", "from actors.triage import decide"),
    (every_file_says_what_it_is, "daemon/observe/feed.py", "x = 1"),
    (every_room_says_what_it_is_for, "daemon/observe/__init__.py", '"""Observes."""'),
    (a_name_means_one_type, "daemon/observe/feed.py", "class Outbox:\n    pass"),
    (a_name_means_one_type, "daemon/observe/feed.py", "Level = str"),
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


def test_the_tests_stand_as_the_code_stands() -> None:
    """Each folder below tests/daemon is a room or a folder of one, so that the test of a file is found by its path."""
    tests = ROOT / "tests" / "daemon"
    folders = {str(path.parent.relative_to(tests)) for path in tests.rglob("test_*.py")} - {"."}
    missing = [folder for folder in sorted(folders) if not (ROOT / "daemon" / folder).is_dir()]
    assert not missing, f"no such folder in daemon: {', '.join(missing)}"
    assert not list(tests.glob("test_*.py")), "a test of no room"


def test_a_permission_that_nobody_needs_is_found() -> None:
    """Without the last file that used it, a row of the table is too wide."""
    honest = [source for source in _tree() if source.room != "service"]
    assert "docs/architecture.md: service need not import config" in the_table_allows_no_more_than_is_used(
        honest
    )
