"""`majlis explain`: the whole life of one message, from webhook to reply, in one screen."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from daemon.cli.client import message_path, view
from daemon.cli.options import ConfigOption, JsonOption, RevealOption, SetOption, client_of
from daemon.cli.render import cell, display, duration, facts, print_json
from daemon.operate.explain import Explanation
from daemon.operate.message_life import Step

_STYLES = {
    "answered": "green",
    "answering": "green",
    "dead": "bold red",
    "parked": "bold red",
    "dropped": "dim",
    "holding": "yellow",
    "retrying": "yellow",
}


def explain(
    message: Annotated[
        str,
        typer.Argument(
            metavar="MESSAGE", help="Its id at the gateway, as `majlis show` and webhooks tell it."
        ),
    ],
    instance: Annotated[
        str | None, typer.Option("--instance", "-i", metavar="NAME", help="Whose, where several know the id.")
    ] = None,
    reveal: RevealOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """What became of one message: arrival, window, turn, lookups, answer, every part sent. Or where it waits.

    Replays of a dead letter are told with their original.

    Example: majlis explain 3EB0C767D097E9ECFE8B --reveal
    """
    query = {"instance": instance, "reveal": reveal}
    document = client_of(config, set_).get(message_path(message), query)
    if json:
        print_json(document)
        return
    found = view(document, Explanation)
    display(facts(_head(found)))
    if found.steps:
        display("", _steps_table(found.steps))


def _head(found: Explanation) -> list[tuple[str, object]]:
    left = f", {duration(found.seconds_left)} left" if found.seconds_left is not None else ""
    rows: list[tuple[str, object]] = [
        ("message", found.message + (f", {found.kind}" if found.kind else "")),
        ("of", f"{found.instance} with {found.contact}: {found.conversation}, partition {found.partition}"),
        ("state", cell(f"{found.state}: {found.why}{left}", _STYLES.get(found.state, ""))),
    ]
    if found.text:
        rows.append(("text", found.text))
    if found.turns:
        rows.append(("see", ", ".join(f"majlis show {turn}" for turn in found.turns)))
    return rows


def _steps_table(steps: list[Step]) -> Table:
    shown = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    shown.add_column(no_wrap=True, style="dim")
    shown.add_column(no_wrap=True, justify="right", style="dim")
    shown.add_column(no_wrap=True, style="bold")
    shown.add_column(overflow="fold", ratio=1)
    first = next((step.at for step in steps if step.at), "")
    for step in steps:
        said = cell(step.detail, "")
        if step.gateway_id:
            said.append(f", gateway id {cell(step.gateway_id)}")
        if step.text:
            said.append(f"\n{cell(step.text)}", style="dim")
        shown.add_row(cell(_clock(step.at)), cell(_since(first, step.at)), cell(step.what), said)
    return shown


def _clock(at: str) -> str:
    """`10:02:00.123` of an ISO 8601 time in UTC."""
    return at[11:23]


def _since(first: str, at: str) -> str:
    if not (first and at):
        return ""
    seconds = (datetime.fromisoformat(at) - datetime.fromisoformat(first)).total_seconds()
    return f"+{seconds:.2f} s" if seconds < 60 else f"+{duration(seconds)}"
