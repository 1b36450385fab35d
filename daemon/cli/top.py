"""`majlis top`: the daemon live on a full screen. Each refresh is one request for one page of conversations."""

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

from daemon.cli.client import (
    NOT_RUNNING,
    USAGE_ERROR,
    AdminClient,
    ConfigOption,
    Failure,
    JsonOption,
    OnlyInstanceOption,
    SetOption,
    client_of,
    option,
    view,
)
from daemon.cli.render import display, print_json
from daemon.cli.top_screen import SORTS, Rates, rates_between, screen
from daemon.operate.actors import ActorSort
from daemon.operate.top import TopPage, TopQuery

SNAPSHOT_SECONDS = 1.0
HEADER_LINES = 6
"""Minimum number of lines that are not conversations."""


class _Watch:
    """What the user has chosen, and the latest page of the daemon."""

    def __init__(self, client: AdminClient, sort: ActorSort, instance: str | None) -> None:
        self.sort: ActorSort = sort
        self.offset = 0
        self.page: TopPage | None = None
        self.rates: Rates = {}
        self.problem = ""
        self._client = client
        self._instance = instance

    def refresh(self, rows: int) -> None:
        """Ask the daemon once. Raises: Failure if it never answered before."""
        query = {"sort": self.sort, "instance": self._instance, "offset": self.offset, "limit": rows}
        try:
            page = view(self._client.get("/v1/top", query), TopPage)
        except Failure as failure:
            if self.page is None:
                raise
            gone = failure.exit_status == NOT_RUNNING
            self.problem = "majlis is not running; waiting for it to start" if gone else str(failure)
            return
        self.rates = rates_between(self.page, page) or self.rates if self.page else {}
        self.page, self.problem = page, ""

    def press(self, key: str, rows: int) -> None:
        """`s` changes the order, `n` and `p` turn pages."""
        matching = self.page.matching if self.page else 0
        if key == "s":
            self.sort, self.offset = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)], 0
        elif key == "n" and self.offset + rows < matching:
            self.offset += rows
        elif key == "p":
            self.offset = max(0, self.offset - rows)


def top(
    instance: OnlyInstanceOption = None,
    sort: Annotated[str, option(TopQuery, "sort", metavar="ORDER")] = TopQuery().sort,
    every: Annotated[
        float, typer.Option(min=0.2, max=60, metavar="SECONDS", help="Seconds between refreshes.")
    ] = 1.0,
    limit: Annotated[int, option(TopQuery, "limit", metavar="N")] = TopQuery().limit,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Watch the daemon live: conversations, rates, latencies, providers and alerts.

    Keys: q quits, s changes the order, n and p turn pages. In a pipe, or with --json, it prints one snapshot.

    Example: majlis top --instance acme --sort left
    """
    if sort not in SORTS:
        raise Failure(f"--sort must be one of {', '.join(SORTS)}", USAGE_ERROR)
    watch = _Watch(client_of(config, set_), sort, instance)
    if json:
        watch.refresh(limit)
        print_json(watch.page)
    elif sys.stdout.isatty() and sys.stdin.isatty():
        _live(watch, every)
    else:
        _snapshot(watch, limit)


def _snapshot(watch: _Watch, limit: int) -> None:
    """Two requests, because rates are differences."""
    watch.refresh(limit)
    time.sleep(SNAPSHOT_SECONDS)
    watch.refresh(limit)
    if watch.page is None or watch.problem:
        raise Failure(watch.problem)
    display(*screen(watch.page, watch.rates, watch.sort, watch.offset, width=110))


def _live(watch: _Watch, every: float) -> None:
    console = Console(file=sys.stdout, highlight=False)
    rows = max(1, console.size.height - HEADER_LINES)
    watch.refresh(rows)
    with suppress(KeyboardInterrupt), _keys(), Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(_drawn(watch, *console.size), refresh=True)
            key = _pressed(every)
            if key == "q":
                return
            rows = max(1, console.size.height - HEADER_LINES)
            watch.press(key, rows)
            watch.refresh(rows)


def _drawn(watch: _Watch, width: int, height: int) -> Group:
    assert watch.page is not None
    lines = screen(
        watch.page, watch.rates, watch.sort, watch.offset, width=width, height=height, problem=watch.problem
    )
    return Group(*lines)


def _pressed(seconds: float) -> str:
    """The key pressed within this time, or an empty string."""
    number = sys.stdin.fileno()
    ready, _, _ = select.select([number], [], [], seconds)
    return os.read(number, 32).decode(errors="replace")[:1] if ready else ""


@contextmanager
def _keys() -> Iterator[None]:
    """Read keys one by one without echo; restore the terminal at the end."""
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    try:
        tty.setcbreak(number)
        yield
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)
