"""In which mode each instance is, and since when: noted in Postgres, so that a restart or another daemon knows it too.

The mode itself stands in the settings in force, and is asked for there. Since when it holds is needed where
the past is looked at: a message that never came is answered only if it was written after its instance had become live.

The first daemon that sees a change writes it (039 says how); one that is late writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import trio

from actors.errors import MajlisError
from actors.instance import Mode
from actors.ports import Feed
from daemon.ledger.wire import storable
from daemon.stores.postgres import Postgres, is_only_away

LOOK_SECONDS = 1.0
"""Reading memory alone: the ledger is asked only when a mode has changed."""

_SQL = "SELECT instance, mode, since, changed FROM majlis_note_modes($1, $2, $3)"


class InMode(NamedTuple):
    mode: Mode
    since: float
    """Unix seconds, by the ledger's clock; minus infinity: it has always been so."""


class Modes:
    """Follow the settings with `run`, and ask `of`.

    Args:
      mode: the mode of an instance by the settings in force.
      named: the instances with settings of their own.
    """

    def __init__(
        self, db: Postgres, mode: Callable[[str], Mode], named: Callable[[], Collection[str]], feed: Feed
    ) -> None:
        self._db = db
        self._mode = mode
        self._named = named
        self._feed = feed
        self._seen: dict[str, Mode] = {}

    async def of(self, instance: str) -> InMode:
        """The mode of an instance now, and since when. Raises `LedgerUnavailable`."""
        mode = self._mode(instance)
        return InMode(mode, (await self._note({instance: mode}))[instance])

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Note every change until cancelled."""
        task_status.started()
        while True:
            now = {name: self._mode(name) for name in self._named()}
            changed = {name: mode for name, mode in now.items() if self._seen.get(name) != mode}
            if changed:
                await self._try(changed)
            await trio.sleep(LOOK_SECONDS)

    async def _try(self, changed: Mapping[str, Mode]) -> None:
        try:
            await self._note(changed)
        except MajlisError as error:  # the next look comes soon
            if not is_only_away(error):
                self._feed.emit("daemon.problem", part="modes", error=type(error).__name__)

    async def _note(self, modes: Mapping[str, Mode]) -> dict[str, float]:
        stored = {storable(name): name for name in modes}
        before = [self._seen.get(name, "") for name in stored.values()]
        rows = await self._db.fetch(_SQL, [*stored], [modes[name] for name in stored.values()], before)
        self._seen.update(modes)
        for row in rows:
            if row["changed"]:
                self._feed.emit("instance.mode", instance=row["instance"], mode=row["mode"])
        return {stored[row["instance"]]: row["since"] for row in rows}
