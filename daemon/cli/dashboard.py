"""`majlis dashboard`: a link that logs in to the dashboard, and who is logged in."""

from __future__ import annotations

import webbrowser
from typing import Annotated
from urllib.parse import quote

import typer
from rich.text import Text

from daemon.cli.client import USAGE_ERROR, ConfigOption, Failure, JsonOption, SetOption, client_of, view
from daemon.cli.render import cell, count, display, duration, print_json, table
from daemon.operate.login import LoginLink, SessionPage, SessionsClosed

_SESSIONS = "/v1/dashboard/sessions"


def dashboard(
    context: typer.Context,
    open_: Annotated[bool, typer.Option("--open", help="Open the link in this machine's browser.")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Print a link that logs in to the dashboard once, with your access level.

    Do not share the link: anyone who opens it gets your rights. `sessions` lists the browsers that are logged
    in, `close` logs them out.

    Example: majlis dashboard --open

    Example: majlis dashboard close 3f09ac
    """
    if context.invoked_subcommand is not None:
        if open_ or config or set_ or json:
            command = f"majlis dashboard {context.invoked_subcommand}"
            raise Failure(f"write options after the subcommand: {command} … --config FILE", USAGE_ERROR)
        return
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


def list_sessions(config: ConfigOption = None, set_: SetOption = None, json: JsonOption = False) -> None:
    """List the browsers that are logged in at the dashboard.

    Example: majlis dashboard sessions
    """
    document = client_of(config, set_).get(_SESSIONS)
    if json:
        print_json(document)
        return
    page = view(document, SessionPage)
    rows = table(
        "session", "level", "asked by", "logged in", "last seen", "ends in", "streams", right=("streams",)
    )
    for one in page.sessions:
        since = f"{duration(one.open_seconds)} ago"
        seen = f"{duration(one.idle_seconds)} ago"
        cells = (one.session, one.level, one.asked_by, since, seen, duration(one.seconds_left), one.streams)
        rows.add_row(*(cell(item) for item in cells))
    if page.sessions:
        display(rows)
    else:
        display(cell("nobody is logged in at the dashboard", "dim"))


def close(
    session: Annotated[
        str | None, typer.Argument(metavar="[SESSION]", help="Its name, as in the list.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every session that you may close.")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Log one browser, or all, out of the dashboard at once.

    Level admin may log out everyone; with another level, only browsers whose links you asked for.

    Example: majlis dashboard close 3f09ac

    Example: majlis dashboard close --all
    """
    if (session is None) is not all_:
        raise Failure("name one session of `majlis dashboard sessions`, or write --all", USAGE_ERROR)
    path = _SESSIONS if session is None else f"{_SESSIONS}/{quote(session, safe='')}"
    document = client_of(config, set_).post(f"{path}/close")
    if json:
        print_json(document)
        return
    closed = view(document, SessionsClosed).closed
    display(f"{count(len(closed), 'session')} closed")


def _open(url: str) -> None:
    try:
        opened = webbrowser.get().open(url)
    except webbrowser.Error:
        opened = False
    if not opened:
        raise Failure("no browser could be opened on this machine: open the link above in your own")
