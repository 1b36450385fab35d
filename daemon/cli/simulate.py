"""`majlis simulate`: a rehearsal with many customers, and the report of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from daemon.cli.failure import BAD_CONFIG, FAILED, NOT_RUNNING, Failure
from daemon.cli.options import JsonOption
from daemon.cli.render import print_json
from daemon.simulate import (
    CannotRehearse,
    Extent,
    Plan,
    RehearsalProgress,
    RehearsalResult,
    Report,
    Shares,
    rehearse,
    text_of,
)

DEFAULT_MINUTES = 1.0
DEFAULT_RATE_PER_CUSTOMER = 0.2
"""Messages a second: a burst every quarter of a minute, for each live conversation."""
_INTERRUPTED = 130
_OWN_LISTEN, _LISTEN = "127.0.0.1:0", "127.0.0.1:8085"


class ResponderMode(StrEnum):
    ECHO = "echo"
    ANY = "any"


def simulate(
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="A running daemon to play against. Default: one of its own, thrown away."
        ),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help=f"Where the simulated gateway listens. With --url the default is {_LISTEN}.",
        ),
    ] = None,
    instance: Annotated[str, typer.Option(metavar="NAME", help="The instance that is written to.")] = "demo",
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN",
            envvar="SIMULATE_TOKEN",
            help="For ingress.auth of the running daemon; sent as `apikey`.",
        ),
    ] = None,
    customers: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="How many people write, each in a conversation.")
    ] = 50,
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="How long they write. Default: 1, unless --messages.")
    ] = None,
    messages: Annotated[
        int | None, typer.Option(min=1, help="How many messages they write, instead of --minutes.")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0.001, help="Messages per second of all together. Default: 0.2 for each customer."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed writes the same messages again.")] = 1,
    duplicates: Annotated[
        float, typer.Option(min=0, max=1, help="Share of messages that the gateway delivers twice.")
    ] = 0.05,
    late: Annotated[
        float, typer.Option(min=0, max=1, help="Share of messages that a retry brings after later ones.")
    ] = 0.03,
    media: Annotated[
        float, typer.Option(min=0, max=1, help="Share of images, voice notes and documents.")
    ] = 0.1,
    during_answer: Annotated[
        float, typer.Option(min=0, max=1, help="Share of bursts with one more message during the answer.")
    ] = 0.2,
    responder: Annotated[
        ResponderMode,
        typer.Option(
            help="echo: replies repeat the texts (rehearsal). any: only that a reply came is checked."
        ),
    ] = ResponderMode.ECHO,
    patience: Annotated[
        float, typer.Option(min=0.1, help="Seconds after which an unanswered message counts as lost.")
    ] = 60.0,
    retry_scale: Annotated[
        float, typer.Option(min=0.001, help="The gateway's retries after 5, 10, 20, … s, times this.")
    ] = 0.1,
    connections: Annotated[
        int, typer.Option(min=1, max=1024, help="Connections to the daemon, at most.")
    ] = 32,
    kill: Annotated[
        bool,
        typer.Option("--kill", help="Kill the throw-away daemon (SIGKILL) in the middle and start it again."),
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", "-s", metavar="KEY=VALUE", help="One setting of the throw-away daemon. Repeatable."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Rehearse: many customers write, a simulated gateway takes the replies, and the books are compared.

    Without --url it needs nothing: it starts a daemon of its own and throws it away.

    Exit status 1 when anything was lost, doubled or out of order. Ctrl-C: the report so far, status 130.

    Example: majlis simulate --customers 500 --minutes 5 --kill
    """
    _refuse_contradictions(url, minutes, messages, kill, set_)
    plan = Plan(
        customers=customers,
        extent=Extent(messages=messages) if messages else Extent(seconds=60 * (minutes or DEFAULT_MINUTES)),
        rate=rate or DEFAULT_RATE_PER_CUSTOMER * customers,
        seed=seed,
        shares=Shares(duplicates, late, media, during_answer),
        responder=responder.value,
        patience_seconds=patience,
        retry_scale=retry_scale,
        connections=connections,
        kill=kill,
        url=url,
        listen=listen or (_LISTEN if url else _OWN_LISTEN),
        instance=instance,
        token=token,
        settings=tuple(set_ or ()),
    )
    outcome = _rehearsed(plan)
    _tell(plan, outcome, json)
    if outcome.signal_number is not None:
        raise typer.Exit(_INTERRUPTED)
    if outcome.report is None or not outcome.report.is_faultless:
        raise typer.Exit(FAILED)


def _refuse_contradictions(
    url: str | None, minutes: float | None, messages: int | None, kill: bool, set_: list[str] | None
) -> None:
    if minutes is not None and messages is not None:
        raise Failure("give --minutes or --messages, not both", BAD_CONFIG)
    if url is not None and (kill or set_):
        what = "--kill" if kill else "--set"
        raise Failure(f"{what} is for the throw-away daemon: leave it or --url out", BAD_CONFIG)


def _rehearsed(plan: Plan) -> RehearsalResult:
    try:
        with _progress() as show:
            return rehearse(plan, show)
    except CannotRehearse as error:
        raise Failure(str(error), FAILED if error.is_running else NOT_RUNNING) from None
    except ValueError as error:
        raise Failure(f"--url or --token: {error}", BAD_CONFIG) from None


@contextmanager
def _progress() -> Iterator[Callable[[RehearsalProgress], None]]:
    """A bar on a terminal's standard error; nothing elsewhere."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[counts]}"),
        TimeElapsedColumn(),
    )
    with Bar(
        *columns, console=console, auto_refresh=False, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("starting", total=1.0, counts="")

        def show(now: RehearsalProgress) -> None:
            counts = f"{now.sent:,} sent, {now.answered:,} answered, {now.waiting:,} waiting"
            bar.update(task, description=now.stage, completed=now.begun, counts=counts, refresh=True)

        yield show


def _tell(plan: Plan, outcome: RehearsalResult, json: bool) -> None:
    report = outcome.report
    if json:
        print_json(msgspec.to_builtins(report))
    elif report is not None:
        sys.stdout.write(text_of(report) + "\n")
    if outcome.kept_directory is not None:
        sys.stderr.write(f"The daemon's log and data are kept in {outcome.kept_directory}\n")
    if report is not None and report.sent and not report.replies:
        sys.stderr.write(_no_reply(plan, report, outcome.gateway_url))


def _no_reply(plan: Plan, report: Report, gateway_url: str) -> str:
    if plan.url is None:
        return "No reply came.\n"
    if not report.acknowledged:
        return "The daemon took no message: see above what it answered; --token gives the token of ingress.auth.\n"
    return (
        "No reply came. The daemon must answer through this simulator, and know the instance:\n\n"
        f"  gateway:\n    kind: evolution\n    base_url: {gateway_url}\n    api_key: rehearsal\n"
        f"  instances:\n    {plan.instance}: {{}}\n"
        "  responder:\n    providers: [{name: rehearsal, kind: rehearsal}]   # or another one, with --responder any\n\n"
        "Set this, start it again, and rehearse again.\n"
    )
