"""The sweep of the gateways' records, put together; see `daemon/sweep`."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping

from actors.identity import Conversation
from daemon.config import Settings
from daemon.gateways.kind import RecordsReader
from daemon.ingress.inbox import DurableInbox
from daemon.observe.feed import EventFeed
from daemon.observe.readiness import Health
from daemon.run import peers
from daemon.run.engine import Parts
from daemon.sweep.comparing import WhatIsKnown
from daemon.sweep.heard import Heard
from daemon.sweep.marks import Marks
from daemon.sweep.own_sends import OwnSends
from daemon.sweep.sweeper import Around, Clocks, Sweeper
from daemon.sweep.view import SweepView
from daemon.web.client import HttpClient
from daemon.web.tls import tls_context

MAX_STORED = 2_000
"""So many instances of the database are swept besides the declared ones."""


class Sweeping:
    """Nothing runs where the sweep is off, or no gateway keeps records."""

    def __init__(
        self,
        settings: Settings,
        feed: EventFeed,
        health: Health,
        parts: Parts,
        inbox: DurableInbox,
        node_id: str,
    ) -> None:
        self._settings = settings
        self._health = health
        self._parts = parts
        self._http = HttpClient(tls=tls_context(settings.tls.ca_file))
        self._default, self._own = peers.records(settings, self._http)
        self._sweeper: Sweeper | None = None
        if settings.sweep.enabled and (self._default or any(self._own.values())):
            self._sweeper = self._made(feed, inbox, node_id)

    def view(self) -> SweepView | None:
        """For the status; None: nothing is swept."""
        return None if self._sweeper is None else self._sweeper.view()

    async def run(self) -> None:
        """Until cancelled."""
        if self._sweeper is not None:
            async with self._http:
                await self._sweeper.run()

    def _made(self, feed: EventFeed, inbox: DurableInbox, node_id: str) -> Sweeper:
        parts = self._parts
        heard, marks = Heard(parts.db), Marks(parts.db, node_id)
        sends = OwnSends(parts.db, parts.answering.ledger.prove, self._nudge, feed)
        return Sweeper(
            self._settings.sweep,
            Around(self._instances, parts.answering.pauses.of, self._is_ready),
            marks,
            WhatIsKnown(heard.heard, sends.settle, heard.answers, marks.phones, marks.reach),
            inbox,
            feed,
            Clocks(time.time, lambda: time.clock_gettime(time.CLOCK_BOOTTIME), random.random),
        )

    async def _instances(self) -> Mapping[str, RecordsReader]:
        """The declared ones, and those of the database that use the default gateway."""
        declared = self._settings.instances
        found = {name: self._own.get(name, self._default) for name in declared}
        if self._default is not None:
            stored = await self._parts.records.stored_instances(declared, MAX_STORED)
            found |= dict.fromkeys(stored.names, self._default)
        held = self._parts.answering.pauses.held  # its key is not there: it is compared when it is again
        return {name: reader for name, reader in found.items() if reader is not None and not held(name)}

    def _is_ready(self) -> bool:
        readiness = self._health.readiness()
        return readiness.ready and not readiness.draining

    def _nudge(self, conversation: Conversation) -> None:
        self._parts.supervisor.nudge(conversation)
