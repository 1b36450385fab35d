"""A Postgres that counts sequential round trips without measuring time."""

from __future__ import annotations

import trio
from trio.testing import wait_all_tasks_blocked

from daemon.stores.postgres import Postgres, Row

_CUSHION_SECONDS = 0.02


class RoundTrips(Postgres):
    """Holds statements until no task can go on, then releases all of them at once: one round.

    Statements that do not need one another's answers share a round, however the machine schedules them. `rounds` says
    how many statements each round had. `conduct` must run concurrently with the work, and the work must wait for
    nothing else.
    """

    def __init__(self, dsn: str, max_connections: int = 20) -> None:
        super().__init__(dsn, max_connections=max_connections)
        self.rounds: list[int] = []
        self._waiting = 0
        self._gate = trio.Event()
        self._arrived = trio.Event()
        self._under_way = 0
        self._idle = trio.Event()

    async def fetch(self, sql: str, *args: object, repeatable: bool = True) -> list[Row]:
        self._waiting += 1
        self._arrived.set()
        await self._gate.wait()
        try:
            return await super().fetch(sql, *args, repeatable=repeatable)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def conduct(self) -> None:
        while True:
            await self._arrived.wait()
            await wait_all_tasks_blocked(_CUSHION_SECONDS)
            self.rounds.append(self._waiting)
            self._waiting, self._under_way = 0, self._waiting
            gate, self._gate = self._gate, trio.Event()
            self._arrived, self._idle = trio.Event(), trio.Event()
            gate.set()
            await self._idle.wait()
