"""The composition root: the only room that names concrete classes and puts them together.

`peers` makes gateways and responders, `stores` starts and checks Redis and Postgres, `engine` puts together what
processes messages, and `daemon` the doors around it. Here are the three entry points of the command line.

It wires and does nothing else: whatever acts is with its subject. It may import every room but the command line.
"""

from __future__ import annotations

import faulthandler
import os
import ssl
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import trio_asyncio

from actors.errors import MajlisError
from daemon.config import ConfigError, Settings
from daemon.config.exposed import on_command_line
from daemon.config.open_doors import open_doors
from daemon.ledger import Closing, Migrated
from daemon.observe.feed import EventFeed
from daemon.observe.logs import configure
from daemon.operate.checks import DoctorReport
from daemon.operate.doctor import examine
from daemon.run import peers
from daemon.run.daemon import Daemon
from daemon.run.driver_tasks import contain_driver_tasks
from daemon.run.lifecycle import CannotStart, DoorListeners, cannot_listen, cannot_open_admin, lock_data_dir
from daemon.run.operating import admin_access, ingress_access
from daemon.run.process import settle_process
from daemon.run.stores import check_from_outside, known_from_outside, migrate_stores
from daemon.run.systemd import PassedSockets, ServiceManager, UnfitSocket, passed_sockets
from daemon.web.client import HttpClient
from daemon.web.http1 import open_tcp_listeners, open_unix_listener, passed_tcp_listener, passed_unix_listener
from daemon.web.tls import CannotTrust, problem, tls_context

CRASHED = 70
"""Exit status of a daemon that ended by an unexpected error; EX_SOFTWARE of sysexits.h."""

__all__ = ["doctor", "migrate", "run"]


def run(settings: Settings) -> int:
    """Run the daemon in the foreground until a signal ends it; returns the exit status.

    Raises:
      ConfigError: its settings, or its environment, name a file of certificates that cannot be used.
      MajlisError: it cannot start as it is set up; the text is a sentence that says what to change.
    """
    try:
        tls_context(settings.tls.ca_file)
    except CannotTrust as error:  # found now, not at the first reply
        raise ConfigError(str(error)) from None
    settle_process()
    manager = ServiceManager.from_environment(os.environ)
    try:
        passed = passed_sockets(os.environ)
    except UnfitSocket as error:
        raise CannotStart(f"{error}.") from error
    if manager.watchdog_seconds:
        faulthandler.enable()  # on the watchdog's SIGABRT, the log shows where we were stuck: places, no data
    writer = configure(settings.log.level, settings.log.format, sys.stderr)
    try:
        with lock_data_dir(settings.data_dir):
            status: int = _bare(_live, settings, manager, passed)
    except MajlisError:
        raise
    except Exception as error:
        # A bug that no part could contain. Acknowledged messages are in the mirror; the service manager restarts us.
        EventFeed().emit("daemon.crashed", exc_info=error)
        status = CRASHED
    finally:
        writer.close()
        manager.close()
    return status


def migrate(
    settings: Settings,
    adopt_redis: bool = False,
    roles: Sequence[str] = (),
    close_tables: bool = False,
    move_redis: bool = False,
) -> Migrated:
    """Bring the database's tables up to date and close them to the world.

    Args:
      adopt_redis: accept an empty Redis in place of one whose data is lost for good.
      roles: daemons shall work as these.
      close_tables: close also the shared tables that were there before.
      move_redis: take the embedded Redis' data to the engine that a new data_dir would get.

    Raises:
      MajlisError: it cannot be done; the text is a sentence that says what to change.
    """
    embedded = settings.redis.is_embedded or settings.postgres.is_embedded
    writer = configure(settings.log.level, settings.log.format, sys.stderr)
    try:
        with lock_data_dir(settings.data_dir) if embedded else nullcontext():
            closing = Closing(tuple(roles), close_tables)
            done: Migrated = _bare(migrate_stores, settings, EventFeed(), adopt_redis, closing, move_redis)
    finally:
        writer.close()
    return done


def doctor(settings: Settings) -> DoctorReport:
    """Check everything that can be checked while the daemon does not run."""
    report: DoctorReport = _bare(_examine, settings)
    return report


async def _live(settings: Settings, manager: ServiceManager, passed: PassedSockets) -> int:
    realtime = settings.realtime
    feed = EventFeed(kept_events=realtime.replay_events if realtime.listen is not None else 0)
    contain_driver_tasks(feed)
    feed.emit("daemon.starting", data_dir=str(settings.data_dir))
    if exposed := on_command_line(settings):
        feed.emit("settings.exposed", keys=list(exposed))
    daemon = Daemon(settings, feed, manager)
    try:
        listeners = await _doors(settings, passed)
    except (OSError, ValueError) as error:
        raise CannotStart(cannot_listen(settings.ingress.listen, error)) from error
    try:
        admin = (
            passed_unix_listener(passed.admin)
            if passed.admin
            else open_unix_listener(settings.admin_socket, *admin_access(settings))
        )
    except (OSError, ValueError) as error:
        raise CannotStart(cannot_open_admin(settings.admin_socket, error)) from error
    return await daemon.live(listeners, admin, door_is_held=bool(passed.ingress))


async def _doors(settings: Settings, passed: PassedSockets) -> DoorListeners:
    if passed.ingress:
        return [passed_tcp_listener(door) for door in passed.ingress]
    if (path := settings.ingress.socket_file) is not None:
        return [open_unix_listener(path, *ingress_access(settings))]
    return await open_tcp_listeners(settings.ingress.listen)


async def _examine(settings: Settings) -> DoctorReport:
    # Where the files cannot be used, the report says so; everything else is looked at all the same.
    broken = problem(settings.tls.ca_file)
    tls = ssl.create_default_context() if broken else tls_context(settings.tls.ca_file)
    async with HttpClient(tls=tls) as http:
        embeddings = peers.embeddings(settings, http, EventFeed())
        stores, known = partial(check_from_outside, settings), known_from_outside(settings)
        return await examine(settings, http, stores, embeddings, known, open_doors(settings))


def _bare(function: Callable[..., Awaitable[Any]], *args: object) -> Any:
    """Run under Trio with asyncio beside it; a `MajlisError` is taken out of its exception groups."""
    try:
        return trio_asyncio.run(function, *args)
    except BaseExceptionGroup as group:
        ours, others = group.split(MajlisError)
        if ours is None or others is not None:
            raise
        raise _first(ours) from None


def _first(group: BaseExceptionGroup[MajlisError]) -> MajlisError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, MajlisError)
    return error
