"""A whole Majlis in memory: real supervisor, actors, turns and outbox over the in-memory ports."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count

import trio

from actors.actor_services import Services, TurnPolicy
from actors.contacts import has_priority
from actors.errors import LedgerUnavailable, MirrorUnavailable
from actors.fairness import FairSlots, open_to_all
from actors.identity import Conversation
from actors.instance import FeatureFlags, Terms, TurnShare
from actors.messages import Message, Receipt, Swept, WindowPolicy
from actors.modes import heard
from actors.outbox import Outbox, OutboxPolicy
from actors.permits import TurnPermits
from actors.ports import NewAttempt
from actors.supervisor import Supervisor
from actors.turn import TurnAttempt
from actors.turn_services import TurnServices
from tests.support.memory import (
    PARTITIONS,
    FixedOwnership,
    MemoryFacts,
    MemoryFeed,
    MemoryGateway,
    MemoryLedger,
    MemoryMirror,
    MemoryResponder,
    clock_ms,
)

PHONE = "5511900000001"
DEMO = Conversation("demo", PHONE)


@dataclass
class World:
    """Everything by name. `say` is what a webhook does after the parser."""

    policy: WindowPolicy = field(default_factory=WindowPolicy)
    turn_policy: TurnPolicy = field(default_factory=TurnPolicy)
    concurrency: int = 50
    work: int = 8
    """Turns that are opened or stored at once."""
    term: Terms = field(default_factory=Terms)
    known: bool = True
    """Whether the instances are known in memory."""
    feature_flags: FeatureFlags = field(default_factory=FeatureFlags)
    mirror: MemoryMirror = field(default_factory=MemoryMirror)
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    responder: MemoryResponder = field(default_factory=MemoryResponder)
    gateway: MemoryGateway = field(default_factory=MemoryGateway)
    feed: MemoryFeed = field(default_factory=MemoryFeed)
    facts: MemoryFacts = field(default_factory=MemoryFacts)
    outbox_policy: OutboxPolicy = field(default_factory=OutboxPolicy)
    ownership: FixedOwnership = field(default_factory=FixedOwnership)
    gate: Callable[[str], None] = open_to_all
    """Of the turn slots, from the next `restart` on."""
    known_phones: dict[tuple[str, str], str] = field(default_factory=dict)
    recorded: Callable[[NewAttempt], NewAttempt] = lambda attempt: attempt
    """What the daemon wraps its attempts in, from the next `restart` on."""

    def __post_init__(self) -> None:
        self._tokens = count(1)
        self.restart()

    def _services(self) -> Services:
        outbox = self._outbox()
        attempt = partial(
            TurnAttempt,
            TurnServices(
                append=self.mirror.append,
                ledger=self.ledger,
                lookups=self.ledger,
                responder=self.responder,
                outbox=outbox,
                identities=self,
                policies=self,
                flags=self,
                feed=self.feed,
                wall_ms=clock_ms,
                nudge=lambda: None,
                label=lambda conversation: conversation.label("install"),
                knows=lambda _instance: self.known,
            ),
        )
        return Services(
            mirror=self.mirror,
            ownership=self.ownership,
            attempt=self.recorded(attempt),
            policies=self,
            feed=self.feed,
            permits=TurnPermits(
                FairSlots(self.concurrency, self.gate, lambda instance: self.terms(instance).share),
                FairSlots(
                    self.work, self.gate, lambda instance: TurnShare(self.terms(instance).share.weight)
                ),
            ),
            policy=self.turn_policy,
            draw=lambda: 0.5,
            wall_ms=clock_ms,
            open_turns=lambda conversation: self.ledger.open_turns(conversation),  # noqa: PLW0108  tests replace it
            is_sending=outbox.is_sending,
            goes_first=lambda one: has_priority(one.contact, self.terms(one.instance)),
        )

    def _outbox(self) -> Outbox:
        return Outbox(
            self.ledger,
            self.gateway,
            self.ownership,
            self.feed,
            self.facts,
            clock_ms,
            lambda instance: self.outbox_policy,
            lambda: f"claim-{next(self._tokens)}",
        )

    def restart(self) -> None:
        """A new process over the same stores: nothing in memory survives."""
        self.facts.restart()
        self.services = self._services()
        self.supervisor = Supervisor(self.services, self.ownership.owns)
        self.mirror.on_appended = self.supervisor.deliver

    def window(self, instance: str) -> WindowPolicy:
        return self.policy

    def terms(self, instance: str) -> Terms:
        return self.term

    def of(self, instance: str) -> FeatureFlags:
        return self.feature_flags

    def phone_of(self, instance: str, lid: str) -> str | None:
        return self.known_phones.get((instance, lid))

    async def start(self, nursery: trio.Nursery) -> None:
        await nursery.start(self.supervisor.run)
        snapshots, unread = [], []
        for known in list(self.mirror.buffers):
            try:
                snapshots.append(await self.mirror.load(known))
            except MirrorUnavailable:
                unread.append(known)
        with suppress(LedgerUnavailable):
            await self.name_unfinished()
        self.supervisor.recover(snapshots, unread)

    async def name_unfinished(self) -> None:
        """What a recovery and each round of the monitor do."""
        for turn in await self.ledger.unfinished(range(PARTITIONS), 0, 500):
            if not self.supervisor.works_on(turn.conversation, turn.number):
                self.supervisor.nudge(turn.conversation, check_ledger=True)

    async def say(
        self,
        text: str,
        id: str | None = None,
        conversation: Conversation = DEMO,
        swept: Swept = "",
        ago_seconds: int = 0,
        early: bool = False,
    ) -> Receipt:
        instance, contact = conversation
        sent_at = clock_ms() // 1000 - ago_seconds
        message = Message(
            instance, contact, id or f"id-{text}-{contact}", text, sent_at, swept=swept, early=early
        )
        message = heard(message, self.term.mode)  # as the ingress does
        return await self.mirror.append(message, self.policy)

    @property
    def replies(self) -> list[str]:
        return [text for _, text in self.gateway.delivered]
