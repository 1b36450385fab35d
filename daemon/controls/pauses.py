"""Instances that an operator has paused, or that Majlis holds: their messages are acknowledged and kept, and no turn of
theirs begins.

Laws of this file:
1. A pause is stored in the ledger: it applies to every daemon on this database, and survives a restart.
2. `check` is called before every turn: it reads memory alone. A turn that is running is finished.
3. Waiting for the end of a pause does not count as an attempt, and no burst grows too old by it: nothing is frozen
   meanwhile. A batch that was frozen before the pause does age; it gets its next attempt all the same.
4. While Postgres is away, the pauses read last stay in force.
5. A hold is a pause that no operator set or ends: something of the instance is not as it must be. It is this daemon's
   own, and is stored nowhere.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Set
from datetime import UTC, datetime

import trio

from actors.errors import LedgerUnavailable, Paused
from actors.ports import Feed
from daemon.ledger.records import Records
from daemon.ledger.rows import Pause
from daemon.stores.postgres import LedgerError, LedgerMisconfigured

REFRESH_SECONDS = 30.0
"""How often the pauses are read again: another daemon on this database may have set or ended one."""
RETRY_SECONDS = 1.0
"""How soon a start asks again when Postgres went away."""
CHECK_AGAIN_SECONDS = 3600.0
"""How long a conversation waits before it checks again by itself; the end of a pause wakes it earlier."""
EVERYBODY = ""
"""The instance name under which a pause of all instances is stored."""
PAUSED = "paused by an operator"
"""Why a conversation of a paused instance waits, for people."""
HELD = "held"


def _utc_now() -> datetime:
    return datetime.now(UTC)


class PauseBoard:
    """The pauses in force, as this daemon last read them.

    Args:
      wake: called when a pause has ended, so that what waited for it goes on at once.
      now: the time, UTC.
    """

    def __init__(
        self,
        records: Records,
        feed: Feed,
        wake: Callable[[], None] = lambda: None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._records = records
        self._feed = feed
        self._wake = wake
        self._now = now
        self._reading = trio.Lock()
        self._in_force: Mapping[str, Pause] = {}
        self._holds: Mapping[str, Pause] = {}

    def check(self, instance: str) -> None:
        """The gate of the turn slots. Raises `Paused` while the instance is paused."""
        if (self._holds or self._in_force) and (pause := self.of(instance)) is not None:
            seconds = CHECK_AGAIN_SECONDS
            if pause.until is not None:
                seconds = min(seconds, (pause.until - self._now()).total_seconds())
            raise Paused(why_paused(pause), max(0.1, seconds))

    def of(self, instance: str) -> Pause | None:
        """What keeps the instance from being answered now: its own before that of everybody, a hold before a pause."""
        for name in (instance, EVERYBODY):
            for found in (self._holds, self._in_force):
                pause = found.get(name)
                if pause is not None and self._lasts(pause):
                    return pause
        return None

    def held(self, instance: str) -> str:
        """Why Majlis holds the instance; empty: it does not."""
        pause = self._holds.get(instance) or self._holds.get(EVERYBODY)
        return "" if pause is None else pause.held

    def hold(self, why: Mapping[str, str]) -> None:
        """These instances are held from now on, and no others; `''` means every one."""
        now, before = self._now(), self._holds
        self._holds = {
            name: old if (old := before.get(name)) and old.held == words else Pause(name, now, None, words)
            for name, words in why.items()
        }
        # That everybody is held, until something is known at all, is no news.
        self._announce(self._holds.keys() - {EVERYBODY}, before.keys() - {EVERYBODY})
        if EVERYBODY in before.keys() - self._holds.keys():
            self._wake()

    def standing(self) -> tuple[Pause, ...]:
        """All that hold now, that of everybody first."""
        found = (*self._in_force.items(), *self._holds.items())
        return tuple(pause for _, pause in sorted(found, key=lambda one: one[0]) if self._lasts(pause))

    async def pause(self, instance: str, seconds: float | None) -> Pause | None:
        """Begin or change a pause; `''` means every instance. None: it was ended in the same moment.

        Raises `LedgerUnavailable`.
        """
        await self._records.pause(instance, seconds)
        await self.refresh()
        return self._in_force.get(instance)

    async def resume(self, instance: str) -> bool:
        """End the pause that was set for just this; False when there is none. Raises `LedgerUnavailable`."""
        await self.refresh()
        if instance not in self._in_force:
            return False
        await self._records.unpause(instance)
        await self.refresh()
        return True

    async def refresh(self) -> None:
        """Read the pauses again. Raises `LedgerUnavailable`."""
        async with self._reading:
            found = {pause.instance: pause for pause in await self._records.pauses()}
            before, self._in_force = self._in_force, found
        self._announce(found.keys(), before.keys())

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Follow the database until cancelled; started after the first reading: before, any instance may be paused."""
        read = False
        while True:
            if await self._try_refresh() and not read:
                read = True
                task_status.started()
            await trio.sleep(REFRESH_SECONDS if read else RETRY_SECONDS)

    def _announce(self, now: Set[str], before: Set[str]) -> None:
        for name in now - before:
            self._feed.emit("pause.began", instance=name or "all")
        for name in before - now:
            self._feed.emit("pause.ended", instance=name or "all")
        if before - now:
            self._wake()

    def _lasts(self, pause: Pause) -> bool:
        return pause.until is None or pause.until > self._now()

    async def _try_refresh(self) -> bool:
        """False: Postgres is away, or set up wrong. An error of the query itself is reported and not waited for."""
        try:
            await self.refresh()
        except LedgerMisconfigured as error:
            self._problem(error)
            return False
        except LedgerUnavailable:
            return False  # law 4; the store watch reports it
        except LedgerError as error:
            self._problem(error)
        return True

    def _problem(self, error: Exception) -> None:
        self._feed.emit("daemon.problem", part="pauses", error=type(error).__name__)


def why_paused(pause: Pause) -> str:
    """For people."""
    return f"{HELD}: {pause.held}" if pause.held else PAUSED


def ended_by(pause: Pause) -> str:
    """The command that ends a pause."""
    return f"majlis resume {f'--instance {shlex.quote(pause.instance)}' if pause.instance else '--all'}"
