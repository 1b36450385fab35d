"""Everything between a frozen batch and its reply, put together."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import NamedTuple

import trio

from actors.fairness import FairSlots
from actors.identity import Conversation
from actors.instance import Mode, TurnShare
from actors.outbox import Outbox, OutboxPolicy
from actors.permits import TurnPermits
from actors.ports import Identities, Ownership
from actors.turn import TurnAttempt
from actors.turn_services import Append, TurnServices
from daemon.config import Settings
from daemon.config.sections import TakeoverSettings
from daemon.controls.escalated import EscalatedConversations
from daemon.controls.feature_flags import StoredFlags
from daemon.controls.late_failures import LateFailures
from daemon.controls.live_settings import LiveSettings
from daemon.controls.modes import Modes
from daemon.controls.notifier import Notifier
from daemon.controls.pauses import PauseBoard
from daemon.controls.run_time import RunTime
from daemon.controls.stored_settings import StoredSettings
from daemon.controls.takeovers import Takeovers
from daemon.gateways.couriers import Couriers
from daemon.gateways.kind import Tools
from daemon.gateways.kinds import server_of
from daemon.gateways.playground import Chats
from daemon.gateways.remembered import RememberedSends
from daemon.knowledge.calibration import Calibrator
from daemon.knowledge.housekeeping import Housekeeping
from daemon.knowledge.library import PostgresLibrary
from daemon.ledger import PostgresLedger, Records
from daemon.ledger.secret_rows import SecretRows
from daemon.lookups import PostgresLookups, cached_answer, knowledge
from daemon.lookups.drafts import DraftPrompts
from daemon.observe.feed import EventFeed
from daemon.proofs.kept import KeptFacts
from daemon.proofs.sends_log import SendsLog, boot_id
from daemon.run import peers
from daemon.run.process import most_open_files
from daemon.stores.postgres import Postgres
from daemon.stores.redis import RedisStore
from daemon.tenants.key_file import KeyFile
from daemon.tenants.secret_keys import SecretKeys
from daemon.tenants.secrets import Secrets
from daemon.web.client import HttpClient
from daemon.web.tls import tls_context

RESPONDER_KEEPALIVE_SECONDS = 20.0


class Surroundings(NamedTuple):
    """What it asks of the mirror and of the actors, which are made after it."""

    append: Append
    waiting: Callable[[Conversation], Awaitable[Sequence[int]]]
    """When the messages that wait in a conversation were written; Unix seconds."""
    resume_held: Callable[[], None]
    """Lets conversations go on that were held by a pause which has ended."""
    hurry: Callable[[Conversation], object]
    """Wakes one that is parked or held."""
    knows: Callable[[str], bool]
    """Whether an instance is there, as far as this daemon has heard."""


class Answering:
    """Nothing connects before `start`."""

    def __init__(
        self,
        *,
        settings: Settings,
        live: LiveSettings,
        feed: EventFeed,
        node_id: str,
        db: Postgres,
        redis: RedisStore,
        records: Records,
        ownership: Ownership,
        identities: Identities,
        couriers: Couriers,
        chats: Chats,
        around: Surroundings,
    ) -> None:
        """`settings`: what is wired at the start; `live`: what instances are asked of."""
        self._live = live
        tls = tls_context(settings.tls.ca_file)
        # Who is called bounds the calls (`ServerPlaces`, `max_in_flight`); here, so that files are left for the doors.
        files = most_open_files()
        self._gateway_http = HttpClient(max_connections=files // 4, tls=tls)
        self._responder_http = HttpClient(
            max_connections=files // 2, keepalive_seconds=RESPONDER_KEEPALIVE_SECONDS, tls=tls
        )
        self._notice_http = HttpClient(tls=tls)

        # What leaves, and what is known of it.
        tools = Tools(http=self._gateway_http, couriers=couriers, label=feed.label)
        gateway = RememberedSends(peers.gateways(live, tools, chats))
        self.ledger = ledger = PostgresLedger(db, settings.partitions, self._links_numbers)
        log = SendsLog(settings.data_dir / "sends.log", boot_id())
        self._facts = KeptFacts(redis, log, ledger.prove, settings.partitions)
        policy, token = partial(_outbox_policy, live), partial(secrets.token_hex, 8)
        self.outbox = Outbox(ledger, gateway, ownership, feed, self._facts, wall_ms, policy, token)

        # What operators set while it runs.
        self.pauses = PauseBoard(records, feed, around.resume_held)
        self.secrets = Secrets(SecretRows(db), secret_keys(settings), self.pauses.hold, feed)
        self.run_time = RunTime(records, node_id)
        self.run_time.follow(self.secrets.take)
        self.stored_settings = StoredSettings(records, self.run_time, live, feed, self.secrets.opened)
        self.board = StoredFlags(records, self.run_time, live, feed)
        self.modes = Modes(db, self._mode, lambda: live.names, feed)

        # Beside the turns.
        self.takeovers = Takeovers(
            db,
            self.board,
            self._takeover,
            feed,
            gateway.is_ours,
            around.waiting,
            around.hurry,
            self._mode,
        )
        self.escalated = EscalatedConversations(records, live)
        feed.observe("turn.escalated", self.escalated.began)
        feed.observe("conversation.handed_back", self.escalated.ended)
        self.late_failures = LateFailures(db, feed)
        self.notifier = Notifier(db, gateway, self._notice_http, feed, live.webhook, self.pauses.held)
        self._housekeeping = Housekeeping(db, feed, vector_seconds=settings.embeddings.cache_seconds)

        # What is known, and who is asked.
        embeddings = peers.embeddings(settings, self._responder_http, feed)
        self._calibrator = Calibrator(db, embeddings, feed) if embeddings else None
        self.library = PostgresLibrary(db, embeddings, feed)
        self.lookups = PostgresLookups(
            db,
            history_tokens=settings.turn.history_tokens,
            settings_cache_seconds=settings.turn.settings_cache_seconds,
            sources=(
                knowledge.lookup(embeddings, self._calibrator),
                cached_answer.lookup(embeddings, self._calibrator),
            ),
        )
        self.responder = peers.responders(live, self._responder_http, self.board, feed)
        self.drafts = DraftPrompts(
            db, self.lookups, self.board, live.terms, settings.turn.history_tokens, wall_ms
        )

        services = TurnServices(
            append=around.append,
            ledger=ledger,
            lookups=self.lookups,
            responder=self.responder,
            outbox=self.outbox,
            identities=identities,
            policies=live,
            flags=self.board,
            feed=feed,
            wall_ms=wall_ms,
            nudge=self.notifier.nudge,
            label=feed.label,
            knows=around.knows,
        )
        self.attempt = partial(TurnAttempt, services)

    async def start(self, work: trio.Nursery) -> None:
        """Begin to send notices; returns when all that runs."""
        await work.start(self.pauses.run)
        await work.start(self.modes.run)
        await work.start(self.notifier.run)
        await work.start(self._facts.run)
        work.start_soon(self._housekeeping.run, name="housekeeping")
        work.start_soon(self.escalated.run, name="escalated conversations")
        if self._calibrator is not None:
            work.start_soon(self._calibrator.run, name="calibration")

    async def aclose(self) -> None:
        self._facts.close()
        await self._gateway_http.aclose()
        await self._responder_http.aclose()
        await self._notice_http.aclose()

    def _takeover(self, instance: str) -> TakeoverSettings:
        return self._live.for_instance(instance).takeover

    def _mode(self, instance: str) -> Mode:
        return self._live.terms(instance).mode

    def _links_numbers(self, instance: str) -> bool:
        return self._live.terms(instance).contacts.link_numbers


def secret_keys(settings: Settings) -> SecretKeys:
    """A database of its own has a key of its own."""
    file = KeyFile(settings.data_dir) if settings.postgres.is_embedded else None
    return SecretKeys(settings.secrets.read, file)


def turn_permits(live: LiveSettings, gate: Callable[[str], None]) -> TurnPermits:
    """Turns in flight are bounded by what their providers take, as it is set now."""
    turn, postgres = live.configured.turn, live.configured.postgres

    def share(instance: str) -> TurnShare:
        return live.terms(instance).share

    def weight(instance: str) -> TurnShare:
        return TurnShare(share(instance).weight)

    # A Postgres of our own takes the time that the processors give it; one that is far away is waited for.
    work = turn.work or max(2 * (os.cpu_count() or 1), 0 if postgres.is_embedded else postgres.pool_size)
    most = min(turn.concurrency or sys.maxsize, most_open_files() // 2)
    permits = TurnPermits(FairSlots(most, gate, share), FairSlots(work, gate, weight))
    live.follow(permits.in_flight.look_again)
    return permits


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _outbox_policy(live: LiveSettings, instance: str) -> OutboxPolicy:
    gateway = live.for_instance(instance).gateway
    return OutboxPolicy(
        gateway.on_unresolved, gateway.settle_seconds, gateway.timeout_seconds, server_of(gateway)
    )
