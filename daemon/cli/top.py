"""`majlis top`: the daemon, live on a full screen. One page of the server's at a time, however much goes on."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated

import typer
from rich.console import Console, Group
from rich.live import Live

from daemon.cli.client import AdminClient, view
from daemon.cli.failure import NOT_RUNNING, Failure
from daemon.cli.options import ConfigOption, JsonOption, SetOption, client_of
from daemon.cli.render import display, print_json
from daemon.cli.top_screen import SORTS, Rates, rates_between, screen
from daemon.operate.actors import ActorSort
from daemon.operate.top import TopPage

SNAPSHOT_SECONDS = 1.0
LINES_OF_HEAD = 6
"""The least that the screen needs beside the conversations."""


class _Watch:
    """What the person at the keyboard has chosen, and the last that was heard."""

    def __init__(self, client: AdminClient, sort: ActorSort, instance: str | None) -> None:
        self.sort: ActorSort = sort
        self.offset = 0
        self.page: TopPage | None = None
        self.rates: Rates = {}
        self.trouble = ""
        self._client = client
        self._instance = instance

    def look(self, rows: int) -> None:
        """Ask once. Raises: Failure, before anything was ever heard."""
        query = {"sort": self.sort, "instance": self._instance, "offset": self.offset, "limit": rows}
        try:
            page = view(self._client.get("/v1/top", query), TopPage)
        except Failure as failure:
            if self.page is None:
                raise
            gone = failure.exit_status == NOT_RUNNING
            self.trouble = "majlis is not running; waiting for it" if gone else str(failure)
            return
        self.rates = rates_between(self.page, page) or self.rates if self.page else {}
        self.page, self.trouble = page, ""

    def press(self, key: str, rows: int) -> None:
        """`s` sorts otherwise, `n` and `p` turn the pages."""
        matching = self.page.matching if self.page else 0
        if key == "s":
            self.sort, self.offset = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)], 0
        elif key == "n" and self.offset + rows < matching:
            self.offset += rows
        elif key == "p":
            self.offset = max(0, self.offset - rows)


def top(
    instance: Annotated[str | None, typer.Option("--instance", "-i", help="Only this instance.")] = None,
    sort: Annotated[str, typer.Option(help="urgency, left, messages, tries or instance.")] = "urgency",
    every: Annotated[float, typer.Option(min=0.2, max=60, help="Seconds between two looks.")] = 1.0,
    limit: Annotated[int, typer.Option(min=1, max=500, help="The most conversations in a snapshot.")] = 50,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Watch the daemon live: open windows and their time left, turns, rates, latencies, providers, alerts.

    Keys: q ends it, s sorts otherwise, n and p turn pages. Into a pipe, or with --json, it is one snapshot.

    Example: majlis top --instance acme --sort left
    """
    if sort not in SORTS:
        raise Failure(f"--sort must be one of {', '.join(SORTS)}", exit_status=2)
    watch = _Watch(client_of(config, set_), sort, instance)
    if json:
        watch.look(limit)
        print_json(watch.page)
    elif sys.stdout.isatty() and sys.stdin.isatty():
        _live(watch, every)
    else:
        _snapshot(watch, limit)


def _snapshot(watch: _Watch, limit: int) -> None:
    """Two looks, for rates are differences."""
    watch.look(limit)
    time.sleep(SNAPSHOT_SECONDS)
    watch.look(limit)
    if watch.page is None or watch.trouble:
        raise Failure(watch.trouble)
    display(*screen(watch.page, watch.rates, watch.sort, watch.offset, width=110))


def _live(watch: _Watch, every: float) -> None:
    console = Console(file=sys.stdout, highlight=False)
    rows = max(1, console.size.height - LINES_OF_HEAD)
    watch.look(rows)
    with suppress(KeyboardInterrupt), _keys(), Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(_drawn(watch, *console.size), refresh=True)
            key = _pressed(every)
            if key == "q":
                return
            rows = max(1, console.size.height - LINES_OF_HEAD)
            watch.press(key, rows)
            watch.look(rows)


def _drawn(watch: _Watch, width: int, height: int) -> Group:
    assert watch.page is not None
    lines = screen(
        watch.page, watch.rates, watch.sort, watch.offset, width=width, height=height, trouble=watch.trouble
    )
    return Group(*lines)


def _pressed(seconds: float) -> str:
    """The key that was pressed within this time, or nothing."""
    number = sys.stdin.fileno()
    ready, _, _ = select.select([number], [], [], seconds)
    return os.read(number, 32).decode(errors="replace")[:1] if ready else ""


@contextmanager
def _keys() -> Iterator[None]:
    """Keys come one by one and are not shown; the terminal is as before at the end."""
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    try:
        tty.setcbreak(number)
        yield
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)
