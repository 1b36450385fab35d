"""`majlis forwards`: webhooks of instances in mode `passthrough` that wait to be forwarded, or could not be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table

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
from daemon.operate.forwards import (
    ForwardDropped,
    ForwardPage,
    ForwardQueue,
    ForwardsQuery,
    ForwardsRetried,
    ForwardView,
)
from daemon.operate.parameters import MAX_ID

ForwardArgument = Annotated[
    int, typer.Argument(metavar="NUMBER", min=1, max=MAX_ID, help="Its number in `majlis forwards`.")
]


def list_forwards(
    context: typer.Context,
    instance: Annotated[
        str | None, option(ForwardsQuery, "instance", "--instance", "-i", metavar="NAME")
    ] = None,
    dead: Annotated[bool, option(ForwardsQuery, "dead", "--dead")] = False,
    limit: LimitOption = LISTED,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """List webhooks of mode passthrough that wait to be forwarded or could not be; `retry` and `drop` change that.

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
        display(_queues(page.queues), "")
    if page.webhooks:
        display(_webhooks(page.webhooks))
    waiting, gone = sum(queue.waiting for queue in page.queues), sum(queue.dead for queue in page.queues)
    advice = ": majlis forwards retry NUMBER, or drop NUMBER" if gone else ""
    display(cell(f"{count(waiting, 'webhook')} waiting to be forwarded, {gone:,} dead{advice}", "dim"))


def _queues(queues: Sequence[ForwardQueue]) -> Table:
    shown = table("instance", "waiting", "MB", "oldest", "next attempt", "dead", right=("waiting", "MB"))
    for queue in queues:
        size = f"{queue.waiting_bytes / 1e6:.1f}"
        oldest = "-" if queue.oldest_seconds is None else duration(queue.oldest_seconds)
        cells = (queue.instance, queue.waiting, size, oldest, _next_attempt(queue), queue.dead)
        shown.add_row(*map(cell, cells))
    return shown


def _next_attempt(queue: ForwardQueue) -> str:
    if not queue.waiting:
        return "-"
    return f"in {duration(queue.rests_seconds)}" if queue.rests_seconds else "now"


def _webhooks(webhooks: Sequence[ForwardView]) -> Table:
    columns = ("number", "heard (UTC)", "instance", "event", "state", "tries", "reason")
    shown = table(*columns, right=("number", "tries"))
    for one in webhooks:
        heard, event, why = moment(one.heard_at), one.event or "-", one.reason or "-"
        shown.add_row(*map(cell, (one.id, heard, one.instance, event, one.state, one.tries, why)))
    return shown


def retry(
    number: Annotated[
        int | None,
        typer.Argument(metavar="NUMBER", min=1, max=MAX_ID, help="Its number in `majlis forwards --dead`."),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Forward every dead one after all.")] = False,
    instance: Annotated[
        str | None,
        typer.Option("--instance", "-i", metavar="NAME", help="With --all: only those of this instance."),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Forward a dead webhook after all. It has its old place: it leaves before those that came later.

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
