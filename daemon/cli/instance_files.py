"""`majlis instance apply` and `majlis instance export`: instances as a file.

Laws of this file:
1. A secret is never in a file that we write, on the screen, or in a sentence. What a file names by `from_env` or
   `from_file` is read here, and leaves this process for the admin socket alone. A variable that is not set is a fault;
   but one of the names that an export makes up says "as it is" where the secret is stored.
2. Everything is judged before anything is changed, however many requests it takes.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
import yaml

from daemon.cli.asking import YesOption, ask, post_asking
from daemon.cli.client import (
    USAGE_ERROR,
    AdminClient,
    ConfigOption,
    Failure,
    JsonOption,
    SetOption,
    client_of,
    file_text,
    is_stdin,
    view,
)
from daemon.cli.instances import WhyOption, instance_path
from daemon.cli.render import cell, count, display, print_json
from daemon.config import ConfigError
from daemon.config.sources import MAX_CREDENTIAL_BYTES, read_document
from daemon.operate.declared import (
    MAX_INSTANCES,
    Applied,
    AppliedInstance,
    DeclaredChange,
    ExportPage,
    nested,
)
from daemon.operate.tenants import InstanceList

MAX_FILE_CHARS = 64 * 1024 * 1024
AT_ONCE = 20
AT_ONCE_BYTES = 128 * 1024
"""Of one request; one instance alone may be larger."""
SHOWN_CHARS = 60
_FROM = ("from_env", "from_file")
_NOT_IN_NAMES = re.compile(r"[^A-Z0-9]+")
HEAD = """\
# Instances, for `majlis instance apply -f FILE`. Keys that are not named here stay as they are.
# No secret is in this file. Those that are stored stay as they are while the variables named by from_env are not set;
# elsewhere set these, or write {from_file: PATH}.
"""


def apply(
    file: Annotated[
        Path,
        typer.Option("--file", "-f", metavar="FILE", help="The instances, as YAML; `-`: standard input."),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")
    ] = False,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune", help="Remove stored instances that are not in the file, after a question of its own."
        ),
    ] = False,
    why: WhyOption = "",
    yes: YesOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Add and change instances as a file declares them. Shows what would change, and asks.

    The file has a tree as under `instances:` in config.yaml, with the keys of `majlis instance set` besides: prompt,
    active, flags and so on. A secret may be written {from_env: NAME} or {from_file: PATH}. Keys that it does not name
    stay as they are. All of it is judged before any of it is changed; each instance that changes gets one version.

    Example: majlis instance apply -f tenants.yaml --dry-run

    Example: majlis instance apply -f tenants.yaml --prune --why "prices of May"

    Example: majlis instance export acme | majlis instance apply -f - --yes
    """
    client = client_of(config, set_)
    stored = _Stored(client)
    declared = _read(file, stored)
    planned = [one for piece in _pieces(declared) for one in _post(client, piece, dry_run=True, why=why)]
    changing = {one.instance for one in planned if one.what != "unchanged"}
    gone = _unnamed(client, declared) if prune else []
    if not json:
        _print_plan(planned, gone)
        if stored.left:
            display(cell(f"{count(stored.left, 'secret')} left as stored: the variables are not set", "dim"))
    if dry_run or not (changing or gone):
        if json:
            print_json({"instances": planned, "removed": gone, "applied": False})
        return
    reason = why or ("apply" if is_stdin(file) else f"apply {file.name}")
    done: list[AppliedInstance] = []
    if changing:
        if not yes:
            ask(f"Apply this to {count(len(changing), 'instance')}?")
        wanted = {name: tree for name, tree in declared.items() if name in changing}
        done = [one for piece in _pieces(wanted) for one in _post(client, piece, dry_run=False, why=reason)]
    if gone:
        if not yes:
            ask(
                f"Remove {', '.join(gone)}? Settings and secrets are deleted; conversations and history stay."
            )
        for name in gone:
            post_asking(client, f"{instance_path(name)}/remove", {"why": reason}, yes)
    if json:
        print_json({"instances": done, "removed": gone, "applied": True})
        return
    removed = f", {len(gone)} removed" if gone else ""
    display(cell(f"{count(len(done), 'instance')} applied{removed}"))


