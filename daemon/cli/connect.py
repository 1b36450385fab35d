"""`majlis instance connect` and `rollback`: the webhook at the gateway, set to Majlis and given back."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Annotated, NamedTuple, TypeVar
from urllib.parse import quote

import typer

from daemon.cli.client import (
    FAILED,
    USAGE_ERROR,
    AdminClient,
    ConfigOption,
    Failure,
    JsonOption,
    SetOption,
    client_of,
    view,
)
from daemon.cli.instances import NameArgument, YesOption, restore
from daemon.cli.render import cell, count, display, facts, print_json, table
from daemon.operate.connections import (
    ConnectionView,
    ConnectView,
    DisconnectPage,
    DisconnectView,
    QrView,
    WebhookView,
)
from daemon.operate.qr import lines

POLL_SECONDS = 2.0
"""Between two looks: the gateway makes a new QR code about every 20 s, and a scanned one is noticed at once."""
EVENT_SECONDS = 30.0
"""How long an event is waited for after everything is set."""
PAIR_SECONDS = 180.0
"""How long a code is shown: by then the gateway has stopped making new ones."""
DRAIN_SECONDS = 120.0
T = TypeVar("T")
_DONE = ("given_back", "not_connected")
_CLEAR = "\x1b[H\x1b[2J"


class _Draining(NamedTuple):
    """Something that Majlis acknowledged and still has to do, in words."""

    left: Callable[[DisconnectView], int | None]
    noun: str
    goes_on: str
    done: str
    still: str


_ANSWERED = _Draining(
    lambda one: one.pending,
    "conversation",
    "Majlis answers what it has",
    "Majlis has nothing left to answer",
    "still to be answered by Majlis, which goes on with it",
)
_FORWARDED = _Draining(
    lambda one: one.forwards,
    "webhook",
    "Majlis forwards what it has",
    "Majlis has nothing left to forward",
    "still to be forwarded by Majlis, which goes on with it",
)


def connect(
    instance: NameArgument,
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where the gateway reaches Majlis, e.g. https://majlis.example.com/webhook/NAME. "
            "Default: as last time.",
        ),
    ] = None,
    gateway: Annotated[
        str | None, typer.Option(metavar="URL", help="Store this as the instance's gateway.base_url.")
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(metavar="-", help="`-`: ask for the gateway's key, and store it as gateway.api_key."),
    ] = None,
    yes: YesOption = False,
    test_message: Annotated[
        bool,
        typer.Option(
            "--test-message", help="Have the phone write to its own number: an event that proves the way."
        ),
    ] = False,
    phone: Annotated[
        str | None,
        typer.Option(metavar="NUMBER", help="The phone to pair: a code to type is shown as well."),
    ] = None,
    passthrough: Annotated[
        bool,
        typer.Option(
            "--passthrough",
            help="Put the instance into mode passthrough with it: the system that had its messages goes on answering.",
        ),
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Go on although the address cannot be proven from here, or nobody would answer in its mode.",
        ),
    ] = False,
    wait: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long an event is waited for at the end.")
    ] = EVENT_SECONDS,
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
    found = _post(client, f"{path}/connect", body)
    if not json:
        _show(found)
    if not (found.may_connect or force):
        if json:
            print_json(found)
        raise Failure(f"{instance} cannot be connected yet: see what is missing above")
    _ask(f"Set the webhook of {instance} to {found.shall.url}?", yes)
    done = _post(client, f"{path}/connect", {**body, "confirm": True, "seen": found.seen})
    if json:
        print_json(done)
    else:
        shown = {check.name: check for check in found.checks}
        _show_checks([check for check in done.checks if shown.get(check.name) != check])
    if not done.done:
        raise Failure(f"{instance} is not connected; see what is missing above")
    if json:
        return
    if done.can_pair:
        _pair(client, path, phone or "")
    _wait_for_event(client, path, before.events, wait)


def give_back(
    instance: str | None,
    every: bool,
    yes: bool,
    force: bool,
    wait: float,
    client: AdminClient,
    json: bool,
) -> None:
    """Give the webhook of one instance, or of all that are connected, back to where it was."""
    if (instance is None) == (not every):
        raise Failure("give the name of an instance, or --all", USAGE_ERROR)
    names = [instance] if instance is not None else []
    planned = _disconnect(client, names, confirm=False, force=force)
    todo = [one for one in planned if one.ended == "would_be"]
    if not json:
        _show_given_back(planned)
    if todo:
        _ask(f"Give back {count(len(todo), 'webhook')}?", yes)
        # What is forwarded later than what the gateway posts there itself would come out of its order.
        _drain(client, [one.instance for one in todo if one.forwards], wait, _FORWARDED)
        done = {one.instance: one for one in _disconnect(client, [one.instance for one in todo], True, force)}
        planned = [done.get(one.instance, one) for one in planned]
        if not json:
            _show_given_back(list(done.values()))
    if json:
        print_json({"instances": planned})
    failed = [one.instance for one in planned if one.ended not in _DONE]
    of_ours = [one.instance for one in planned if one.ended in _DONE]
    drained = json or not of_ours or _drain_all(client, of_ours, wait)
    if failed:
        raise Failure(f"not given back: {', '.join(failed)}; repeat it when the reason is mended")
    if not drained:
        raise typer.Exit(FAILED)


def rollback(
    instance: Annotated[str | None, typer.Argument(metavar="NAME", help="The instance.")] = None,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="VERSION", help="A version of the settings: its number, or `previous`."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every instance that is connected.")] = False,
    yes: YesOption = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Also where somebody has changed the webhook since: their change is overwritten."
        ),
    ] = False,
    wait: Annotated[
        float,
        typer.Option(
            min=0, metavar="SECONDS", help="How long to wait until everything acknowledged is answered."
        ),
    ] = DRAIN_SECONDS,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Go back: to an earlier version of the settings (--to), or to where the webhook was before `connect`.

    With --to, everything that is set for the instance is as it was in that version; this is a new version, and secrets
    stay as they are. Without it, the webhook at the gateway is given back: from that moment on new messages go where
    they went before; what Majlis has acknowledged, it answers, and the command waits until nothing is left.

    Example: majlis instance rollback acme --to previous

    Example: majlis instance rollback acme --to 12

    Example: majlis instance rollback acme

    Example: majlis instance rollback --all --yes
    """
    if to is not None:
        if instance is None or every:
            raise Failure("--to is for one instance: name it", USAGE_ERROR)
        restore(client_of(config, set_), instance, to, json)
        return
    give_back(instance, every, yes, force, wait, client_of(config, set_), json)


