"""The command line, `majlis`: one file for each topic of the operators' side; this one names the commands.

Speaks to the running daemon over the admin socket, and may import the views of `daemon/operate` to print them. What
runs without a daemon (`run`, `migrate`, `doctor`, `simulate`, `install-service`) it gets from the rooms of these.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from actors.errors import MajlisError
from actors.text import shown_text
from daemon import package_version
from daemon.cli import (
    audit,
    connect,
    conversations,
    dashboard,
    dead_letters,
    drafts,
    explain,
    feature_flags,
    forwards,
    instance_files,
    instances,
    knowledge,
    kpi,
    leases,
    lifecycle,
    removal,
    response_cache,
    rollback,
    secrets,
    service,
    settings,
    shadow,
    show,
    simulate,
    status,
    tail,
    top,
    tree,
)
from daemon.cli.client import FAILED, USAGE_ERROR, Failure
from daemon.config import ConfigError

HELP = """Answers WhatsApp customers with an AI responder: it collects a burst of messages, answers it once, and never
loses a message it acknowledged.

`majlis run` starts the daemon. Most other commands talk to the running daemon through its admin socket; give them the
same --config. Every command has `--help` with an example."""

_START, _OBSERVE = "Set up and run", "Observe"
_OPERATE, _INSPECT = "Operate", "Inspect the daemon itself"

app = typer.Typer(
    name="majlis",
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # lets paragraphs flow with the width of the terminal
)


def _print_version(wanted: bool) -> None:
    if wanted:
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


app.command("run", rich_help_panel=_START)(lifecycle.run)
app.command("migrate", rich_help_panel=_START)(lifecycle.migrate)
app.command("doctor", rich_help_panel=_START)(lifecycle.doctor)
app.command("drain", rich_help_panel=_START)(lifecycle.drain)
app.command("install-service", rich_help_panel=_START)(service.install_service)
app.command("simulate", rich_help_panel=_START)(simulate.simulate)

app.command("status", rich_help_panel=_OBSERVE)(status.status)
app.command("top", rich_help_panel=_OBSERVE)(top.top)
app.command("actors", rich_help_panel=_OBSERVE)(conversations.actors)
app.command("silent", rich_help_panel=_OBSERVE)(conversations.silent)
app.command("show", rich_help_panel=_OBSERVE)(show.show)
app.command("explain", rich_help_panel=_OBSERVE)(explain.explain)
app.command("shadow", rich_help_panel=_OBSERVE)(shadow.shadow)
app.command("tail", rich_help_panel=_OBSERVE)(tail.tail)
app.command("cost", rich_help_panel=_OBSERVE)(status.cost)
app.command("kpi", rich_help_panel=_OBSERVE)(kpi.kpi)

app.command("flush", rich_help_panel=_OPERATE)(conversations.flush)
app.command("pause", rich_help_panel=_OPERATE)(conversations.pause)
app.command("resume", rich_help_panel=_OPERATE)(conversations.resume)
# A value may begin with a dash: -1 is to be refused by its bounds, not as an option.
app.command("set", rich_help_panel=_OPERATE, context_settings={"ignore_unknown_options": True})(
    settings.set_setting
)
app.command("unset", rich_help_panel=_OPERATE)(settings.unset)
app.command("try", rich_help_panel=_OPERATE)(drafts.try_prompt)
app.command("eval", rich_help_panel=_OPERATE)(drafts.evaluate)
app.command("reload", rich_help_panel=_OPERATE)(settings.reload)
app.command("log-level", rich_help_panel=_OPERATE)(settings.log_level)

app.command("config", rich_help_panel=_INSPECT)(settings.config)
app.command("audit", rich_help_panel=_INSPECT)(audit.audit)
app.command("leases", rich_help_panel=_INSPECT)(leases.leases)
app.command("tree", rich_help_panel=_INSPECT)(tree.tree)

dashboard_commands = typer.Typer(invoke_without_command=True)
dashboard_commands.callback()(dashboard.dashboard)
dashboard_commands.command("sessions")(dashboard.list_sessions)
dashboard_commands.command("close")(dashboard.close)
app.add_typer(dashboard_commands, name="dashboard", rich_help_panel=_OBSERVE)

flag_commands = typer.Typer(invoke_without_command=True)
flag_commands.callback()(feature_flags.list_flags)
flag_commands.command("set")(feature_flags.set_flag)
flag_commands.command("clear")(feature_flags.clear_flag)
app.add_typer(flag_commands, name="flags", rich_help_panel=_OPERATE)

dead_commands = typer.Typer(
    help="Manage dead letters: turns that ran out of attempts or were refused.", no_args_is_help=True
)
dead_commands.command("list")(dead_letters.list_dead_letters)
dead_commands.command("show")(dead_letters.show_dead_letter)
dead_commands.command("retry")(dead_letters.retry)
dead_commands.command("drop")(dead_letters.drop)
app.add_typer(dead_commands, name="dead", rich_help_panel=_OPERATE)

forward_commands = typer.Typer(invoke_without_command=True)
forward_commands.callback()(forwards.list_forwards)
forward_commands.command("retry")(forwards.retry)
forward_commands.command("drop")(forwards.drop)
app.add_typer(forward_commands, name="forwards", rich_help_panel=_OPERATE)

instance_commands = typer.Typer(
    help="Add instances, set what each does, and undo it: no SQL, no restart.", no_args_is_help=True
)
instance_commands.command("list")(instances.list_instances)
instance_commands.command("show")(instances.show_instance)
instance_commands.command("add")(instances.add)
instance_commands.command("connect")(connect.connect)
instance_commands.command("set")(instances.set_values)
instance_commands.command("history")(instances.history)
instance_commands.command("rollback")(rollback.rollback)
instance_commands.command("remove")(removal.remove)
instance_commands.command("apply")(instance_files.apply)
instance_commands.command("export")(instance_files.export)
app.add_typer(instance_commands, name="instance", rich_help_panel=_START)

secret_commands = typer.Typer(invoke_without_command=True)
secret_commands.callback()(secrets.show_keys)
secret_commands.command("rotate")(secrets.rotate)
app.add_typer(secret_commands, name="secrets", rich_help_panel=_INSPECT)

knowledge_commands = typer.Typer(
    help="Manage an instance's knowledge files, which its answers may use.", no_args_is_help=True
)
knowledge_commands.command("add")(knowledge.add)
knowledge_commands.command("list")(knowledge.list_files)
knowledge_commands.command("remove")(knowledge.remove)
app.add_typer(knowledge_commands, name="knowledge", rich_help_panel=_OPERATE)

cache_commands = typer.Typer(
    help="Inspect and clear the response cache: answers kept for repeated questions.", no_args_is_help=True
)
cache_commands.command("stats")(response_cache.cache_stats)
cache_commands.command("clear")(response_cache.cache_clear)
app.add_typer(cache_commands, name="cache", rich_help_panel=_OPERATE)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit. An expected error is one sentence on standard error, never a traceback."""
    try:
        app(args=None if arguments is None else list(arguments), prog_name="majlis")
    except ConfigError as error:
        _fail(str(error), USAGE_ERROR)
    except Failure as failure:
        _fail(str(failure), failure.exit_status)
    except MajlisError as error:
        _fail(str(error), FAILED)
    raise SystemExit(0)


def _fail(message: str, exit_status: int) -> NoReturn:
    sys.stderr.write("".join(f"majlis: {line}\n" for line in shown_text(message).splitlines()))
    raise SystemExit(exit_status)
