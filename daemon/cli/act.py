"""Commands that change something in the running daemon, and the one that watches it."""

from __future__ import annotations

import json as jsonlib
import sys
from typing import Annotated
from urllib.parse import quote

import typer
from rich.console import Console
from rich.text import Text

from daemon.cli.client import conversation_path, view
from daemon.cli.failure import BAD_CONFIG as BAD_COMMAND
from daemon.cli.failure import Failure
from daemon.cli.options import ConfigOption, JsonOption, SetOption, client_of
from daemon.cli.render import cell, count, display, moment, print_json
from daemon.operate.control import Reloaded
from daemon.operate.conversations import Flushed
from daemon.operate.instances import InstanceFlushed, InstancePause, InstanceResumed
from daemon.operate.takeovers import TakeoverBegun, TakeoverEnded

MaybeConversation = Annotated[
    str | None,
    typer.Argument(
        metavar="CONVERSATION",
        help="Its label from the logs or `majlis actors`, or INSTANCE/PHONE, e.g. acme/551199990000.",
    ),
]
InstanceOption = Annotated[
    str | None, typer.Option("--instance", "-i", metavar="NAME", help="A whole instance instead.")
]
AllOption = Annotated[bool, typer.Option("--all", help="Every instance instead.")]
_LEADING = ("seq", "at", "level", "event", "instance", "conversation")


def flush(
    conversation: MaybeConversation = None,
    instance: InstanceOption = None,
    all_: AllOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Close a conversation's window now, or every window of an instance, or of all.

    What waits is answered without waiting for more. What was put off after a failure is tried again now.

    Example: majlis flush acme/551199990000

    Example: majlis flush --instance acme
    """
    document = client_of(config, set_).post(f"{_path(conversation, instance, all_)}/flush")
    if json:
        print_json(document)
        return
    if conversation is None:
        all_flushed = view(document, InstanceFlushed)
        what = (
            f"{count(all_flushed.messages, 'message')} in {count(all_flushed.conversations, 'conversation')}"
        )
        display(cell(f"{all_flushed.instance or 'all instances'}: {what} will be answered now"))
        return
    flushed = view(document, Flushed)
    display(cell(f"{flushed.conversation}: {count(flushed.messages, 'message')} will be answered now"))


def pause(
    conversation: MaybeConversation = None,
    instance: InstanceOption = None,
    all_: AllOption = False,
    seconds: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=2_592_000,
            help="How long. Default: of a conversation the instance's takeover.pause_seconds, or 4 hours where "
            "that is 0; of an instance or all until `majlis resume`.",
        ),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Silence in one conversation, as when a person takes over; or no turn of an instance, or of any, begins.

    In a conversation: what the customer writes meanwhile is kept as history and not answered later. The same happens
    by itself when somebody of the business writes in the chat.

    Of an instance or of all: messages are acknowledged and wait, turns that run are finished, and what waits is
    answered after the pause. It holds for every daemon on this database and survives a restart.

    `majlis resume` ends each of them.

    Example: majlis pause acme/551199990000 --seconds 3600

    Example: majlis pause --instance acme
    """
    path = f"{_path(conversation, instance, all_)}/pause"
    document = client_of(config, set_).post(path, {"seconds": seconds})
    if json:
        print_json(document)
        return
    if conversation is None:
        held = view(document, InstancePause)
        whose, stood = held.instance or "all instances", held.stood_until
        before = "" if stood is None else f"; before this it was {_until(stood)}"
        display(cell(f"{whose}: no turn begins {_until(held.until)}; messages are kept and wait{before}"))
        return
    paused = view(document, TakeoverBegun)
    stays = ": a pause that is no shorter stood already, `majlis resume` ends it" if paused.stood else ""
    display(cell(f"{paused.conversation}: Majlis is silent {_until(paused.until)}{stays}"))


def _until(end: str) -> str:
    return f"until {moment(end)} UTC" if end else "until you resume it"


def resume(
    conversation: MaybeConversation = None,
    instance: InstanceOption = None,
    all_: AllOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Majlis answers again: in a conversation that was escalated or taken over, or of instances that were paused.

    In a conversation: what came before is context for the next answer, not a task. Also wakes one that is parked or
    held, as `majlis flush` does.

    Example: majlis resume acme/551199990000

    Example: majlis resume --instance acme
    """
    document = client_of(config, set_).post(f"{_path(conversation, instance, all_)}/resume")
    if json:
        print_json(document)
        return
    if conversation is None:
        whose = view(document, InstanceResumed).instance
        display(cell(f"{whose or 'all instances'}: turns begin again"))
        return
    resumed = view(document, TakeoverEnded)
    display(cell(f"{resumed.conversation}: {_what_ended(resumed)}"))


def _path(conversation: str | None, instance: str | None, all_: bool) -> str:
    """Whom it is about: just one of the three."""
    if sum((conversation is not None, instance is not None, all_)) != 1:
        raise Failure("say which: a conversation, or --instance NAME, or --all", BAD_COMMAND)
    if conversation is not None:
        return conversation_path(conversation)
    return f"/v1/instances/{quote(instance, safe='')}" if instance is not None else "/v1"


def _what_ended(resumed: TakeoverEnded) -> str:
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


def tail(
    instance: Annotated[
        list[str] | None, typer.Option("--instance", "-i", metavar="NAME", help="Only these. Repeatable.")
    ] = None,
    conversation: Annotated[
        list[str] | None,
        typer.Option(metavar="CONVERSATION", help="Only these: a label, or INSTANCE/PHONE. Repeatable."),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(metavar="EVENT", help="Only these: turn.done, say, or all of turn. Repeatable."),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Watch events as they happen, until Ctrl-C.

    No phone numbers, no texts. Events below the log level are shown too.

    Example: majlis tail --instance acme --kind turn --kind part.sent

    Example: majlis tail --json | jq 'select(.event == "turn.dead")'
    """
    out = Console(file=sys.stdout, highlight=False)
    filters = {"instance": instance, "conversation": conversation, "kind": kind}
    query = {name: ",".join(words) for name, words in filters.items() if words}
    for line in client_of(config, set_).lines("/v1/tail", query):  # Ctrl-C ends it quietly, with status 130
        if json:
            sys.stdout.write(line + "\n")
        else:
            out.print(_event_line(jsonlib.loads(line)), soft_wrap=True)
        sys.stdout.flush()
    raise Failure("the daemon ended the stream: it is stopping, or this reader was too slow")


def _event_line(event: dict[str, object]) -> Text:
    level = str(event.get("level", "info"))
    style = "" if level == "info" else level
    # A line stays one: `--json` has what is nested, as a turn's waterfall.
    told = {name: value for name, value in event.items() if not isinstance(value, dict)}
    rest = " ".join(f"{name}={_said(value)}" for name, value in told.items() if name not in _LEADING)
    place = " ".join(str(event[name]) for name in ("instance", "conversation") if name in event)
    moment = str(event.get("at", "")).partition("T")[2]
    name = cell(
        f"{event.get('event', ''):<18}",
        {"debug": "dim", "warning": "yellow", "error": "bold red"}.get(style, ""),
    )
    return Text("  ").join([cell(moment, "dim"), name, *(cell(words) for words in (place, rest) if words)])


def _said(value: object) -> str:
    return ",".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