def _key(option: str | None) -> str:
    if option is None:
        return ""
    if option != "-":
        raise Failure("a key on the command line is seen by everybody here: write --api-key -", USAGE_ERROR)
    if sys.stdin.isatty():
        return str(typer.prompt("Key of the gateway", hide_input=True, err=True))
    return sys.stdin.readline().strip()


def _ask(question: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise Failure("nobody can be asked here: add --yes when this is what you want", USAGE_ERROR)
    if not typer.confirm(question, err=True):
        raise Failure("nothing was changed")


def _post(client: AdminClient, path: str, body: object) -> ConnectView:
    return view(client.post(path, body=body), ConnectView)


def _last(client: AdminClient, path: str) -> ConnectionView:
    return view(client.get(f"{path}/connection"), ConnectionView)


def _disconnect(
    client: AdminClient, names: Sequence[str], confirm: bool, force: bool
) -> list[DisconnectView]:
    """Request after request, until the daemon has come to all."""
    found: list[DisconnectView] = []
    left, asked = list(names), False
    while left or not asked:
        body = {"confirm": confirm, "force": force, "instances": left}
        page = view(client.post("/v1/disconnect", body=body), DisconnectPage)
        found, left, asked = found + page.instances, page.left, True
    return found


def _show(found: ConnectView) -> None:
    _show_checks(found.checks)
    rows = [("now", found.now), ("with Majlis", found.shall), ("given back later", found.former)]
    display("", facts([(name, _webhook(webhook)) for name, webhook in rows]))


def _show_checks(checks: Sequence[object]) -> None:
    shown = table("step", "state", "finding", folding=("finding",))
    for check in checks:
        detail, advice = getattr(check, "detail", ""), getattr(check, "advice", "")
        found = detail + (f"\n→ {advice}" if advice else "")
        shown.add_row(cell(getattr(check, "name", "")), cell(getattr(check, "state", "")), cell(found))
    display(shown)


def _show_given_back(instances: Sequence[DisconnectView]) -> None:
    shown = table("instance", "state", "finding", folding=("finding",))
    for one in instances:
        words = one.words
        if one.ended == "changed":
            words += (
                f"\nnow: {_webhook(one.now)}\nbefore Majlis: {_webhook(one.former)}"
                "\n→ --force restores the latter, and their change is gone."
            )
        style = {"given_back": "green", "changed": "bold red", "failed": "bold red"}.get(one.ended, "")
        state = "to give back" if one.ended == "would_be" else one.ended.replace("_", " ")
        shown.add_row(cell(one.instance), cell(state, style), cell(words))
    display(shown)


def _webhook(webhook: WebhookView | None) -> str:
    if webhook is None:
        return "none"
    words = [
        webhook.url,
        "" if webhook.enabled else "switched off",
        count(len(webhook.events), "event"),
        "by events" if webhook.by_events else "",
        "with media" if webhook.base64 else "",
        f"headers {', '.join(webhook.headers)} (hidden)" if webhook.headers else "",
    ]
    return "; ".join(filter(None, words))


def _pair(client: AdminClient, path: str, phone: str) -> None:
    """Show the code until the phone is paired; Ctrl-C ends it, and the webhook stays set."""
    if not sys.stdout.isatty():
        display("The phone is not paired: see its QR code in a terminal, or on the instance's page.")
        return
    until, shown = time.monotonic() + PAIR_SECONDS, ""
    while time.monotonic() < until:
        now = view(client.get(f"{path}/qr", {"phone": phone or None}), QrView)
        if now.phone == "open":
            sys.stdout.write(_CLEAR if shown else "")
            display("the phone is paired")
            return
        if now.code and now.code != shown:
            code = f"\nor type {now.pairing_code}" if now.pairing_code else ""
            sys.stdout.write(
                _CLEAR
                + "\n".join(lines(now.code))
                + f"\nScan it: WhatsApp, Linked devices, Link a device.{code}\n"
            )
            sys.stdout.flush()
            shown = now.code
        time.sleep(POLL_SECONDS)
    raise Failure("the phone was not paired; repeat the command for new codes")


def _wait_for_event(client: AdminClient, path: str, before: int, seconds: float) -> None:
    """An event of this very instance proves the way from the gateway to here."""
    found = _progress(
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


def _drain_all(client: AdminClient, names: Sequence[str], seconds: float) -> bool:
    until = time.monotonic() + seconds
    answered = _drain(client, names, seconds, _ANSWERED)
    return _drain(client, names, max(0.0, until - time.monotonic()), _FORWARDED) and answered


def _drain(client: AdminClient, names: Sequence[str], seconds: float, what: _Draining) -> bool:
    """Wait until nothing of these is left; says what is left where that takes too long."""

    def pending() -> dict[str, int | None]:
        # Of one that is given back this asks no gateway: only how much of it Majlis has left.
        found = _disconnect(client, names, confirm=False, force=False) if names else []
        return {one.instance: what.left(one) for one in found}

    if _progress(seconds, pending, lambda left: set(left.values()) <= {0}, what.goes_on) is not None:
        display(cell(what.done, "green"))
        return True
    left = ", ".join(
        f"{name}: {'not known' if number is None else count(number, what.noun)}"
        for name, number in pending().items()
        if number != 0
    )
    display(cell(f"{what.still}: {left}", "yellow"))
    return False


def _progress(seconds: float, look: Callable[[], T], is_done: Callable[[T], bool], words: str) -> T | None:
    """None: it did not come about in time."""
    until, said = time.monotonic() + seconds, False
    while not is_done(found := look()):
        left = until - time.monotonic()
        if left <= 0:
            return None
        sys.stderr.write(f"{words}, for at most {seconds:g} s …\n" if not said else "")
        said = True
        time.sleep(min(POLL_SECONDS, left))
    return found
