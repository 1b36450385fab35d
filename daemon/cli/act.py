"""Commands that change something in the running daemon, and the one that watches it."""

from __future__ import annotations

import json as jsonlib
import sys

from rich.console import Console
from rich.text import Text

from daemon.admin import Flushed
from daemon.cli.client import conversation_path, view
from daemon.cli.failure import Failure
from daemon.cli.options import ConfigOption, ConversationArgument, JsonOption, SetOption, client_of
from daemon.cli.render import cell, count, display, print_json

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
