"""The documents name only what exists: files, links, commands, settings, tests, events.

Each check takes a text and gives back its faults, and each is tried on a text that is wrong.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Callable, Iterator
from functools import lru_cache, reduce
from pathlib import Path
from typing import Any, get_args

import pytest
import typer.main
import yaml
from pydantic import BaseModel
from typer.core import TyperGroup

from actors.escalation import RULES
from daemon.cli import app
from daemon.config import MonitorSettings, Settings, TargetsSettings
from daemon.controls.feature_flags import FLAGS
from daemon.mirror.keys import ConversationKeys, PartitionKeys
from daemon.observe.alerts import rules
from daemon.observe.events import EVENTS
from daemon.observe.metrics.catalogue import METRICS
from daemon.tenants.keys import COLUMNS

ROOT = Path(__file__).parents[1]
DOCUMENTS = (
    "README.md",
    "CHANGELOG.md",
    "bench/README.md",
    *(f"docs/{found.name}" for found in sorted((ROOT / "docs").glob("*.md"))),
)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^ *```\w*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_BACKTICKED = re.compile(r"`([^`\n]+)`")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_IN_TREE = re.compile(
    r"^(actors|daemon|tests|docs|bench|\.ci)/[\w./-]*$|^[\w.-]+\.(py|md|yaml|toml|lock|svg)$"
)
_KEY = re.compile(r"^([a-z_]+(?:\.[a-z_0-9]+)+)(?:[:=].*)?$")
_VARIABLE = re.compile(r"\bMAJLIS_[A-Z0-9_]+")
_TEST = re.compile(r"tests/[\w/]+\.py::\w+")
_ROW = re.compile(r"^\|.*\|$")
_PROOF = re.compile(r"`tests/[\w/]+\.py::\w+`|`make bench-[a-z]+`|shown by hand")
_NOT_THE_READERS_BUSINESS = re.compile(
    # In pieces, so that this file does not name them either.
    "|".join(
        [
            "/wor" + "k/",
            "/tmp/",
            "/roo" + "t/",
            "/hom" + "e/",
            "pyp" + r"i\.",
            "npm" + r"js\.",
            "python" + "hosted",
            "^<" + "<<<<<< ",  # what a merge leaves behind
            "^>" + ">>>>>> ",
        ]
    ),
    re.MULTILINE,
)
"""Paths of one machine, hosts of registries, marks of a merge."""

Check = Callable[[str, str], Iterator[str]]
"""A document's text and its path below the root → its faults."""


def links_lead_somewhere(text: str, path: str) -> Iterator[str]:
    """Every relative link names a file, and a heading in it if it names one."""
    for target in _LINK.findall(text):
        if "://" in target:
            continue
        file, _, heading = target.partition("#")
        place = (ROOT / path).parent / file if file else ROOT / path
        if not place.exists():
            yield f"{target}: there is no such file"
        elif heading and heading not in _anchors(place.read_text(encoding="utf-8")):
            yield f"{target}: there is no such heading"


def files_exist(text: str, path: str) -> Iterator[str]:
    """Every path of the source tree in backticks is there."""
    for token in _BACKTICKED.findall(_prose(text)):
        if (
            _IN_TREE.match(token)
            and not (ROOT / token).exists()
            and not ((ROOT / path).parent / token).exists()
        ):
            yield f"{token}: there is no such file"


def commands_exist(text: str, path: str) -> Iterator[str]:
    """Every `majlis …`, in backticks or in a block, is a command with these options."""
    for words in _commands(text):
        yield from _command_faults(words)


