"""`majlis tail`: events as they happen."""

from __future__ import annotations

import json as jsonlib
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from daemon.cli.client import ConfigOption, Failure, JsonOption, SetOption, client_of
from daemon.cli.render import cell, escaped

_LEADING = ("seq", "at", "level", "event", "instance", "conversation")
_LEVEL_STYLES = {"debug": "dim", "warning": "yellow", "error": "bold red"}


def tail(
    instance: Annotated[
        list[str] | None,
        typer.Option("--instance", "-i", metavar="NAME", help="Only this instance. Repeatable."),
    ] = None,
    conversation: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONVERSATION", help="Only this conversation: its label, or INSTANCE/PHONE. Repeatable."
        ),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EVENT",
            help="Only this event, e.g. turn.done, or a group of events, e.g. turn. Repeatable.",
        ),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Follow events as they happen, until Ctrl-C.

    Events contain no phone numbers and no message texts. Events below the log level are shown as well. With --json,
    each line is one JSON object.

    Example: majlis tail --instance acme --kind turn --kind part.sent

    Example: majlis tail --json | jq 'select(.event == "turn.dead")'
    """
    out = Console(file=sys.stdout, highlight=False)
    filters = {"instance": instance, "conversation": conversation, "kind": kind}
    query = {name: ",".join(words) for name, words in filters.items() if words}
    for line in client_of(config, set_).lines("/v1/tail", query):  # Ctrl-C ends it quietly, with status 130
        if json:
            sys.stdout.write(escaped(line) + "\n")
        else:
            out.print(_event_line(jsonlib.loads(line)), soft_wrap=True)
        sys.stdout.flush()
    raise Failure("the daemon closed the stream: it is stopping, or this command read too slowly")


def _event_line(event: dict[str, object]) -> Text:
    # One line per event: nested values, such as the trace of a turn, are shown with --json only.
    flat = {name: value for name, value in event.items() if not isinstance(value, dict)}
    rest = " ".join(f"{name}={_value(value)}" for name, value in flat.items() if name not in _LEADING)
    place = " ".join(str(event[name]) for name in ("instance", "conversation") if name in event)
    time_of_day = str(event.get("at", "")).partition("T")[2]
    name = cell(f"{event.get('event', ''):<18}", _LEVEL_STYLES.get(str(event.get("level")), ""))
    return Text("  ").join(
        [cell(time_of_day, "dim"), name, *(cell(words) for words in (place, rest) if words)]
    )


def _value(value: object) -> str:
    return ",".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
