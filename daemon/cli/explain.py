"""`majlis explain`: what happened to one message, from webhook to reply, on one screen."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from urllib.parse import quote

import typer
from rich.table import Table

from daemon.cli.client import (
    ConfigOption,
    Failure,
    JsonOption,
    RevealOption,
    SetOption,
    client_of,
    option,
    view,
)
from daemon.cli.render import cell, conversation_of, display, duration, facts, print_json
from daemon.operate.explain import Explanation, OneMessage
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
            metavar="MESSAGE", help="The gateway's message id, as in `majlis show` and in webhooks."
        ),
    ],
    instance: Annotated[
        str | None, option(OneMessage, "instance", "--instance", "-i", metavar="NAME")
    ] = None,
    reveal: RevealOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Explain what happened to one message, or what it is waiting for.

    Shows every step from the webhook to the sent reply with its time: arrival, window, turn, lookups, answer, parts.
    Retries of a dead letter are included. Start here when a customer says that nobody answered.

    Example: majlis explain 3EB0C767D097E9ECFE8B --reveal
    """
    query = {"instance": instance, "reveal": reveal}
    document = client_of(config, set_).get(_path(message), query)
    if json:
        print_json(document)
        return
    found = view(document, Explanation)
    display(facts(_head(found)))
    if found.steps:
        display("", _steps_table(found.steps))


def _path(message: str) -> str:
    if not message.isprintable():
        raise Failure("the message id contains a line break or another unprintable character: copy it again")
    return f"/v1/explain/{quote(message, safe='')}"


def _head(found: Explanation) -> list[tuple[str, object]]:
    left = f", {duration(found.seconds_left)} left" if found.seconds_left is not None else ""
    rows: list[tuple[str, object]] = [
        ("message", found.message + (f", {found.kind}" if found.kind else "")),
        ("conversation", conversation_of(found.conversation, found.instance, found.contact)),
        ("partition", found.partition),
        ("state", cell(f"{found.state}: {found.why}{left}", _STYLES.get(found.state, ""))),
    ]
    if found.text:
        rows.append(("text", found.text))
    if found.turns:
        rows.append(
            (
                "turns" if len(found.turns) > 1 else "turn",
                ", ".join(f"majlis show {turn}" for turn in found.turns),
            )
        )
    return rows


def _steps_table(steps: list[Step]) -> Table:
    shown = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    shown.add_column(no_wrap=True, style="dim")
    shown.add_column(no_wrap=True, justify="right", style="dim")
    shown.add_column(no_wrap=True, style="bold")
    shown.add_column(overflow="fold", ratio=1)
    first = next((step.at for step in steps if step.at), "")
    for step in steps:
        detail = cell(step.detail)
        if step.gateway_id:
            detail.append(f", gateway id {cell(step.gateway_id)}")
        if step.text:
            detail.append(f"\n{cell(step.text)}", style="dim")
        shown.add_row(cell(_clock(step.at)), cell(_since(first, step.at)), cell(step.what), detail)
    return shown


def _clock(at: str) -> str:
    """An ISO 8601 time in UTC as `10:02:00.123`."""
    return at[11:23]


def _since(first: str, at: str) -> str:
    if not (first and at):
        return ""
    seconds = (datetime.fromisoformat(at) - datetime.fromisoformat(first)).total_seconds()
    return f"+{seconds:.2f} s" if seconds < 60 else f"+{duration(seconds)}"