def make_targets_exist(text: str, path: str) -> Iterator[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:`|^\$? ?)make ([a-z-]+)", text, re.MULTILINE):
        if not re.search(rf"^{target}:", makefile, re.MULTILINE):
            yield f"make {target}: there is no such target"


def settings_exist(text: str, path: str) -> Iterator[str]:
    """Every `section.key` in backticks, every --set and every MAJLIS_ variable is a setting (or an event)."""
    named = [token for token in _BACKTICKED.findall(_prose(text)) if not _IN_TREE.match(token)]
    keys = [found[1] for token in named if (found := _KEY.match(token))]
    keys += re.findall(r"(?<=--set )([a-z_.0-9]+)(?==)", text)
    # A README may show what an unknown key is answered with: the answer stands below it.
    refused = set(re.findall(r"majlis: ([a-z_.]+): unknown key", text))
    for key in keys:
        ours = key.partition(".")[0] in Settings.model_fields and key not in (*EVENTS, *refused, *COLUMNS)
        steps = key.split(".")
        if ours and not _is_setting(steps) and not _is_setting(["instances", "acme", *steps]):
            yield f"{key}: there is no such setting"
    for variable in _VARIABLE.findall(text):
        if not _is_setting(variable.removeprefix("MAJLIS_").lower().split("__")):
            yield f"{variable}: there is no such setting"


def named_tests_exist(text: str, path: str) -> Iterator[str]:
    for node in _TEST.findall(text):
        file, _, name = node.partition("::")
        if name not in _tests_in(file):
            yield f"{node}: there is no such test"


def rows_are_shown(text: str, path: str) -> Iterator[str]:
    """Every row of a table whose last column is "shown by" names a test or a benchmark, or says that it has none."""
    wanted = False
    for line in text.splitlines():
        if not _ROW.match(line):
            wanted = False
        elif line.endswith("| shown by |"):
            wanted = True
        elif wanted and not line.endswith("| --- |") and not _PROOF.search(line.rpartition(" | ")[2]):
            yield f"{line}: nothing shows it"


def nothing_of_this_machine(text: str, path: str) -> Iterator[str]:
    for found in _NOT_THE_READERS_BUSINESS.findall(text):
        yield f"{found}: says where this was written, not how it is used"


CHECKS: tuple[Check, ...] = (
    links_lead_somewhere,
    files_exist,
    commands_exist,
    make_targets_exist,
    settings_exist,
    named_tests_exist,
    rows_are_shown,
    nothing_of_this_machine,
)


def _prose(text: str) -> str:
    """Without fenced blocks: a backtick in them is not markup."""
    return _FENCE.sub("", text)


def _anchors(text: str) -> set[str]:
    titles = (re.sub(r"[^\w\- ]", "", title.lower()) for title in _HEADING.findall(_prose(text)))
    return {title.strip().replace(" ", "-") for title in titles}


def _commands(text: str) -> Iterator[list[str]]:
    lines = [token for token in _BACKTICKED.findall(_prose(text)) if token.startswith("majlis ")]
    for block in _FENCE.findall(text):
        joined = block.replace("\\\n", "").splitlines()
        lines += [found[1] for line in joined if (found := _SHOWN_COMMAND.match(line))]
    for line in lines:
        yield shlex.split(line.partition("#")[0].partition(" | ")[0])[1:]


_SHOWN_COMMAND = re.compile(r"^ *(?:\$ +)?(?:[A-Z_0-9]+=\S+ +)*(majlis (?! *0\.).*)$")
"""A command at the head of a line; output such as `majlis: …` and `majlis   0.1.0 is ready` is none."""


def _command_faults(words: list[str]) -> Iterator[str]:
    command: Any = _command_line()
    said = ["majlis", *words]
    while isinstance(command, TyperGroup) and words and not words[0].startswith("-"):
        name, words = words[0], words[1:]
        found = command.commands.get(name)
        if found is None:
            yield f"{' '.join(said)}: there is no command {name}"
            return
        command = found
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    for word in words:
        option = word.partition("=")[0]
        if option.startswith("-") and option not in ("-", *known):  # "-" is a value: ask for it
            yield f"{' '.join(said)}: there is no option {option}"


@lru_cache(maxsize=1)
def _command_line() -> Any:
    return typer.main.get_command(app)


def _is_setting(path: list[str]) -> bool:
    model: Any = Settings
    for step in path:
        models = list(_models_in(model))
        nested = [found for found in models if step in found.model_fields]
        if nested:
            model = nested[0].model_fields[step].annotation
        elif models and models[0] is not Settings and (step.isdigit() or model is not models[0]):
            model = models[0]  # a place in a list, or an instance's name
        else:
            return False
    return True


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


@lru_cache
def _tests_in(file: str) -> frozenset[str]:
    place = ROOT / file
    if not place.is_file():
        return frozenset()
    nodes = ast.walk(ast.parse(place.read_text(encoding="utf-8")))
    return frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_document_names_only_what_exists(check: Check, document: str) -> None:
    """No link, file, command, setting or test in the documents is made up."""
    faults = list(check((ROOT / document).read_text(encoding="utf-8"), document))
    assert not faults, "\n".join(faults)


OLD_NAMES = (
    "USE_PARALLEL",
    "USE_QUEUE_SYSTEM",
    "USE_OLD_BUFFERING",
    "BUFFER_TTL_SECONDS",
    "TIMER_TTL_SECONDS",
    "PROCESSED_BUFFER_TTL",
    "GRACE_PERIOD_MS",
    "MAX_RETRY_ATTEMPTS",
    "ENABLE_BUFFER_MONITORING",
    "ENABLE_AI_CACHE",
    "msg_queue",
    "processing_lock",
    "active_queues",
    "queue_stats",
    "executeParallel",
    "monitorRedisHealth",
    "detectOrphanedMessages",
    "cleanupExpiredLocks",
    "getQueueDepthStats",
)


def test_whoever_comes_from_another_system_finds_each_of_its_names() -> None:
    """And what is named in its place exists: the commands and settings by the checks above; here the rest."""
    text = (ROOT / "docs/moving.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", text, re.MULTILINE))
    assert set(OLD_NAMES) <= set(rows)
    assert [name for name in re.findall(r"`(majlis_\w+)`", text) if name not in METRICS] == []
    assert len(re.findall(r"`(majlis_\w+)`", text)) > 5
    kept = {
        key.partition("}:")[2] for key in (*PartitionKeys.of(17), *ConversationKeys.of("<conversation>", 17))
    }
    in_redis = text.partition("## Keys in Redis")[2].partition("\n## ")[0]
    named = re.findall(r"^\| `?[\w ]+`? \| (?:its entry in )?`([^`]+)`", in_redis, re.MULTILINE)
    assert len(named) > 5 and set(named) <= kept
    flags = re.findall(r"majlis flags set (\w+)", text)
    assert flags and set(flags) <= set(FLAGS)
    alerts = {rule.name for rule in rules(MonitorSettings(), TargetsSettings())}
    named_alerts = re.findall(r"`(\w+)`", " ".join(re.findall(r"the alerts? ((?:`\w+`(?: and )?)+)", text)))
    assert named_alerts and set(named_alerts) <= alerts
    assert set(re.findall(r"the event `([\w.]+)`", text, re.IGNORECASE)) <= set(EVENTS)


def test_every_event_is_in_the_table() -> None:
    """docs/operations.md lists the event catalogue, with levels and meanings, and nothing else."""
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    section = text.partition("## Log events")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z_.]+)` \| (\w+) \| (.+) \|$", section, re.MULTILINE)
    assert rows == [(name, event.level, event.meaning) for name, event in EVENTS.items()]


def test_every_escalation_rule_is_in_the_table() -> None:
    """docs/answering.md lists the rules in their order, and no others."""
    text = (ROOT / "docs/answering.md").read_text(encoding="utf-8")
    table = text.partition("| reason | when |\n")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \| ", table, re.MULTILINE) == [rule.reason for rule in RULES]


def test_every_command_is_in_the_readme() -> None:
    """A command that the README does not tell of would be found by nobody."""
    command = typer.main.get_command(app)
    assert isinstance(command, TyperGroup)
    told = {words[0] for words in _commands((ROOT / "README.md").read_text(encoding="utf-8")) if words}
    assert set(command.commands) <= told


WRONG: tuple[tuple[Check, str], ...] = (
    (links_lead_somewhere, "see [this](docs/nowhere.md)"),
    (links_lead_somewhere, "see [this](README.md#no-such-heading)"),
    (files_exist, "in `actors/nothing.py`"),
    (files_exist, "in `nothing.yaml`"),
    (commands_exist, "use `majlis dance`"),
    (commands_exist, "use `majlis dead bury 1`"),
    (commands_exist, "use `majlis status --pretty`"),
    (commands_exist, "```console\n$ X=1 majlis dance\n```\n"),
    (make_targets_exist, "use `make coffee`"),
    (settings_exist, "set `batching.window`"),
    (settings_exist, "set `gateway.kind.of: x`"),
    (settings_exist, "majlis run --set turn.tries=1"),
    (settings_exist, "MAJLIS_BATCHING__WINDOW=1"),
    (settings_exist, "MAJLIS_RESPONDER__PROVIDERS__0__KEY=1"),
    (named_tests_exist, "`tests/test_docs.py::test_that_is_not_there`"),
    (rows_are_shown, "| claim | shown by |\n| --- | --- |\n| it works | trust us |"),
    (nothing_of_this_machine, "in /tmp/somewhere"),
)


@pytest.mark.parametrize(("check", "text"), WRONG, ids=lambda value: getattr(value, "__name__", None))
def test_a_fault_is_found(check: Check, text: str) -> None:
    """Each check finds what it is there for."""
    assert list(check(text, "README.md"))


def test_the_table_of_what_is_heard_names_settings_with_their_defaults() -> None:
    """One default for each setting, in the same order; each may be set for an instance too."""
    text = (ROOT / "docs/hearing.md").read_text(encoding="utf-8")
    table = text[: text.index("\n## ")]
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| ")][2:]
    written = [
        pair
        for *_, keys, defaults in rows
        for pair in zip(_BACKTICKED.findall(keys), _BACKTICKED.findall(defaults), strict=True)
    ]
    assert len(written) > 30
    own = Settings().for_instance("acme")
    for key, default in written:
        value: Any = reduce(getattr, key.split("."), own)
        shown = list(value) if isinstance(value, tuple) else value
        assert shown == yaml.safe_load(default), key
