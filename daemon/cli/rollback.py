"""`majlis instance rollback`: the webhook at the gateway given back, or the settings of an earlier version."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Annotated, NamedTuple

import typer

from daemon.cli.asking import YesOption, ask
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
from daemon.cli.instances import restore
from daemon.cli.render import cell, count, display, print_json, table
from daemon.cli.waiting import progress
from daemon.operate.connection_views import DisconnectPage, DisconnectView, WebhookView

DRAIN_SECONDS = 120.0
_DONE = ("given_back", "not_connected")


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
        restore(client_of(config, set_), instance, to, yes, json)
        return
    give_back(instance, every, yes, force, wait, client_of(config, set_), json)


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
        if not yes:
            ask(f"Give back {count(len(todo), 'webhook')}?")
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


def _show_given_back(instances: Sequence[DisconnectView]) -> None:
    shown = table("instance", "state", "finding", folding=("finding",))
    for one in instances:
        words = one.words
        if one.ended == "changed":
            words += (
                f"\nnow: {webhook_words(one.now)}\nbefore Majlis: {webhook_words(one.former)}"
                "\n→ --force restores the latter, and their change is gone."
            )
        style = {"given_back": "green", "changed": "bold red", "failed": "bold red"}.get(one.ended, "")
        state = "to give back" if one.ended == "would_be" else one.ended.replace("_", " ")
        shown.add_row(cell(one.instance), cell(state, style), cell(words))
    display(shown)


def webhook_words(webhook: WebhookView | None) -> str:
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

    if progress(seconds, pending, lambda left: set(left.values()) <= {0}, what.goes_on) is not None:
        display(cell(what.done, "green"))
        return True
    left = ", ".join(
        f"{name}: {'not known' if number is None else count(number, what.noun)}"
        for name, number in pending().items()
        if number != 0
    )
    display(cell(f"{what.still}: {left}", "yellow"))
    return False
