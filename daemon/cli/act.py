"""Commands that change something in the running daemon, and the one that watches it."""

from __future__ import annotations

import json as jsonlib
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from daemon.admin import Flushed, Paused, Reloaded, Resumed
from daemon.cli.client import conversation_path, view
from daemon.cli.failure import Failure
from daemon.cli.options import ConfigOption, ConversationArgument, JsonOption, SetOption, client_of
from daemon.cli.render import cell, count, display, moment, print_json

_LEADING = ("at", "level", "event", "instance", "conversation")


def flush(
    conversation: ConversationArgument,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Close a conversation's window now.

    What waits is answered without waiting for more.

    Example: majlis flush acme/551199990000
    """
    document = client_of(config, set_).post(f"{conversation_path(conversation)}/flush")
    if json:
        print_json(document)
        return
    flushed = view(document, Flushed)
    display(cell(f"{flushed.conversation}: {count(flushed.messages, 'message')} will be answered now"))


def pause(
    conversation: ConversationArgument,
    seconds: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=2_592_000,
            help="How long. Default: the instance's takeover.pause_seconds, or 4 hours where that is 0.",
        ),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Silence in one conversation for a while, at once: a person takes over.

    The same happens by itself when somebody of the business writes in the chat.
    What the customer writes meanwhile is kept as history and not answered later.
    `majlis resume` ends it before its time.

    Example: majlis pause acme/551199990000 --seconds 3600
    """
    path = f"{conversation_path(conversation)}/pause"
    document = client_of(config, set_).post(path, {"seconds": seconds})
    if json:
        print_json(document)
        return
    paused = view(document, Paused)
    display(cell(f"{paused.conversation}: Majlis is silent until {moment(paused.until)} UTC"))


def resume(
    conversation: ConversationArgument,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Majlis answers in a conversation again: ends its escalation and its take-over.

    Also wakes a conversation that is parked or held, as `majlis flush` does.
    What came before is context for the next answer, not a task.

    Example: majlis resume acme/551199990000
    """
    document = client_of(config, set_).post(f"{conversation_path(conversation)}/resume")
    if json:
        print_json(document)
        return
    resumed = view(document, Resumed)
    display(cell(f"{resumed.conversation}: {_what_ended(resumed)}"))


def _what_ended(resumed: Resumed) -> str:
    ended = [
        *(["its escalation is over"] if resumed.escalated else []),
        *(["its take-over is over"] if resumed.taken_over else []),
        *([f"it was {resumed.state} and is awake"] if resumed.state else []),
    ]
    return ", ".join(ended)


def reload(config: ConfigOption = None, set_: SetOption = None, json: JsonOption = False) -> None:
    """Read instance settings and flags anew from the database, now instead of soon.

    For rows that were changed in the database; by itself that takes 30 s.
    config.yaml is not read again: restart the daemon for that.

    Example: majlis reload
    """
    document = client_of(config, set_).post("/v1/reload")
    if json:
        print_json(document)
        return
    flags = count(view(document, Reloaded).flags, "flag")
    display(cell(f"{flags} read; each instance's row is read with its next message"))
    display(cell("config.yaml is not read again: restart the daemon for that", "dim"))


def tail(config: ConfigOption = None, set_: SetOption = None, json: JsonOption = False) -> None:
    """Watch events as they happen, until Ctrl-C.

    No phone numbers, no texts. Events below the log level are shown too.

    Example: majlis tail --json | jq 'select(.event == "turn.dead")'
    """
    out = Console(file=sys.stdout, highlight=False)
    for line in client_of(config, set_).lines("/v1/tail"):  # Ctrl-C ends it quietly, with status 130
        if json:
            sys.stdout.write(line + "\n")
        else:
            out.print(_event_line(jsonlib.loads(line)), soft_wrap=True)
        sys.stdout.flush()
    raise Failure("the daemon ended the stream: it is stopping, or this reader was too slow")


def _event_line(event: dict[str, object]) -> Text:
    level = str(event.get("level", "info"))
    style = "" if level == "info" else level
    rest = " ".join(f"{name}={value}" for name, value in event.items() if name not in _LEADING)
    place = " ".join(str(event[name]) for name in ("instance", "conversation") if name in event)
    moment = str(event.get("at", "")).partition("T")[2]
    name = cell(
        f"{event.get('event', ''):<18}",
        {"debug": "dim", "warning": "yellow", "error": "bold red"}.get(style, ""),
    )
    return Text("  ").join([cell(moment, "dim"), name, *(cell(words) for words in (place, rest) if words)])
