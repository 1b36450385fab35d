"""`majlis flags`: features that are switched on and off while the daemon runs."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from urllib.parse import quote

import typer

from daemon.cli.client import (
    USAGE_ERROR,
    ConfigOption,
    Failure,
    JsonOption,
    SetOption,
    client_of,
    option,
    view,
)
from daemon.cli.render import cell, display, print_json, table
from daemon.operate import FLAGS, FlagPage, FlagView
from daemon.operate.feature_flags import FlagChange

FlagArgument = Annotated[str, typer.Argument(metavar="FLAG", help=f"One of {', '.join(FLAGS)}.")]
InstanceOption = Annotated[str | None, option(FlagChange, "instance", "--instance", "-i", metavar="NAME")]


class OnOff(StrEnum):
    on = "on"
    off = "off"


def list_flags(
    context: typer.Context,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """List feature flags, or change them at run time with `set` and `clear`.

    A value set for an instance overrides one set for this daemon, which overrides config.yaml. A change applies from
    the next turn on, survives restarts, and lasts until it is cleared. Other daemons on the same database follow
    within a second.

    Example: majlis flags

    Example: majlis flags set cache off --instance acme

    Example: majlis flags clear cache --instance acme
    """
    if context.invoked_subcommand is None:
        _print(client_of(config, set_).get("/v1/flags"), json)
    elif config or set_ or json:
        command = f"majlis flags {context.invoked_subcommand}"
        raise Failure(f"write options after the subcommand: {command} … --config FILE", USAGE_ERROR)


def set_flag(
    flag: FlagArgument,
    value: Annotated[OnOff, typer.Argument(metavar="on|off", help="The new value.")],
    instance: InstanceOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Switch a feature on or off, for this daemon or for one instance.

    Example: majlis flags set parallel off

    Example: majlis flags set cache off --instance acme
    """
    _change(flag, value.value, instance, config, set_, json)


def clear_flag(
    flag: FlagArgument,
    instance: InstanceOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Clear a flag, so that the daemon's value or config.yaml applies again.

    Example: majlis flags clear cache --instance acme
    """
    _change(flag, "clear", instance, config, set_, json)


def _change(
    flag: str, word: str, instance: str | None, config: ConfigOption, set_: SetOption, json: bool
) -> None:
    path = f"/v1/flags/{quote(flag, safe='')}/{word}"
    _print(client_of(config, set_).post(path, {"instance": instance}), json)


def _print(document: object, json: bool) -> None:
    if json:
        print_json(document)
        return
    page = view(document, FlagPage)
    shown = table("flag", "configured", "this daemon", "in effect", "exceptions", folding=("exceptions",))
    for flag in page.flags:
        configured, daemon, effective = _word(flag.configured), _word(flag.daemon), _word(flag.effective)
        cells = (flag.flag, configured, daemon, effective, _exceptions(flag))
        shown.add_row(*(cell(item, "dim" if item == "off" else "") for item in cells))
    display(shown)


def _exceptions(flag: FlagView) -> str:
    """Instances with a value of their own: `acme off, shop on (configured)`."""
    return ", ".join(
        f"{one.instance} {_word(one.value)}" + ("" if one.set else " (configured)") for one in flag.instances
    )


def _word(value: bool | None) -> str:
    return "-" if value is None else "on" if value else "off"
