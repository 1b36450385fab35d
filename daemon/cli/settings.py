"""What the running daemon is set to, and what of it changes without a restart: `majlis config`, `majlis set`,
`majlis unset`, `majlis reload`, `majlis log-level`."""

from __future__ import annotations

import shlex
from typing import Annotated
from urllib.parse import quote

import typer

from daemon.cli.asking import YesOption, asking
from daemon.cli.client import (
    USAGE_ERROR,
    ConfigOption,
    Failure,
    JsonOption,
    RevealOption,
    SetOption,
    client_of,
    option,
    view,
)
from daemon.cli.render import cell, count, display, print_json, table
from daemon.config.in_force import default_values
from daemon.operate.control import LogLevelView, Reloaded
from daemon.operate.settings import ConfigPage, ConfigQuery, SettingChange, SettingChanged

KeyArgument = Annotated[
    str,
    typer.Argument(
        metavar="KEY", help="A setting, e.g. batching.window_seconds or takeover.commands.resume."
    ),
]
ChangedInstanceOption = Annotated[
    str | None, option(SettingChange, "instance", "--instance", "-i", metavar="NAME")
]


def is_default(key: str, value: str, origin: str) -> bool:
    """Nobody set it, or what was set is the default."""
    return origin == "default" or default_values().get(key) == value


def config(
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="Only settings whose key starts with this, e.g. batching.")
    ] = "",
    changed: Annotated[
        bool, typer.Option("--changed", help="Only settings that differ from the default.")
    ] = False,
    instance: Annotated[
        str | None, option(ConfigQuery, "instance", "--instance", "-i", metavar="NAME")
    ] = None,
    reveal: RevealOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Show the running daemon's settings and where each value comes from.

    The source of a setting that was changed at run time is the command that did it, with who and when. With --instance:
    the settings that an instance may have for itself, as they apply to this one. Secrets are never shown, not even with
    --reveal.

    Example: majlis config batching

    Example: majlis config --changed

    Example: majlis config takeover --instance acme
    """
    document = client_of(config, set_).get("/v1/config", {"reveal": reveal, "instance": instance})
    page = view(document, ConfigPage)
    found = [
        row
        for row in page.values
        if row.key.startswith(key) and not (changed and is_default(row.key, row.value, row.origin))
    ]
    if json:
        print_json(ConfigPage(values=found, left_out=page.left_out))
        return
    if found:
        shown = table("key", "value", "source", roomy=("key", "value", "source"))
        for row in found:
            style = "dim" if row.origin == "default" else ""
            shown.add_row(cell(row.key), cell(row.value, style), cell(row.origin, style))
        display(shown)
    unknown = (
        f": no key starts with {key}; `majlis config` lists all" if key and not found and not changed else ""
    )
    for left in page.left_out:
        place = f"for {left.instance}" if left.instance else "for this daemon"
        option_ = f" --instance {shlex.quote(left.instance)}" if left.instance else ""
        words = f"not in force: {left.key}, set {place}: {left.reason}; `majlis unset {left.key}{option_}` drops it"
        display(cell(words, "yellow"))
    display(cell(f"{count(len(found), 'setting')}{unknown}", "dim"))


def set_setting(
    key: KeyArgument,
    value: Annotated[
        str,
        typer.Argument(
            metavar="VALUE", help="Read as YAML, as --set reads it: 5, true, null, '[a, b]', '{a: b}'."
        ),
    ],
    instance: ChangedInstanceOption = None,
    yes: YesOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Change a setting while the daemon runs, for this daemon or for one instance.

    A value set for an instance overrides one set for this daemon, which overrides config.yaml, also what that says of
    one instance. A change applies at once, survives restarts, and lasts until `majlis unset`. Other daemons on the same
    database follow within a second. What may be changed for a daemon is what `majlis config --instance NAME` lists,
    without the responder, the gateway and the addresses of webhooks; for an instance all of it may, as with `majlis
    instance set`, and each change is a version. On and off of whole features is `majlis flags`.

    Example: majlis set batching.window_seconds 5 --instance acme

    Example: majlis set escalation.message "A colleague will write to you soon."

    Example: majlis set takeover.automatic_texts '["We are closed now", "نحن مغلقون الآن"]' --instance acme

    Example: majlis set escalation.reason_names '{asks_for_human: user_request}' --instance acme

    Example: majlis set limits.turns_per_minute null
    """
    client = client_of(config, set_)
    path, place = _change_path(key, "set"), {"instance": instance}
    done = asking(lambda sure: client.post(path, place, {"value": value, "yes": sure}), yes)
    _print_change(done, json)


def unset(
    key: KeyArgument,
    instance: ChangedInstanceOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Drop what `majlis set` said, so that the daemon's value or config.yaml applies again.

    Example: majlis unset batching.window_seconds --instance acme
    """
    _print_change(client_of(config, set_).post(_change_path(key, "unset"), {"instance": instance}), json)


def _change_path(key: str, change: str) -> str:
    if not key:
        raise Failure("name a setting, e.g. batching.window_seconds; `majlis config` lists all", USAGE_ERROR)
    return f"/v1/config/{quote(key, safe='')}/{change}"


def _print_change(document: object, json: bool) -> None:
    if json:
        print_json(document)
        return
    now = view(document, SettingChanged)
    place = f"for {now.instance}" if now.instance else "for this daemon"
    display(cell(f"{now.key} is {now.value} {place} ({now.origin})"))
    if now.exceptions:
        display(cell(f"set for themselves: {', '.join(now.exceptions)}", "dim"))


def reload(config: ConfigOption = None, set_: SetOption = None, json: JsonOption = False) -> None:
    """Reload instances, feature flags and run-time settings from the database now.

    For rows that were changed in the database. The daemon would notice them by itself within two seconds. config.yaml
    is not reloaded: restart the daemon for that.

    Example: majlis reload
    """
    document = client_of(config, set_).post("/v1/reload")
    if json:
        print_json(document)
        return
    reloaded = view(document, Reloaded)
    read = f"{count(reloaded.flags, 'feature flag')} and {count(reloaded.settings, 'setting')}"
    display(cell(f"{read} reloaded; each instance's settings are reloaded with its next message"))
    display(cell("config.yaml is not reloaded: restart the daemon for that", "dim"))


def log_level(
    level: Annotated[
        str,
        typer.Argument(
            metavar="LEVEL", help="debug, info, warning or error. Without it, the current level is shown."
        ),
    ] = "",
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Show or change the log level. A change lasts until the daemon restarts.

    Example: majlis log-level debug
    """
    client = client_of(config, set_)
    document = client.post(f"/v1/log-level/{_level(level)}") if level else client.get("/v1/log-level")
    if json:
        print_json(document)
        return
    now = view(document, LogLevelView)
    after = "" if now.level == now.configured else f"; {now.configured} again after a restart"
    display(cell(f"log level {now.level}{after}"))


def _level(level: str) -> str:
    if not level.isalpha():
        raise Failure(f"{level!r} is not a log level: write debug, info, warning or error", USAGE_ERROR)
    return level.lower()
