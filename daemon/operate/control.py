"""Steers the daemon as a whole for operators: implements `daemon.operate.control_views.Control`."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import trio

from actors.supervisor import Supervisor
from daemon.config import Settings
from daemon.controls.pauses import EVERYBODY, PauseBoard
from daemon.ledger.records import Records
from daemon.observe import logs
from daemon.observe.feed import EventFeed
from daemon.operate import Conflict, NotFound, shown
from daemon.operate.control_views import (
    Draining,
    InstanceFlushed,
    InstancePause,
    InstanceResumed,
    LogLevel,
    LogLevelView,
)

_PUT_OFF = ("retrying", "holding", "parked")


class DaemonControl:
    """One per daemon, made by the composition root. `stop` begins the daemon's end as SIGTERM does."""

    def __init__(
        self,
        *,
        settings: Settings,
        records: Records,
        supervisor: Supervisor,
        pauses: PauseBoard,
        feed: EventFeed,
        stop: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._records = records
        self._supervisor = supervisor
        self._pauses = pauses
        self._feed = feed
        self._stop = stop

    async def flush(self, instance: str | None) -> InstanceFlushed:
        await self._insist(instance)
        views = [view for view in self._supervisor.views() if instance in (None, view.conversation.instance)]
        waiting = [view for view in views if view.waiting or view.phase in _PUT_OFF]
        for view in waiting:
            self._supervisor.flush(view.conversation)
        messages = sum(len(view.waiting) for view in waiting)
        return InstanceFlushed(instance=instance or "", conversations=len(waiting), messages=messages)

    async def pause(self, instance: str | None, seconds: int | None) -> InstancePause:
        await self._insist(instance)
        name = instance or EVERYBODY
        before = next((pause for pause in self._pauses.standing() if pause.instance == name), None)
        pause = await self._pauses.pause(name, seconds)
        if pause is None:
            raise Conflict("The pause was ended by somebody else in the same moment.")
        stood_until = shown.pause_end(before) if before else None
        return msgspec.structs.replace(shown.instance_pause(pause), stood_until=stood_until)

    async def resume(self, instance: str | None) -> InstanceResumed:
        if await self._pauses.resume(instance or EVERYBODY):
            return InstanceResumed(instance=instance or "")
        if instance is None:
            raise Conflict(
                "There is no pause of all instances; see `majlis status` for those of single ones."
            )
        if self._pauses.of(instance) is not None:
            raise Conflict(
                f"{instance} is not paused by itself, all instances are: `majlis resume --all` ends that."
            )
        raise Conflict(f"{instance} is not paused: there is nothing to resume.")

    async def drain(self) -> Draining:
        await trio.lowlevel.checkpoint()
        phases = self._supervisor.phases()
        self._stop()
        return Draining(
            seconds=self._settings.drain_seconds,
            active=phases.total(),
            running_turns=phases["answering"],
        )

    async def log_level(self) -> LogLevelView:
        await trio.lowlevel.checkpoint()
        return LogLevelView(level=logs.level(), configured=self._settings.log.level)

    async def set_log_level(self, level: LogLevel) -> LogLevelView:
        logs.set_level(level)
        self._feed.log_changed()
        return await self.log_level()

    async def _insist(self, instance: str | None) -> None:
        if instance is not None and not await self._records.knows_instance(instance):
            raise NotFound(f"The database has no instance called {instance}: check the spelling.")
