"""`majlis instance`: which instances there are, what is set for each, and changing it without SQL or a restart."""

from __future__ import annotations

import getpass
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import msgspec
import typer
from rich.table import Table

from daemon.cli.asking import YesOption, asking, post_asking
from daemon.cli.client import (
    USAGE_ERROR,
    AdminClient,
    ConfigOption,
    Failure,
    JsonOption,
    RevealOption,
    SetOption,
    client_of,
    file_text,
    option,
    view,
)
from daemon.cli.render import cell, count, display, moment, print_json, table
from daemon.cli.settings import is_default
from daemon.config.run_time import full_key, is_secret
from daemon.operate.tenants import (
    MAX_TEXT_CHARS,
    HistoryQuery,
    InstanceChanged,
    InstanceHistory,
    InstanceList,
    InstancePage,
    InstanceValue,
    ValueChanged,
)

SHOWN_CHARS = 60
"""Of a value in a list, unless all of it is asked for."""

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The name of the instance.")]
ValuesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="A setting, e.g. prompt, model, batching.window_seconds or flags.cache. KEY=@FILE reads the value from a "
        "file; KEY=- asks for it without showing it, or reads it from standard input.",
    ),
]
WhyOption = Annotated[str, typer.Option("--why", metavar="TEXT", help="Kept with the version.")]


def list_instances(config: ConfigOption = None, set_: SetOption = None, json: JsonOption = False) -> None:
    """List the instances: mode, version, gateway, and when each was changed last.

    Example: majlis instance list
    """
    document = client_of(config, set_).get("/v1/instances")
    if json:
        print_json(document)
        return
    page = view(document, InstanceList)
    shown = table(
        "instance",
        "mode",
        "gateway",
        "prompt",
        "version",
        "changed (UTC)",
        "by",
        right=("version",),
        roomy=("instance", "changed (UTC)", "by"),
    )
    for one in page.instances:
        mode = one.mode if one.active else "inactive"
        cells = (one.instance, mode, one.gateway, "yes" if one.has_prompt else "-", one.version)
        shown.add_row(*map(cell, cells), cell(moment(one.changed_at)), cell(one.changed_by))
    display(shown)
    for one in page.instances:
        if one.held:
            display(cell(f"{one.instance} is held: {one.held}", "yellow"))
    display(cell(count(len(page.instances), "instance"), "dim"))


def show_instance(
    name: NameArgument,
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="Only settings whose key starts with this, e.g. batching.")
    ] = "",
    changed: Annotated[
        bool, typer.Option("--changed", help="Only settings that differ from the default.")
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Do not shorten the prompt and other long values.")
    ] = False,
    reveal: RevealOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Show what is set for an instance, and where each value comes from.

    Secrets are never shown, not even with --reveal.

    Example: majlis instance show acme --changed

    Example: majlis instance show acme prompt --full
    """
    page = view(client_of(config, set_).get(instance_path(name), {"reveal": reveal}), InstancePage)
    found = [
        one
        for one in page.values
        if one.key.startswith(key) and not (changed and is_default(one.key, one.value, one.origin))
    ]
    if json:
        print_json(msgspec.structs.replace(page, values=found))
        return
    if found:
        display(_values_table(found, full))
    unknown = f"; no key starts with {key}" if key and not found and not changed else ""
    words = f"{page.instance}: version {page.version}, {moment(page.changed_at)} UTC, by {page.changed_by}{unknown}"
    display(cell(words, "dim"))
    _show_state(page)


def _values_table(values: Sequence[InstanceValue], full: bool) -> Table:
    shown = table("key", "value", "source", roomy=("key", "value", "source"))
    for one in values:
        style = "dim" if one.origin == "default" else ""
        value = one.value if full else _shortened(one.value)
        shown.add_row(cell(one.key), cell(value, style), cell(one.origin, style))
    return shown


def _show_state(page: InstancePage) -> None:
    """Where its webhook leads, what waits to be forwarded, and why it is held."""
    connection, forwards = page.connection, page.forwards
    accepted = ", ".join(page.credentials)
    display(
        cell(f"a webhook for it may show: {accepted}" if accepted else "its webhooks need no token", "dim")
    )
    if connection.connected:
        words = f"its webhook was set to {connection.url}, {moment(connection.set_at)} UTC, by {connection.set_by}"
        display(cell(words, "dim"))
    if forwards.waiting or forwards.dead:
        words = f"forwards: {forwards.waiting:,} waiting, {forwards.dead:,} dead; see `majlis forwards`"
        display(cell(words, "yellow" if forwards.dead else "dim"))
    if page.held:
        display(cell(f"{page.instance} is held: {page.held}", "bold red"))


def add(
    name: NameArgument,
    values: ValuesArgument = None,
    why: WhyOption = "",
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Add an instance, named as the gateway names it. Its customers are answered from now on.

    Customers who ask for a person are escalated; escalation.enabled=false switches that off.

    Example: majlis instance add acme prompt=@acme.txt model=gpt-4.1-mini

    Example: majlis instance add acme mode=shadow 'hours=[sun-thu 09:00-22:00]'
    """
    body = {"set": _values(values or ()), "why": why}
    _print_change(client_of(config, set_).post(f"{instance_path(name)}/add", body=body), json)


