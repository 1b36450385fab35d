"""`majlis simulate`: a load test with simulated customers and a simulated gateway, and its report.

With `--policy` it compares policies of the window instead: `daemon/cli/policies.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from daemon.cli.client import FAILED, INTERRUPTED, NOT_RUNNING, USAGE_ERROR, Failure, JsonOption
from daemon.cli.policies import compare
from daemon.cli.render import print_json
from daemon.simulate import (
    POLICIES,
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
"""Messages per second: about one burst of messages every 15 s from each customer."""
_OWN_LISTEN, _LISTEN = "127.0.0.1:0", "127.0.0.1:8085"


class ReplyCheck(StrEnum):
    ECHO = "echo"
    ANY = "any"


_OF_POLICIES = frozenset({"policy", "model_seconds", "presence", "turns"})
_OF_BOTH = frozenset({"seed", "json"})
_COMPARISON = "Compare policies"


def simulate(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A running daemon to test. Default: a temporary daemon of its own."),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help=f"Where the simulated gateway listens. Default with --url: {_LISTEN}.",
        ),
    ] = None,
    instance: Annotated[
        str, typer.Option(metavar="NAME", help="The instance that the messages go to.")
    ] = "demo",
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN",
            envvar="SIMULATE_TOKEN",
            help="The running daemon's ingress.auth token; sent as `apikey`.",
        ),
    ] = None,
    customers: Annotated[
        int,
        typer.Option(
            min=1, max=1_000_000, metavar="N", help="Number of customers, each in a conversation of its own."
        ),
    ] = 50,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            metavar="MINUTES",
            help="How long the customers write. Default: 1, unless --messages is given.",
        ),
    ] = None,
    messages: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Number of messages to send, instead of --minutes.")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            metavar="RATE",
            help="Messages per second, all customers together. Default: 0.2 per customer.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Random seed: the same seed sends the same messages.")
    ] = 1,
    duplicates: Annotated[
        float,
        typer.Option(
            min=0, max=1, metavar="SHARE", help="Share of messages (0 to 1) that are delivered twice."
        ),
    ] = 0.05,
    late: Annotated[
        float,
        typer.Option(
            min=0, max=1, metavar="SHARE", help="Share of messages that arrive late, after newer ones."
        ),
    ] = 0.03,
    media: Annotated[
        float, typer.Option(min=0, max=1, metavar="SHARE", help="Share of images, voice notes and documents.")
    ] = 0.1,
    during_answer: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            metavar="SHARE",
            help="Share of bursts with one more message while the answer is made.",
        ),
    ] = 0.2,
    responder: Annotated[
        ReplyCheck,
        typer.Option(
            help="echo: check that replies repeat the texts (kind: rehearsal). any: check only that a reply arrives."
        ),
    ] = ReplyCheck.ECHO,
    patience: Annotated[
        float,
        typer.Option(
            min=0.1, metavar="SECONDS", help="Seconds after which an unanswered message counts as lost."
        ),
    ] = 60.0,
    retry_scale: Annotated[
        float,
        typer.Option(
            min=0.001,
            metavar="FACTOR",
            help="Factor for the gateway's retry delays of 5, 10, 20, … s.",
        ),
    ] = 0.1,
    connections: Annotated[
        int, typer.Option(min=1, max=1024, metavar="N", help="Maximum number of connections to the daemon.")
    ] = 32,
    kill: Annotated[
        bool,
        typer.Option("--kill", help="Kill the temporary daemon (SIGKILL) halfway through and restart it."),
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            metavar="KEY=VALUE",
            help="Override one setting of the temporary daemon. Repeatable.",
        ),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="POLICY",
            help=f"{POLICIES}. Repeatable. Plays no customers.",
            rich_help_panel=_COMPARISON,
        ),
    ] = None,
    model_seconds: Annotated[
        float,
        typer.Option(
            min=0,
            max=600,
            metavar="SECONDS",
            help="How long the model takes.",
            rich_help_panel=_COMPARISON,
        ),
    ] = 3.0,
    presence: Annotated[
        float,
        typer.Option(
            min=0,
            max=100,
            metavar="PERCENT",
            help="Of how many people the gateway tells that they type.",
            rich_help_panel=_COMPARISON,
        ),
    ] = 0.0,
    turns: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Turns of real people, as docs/simulate.md says. Default: people drawn by --seed.",
            rich_help_panel=_COMPARISON,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Load-test Majlis: simulated customers write, a simulated gateway receives the replies.

    At the end every message is checked against the replies. Without --url it starts a temporary daemon of its own and
    removes it afterwards.

    Exit status 1 if anything was lost, doubled or out of order. Ctrl-C prints the report so far, with status 130.

    With --policy: how often a policy of the window answers people before they have finished, and how long they wait.
    It takes seconds and needs neither daemon nor stores.

    Example: majlis simulate --customers 500 --minutes 5 --kill

    Example: majlis simulate --policy rule --policy quiet:10 --presence 50
    """
    _refuse_mixture(context, is_comparison=bool(policy))
    if policy:
        compare(policy, model_seconds, presence, turns, seed, json)
        return
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
    _report(plan, outcome, json)
    if outcome.signal_number is not None:
        raise typer.Exit(INTERRUPTED)
    if outcome.report is None or not outcome.report.is_faultless:
        raise typer.Exit(FAILED)


def _refuse_mixture(context: typer.Context, is_comparison: bool) -> None:
    """What only the one of the two does is no option of the other."""
    for name in context.params:
        foreign = name not in _OF_POLICIES if is_comparison else name in _OF_POLICIES
        if name in _OF_BOTH or not foreign:
            continue
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = "--" + name.strip("_").replace("_", "-")
            sentence = "does not go with --policy" if is_comparison else "needs --policy"
            raise Failure(f"{option} {sentence}", USAGE_ERROR)


def _refuse_contradictions(
    url: str | None, minutes: float | None, messages: int | None, kill: bool, set_: list[str] | None
) -> None:
    if minutes is not None and messages is not None:
        raise Failure("give --minutes or --messages, not both", USAGE_ERROR)
    if url is not None and (kill or set_):
        option = "--kill" if kill else "--set"
        raise Failure(
            f"{option} applies to the temporary daemon only: leave out {option} or --url", USAGE_ERROR
        )


def _rehearsed(plan: Plan) -> RehearsalResult:
    try:
        with _progress() as show:
            return rehearse(plan, show)
    except CannotRehearse as error:
        raise Failure(str(error), FAILED if error.is_running else NOT_RUNNING) from None
    except ValueError as error:
        raise Failure(f"--url or --token: {error}", USAGE_ERROR) from None


@contextmanager
def _progress() -> Iterator[Callable[[RehearsalProgress], None]]:
    """A progress bar if standard error is a terminal, otherwise nothing."""
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


def _report(plan: Plan, outcome: RehearsalResult, json: bool) -> None:
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
        return "No reply arrived.\n"
    if not report.acknowledged:
        return "The daemon accepted no message: its answers are listed above. If ingress.auth is set, pass --token.\n"
    return (
        "No reply arrived. The daemon must send through this simulated gateway and know the instance:\n\n"
        f"  gateway:\n    kind: evolution\n    base_url: {gateway_url}\n    api_key: rehearsal\n"
        f"  instances:\n    {plan.instance}: {{}}\n"
        "  responder:\n    providers: [{name: rehearsal, kind: rehearsal}]   # or another one, with --responder any\n\n"
        "Put this into its settings, restart it, and run the simulation again.\n"
    )
