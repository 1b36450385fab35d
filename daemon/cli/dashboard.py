"""`majlis dashboard`: a link that logs in to the dashboard."""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer
from rich.text import Text

from daemon.cli.client import ConfigOption, Failure, JsonOption, SetOption, client_of, view
from daemon.cli.render import display, duration, print_json
from daemon.operate.login import LoginLink


def dashboard(
    open_: Annotated[bool, typer.Option("--open", help="Open the link in this machine's browser.")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Print a link that logs in to the dashboard once, with your access level.

    Do not share the link: whoever opens it gets the same rights as you.

    Example: majlis dashboard --open
    """
    document = client_of(config, set_).post("/v1/dashboard/login")
    if json:
        print_json(document)
        return
    link = view(document, LoginLink)
    display(Text(link.url, no_wrap=True, overflow="ignore"))
    for other in link.others:
        display(Text(f"or {other}", no_wrap=True, overflow="ignore"))
    display(Text(f"valid once, for {duration(link.seconds)}, with access level {link.level}", style="dim"))
    if open_:
        _open(link.url)


def _open(url: str) -> None:
    try:
        opened = webbrowser.get().open(url)
    except webbrowser.Error:
        opened = False
    if not opened:
        raise Failure("no browser could be opened on this machine: open the link above in your own")
