"""What the chaos happens to: a Redis, a Postgres, a gateway, a model, and two daemons that share them over links."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg

from tests.acceptance.harness import DaemonUnderTest, daemon_under_test, evolution, openai
from tests.acceptance.own_stores import OwnStores, own_stores
from tests.chaos import link
from tests.chaos.checker import Evidence, LostTail, SeenPart, SeenTurn
from tests.chaos.kinds import named
from tests.chaos.link import Link
from tests.chaos.webhooks import INSTANCE, Webhooks
from tests.support.gateway_server import FakeEvolution
from tests.support.openai_server import FakeOpenAI
from tests.support.patience import PATIENCE_SECONDS
from tests.support.scratch import scratch_dir

DAEMONS = 2
NEVER_GIVE_UP = 100
"""Attempts: a model that fails is a fault of the model, and here its batches are to be answered when it is over."""

SWEEP_SECONDS = 2.0
SETTLE_SECONDS = 3.0
"""Of the sweep: what is newer is not read."""
CLOCK_SECONDS = 1.5
"""So much less, because clocks are read in whole seconds."""

CRASHES = ("turn.crashed", "actor.crashed", "actor.parked", "daemon.problem")
"""Events of a code path that nobody thought of: whatever fails around it, the daemon has a word for it."""
WITHOUT_FILES = "OSError"
"""What a door that could open no file says of itself."""
DRIVER = "driver"
"""The part in whose name the failures of a driver's own tasks are reported."""

_TURNS = """
    SELECT id, contact, state, lo, hi, message_ids, rule, repeated_ids, extract(epoch FROM created_at)::float8 AS at
    FROM majlis_turns WHERE state <> 'superseded' ORDER BY id
"""
_PARTS = """
    SELECT turn_id, text, state, resends, extract(epoch FROM last_claimed_at)::float8 AS claimed_at
    FROM majlis_outbox ORDER BY turn_id, part
"""
_HEEDED = "SELECT unnest(message_ids) AS id FROM majlis_takeovers"
_ENDED = "SELECT unnest(message_ids) AS id FROM majlis_turns WHERE state IN ('done', 'suppressed', 'dead')"
_SWEPT_AT = "SELECT extract(epoch FROM swept_at)::float8 AS at FROM majlis_sweeps WHERE swept_at IS NOT NULL"
_FIRST_SWEEP = f"""
    INSERT INTO majlis_sweeps (instance, swept_from, swept_until, ours_since)
    SELECT '{INSTANCE}', moment, moment, now() FROM CAST(extract(epoch FROM now()) AS bigint) moment
"""
"""The mark, as the first sweep sets it."""
_UNFINISHED = "SELECT count(*) FROM majlis_open_turns"


@dataclass
class System:
    stores: OwnStores
    gateway: FakeEvolution
    model: FakeOpenAI
    daemons: list[DaemonUnderTest]
    webhooks: Webhooks
    redis_links: list[Link]
    postgres_links: list[Link]
    """One for each daemon, in the same order."""
    lost_tails: list[LostTail] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    """The words of the prompts on which the model gave a verdict."""
    last_written_at: float = 0.0
    """Unix seconds: then Redis had a file of all that it held. Before it was told to write none."""

    def query(self, sql: str, writes: bool = False) -> list[asyncpg.Record]:
        """Ask Postgres, past the links."""
        return asyncio.run(_query(self.stores.postgres.server.dsn, sql, writes))

    def events(self) -> Iterator[Mapping[str, object]]:
        """What the daemons logged, in all their lives."""
        for daemon in self.daemons:
            for log in sorted(daemon.root.glob("log.*")):
                for line in log.read_text(errors="replace").splitlines():
                    if line.startswith("{") and line.endswith("}"):
                        yield json.loads(line)

    def crashes(self) -> list[str]:
        """What the daemons logged, in all their lives, that no fault of a store or a peer explains."""
        return [
            " ".join(f"{key}={value}" for key, value in line.items() if key != "timestamp")
            for line in self.events()
            if line["event"] in CRASHES and line.get("error") != WITHOUT_FILES and line.get("part") != DRIVER
        ]

    def unfinished(self) -> int:
        return int(self.query(_UNFINISHED)[0]["count"])

    def ended(self) -> set[str]:
        """The messages whose turns have ended."""
        return {named(row["id"]) for row in self.query(_ENDED)}

    def swept_at(self) -> float:
        """When a sweep came to its end last, Unix seconds."""
        rows = self.query(_SWEPT_AT)
        return float(rows[0]["at"]) if rows else 0.0

    def evidence(self) -> Evidence:
        turns = [
            SeenTurn(
                row["id"],
                row["contact"],
                row["state"],
                row["lo"],
                row["hi"],
                tuple(map(named, row["message_ids"])),
                row["rule"],
                tuple(map(named, row["repeated_ids"])),
                row["at"],
            )
            for row in self.query(_TURNS)
        ]
        parts = [SeenPart(**row) for row in self.query(_PARTS)]
        # Whatever left is in this gateway's records, or it says itself that it left: it can prove every outcome.
        proven = frozenset(self.gateway.texts())
        return Evidence(
            self.webhooks.acknowledged,
            turns,
            parts,
            self.gateway.texts(),
            proven,
            self.webhooks.seen(),
            self.gateway.last_own(INSTANCE),
            frozenset(row["id"] for row in self.query(_HEEDED)),
            SETTLE_SECONDS - CLOCK_SECONDS - max(0, self.gateway.clock_skew_seconds),
            self.lost_tails,
            frozenset(self.refused),
        )


