"""Start, prepare, check and stop the daemon: `majlis run`, `migrate`, `doctor`, `drain`."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import Annotated

import msgspec
import typer
from rich.text import Text

from daemon.cli.client import (
    FAILED,
    NOT_RUNNING,
    AdminClient,
    ConfigOption,
    Failure,
    JsonOption,
    SetOption,
    client_of,
    settings_of,
    view,
)
from daemon.cli.render import cell, count, display, print_json, style_of, table
from daemon.config import Settings
from daemon.operate.checks import WORST_FIRST, DoctorReport
from daemon.operate.control import Draining
from daemon.operate.status import Status

POLL_SECONDS = 0.25
CLOSING_SECONDS = 30.0
"""How long the daemon may take to close its stores after the drain."""


def run(config: ConfigOption = None, set_: SetOption = None, json: JsonOption = False) -> None:
    """Start the daemon in the foreground.

    SIGTERM or Ctrl-C stops it gracefully: running turns get drain_seconds to finish. A second one stops it at once;
    nothing is lost. With --json, log lines are JSON.

    Example: majlis run --set ingress.listen=0.0.0.0:8080
    """
    settings = settings_of(config, [*(set_ or []), *(["log.format=json"] if json else [])])
    from daemon import run as root

    raise typer.Exit(root.run(settings))


def migrate(
    adopt_redis: Annotated[
        bool,
        typer.Option(
            "--adopt-redis", help="Accept an empty Redis in place of one whose data is permanently lost."
        ),
    ] = False,
    redis_engine: Annotated[
        bool,
        typer.Option(
            "--redis-engine",
            help="Take the embedded Redis' data to redis.program, or to the system's Valkey or Redis.",
        ),
    ] = False,
    role: Annotated[
        list[str] | None,
        typer.Option(
            "--role",
            metavar="NAME",
            help="Give this role of PostgreSQL all that a daemon needs, when it does not connect as the owner of the "
            "tables. Repeatable; needed once, later migrations keep it.",
        ),
    ] = None,
    close_tables: Annotated[
        bool,
        typer.Option(
            "--close-tables",
            help="Close also the whatsapp_… tables that were there before Majlis, where they have no row-level "
            "security. Roles with rights of their own on them keep these.",
        ),
    ] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Create or upgrade the database tables, and close them to everybody but those who work with them.

    Needed once after installing or upgrading when you use your own PostgreSQL. For the embedded database, `majlis run`
    does it at startup. Run it as the owner of the tables.

    Closed means: row-level security, and no rights for PUBLIC and the roles that a platform such as Supabase gives to
    everybody (anon, authenticated). service_role and roles with rights of their own go on as before.

    Example: majlis migrate --set postgres.dsn=postgresql://majlis@db/majlis
    """
    settings = settings_of(config, set_)
    from daemon import run as root

    done = root.migrate(settings, adopt_redis, role or (), close_tables, redis_engine)
    if json:
        print_json({"applied": done.applied, **msgspec.to_builtins(done.closed)})
        return
    display(cell("\n".join(done.lines()) or "nothing to do: the tables are up to date"))


def doctor(config: ConfigOption = None, set_: SetOption = None, json: JsonOption = False) -> None:
    """Check settings, stores, gateways and responders, with advice for each problem.

    A running daemon checks itself; otherwise the checks run in this command. Exit status 1 if there is a problem.

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
    """The running daemon's report, or our own if none is running."""
    client = AdminClient(settings.admin_socket)
    try:
        return view(client.get("/v1/doctor"), DoctorReport), True
    except Failure as failure:
        if failure.exit_status != NOT_RUNNING:
            raise
    from daemon import run as root

    return root.doctor(settings), False


def _print_report(report: DoctorReport, from_daemon: bool) -> None:
    shown = table("check", "state", "finding", folding=("finding",))
    for check in report.checks:
        found = check.detail + (f"\n→ {check.advice}" if check.advice else "")
        shown.add_row(cell(check.name), cell(check.state), cell(found))
    display(shown, "", _how_many(report))
    if not from_daemon:
        sys.stderr.write("majlis is not running: these checks ran without it\n")


def _how_many(report: DoctorReport) -> Text:
    """`1 problem, 3 warnings, 12 ok`: in a long report the worst has left the screen."""
    found = Counter(check.state for check in report.checks)
    words = [count(found["problem"], "problem"), count(found["warning"], "warning"), f"{found['ok']:,} ok"]
    worst = next((state for state in WORST_FIRST if found[state]), "ok")
    return cell(", ".join(words), style_of(worst))


def drain(
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the daemon has stopped.")] = True,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Stop the daemon gracefully, as SIGTERM does.

    New webhooks get 503, so that the gateway sends them again later; running turns get drain_seconds to finish; what
    is left is stored and answered after the next start. A service manager may start the daemon again.

    Example: majlis drain
    """
    client = client_of(config, set_)
    document = client.post("/v1/drain")
    begun = view(document, Draining)
    if not json:
        what = f"{count(begun.running_turns, 'running turn')}, {count(begun.active, 'active conversation')}"
        display(cell(f"draining for at most {begun.seconds:g} s: {what}"))
    ended = wait and _wait_until_stopped(client, begun.seconds + CLOSING_SECONDS)
    if json:
        print_json({"seconds": begun.seconds, "active": begun.active, "ended": ended})
    elif ended:
        display(cell("the daemon has stopped", "green"))


def _wait_until_stopped(client: AdminClient, seconds: float) -> bool:
    """Raises: Failure when it still runs after this time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            now = view(client.get("/v1/status"), Status)
        except Failure as failure:
            if failure.exit_status == NOT_RUNNING:
                return True
            time.sleep(POLL_SECONDS)  # the socket is being closed just now
            continue
        if not (now.draining or now.stopping) and now.uptime_seconds < seconds:
            return True  # it has been started again
        time.sleep(POLL_SECONDS)
    raise Failure(
        f"the daemon is still running after {seconds:g} s; see its log, or stop it at once with a second SIGTERM"
    )