def export(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]…", help="Only these instances. Default: all.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write to this file, for its owner alone."),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Write what is stored for instances as YAML that `majlis instance apply` takes back.

    Phone numbers are in it. Secrets are not: each is named by an environment variable to read it from.

    Example: majlis instance export -o tenants.yaml

    Example: majlis instance export acme
    """
    client = client_of(config, set_)
    pages = [_page(client, {"instance": name}) for name in names] if names else list(_all_pages(client))
    trees = {}
    for one in (one for page in pages for one in page.instances):
        secrets = {key: {"from_env": variable(one.instance, key)} for key in one.secrets}
        trees[one.instance] = nested({**one.values, **secrets})
    if json:
        print_json({"instances": trees})
        return
    text = HEAD + yaml.dump(
        {"instances": trees}, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=110
    )
    if output is None:
        sys.stdout.write(text)
        return
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.fchmod(descriptor, 0o600)  # it may have been there, for everybody
            file.write(text)
    except OSError as error:
        raise Failure(f"{output}: cannot be written: {error.strerror}") from None
    display(cell(f"{count(len(trees), 'instance')} written to {output}"))


def variable(instance: str, key: str) -> str:
    """The environment variable that an export names for a secret: another one for each, whatever the names are."""
    words = _NOT_IN_NAMES.sub("_", instance.upper()).strip("_")
    if words.lower() != instance:  # others may look the same in these letters
        words = f"{words}_{hashlib.sha256(instance.encode()).hexdigest()[:6].upper()}".strip("_")
    return f"INSTANCE_{words}_{_NOT_IN_NAMES.sub('_', key.upper())}"


def _read(file: Path, stored: _Stored) -> dict[str, dict[str, Any]]:
    """The trees of a file by instance, with all that they name put in."""
    text = file_text(file, MAX_FILE_CHARS)
    try:
        document = read_document(text)
    except ConfigError as error:
        raise Failure(f"{file}: {error}", USAGE_ERROR) from None
    found = (
        document.get("instances") if isinstance(document, dict) and set(document) == {"instances"} else None
    )
    if not isinstance(found, dict) or not found:
        words = "must hold `instances:` alone, and below it a section for each, by its name"
        raise Failure(f"{file}: {words}", USAGE_ERROR)
    if len(found) > MAX_INSTANCES:
        raise Failure(f"{file}: holds {len(found):,} instances, more than {MAX_INSTANCES:,}", USAGE_ERROR)
    faults: list[str] = []
    trees = {}
    for name, tree in found.items():
        if not isinstance(tree, dict | None):
            faults.append(f"{name}: must be a section of `key: value` lines")
            continue
        trees[name] = _with_secrets(tree or {}, (name,), file.parent, faults, stored)
    if faults:
        raise Failure("\n".join(faults), USAGE_ERROR)
    return trees


class _Stored:
    """The secrets that are stored, asked for once, when somebody needs to know."""

    def __init__(self, client: AdminClient) -> None:
        self._client = client
        self._found: set[tuple[str, str]] | None = None
        self.left = 0
        """How many of them stay as they are."""

    def has(self, instance: str, key: str) -> bool:
        if self._found is None:
            pages = _all_pages(self._client)
            self._found = {
                (one.instance, secret) for page in pages for one in page.instances for secret in one.secrets
            }
        return (instance, key) in self._found


_AS_IT_IS = object()


def _with_secrets(value: Any, path: tuple[str, ...], beside: Path, faults: list[str], stored: _Stored) -> Any:
    """The value, with what stands elsewhere read from there."""
    if isinstance(value, dict):
        if len(value) == 1 and (how := next(iter(value))) in _FROM:
            return _from(how, str(value[how]), path, beside, faults, stored)
        inner = {
            name: _with_secrets(item, (*path, name), beside, faults, stored) for name, item in value.items()
        }
        return {name: item for name, item in inner.items() if item is not _AS_IT_IS}
    if isinstance(value, list):
        return [
            _with_secrets(item, (*path, str(place)), beside, faults, stored)
            for place, item in enumerate(value)
        ]
    return value.isoformat() if isinstance(value, date) else value


def _from(
    how: str, where: str, at: tuple[str, ...], beside: Path, faults: list[str], stored: _Stored
) -> object:
    name, key = at[0], ".".join(at[1:])
    if how == "from_env":
        if found := os.environ.get(where, ""):
            return found
        if where == variable(name, key) and stored.has(name, key):
            stored.left += 1
            return _AS_IT_IS
        faults.append(f"{name}: {key}: the environment has no {where}, or it is empty")
        return ""
    key = f"{name}: {key}"
    path = beside / where
    try:
        found = file_text(path, MAX_CREDENTIAL_BYTES).rstrip("\r\n")
    except Failure as error:
        faults.append(f"{key}: {error}")
        return ""
    if not found:
        faults.append(f"{key}: {path} is empty")
    return found


def _pieces(trees: Mapping[str, dict[str, Any]]) -> Iterator[dict[str, dict[str, Any]]]:
    """What goes into one request."""
    piece: dict[str, dict[str, Any]] = {}
    size = 0
    for name, tree in trees.items():
        needs = len(msgspec.json.encode(tree))
        if piece and (len(piece) >= AT_ONCE or size + needs > AT_ONCE_BYTES):
            yield piece
            piece, size = {}, 0
        piece[name] = tree
        size += needs
    if piece:
        yield piece


def _post(
    client: AdminClient, piece: Mapping[str, dict[str, Any]], *, dry_run: bool, why: str
) -> Sequence[AppliedInstance]:
    body = {"instances": piece, "dry_run": dry_run, "why": why}
    return view(client.post("/v1/apply", body=body), Applied).instances


def _unnamed(client: AdminClient, declared: Mapping[str, object]) -> list[str]:
    """Stored instances that are not in the file; those of config.yaml are not removed."""
    listed = view(client.get("/v1/instances"), InstanceList).instances
    return [one.instance for one in listed if one.origin == "stored" and one.instance not in declared]


def _page(client: AdminClient, query: Mapping[str, str]) -> ExportPage:
    return view(client.get("/v1/export", query), ExportPage)


def _all_pages(client: AdminClient) -> Iterator[ExportPage]:
    after = ""
    while True:
        page = _page(client, {"after": after})
        yield page
        if not (after := page.after):
            return


def _print_plan(planned: Sequence[AppliedInstance], gone: Sequence[str]) -> None:
    for one in planned:
        if one.what == "unchanged":
            continue
        sign, style = ("+", "green") if one.what == "added" else ("~", "yellow")
        display(cell(f"{sign} {one.instance} ({one.what})", style))
        if one.warning:
            display(cell(f"    {one.warning}", "bold red"))
        for change in one.changes:
            for line in _lines(change):
                display(cell(f"    {line}", _style(line)))
    for name in gone:
        display(cell(f"- {name} (removed)", "red"))
    same = sum(one.what == "unchanged" for one in planned)
    changed = len(planned) - same
    words = (
        f"{changed} to change, {same} unchanged" if changed or gone else f"nothing changes: {same} unchanged"
    )
    display(cell(words, "dim"))


def _lines(change: DeclaredChange) -> Iterator[str]:
    """`batching.window_seconds: 8 → 5`; a long text line by line; a secret only as what happens to it."""
    before, after = change.before, change.after
    if change.secret:
        yield f"{change.key}: {'set' if before is None else 'removed' if after is None else 'changed'} (secret)"
        return
    texts = [text for text in (before, after) if text is not None]
    if all("\n" not in text and len(text) <= SHOWN_CHARS for text in texts):
        then = "not set" if after is None else after
        yield f"{change.key}: {then}" if before is None else f"{change.key}: {before} → {then}"
        return
    yield f"{change.key}:"
    lines = difflib.unified_diff((before or "").splitlines(), (after or "").splitlines(), lineterm="", n=1)
    yield from (f"    {line}" for number, line in enumerate(lines) if number > 1)


def _style(line: str) -> str:
    sign = line.strip()[:1]
    return {"+": "green", "-": "red"}.get(sign, "") if line.startswith("    ") else ""


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as such, and nothing refers to another part."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
