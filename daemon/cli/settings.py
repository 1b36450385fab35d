"""What the running daemon is set to, and what of it changes without a restart: `majlis config`, `majlis reload`,
`majlis log-level`."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.client import (
    USAGE_ERROR,
    ConfigOption,
    Failure,
    JsonOption,
    RevealOption,
    SetOption,
    client_of,
    view,
)
from daemon.cli.render import cell, count, display, print_json, table
from daemon.operate.control import LogLevelView, Reloaded
from daemon.operate.settings import ConfigPage


def config(
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="Only settings whose key starts with this, e.g. batching.")
    ] = "",
    changed: Annotated[
        bool, typer.Option("--changed", help="Only settings that differ from the default.")
    ] = False,
    reveal: RevealOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Show the running daemon's settings and where each value comes from.

    Secrets are never shown, not even with --reveal.

    Example: majlis config batching

    Example: majlis config --changed
    """
    document = client_of(config, set_).get("/v1/config", {"reveal": reveal})
    found = [
        row
        for row in view(document, ConfigPage).values
        if row.key.startswith(key) and not (changed and row.origin == "default")
    ]
    if json:
        print_json(ConfigPage(values=found))
        return
    if found:
        shown = table("key", "value", "source", folding=("key", "value", "source"))
        for row in found:
            style = "dim" if row.origin == "default" else ""
            shown.add_row(cell(row.key), cell(row.value, style), cell(row.origin, style))
        display(shown)
    unknown = (
        f": no key starts with {key}; `majlis config` lists all" if key and not found and not changed else ""
    )
    display(cell(f"{count(len(found), 'setting')}{unknown}", "dim"))


def reload(config: ConfigOption = None, set_: SetOption = None, json: JsonOption = False) -> None:
    """Reload instance settings and feature flags from the database now.

    For rows that were changed in the database. The daemon would notice them by itself within 30 s. config.yaml is not
    reloaded: restart the daemon for that.

    Example: majlis reload
    """
    document = client_of(config, set_).post("/v1/reload")
    if json:
        print_json(document)
        return
    flags = count(view(document, Reloaded).flags, "feature flag")
    display(cell(f"{flags} reloaded; each instance's settings are reloaded with its next message"))
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
