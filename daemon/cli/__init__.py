"""The command line: `majlis`. One file per family of commands; this one names them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from actors.errors import MajlisError
from daemon import package_version
from daemon.cli import act, dead, look, process
from daemon.cli.failure import BAD_CONFIG, FAILED, Failure
from daemon.config import ConfigError

HELP = """Hears a WhatsApp burst out, answers it once, and never loses a message it acknowledged.

Start it with `majlis run`; the other commands speak to the running daemon over its admin socket."""

app = typer.Typer(
    name="majlis", help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
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
app.command("status")(look.status)
app.command("actors")(look.actors)
app.command("show")(look.show)
app.command("tail")(act.tail)
app.command("flush")(act.flush)
app.command("doctor")(process.doctor)
app.command("migrate")(process.migrate)

letters = typer.Typer(help="Dead letters: turns that ran out of tries or were refused.", no_args_is_help=True)
letters.command("list")(dead.list_letters)
letters.command("show")(dead.show_letter)
letters.command("retry")(dead.retry)
app.add_typer(letters, name="dead")


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
