"""Keeps the service manager informed: how far we are, that we are alive, and that a start or a stop takes longer.

Laws of this file:
1. The watchdog is fed by a task of the same loop that does the work, and only while every part turns. A loop that is
   blocked feeds nothing; a part that hangs stops the feeding, and an event names it. A store that is away does
   neither: a restart would not bring it back.
2. A part that waits for a store in vain still turns: every wait on a store is bounded, and ends with an error.
3. More time is asked for while we start, as long as it takes (the doors answer meanwhile, and the status line says what
   we wait for), and while we stop, up to a bound that all parts of the stop keep.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

import trio

from actors.ports import Feed
from daemon.observe.readiness import Health
from daemon.run.systemd import ServiceManager

STATUS_SECONDS = 5.0
MORE_SECONDS = 30.0
"""Asked for at each round of a start or a stop."""
STOP_BOUND_SECONDS = 90.0
"""What a stop may take after the drain: leases, pools, the embedded stores."""
RELOAD_SECONDS = 30.0

DaemonPhase = Literal["starting", "ready", "stopping"]


class Watchdog:
    """One per daemon; `run` holds its task.

    Args:
      at_work: says what the daemon does now, in a few words without names.
      late: the parts that hang.
      reload: reads again what can change while the daemon runs.
    """

    def __init__(
        self,
        manager: ServiceManager,
        health: Health,
        feed: Feed,
        *,
        at_work: Callable[[], str],
        late: Callable[[], Sequence[str]],
        reload: Callable[[], Awaitable[object]],
    ) -> None:
        self._manager = manager
        self._health = health
        self._feed = feed
        self._at_work = at_work
        self._late = late
        self._reload = reload
        self._phase: DaemonPhase = "starting"
        self._stop_until = 0.0
        self._why = ""
        self._was_late: tuple[str, ...] = ()
        self._asked = trio.Event()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Report until cancelled."""
        watchdog = self._manager.watchdog_seconds
        every_seconds = min(STATUS_SECONDS, watchdog / 2) if watchdog else STATUS_SECONDS
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._reload_when_asked, name="reload")
            task_status.started()
            while True:
                self._report()
                await trio.sleep(every_seconds)

    def ready(self) -> None:
        """Recovery is done and every door is open. Ignored once a stop was asked for."""
        if self._phase == "stopping":
            return
        self._phase = "ready"
        self._manager.ready()
        self._report()

    def stopping(self, drain_seconds: float, why: str) -> None:
        """A stop was asked for."""
        self._phase = "stopping"
        self._why = why
        self._stop_until = trio.current_time() + drain_seconds + STOP_BOUND_SECONDS
        self._manager.stopping()
        self._report()

    def reload(self) -> None:
        """Reload soon. Requests that come during a reload lead to one more."""
        self._asked.set()

    async def _reload_when_asked(self) -> None:
        while True:
            await self._asked.wait()
            self._asked = trio.Event()
            if self._phase != "ready":
                continue  # a start reads everything anyway
            self._manager.reloading()
            try:
                with trio.fail_after(RELOAD_SECONDS):
                    await self._reload()
            except Exception as error:  # of any kind: what was read last stays in force, and the work goes on
                self._feed.emit("settings.reload_failed", error=type(error).__name__)
            if self._phase == "ready":
                self._manager.ready()
                self._report()

    def _report(self) -> None:
        if self._manager.is_there:
            self._manager.status(self._status())
        if self._phase == "starting" or (
            self._phase == "stopping" and trio.current_time() < self._stop_until
        ):
            self._manager.need(MORE_SECONDS)
        late = tuple(self._late()) if self._phase == "ready" else ()
        if late != self._was_late and late:
            self._feed.emit("daemon.stalled", parts=list(late))
        self._was_late = late
        if not late:
            self._manager.alive()

    def _status(self) -> str:
        if self._phase == "stopping":
            return f"Stopping ({self._why}): {self._at_work()}."
        reasons = " ".join(self._health.readiness().reasons)
        if self._phase == "starting":
            return f"Starting. {reasons}"
        return f"Not ready: {reasons}" if reasons else f"Ready: {self._at_work()}."


class Liveness:
    """The parts that must turn, each with the longest that one round of it can take; reports those that do not."""

    def __init__(self) -> None:
        self._turned_at: dict[str, float] = {}
        self._bounds_seconds: dict[str, float] = {}
        self._gauges: dict[str, Callable[[], float]] = {}

    def expect(self, part: str, bound_seconds: float) -> Callable[[], None]:
        """From now on `part` must turn this often: it calls the returned function once a round."""
        self._bounds_seconds[part] = bound_seconds

        def turned() -> None:
            self._turned_at[part] = trio.current_time()

        turned()
        return turned

    def gauge(self, part: str, bound_seconds: float, hanging_seconds: Callable[[], float]) -> None:
        """`part` measures by itself for how long it has been stuck in one piece of work."""
        self._bounds_seconds[part] = bound_seconds
        self._gauges[part] = hanging_seconds

    def late(self) -> tuple[str, ...]:
        """The parts that hang, by name."""
        now = trio.current_time()
        hanging = {part: now - turned_at for part, turned_at in self._turned_at.items()}
        hanging |= {part: seconds() for part, seconds in self._gauges.items()}
        return tuple(part for part, seconds in hanging.items() if seconds > self._bounds_seconds[part])
