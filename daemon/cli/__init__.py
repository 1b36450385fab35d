"""The command line: `majlis`. One file per family of commands; this one names them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from actors.errors import MajlisError
from daemon import package_version
from daemon.cli import (
    act,
    cost,
    dashboard,
    dead,
    explain,
    flags,
    inside,
    knowledge,
    look,
    process,
    service,
    show,
    simulate,
    status,
    steer,
    top,
)
from daemon.cli.failure import BAD_CONFIG, FAILED, Failure
from daemon.config import ConfigError

HELP = """Hears a WhatsApp burst out, answers it once, and never loses a message it acknowledged.

Start it with `majlis run`; the other commands speak to the running daemon over its admin socket."""

app = typer.Typer(
    name="majlis",
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # paragraphs flow with the width of the terminal
)


def _print_version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"majlis {package_version()}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    pass


app.command("run")(process.run)
app.command("status")(status.status)
app.command("actors")(look.actors)
app.command("silent")(look.silent)
app.command("show")(show.show)
app.command("explain")(explain.explain)
app.command("cost")(cost.cost)
app.command("top")(top.top)
app.command("dashboard")(dashboard.dashboard)
app.command("tail")(act.tail)
app.command("flush")(act.flush)
app.command("pause")(act.pause)
app.command("resume")(act.resume)
app.command("reload")(act.reload)
app.command("drain")(steer.drain)
app.command("log-level")(steer.log_level)
app.command("leases")(inside.leases)
app.command("config")(inside.config)
app.command("tree")(inside.tree)
app.command("doctor")(process.doctor)
app.command("migrate")(process.migrate)
app.command("simulate")(simulate.simulate)
app.command("install-service")(service.install_service)

flag_commands = typer.Typer(invoke_without_command=True)
flag_commands.callback()(flags.list_flags)
flag_commands.command("set")(flags.set_flag)
flag_commands.command("clear")(flags.clear_flag)
app.add_typer(flag_commands, name="flags")

letters = typer.Typer(help="Dead letters: turns that ran out of tries or were refused.", no_args_is_help=True)
letters.command("list")(dead.list_dead_letters)
letters.command("show")(dead.show_dead_letter)
letters.command("retry")(dead.retry)
letters.command("drop")(dead.drop)
app.add_typer(letters, name="dead")

files = typer.Typer(help="Files whose words the responder is told.", no_args_is_help=True)
files.command("add")(knowledge.add)
files.command("list")(knowledge.list_files)
files.command("remove")(knowledge.remove)
app.add_typer(files, name="knowledge")

answers = typer.Typer(help="Answers that are kept and given again.", no_args_is_help=True)
answers.command("stats")(knowledge.cache_stats)
answers.command("clear")(knowledge.cache_clear)
app.add_typer(answers, name="cache")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit. An error is one sentence on standard error, never a traceback of ours."""
    try:
        app(args=None if arguments is None else list(arguments), prog_name="majlis")
    except ConfigError as error:
        _end(str(error), BAD_CONFIG)
    except Failure as failure:
        _end(str(failure), failure.exit_status)
    except MajlisError as error:
        _end(str(error), FAILED)
    raise SystemExit(0)


def _end(words: str, exit_status: int) -> NoReturn:
    sys.stderr.write("".join(f"majlis: {line}\n" for line in words.splitlines()))
    raise SystemExit(exit_status)
