"""`majlis instance connect`: the webhook at the gateway, set to Majlis and proven."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import quote

import typer

from daemon.cli.asking import YesOption, ask
from daemon.cli.client import (
    USAGE_ERROR,
    AdminClient,
    ConfigOption,
    Failure,
    JsonOption,
    SetOption,
    client_of,
    view,
)
from daemon.cli.instances import NameArgument
from daemon.cli.pairing import pair
from daemon.cli.render import cell, display, facts, print_json, table
from daemon.cli.rollback import webhook_words
from daemon.cli.waiting import progress
from daemon.operate.connection_views import ConnectionView, ConnectView

EVENT_SECONDS = 30.0
"""How long an event is waited for after everything is set."""


UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="Where the gateway reaches Majlis, e.g. https://majlis.example.com/webhook/NAME. Default: as last time.",
    ),
]
GatewayOption = Annotated[
    str | None,
    typer.Option("--gateway", metavar="URL", help="Store this as the instance's gateway.base_url."),
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--api-key", metavar="-", help="`-`: ask for the gateway's key, and store it as gateway.api_key."
    ),
]
TestMessageOption = Annotated[
    bool,
    typer.Option(
        "--test-message", help="Have the phone write to its own number: an event that proves the way."
    ),
]
PhoneOption = Annotated[
    str | None,
    typer.Option("--phone", metavar="NUMBER", help="The phone to pair: a code to type is shown as well."),
]
PassthroughOption = Annotated[
    bool,
    typer.Option(
        "--passthrough",
        help="Put the instance into mode passthrough with it: the system that had its messages goes on answering.",
    ),
]
ForceOption = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Go on although the address cannot be proven from here, or nobody would answer in its mode.",
    ),
]
WaitOption = Annotated[
    float,
    typer.Option("--wait", min=0, metavar="SECONDS", help="How long an event is waited for at the end."),
]


def connect(
    instance: NameArgument,
    url: UrlOption = None,
    gateway: GatewayOption = None,
    api_key: KeyOption = None,
    yes: YesOption = False,
    test_message: TestMessageOption = False,
    phone: PhoneOption = None,
    passthrough: PassthroughOption = False,
    force: ForceOption = False,
    wait: WaitOption = EVENT_SECONDS,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Set the webhook of an instance at its gateway to Majlis, prove the way, and pair the phone if it is not.

    Shows first what is there, and asks. The former webhook is remembered; `majlis instance rollback NAME` restores it,
    and `majlis instance set NAME mode=passthrough` forwards to it what comes.

    Example: majlis instance connect acme --url https://majlis.example.com/webhook/acme
    """
    client = client_of(config, set_)
    path = f"/v1/instances/{quote(instance, safe='')}"
    body: dict[str, object] = {"url": url or "", "gateway": gateway or "", "api_key": _key(api_key)}
    body |= {"force": force, "test_message": test_message, "passthrough": passthrough}
    before = _last(client, path)
    done = _set(client, path, body, yes, json)
    if not done.done:
        raise Failure(f"{instance} is not connected. {done.words}")
    if json:
        return
    if done.can_pair:
        pair(client, path, phone or "")
    _wait_for_event(client, path, before.events, wait)


def _set(client: AdminClient, path: str, body: dict[str, object], yes: bool, json: bool) -> ConnectView:
    """Show what would be done, ask, and do it."""
    found = _post(client, f"{path}/connect", body)
    if not json:
        _show(found)
    if not (found.may_connect or body["force"]):
        if json:
            print_json(found)
        raise Failure(f"{found.instance} cannot be connected yet. {found.words}")
    if not yes:
        ask(f"Set the webhook of {found.instance} to {found.shall.url}?")
    done = _post(client, f"{path}/connect", {**body, "confirm": True, "seen": found.seen})
    if json:
        print_json(done)
    else:
        shown = {check.name: check for check in found.checks}
        _show_checks([check for check in done.checks if shown.get(check.name) != check])
    return done


def _key(option: str | None) -> str:
    if option is None:
        return ""
    if option != "-":
        raise Failure("a key on the command line is seen by everybody here: write --api-key -", USAGE_ERROR)
    if sys.stdin.isatty():
        return str(typer.prompt("Key of the gateway", hide_input=True, err=True))
    return sys.stdin.readline().strip()


def _post(client: AdminClient, path: str, body: object) -> ConnectView:
    return view(client.post(path, body=body), ConnectView)


def _last(client: AdminClient, path: str) -> ConnectionView:
    return view(client.get(f"{path}/connection"), ConnectionView)


def _show(found: ConnectView) -> None:
    _show_checks(found.checks)
    rows = [("now", found.now), ("with Majlis", found.shall), ("given back later", found.former)]
    display("", facts([(name, webhook_words(webhook)) for name, webhook in rows]))


def _show_checks(checks: Sequence[object]) -> None:
    shown = table("step", "state", "finding", folding=("finding",))
    for check in checks:
        detail, advice = getattr(check, "detail", ""), getattr(check, "advice", "")
        found = detail + (f"\n→ {advice}" if advice else "")
        shown.add_row(cell(getattr(check, "name", "")), cell(getattr(check, "state", "")), cell(found))
    display(shown)


def _wait_for_event(client: AdminClient, path: str, before: int, seconds: float) -> None:
    """An event of this very instance proves the way from the gateway to here."""
    found = progress(
        seconds, lambda: _last(client, path), lambda now: now.events > before, "waiting for an event of it"
    )
    if found is not None:
        display(cell(f"it works: {found.last_event} came", "green"))
        return
    display(
        cell(
            "no event came yet through this daemon's door. The next message proves the way; --test-message has the "
            "phone write to its own number.",
            "yellow",
        )
    )
