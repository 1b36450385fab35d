"""The daemon as a whole: stopping it, its log level, and what it reads again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

import msgspec
import trio
from msgspec import Meta

from actors.supervisor import Supervisor
from daemon.config import Settings
from daemon.controls.pauses import PauseBoard
from daemon.controls.run_time import RunTime
from daemon.observe import logs
from daemon.observe.feed import EventFeed
from daemon.operate.call import AdminCall
from daemon.operate.parameters import Parameters
from daemon.operate.route import Route
from daemon.operate.stop import StopCause
from daemon.web.http1 import Response, json_response

LogLevel = Literal["debug", "info", "warning", "error"]


class Draining(msgspec.Struct, frozen=True, kw_only=True):
    seconds: float
    """How long running turns may take to finish; what is left then waits for the next start."""
    active: int
    """Conversations with an actor in memory."""
    running_turns: int


class LogLevelView(msgspec.Struct, frozen=True, kw_only=True):
    level: LogLevel
    configured: LogLevel
    """The level that applies again after a restart."""


class Reloaded(msgspec.Struct, frozen=True, kw_only=True):
    flags: int
    """Flags stored in the database, for this daemon and for instances."""
    settings: int
    """Settings made at run time, as well."""


class NewLogLevel(Parameters, frozen=True, kw_only=True):
    level: Annotated[LogLevel, Meta(description="debug, info, warning or error.")]


class Control:
    """`stop` stops the daemon as SIGTERM does; `forget` drops what is remembered of instances' rows."""

    def __init__(
        self,
        settings: Settings,
        supervisor: Supervisor,
        run_time: RunTime,
        pauses: PauseBoard,
        feed: EventFeed,
        stop: Callable[[StopCause], None],
        forget: Callable[[], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._supervisor = supervisor
        self._run_time = run_time
        self._pauses = pauses
        self._feed = feed
        self._stop = stop
        self._forget = forget

    async def drain(self, cause: StopCause) -> Draining:
        """Begin to stop: take no new work, finish the running turns, then exit. The log and the status name `cause`."""
        await trio.lowlevel.checkpoint()
        phases = self._supervisor.phases()
        self._stop(cause)
        return Draining(
            seconds=self._settings.drain_seconds,
            active=phases.total(),
            running_turns=phases["answering"],
        )

    async def log_level(self) -> LogLevelView:
        await trio.lowlevel.checkpoint()
        return LogLevelView(level=logs.level(), configured=self._settings.log.level)

    async def set_log_level(self, level: LogLevel) -> LogLevelView:
        """Set the level until the next start."""
        logs.set_level(level)
        self._feed.log_changed()
        return await self.log_level()

    async def reload(self) -> Reloaded:
        """Read instances, flags, run-time settings and pauses again from the database. Raises `LedgerUnavailable`."""
        await self._forget()
        scopes = (await self._run_time.refresh()).values()
        await self._pauses.refresh()
        reloaded = Reloaded(
            flags=sum(len(rows.flags) for rows in scopes), settings=sum(len(rows.settings) for rows in scopes)
        )
        self._feed.emit("settings.reloaded", flags=reloaded.flags, settings=reloaded.settings)
        return reloaded


async def _reload(control: Control, call: AdminCall, asked: Parameters) -> Response:
    """Read instances, flags and run-time settings again from the database. config.yaml is read only at the start."""
    await call.audit("reload", "settings")
    return json_response(200, await control.reload())


async def _log_level(control: Control, call: AdminCall, asked: Parameters) -> Response:
    """The lowest level that is logged."""
    return json_response(200, await control.log_level())


async def _set_log_level(control: Control, call: AdminCall, asked: NewLogLevel) -> Response:
    """Log this level and those above it, until the next start."""
    await call.audit("log-level", asked.level)
    return json_response(200, await control.set_log_level(asked.level))


async def _drain(control: Control, call: AdminCall, asked: Parameters) -> Response:
    """Stop as SIGTERM does: take no new work, finish the running turns, then exit."""
    await call.audit("drain", "daemon")
    return json_response(200, await control.drain(call.cause))


ROUTES = (
    Route("POST", "/v1/reload", Control, _reload, "operate", Reloaded),
    Route("GET", "/v1/log-level", Control, _log_level, "read", LogLevelView),
    Route("POST", "/v1/log-level/{level}", Control, _set_log_level, "admin", LogLevelView, NewLogLevel),
    Route("POST", "/v1/drain", Control, _drain, "admin", Draining),
)
