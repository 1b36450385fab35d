"""Commands that start something of their own: run, migrate, doctor."""

from __future__ import annotations

import sys
from typing import Annotated

import msgspec
import typer

from daemon.cli.client import AdminClient, view
from daemon.cli.failure import FAILED, NOT_RUNNING, Failure
from daemon.cli.options import ConfigOption, JsonOption, SetOption, settings_of
from daemon.cli.render import cell, display, print_json, table
from daemon.config import Settings
from daemon.operate.doctor import DoctorReport


def run(config: ConfigOption = None, set_: SetOption = None, json: JsonOption = False) -> None:
    """Start the daemon in the foreground. With --json its log lines are JSON.

    SIGTERM or Ctrl-C: running turns are finished within drain_seconds. A second one: at once; nothing is lost.

    Example: majlis run --set ingress.listen=0.0.0.0:8080
    """
    settings = settings_of(config, [*(set_ or []), *(["log.format=json"] if json else [])])
    from daemon import run as root

    raise typer.Exit(root.run(settings))


def migrate(
    adopt_redis: Annotated[
        bool,
        typer.Option(
            "--adopt-redis", help="Accept an empty Redis in place of one whose data is lost for good."
        ),
    ] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Bring the database's tables up to date.

    `run` does the same at its start for the embedded database; one of your own is changed by this command alone.

    Example: majlis migrate --set postgres.dsn=postgresql://majlis@db/majlis
    """
    settings = settings_of(config, set_)
    from daemon import run as root

    applied = list(root.migrate(settings, adopt_redis))
    if json:
        print_json({"applied": applied})
        return
    display(
        cell("\n".join(f"applied {name}" for name in applied) or "nothing to do: the tables are up to date")
    )


def doctor(config: ConfigOption = None, set_: SetOption = None, json: JsonOption = False) -> None:
    """Check stores, settings, gateway and responder, and say what to do.

    Exit status 1 when there is a problem.

    Example: majlis doctor
    """
    settings = settings_of(config, set_)
    report, from_daemon = _examine(settings)
    if json:
        print_json({"well": report.well, "from_daemon": from_daemon, **msgspec.to_builtins(report)})
    else:
        _print_report(report, from_daemon)
    if not report.well:
        raise typer.Exit(FAILED)


def _examine(settings: Settings) -> tuple[DoctorReport, bool]:
    """Ask the running daemon; if there is none, look from here."""
    client = AdminClient(settings.admin_socket)
    try:
        return view(client.get("/v1/doctor"), DoctorReport), True
    except Failure as failure:
        if failure.exit_status != NOT_RUNNING:
            raise
    from daemon import run as root

    return root.doctor(settings), False


def _print_report(report: DoctorReport, from_daemon: bool) -> None:
    shown = table("check", "state", "what was found", folding=("what was found",))
    for check in report.checks:
        found = check.detail + (f"\n→ {check.advice}" if check.advice else "")
        shown.add_row(cell(check.name), cell(check.state), cell(found))
    display(shown)
    if not from_daemon:
        sys.stderr.write("majlis is not running; this was checked from here\n")
