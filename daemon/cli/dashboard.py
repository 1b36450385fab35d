"""`majlis dashboard`: a link that opens the page in a browser."""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer
from rich.text import Text

from daemon.cli.client import view
from daemon.cli.failure import Failure
from daemon.cli.options import ConfigOption, JsonOption, SetOption, client_of
from daemon.cli.render import display, duration, print_json
from daemon.operate.login import LoginLink


def dashboard(
    open_: Annotated[bool, typer.Option("--open", help="Open it in this machine's browser.")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Print a link that opens the dashboard, once, with your level.

    Whoever has the link may do what you may: give it to nobody.

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
    display(Text(f"good once, within {duration(link.seconds)}, at level {link.level}", style="dim"))
    if open_:
        _open(link.url)


def _open(url: str) -> None:
    try:
        opened = webbrowser.get().open(url)
    except webbrowser.Error:
        opened = False
    if not opened:
        raise Failure("there is no browser here that could be opened: open the link above in yours")
