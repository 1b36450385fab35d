"""The sweep of the gateways' records, put together; see `daemon/sweep`."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Mapping

import trio

from actors.identity import Conversation
from daemon.config import Settings
from daemon.gateways.kind import RecordsReader
from daemon.ingress.inbox import DurableInbox
from daemon.observe.feed import EventFeed
from daemon.observe.readiness import Health
from daemon.run import peers
from daemon.run.engine import Parts
from daemon.sweep.arrivals import OurInstances
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
    """Nothing runs where the sweep is off."""

    def __init__(
        self,
        settings: Settings,
        feed: EventFeed,
        health: Health,
        parts: Parts,
        inbox: DurableInbox,
        came: Callable[[], Collection[str]],
        node_id: str,
    ) -> None:
        """`came`: the instances of which events came through the door since it was called last."""
        self._settings = settings
        self._live = parts.live
        self._health = health
        self._parts = parts
        self._http = HttpClient(tls=tls_context(settings.tls.ca_file))
        self._reader_of = peers.records(self._live, self._http)
        self._came = came
        self._marks = Marks(parts.db, node_id)
        self._sweeper: Sweeper | None = None
        if settings.sweep.enabled:
            self._sweeper = sweeper = self._made(feed, inbox)
            self._live.follow(sweeper.look_again)
            self._arrivals = OurInstances(self._came, self._marks, sweeper.look_again, feed)

    def view(self) -> SweepView | None:
        """For the status; None: nothing is swept."""
        if self._sweeper is None or not any(map(self._reader_of, ("", *self._live.names))):
            return None
        return self._sweeper.view()

    async def run(self) -> None:
        """Until cancelled."""
        if self._sweeper is not None:
            async with self._http, trio.open_nursery() as nursery:
                nursery.start_soon(self._arrivals.run)
                nursery.start_soon(self._sweeper.run)

    def _made(self, feed: EventFeed, inbox: DurableInbox) -> Sweeper:
        parts = self._parts
        heard, marks = Heard(parts.db), self._marks
        sends = OwnSends(parts.db, parts.answering.ledger.prove, self._nudge, feed)
        return Sweeper(
            self._settings.sweep,
            Around(self._instances, parts.answering.pauses.of, parts.answering.modes.of, self._is_ready),
            marks,
            WhatIsKnown(heard.heard, sends.settle, heard.answers, marks.phones, marks.reach),
            inbox,
            feed,
            Clocks(time.time, lambda: time.clock_gettime(time.CLOCK_BOOTTIME), random.random),
        )

    async def _instances(self) -> Mapping[str, RecordsReader]:
        """Those with settings of their own, and those of the database that use the gateway of all others."""
        own = self._live.names
        found = {name: self._reader_of(name) for name in own}
        of_others = self._reader_of("")
        if of_others is not None:
            stored = await self._parts.records.stored_instances(own, MAX_STORED)
            found |= dict.fromkeys(stored.names, of_others)
        held = self._parts.answering.pauses.held  # its key is not there: it is compared when it is again
        return {name: reader for name, reader in found.items() if reader is not None and not held(name)}

    def _is_ready(self) -> bool:
        readiness = self._health.readiness()
        return readiness.ready and not readiness.draining

    def _nudge(self, conversation: Conversation) -> None:
        self._parts.supervisor.nudge(conversation)