@contextmanager
def system(clock_skew_seconds: int = 0) -> Iterator[System]:
    """Up and ready; everything is removed at the end. The gateway's clock is so far ahead of WhatsApp's and ours."""
    with ExitStack() as stack:
        stores = stack.enter_context(own_stores(migrated=True))
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="majlis-", dir=scratch_dir())))
        gateway = stack.enter_context(FakeEvolution().running())
        gateway.clock_skew_seconds = clock_skew_seconds
        model = stack.enter_context(FakeOpenAI().running())
        model.text_for = _echo
        redis_links, postgres_links = [], []
        for number in range(DAEMONS):
            (directory / str(number)).mkdir()
            redis_links.append(Link(directory / f"redis.{number}", _redis_socket(stores)))
            own = directory / str(number) / ".s.PGSQL.5432"
            postgres_links.append(Link(own, _postgres_socket(stores)))
        stack.enter_context(link.running(*redis_links, *postgres_links))
        daemons = []
        for redis_link, postgres_link in zip(redis_links, postgres_links, strict=True):
            settings = {
                "redis": {"url": f"unix://{redis_link.path}?db=0"},
                "postgres": {"dsn": f"postgresql://majlis@/majlis?host={postgres_link.path.parent}"},
                "turn": {"max_tries": NEVER_GIVE_UP, "backoff_seconds": [0.2, 0.4, 0.8]},
                "responder": {"breaker_seconds": 1},
                "drain_seconds": 3,
                "batching": {"window_seconds": 0.6, "album_seconds": 2},
                "instances": {INSTANCE: {}},
                "takeover": {
                    "automatic": False
                },  # persons write here within seconds of a customer's first message
                "sweep": {"enabled": True, "every_seconds": SWEEP_SECONDS, "settle_seconds": SETTLE_SECONDS},
            }
            settings_of_all = (evolution(gateway, timeout_seconds=3), openai(model, timeout_seconds=3))
            daemons.append(stack.enter_context(daemon_under_test(*settings_of_all, settings, start=False)))
        webhooks = Webhooks(gateway, daemons)
        found = System(stores, gateway, model, daemons, webhooks, redis_links, postgres_links)
        found.query(_FIRST_SWEEP)
        for daemon in daemons:
            daemon.start(until_ready=False)
        for daemon in daemons:
            daemon.wait_ready()
        yield found


def _echo(asked: str) -> str:
    """Every batch has a reply of its own, and the same one however often it is asked for."""
    return f"Re {asked}"


def _redis_socket(stores: OwnStores) -> Path:
    return Path(stores.redis.server.url.removeprefix("unix://").partition("?")[0])


def _postgres_socket(stores: OwnStores) -> Path:
    return Path(stores.postgres.server.dsn.partition("host=")[2]) / ".s.PGSQL.5432"


async def _query(dsn: str, sql: str, writes: bool) -> list[asyncpg.Record]:
    """asyncio-flavoured."""
    connection = await asyncpg.connect(dsn, timeout=PATIENCE_SECONDS)
    try:
        if writes:  # also where a fault has made every new session read-only
            await connection.execute("SET default_transaction_read_only = off")
        found: list[asyncpg.Record] = await connection.fetch(sql, timeout=PATIENCE_SECONDS)
        return found
    finally:
        connection.terminate()
