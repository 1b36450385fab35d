"""`majlis instance remove`: an instance taken out of use, its webhook given back first if it is wished."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.asking import YesOption, ask, post_asking
from daemon.cli.client import ConfigOption, JsonOption, SetOption, client_of, view
from daemon.cli.instances import NameArgument, WhyOption, instance_path
from daemon.cli.render import cell, display, print_json
from daemon.cli.rollback import DRAIN_SECONDS, give_back
from daemon.operate.tenants import InstanceChanged


def remove(
    name: NameArgument,
    why: WhyOption = "",
    rollback: Annotated[
        bool,
        typer.Option(
            "--rollback",
            help="Give its webhook back first, and wait until all acknowledged messages are answered.",
        ),
    ] = False,
    yes: YesOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Remove an instance: nobody is answered there any more, and its settings and secrets are deleted.

    Conversations and history stay, and so do its versions: `majlis instance rollback NAME --to previous` brings it
    back, without its secrets. `majlis instance export NAME` keeps its settings in a file. The webhook of a connected
    instance goes on leading here: give it back with --rollback; otherwise this asks.

    Example: majlis instance remove acme --why "left us"

    Example: majlis instance remove acme --rollback --yes
    """
    client = client_of(config, set_)
    if not yes:
        ask(f"Remove {name}? Its settings and secrets are deleted; conversations and history stay.")
    if rollback:
        give_back(name, False, True, False, DRAIN_SECONDS, client, json=False)
    document = post_asking(client, f"{instance_path(name)}/remove", {"why": why}, yes)
    if json:
        print_json(document)
        return
    done = view(document, InstanceChanged)
    words = f"{done.instance} is removed (version {done.version}): its conversations and history stay in the database"
    display(cell(words))