def set_values(
    name: NameArgument,
    values: ValuesArgument = None,
    unset: Annotated[
        list[str] | None,
        typer.Option("--unset", metavar="KEY", help="A key that is not to be set any more. Repeatable."),
    ] = None,
    why: WhyOption = "",
    yes: YesOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Change what is set for an instance: all of it or, if one value does not fit, nothing.

    It is in force at once on every daemon, without a restart, and is a version: `majlis instance rollback NAME --to
    previous` undoes it. Asks first where a connected instance's customers would get no answer from anyone any more.

    Example: majlis instance set acme batching.window_seconds=5 reply.max_parts=3 --why "short answers"

    Example: majlis instance set acme prompt=@acme.txt --unset hours

    Example: majlis instance set acme flags.cache=off 'contacts.ignore=["+55 11 90000-0099"]'
    """
    body: dict[str, object] = {"set": _values(values or ()), "unset": unset or [], "why": why}
    _print_change(post_asking(client_of(config, set_), f"{instance_path(name)}/set", body, yes), json)


def history(
    name: NameArgument,
    limit: Annotated[int, option(HistoryQuery, "limit", "--limit", "-n", metavar="N")] = 20,
    full: Annotated[bool, typer.Option("--full", help="Do not shorten long values.")] = False,
    reveal: RevealOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Show the versions of an instance: who changed what, when and why; the latest first.

    Where "by" is SQL, somebody changed the database itself.

    Example: majlis instance history acme
    """
    document = client_of(config, set_).get(
        f"{instance_path(name)}/history", {"limit": limit, "reveal": reveal}
    )
    if json:
        print_json(document)
        return
    page = view(document, InstanceHistory)
    shown = table("version", "when (UTC)", "by", "what", right=("version",), roomy=("what",))
    for one in page.versions:
        lines = [_change_line(change, full) for change in one.changes] or ["nothing that is in force"]
        if one.what != "change" or one.why:
            lines.insert(0, ": ".join(filter(None, (_WHAT[one.what], one.why))))
        shown.add_row(cell(one.version), cell(moment(one.at)), cell(one.by), cell("\n".join(lines)))
    display(shown)


def restore(client: AdminClient, name: str, version: str, yes: bool, json: bool) -> None:
    """Set everything as it was in an earlier version: a number, or `previous`."""
    if not (version == "previous" or (version.isascii() and version.isdigit())):
        raise Failure(
            f"say which version: --to previous, or a number of `majlis instance history {shlex.quote(name)}`",
            USAGE_ERROR,
        )
    query: dict[str, str | bool] = {} if version == "previous" else {"version": version}
    path = f"{instance_path(name)}/restore"
    _print_change(asking(lambda sure: client.post(path, {**query, "yes": sure}), yes), json)


_WHAT = {"add": "added", "change": "changed", "restore": "restored", "remove": "removed"}


def instance_path(name: str) -> str:
    """The route of an instance."""
    if not name:
        raise Failure("name an instance; `majlis instance list` lists them", USAGE_ERROR)
    return f"/v1/instances/{quote(name, safe='')}"


def _values(written: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in written:
        key, equals, value = one.partition("=")
        if not equals or not key:
            raise Failure(f"{one!r} must be written KEY=VALUE, e.g. batching.window_seconds=5", USAGE_ERROR)
        if key in found:
            raise Failure(f"{key} is given twice", USAGE_ERROR)
        found[key] = _value(key, value)
    seen = [key for key in found if is_secret(full_key(key)) and f"{key}={found[key]}" in written]
    if seen:
        keys = ", ".join(seen)
        sys.stderr.write(
            f"majlis: {keys}: others on this machine can see what is on a command line, and the shell keeps it; "
            f"{seen[0]}=- asks for it, {seen[0]}=@FILE reads it from a file\n"
        )
    return found


def _value(key: str, written: str) -> str:
    if written == "-":
        return _asked(key)
    if not written.startswith("@"):
        return written
    return file_text(Path(written[1:]), 2 * MAX_TEXT_CHARS).rstrip("\r\n")


def _asked(key: str) -> str:
    if sys.stdin.isatty():
        return getpass.getpass(f"{key}: ")
    return sys.stdin.read(2 * MAX_TEXT_CHARS).rstrip("\r\n")


def _print_change(document: object, json: bool) -> None:
    if json:
        print_json(document)
        return
    done = view(document, InstanceChanged)
    if not done.changes:
        display(cell(f"{done.instance}: everything was so already, version {done.version} stays", "dim"))
        return
    for change in done.changes:
        display(cell(_change_line(change, full=False)))
    display(cell(f"{done.instance} is at version {done.version}", "dim"))
    if done.former:
        command = f"majlis instance rollback {shlex.quote(done.instance)} --to {done.former}"
        words = f"an instance of this name was there before; nothing of it applies. What was set for it then: {command}"
        display(cell(words, "yellow"))


def _change_line(change: ValueChanged, full: bool) -> str:
    """`batching.window_seconds: 8 → 5`."""
    before, after = (
        "not set" if value is None else value if full else _shortened(value)
        for value in (change.before, change.after)
    )
    return f"{change.key}: {before} → {after}"


def _shortened(value: str) -> str:
    """One line, with its length where something is left out."""
    line = " ".join(value.split())
    if len(line) <= SHOWN_CHARS:
        return line
    return f"{line[:SHOWN_CHARS].rstrip()}… ({len(value):,} characters)"
