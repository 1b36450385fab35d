"""Commands that steer the daemon as a whole: `majlis drain`, `majlis log-level`."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from daemon.cli.client import AdminClient, view
from daemon.cli.failure import NOT_RUNNING, Failure
from daemon.cli.options import ConfigOption, JsonOption, SetOption, client_of
from daemon.cli.render import cell, count, display, print_json
from daemon.operate.control import Draining, LogLevelView
from daemon.operate.status import Status

POLL_SECONDS = 0.25
GRACE_SECONDS = 30.0
"""For stores to be closed after the drain."""


def drain(
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Stay until the daemon has ended.")] = True,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Stop the daemon gracefully, as SIGTERM does, and stay until it has ended.

    No new work is taken, webhooks get 503 and are sent again, running turns are finished within drain_seconds. What
    is left then waits for the next start. A service manager may start the daemon again.

    Example: majlis drain
    """
    client = client_of(config, set_)
    document = client.post("/v1/drain")
    begun = view(document, Draining)
    if not json:
        what = f"{count(begun.running_turns, 'running turn')}, {count(begun.active, 'active conversation')}"
        display(cell(f"draining for at most {begun.seconds:g} s: {what}"))
    ended = wait and _wait_until_gone(client, begun.seconds + GRACE_SECONDS)
    if json:
        print_json({"seconds": begun.seconds, "active": begun.active, "ended": ended})
    elif ended:
        display(cell("the daemon has ended", "green"))


def _wait_until_gone(client: AdminClient, seconds: float) -> bool:
    """Raises: Failure when it goes on for longer than it may."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            now = view(client.get("/v1/status"), Status)
        except Failure as failure:
            if failure.exit_status == NOT_RUNNING:
                return True
            time.sleep(POLL_SECONDS)  # it closes its doors just now
            continue
        if not now.draining and now.uptime_seconds < seconds:
            return True  # a new life has begun
        time.sleep(POLL_SECONDS)
    raise Failure(
        f"the daemon still runs after {seconds:g} s; its log says why, SIGTERM once more ends it at once"
    )


def log_level(
    level: Annotated[
        str, typer.Argument(metavar="LEVEL", help="debug, info, warning or error. Without: what holds now.")
    ] = "",
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Log more or less, from now on until the next start.

    Example: majlis log-level debug
    """
    client = client_of(config, set_)
    document = client.post(f"/v1/log-level/{_plain(level)}") if level else client.get("/v1/log-level")
    if json:
        print_json(document)
        return
    now = view(document, LogLevelView)
    again = "" if now.level == now.configured else f"; {now.configured} again after a restart"
    display(cell(f"logged from {now.level} on{again}"))


def _plain(level: str) -> str:
    if not level.isalpha():
        raise Failure(f"{level!r} is no log level: debug, info, warning or error", exit_status=2)
    return level.lower()
