"""`majlis forwards`: webhooks of instances in mode `passthrough` that wait to be forwarded, or could not be."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.client import (
    LISTED,
    USAGE_ERROR,
    ConfigOption,
    Failure,
    JsonOption,
    LimitOption,
    SetOption,
    client_of,
    option,
    view,
)
from daemon.cli.render import cell, count, display, duration, moment, print_json, table
from daemon.operate.forwards import ForwardDropped, ForwardPage, ForwardsQuery, ForwardsRetried
from daemon.operate.parameters import MAX_ID

ForwardArgument = Annotated[
    int, typer.Argument(metavar="NUMBER", min=1, max=MAX_ID, help="Its number in `majlis forwards`.")
]
OfInstanceOption = Annotated[
    str | None, option(ForwardsQuery, "instance", "--instance", "-i", metavar="NAME")
]


def list_forwards(
    context: typer.Context,
    instance: OfInstanceOption = None,
    dead: Annotated[bool, option(ForwardsQuery, "dead", "--dead")] = False,
    limit: LimitOption = LISTED,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """List webhooks that wait to be forwarded or could not be, and change that with `retry` and `drop`.

    Example: majlis forwards

    Example: majlis forwards --dead --instance acme

    Example: majlis forwards retry 17
    """
    if context.invoked_subcommand is not None:
        if instance or dead or config or set_ or json:
            command = f"majlis forwards {context.invoked_subcommand}"
            raise Failure(f"write options after the subcommand: {command} … --config FILE", USAGE_ERROR)
        return
    asked = {"instance": instance, "dead": dead, "limit": limit}
    document = client_of(config, set_).get("/v1/forwards", asked)
    if json:
        print_json(document)
        return
    page = view(document, ForwardPage)
    if page.queues:
        queues = table(
            "instance", "waiting", "MB", "the first for", "next attempt", "dead", right=("waiting", "MB")
        )
        for queue in page.queues:
            rests = (
                f"in {duration(queue.rests_seconds)}"
                if queue.rests_seconds
                else "now"
                if queue.waiting
                else "-"
            )
            oldest = "-" if queue.oldest_seconds is None else duration(queue.oldest_seconds)
            cells = (
                queue.instance,
                queue.waiting,
                f"{queue.waiting_bytes / 1e6:.1f}",
                oldest,
                rests,
                queue.dead,
            )
            queues.add_row(*map(cell, cells))
        display(queues, "")
    if page.webhooks:
        shown = table(
            "number",
            "heard (UTC)",
            "instance",
            "event",
            "state",
            "tries",
            "reason",
            right=("number", "tries"),
        )
        for one in page.webhooks:
            what, why = one.event or "-", one.reason or "-"
            row = (one.id, moment(one.heard_at), one.instance, what, one.state, one.tries, why)
            shown.add_row(*(cell(item) for item in row))
        display(shown)
    waiting, gone = sum(queue.waiting for queue in page.queues), sum(queue.dead for queue in page.queues)
    advice = ": majlis forwards retry NUMBER, or drop NUMBER" if gone else ""
    display(cell(f"{count(waiting, 'webhook')} waiting to be forwarded, {gone:,} dead{advice}", "dim"))


def retry(
    number: Annotated[
        int | None,
        typer.Argument(metavar="NUMBER", min=1, max=MAX_ID, help="Its number in `majlis forwards --dead`."),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Forward every dead one after all.")] = False,
    instance: OfInstanceOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Forward a dead webhook after all, before those that came later.

    Example: majlis forwards retry 17

    Example: majlis forwards retry --all --instance acme
    """
    if (number is None) != all_ or (number is not None and instance):
        raise Failure(
            "give a number or --all: majlis forwards retry NUMBER, or majlis forwards retry --all",
            USAGE_ERROR,
        )
    client = client_of(config, set_)
    if number is None:
        document = client.post("/v1/forwards/retry-all", {"instance": instance} if instance else {})
    else:
        document = client.post(f"/v1/forwards/{number}/retry")
    if json:
        print_json(document)
        return
    display(cell(f"{count(view(document, ForwardsRetried).retried, 'webhook')} queued to be forwarded"))


def drop(
    number: ForwardArgument,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Throw a webhook away for good, whether it waits or is dead. Nothing of it is kept.

    Example: majlis forwards drop 17
    """
    document = client_of(config, set_).post(f"/v1/forwards/{number}/drop")
    if json:
        print_json(document)
        return
    display(cell(f"webhook {view(document, ForwardDropped).dropped} dropped"))
