"""`majlis flags`: what can be turned on and off while the daemon runs."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from urllib.parse import quote

import typer

from daemon.cli.client import view
from daemon.cli.failure import BAD_CONFIG, Failure
from daemon.cli.options import ConfigOption, JsonOption, SetOption, client_of
from daemon.cli.render import cell, display, print_json, table
from daemon.operate import FLAGS, FlagPage, FlagView

FlagArgument = Annotated[
    str, typer.Argument(metavar="FLAG", help=f"One of {', '.join(FLAGS)}; see `majlis flags`.")
]
InstanceOption = Annotated[
    str | None,
    typer.Option(
        "--instance", help="For this instance, on every daemon. Without it: for this daemon, all instances."
    ),
]


class OnOff(StrEnum):
    on = "on"
    off = "off"


def list_flags(
    context: typer.Context,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Switches that can be turned while the daemon runs: what is on, and for whom.

    What was set for an instance wins over what was set for this daemon, and
    that wins over config.yaml. It holds from the next turn on, also after a
    restart, until it is cleared. Other daemons on the same database follow
    within 30 s.

    Example: majlis flags

    Example: majlis flags set cache off --instance acme

    Example: majlis flags clear cache --instance acme
    """
    if context.invoked_subcommand is None:
        _print(client_of(config, set_).get("/v1/flags"), json)
    elif config or set_ or json:
        command = f"majlis flags {context.invoked_subcommand}"
        raise Failure(f"write the options at the end: {command} … --config FILE", BAD_CONFIG)


def set_flag(
    flag: FlagArgument,
    value: Annotated[OnOff, typer.Argument(metavar="on|off")],
    instance: InstanceOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Turn a switch on or off, for this daemon or for one instance. It survives restarts.

    Example: majlis flags set parallel off
    """
    _change(flag, value.value, instance, config, set_, json)


def clear_flag(
    flag: FlagArgument,
    instance: InstanceOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Take back what was set: what is wider holds again.

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
    shown = table("flag", "configured", "this daemon", "holds", "otherwise", folding=("otherwise",))
    for flag in page.flags:
        configured, daemon, holds = _word(flag.configured), _word(flag.daemon), _word(flag.effective)
        cells = (flag.flag, configured, daemon, holds, _otherwise(flag))
        shown.add_row(*(cell(item, "dim" if item == "off" else "") for item in cells))
    display(shown)


def _otherwise(flag: FlagView) -> str:
    """`acme off, shop on (configured)`."""
    return ", ".join(
        f"{one.instance} {_word(one.value)}" + ("" if one.set else " (configured)") for one in flag.instances
    )


def _word(value: bool | None) -> str:
    return "-" if value is None else "on" if value else "off"
