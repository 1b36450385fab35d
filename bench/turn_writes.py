"""`make bench-writes`: what a turn writes: Postgres' statements, transactions, WAL and HOT updates.

Whole turns of the ledger's side, bursts of three messages, over a real Postgres with its lookups; the model and the
gateway answer at once, the mirror takes no part. Full-page images are counted apart: they depend on how often the
server makes a checkpoint, not on the turn. With `--dsn` it is a database that is there, with whatever it holds.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from itertools import count
from pathlib import Path

import trio
import trio_asyncio

from actors.errors import LeaseUncertain
from actors.identity import Conversation
from actors.instance import FeatureFlags, Terms
from actors.messages import Answer, Batch, Message, Prompt, Waiting, WindowPolicy
from actors.outbox import Outbox, OutboxPolicy
from actors.outcome import NoRecord, SendOutcome, Sent
from actors.turn import TurnAttempt
from actors.turn_services import TurnServices
from bench.turns import counts
from bench.turns.counts import Counts
from daemon.ledger import PostgresLedger
from daemon.lookups import PostgresLookups
from daemon.stores.embedded_postgres import run_embedded_postgres
from daemon.stores.postgres import Postgres, Row
from tests.support.ledgers import PARTITIONS, open_postgres, prepare
from tests.support.memory import MemoryFacts, MemoryFeed

WARM_UP = 40
REST_SECONDS = 10.5
"""A session that has nothing to do tells the last of its statistics after ten seconds."""


class Counting(Postgres):
    """Counts the statements, by their function or table."""

    def __init__(self, dsn: str) -> None:
        super().__init__(dsn, max_connections=16)
        self.statements: Counter[str] = Counter()

    async def fetch(self, sql: str, *args: object, repeatable: bool = True) -> list[Row]:
        self.statements[" ".join(sql.split())[:48]] += 1
        return await super().fetch(sql, *args, repeatable=repeatable)


class World:
    """Everything around a turn that is no store; answers at once."""

    def __init__(self) -> None:
        self.ids = count(1)

    async def answer(self, prompt: Prompt) -> Answer:
        await trio.lowlevel.checkpoint()
        text = f"Answer {next(self.ids)}: a kilo of sidr honey is 180, and we are there every day."
        return Answer(text, "main", "model", 120, 24)

    def given_up(self, *_args: object) -> None:
        return None

    async def send(self, *_args: object, **_named: object) -> SendOutcome:
        may_send = _args[2]
        assert callable(may_send)
        may_send()
        await trio.lowlevel.checkpoint()
        return Sent(f"3EB0{next(self.ids):018X}")

    async def find(self, *_args: object) -> NoRecord:
        await trio.lowlevel.checkpoint()
        return NoRecord()

    def epoch(self, _conversation: Conversation) -> int:
        return 1

    def window(self, _instance: str) -> WindowPolicy:
        return WindowPolicy()

    def terms(self, _instance: str) -> Terms:
        return Terms()

    def of(self, _instance: str) -> FeatureFlags:
        return FeatureFlags()

    def phone_of(self, _instance: str, _lid: str) -> str | None:
        return None

    async def append(self, *_args: object) -> None:
        raise LeaseUncertain("nothing is moved here")


def _services(db: Postgres, world: World) -> TurnServices:
    ledger, feed = PostgresLedger(db, PARTITIONS), MemoryFeed()
    outbox = Outbox(
        ledger,
        world,
        world,
        feed,
        MemoryFacts(),
        lambda: 1_785_000_000_000,
        lambda _instance: OutboxPolicy(gateway="a1b2c3d4"),
        partial(secrets.token_hex, 8),
    )
    return TurnServices(
        append=world.append,
        ledger=ledger,
        lookups=PostgresLookups(db),
        responder=world,
        outbox=outbox,
        identities=world,
        policies=world,
        flags=world,
        feed=feed,
        wall_ms=lambda: 1_785_000_000_000,
        nudge=lambda: None,
        label=lambda conversation: conversation.contact,
    )


def _batch(conversation: Conversation, number: int) -> Batch:
    entries = tuple(
        Waiting(
            3 * number + place,
            1_785_000_000_000 + number,
            Message(
                *conversation,
                f"3A{number:014X}{number * 2654435761 % 2**40:010X}{place:04X}",
                f"what does a kilo of honey cost {number} {place}?",
                1_785_000_000,
                push_name="Guest",
            ),
        )
        for place in range(3)
    )
    at = 1_785_000_000_000 + number
    return Batch(conversation, at, 3 * number, 3 * number + 2, "timeout", 0, at, at + 1000, entries)


async def _turns(services: TurnServices, conversations: int, turns: int, first: int, at_once: int) -> None:
    left = iter(range(first, first + turns))

    async def run() -> None:
        for number in left:
            conversation = Conversation("demo", f"9665{number % conversations:08}")
            outcome = await TurnAttempt(services, _batch(conversation, number), 1).run()
            if outcome != "answered":
                raise SystemExit(f"a turn is {outcome}")

    async with trio.open_nursery() as nursery:
        for _ in range(at_once):
            nursery.start_soon(run)


async def _bench(options: argparse.Namespace, dsn: str) -> list[str]:
    async with open_postgres(dsn) as db:
        await prepare(db)
    db = Counting(dsn)
    await db.open()
    services, first = _services(db, World()), time.time_ns() // 1_000_000
    await _turns(services, options.conversations, WARM_UP, first, options.at_once)
    await _turns(services, options.conversations, WARM_UP, first + 1_000_000, options.at_once)
    db.statements.clear()
    before, cpu_ms = await _counts(dsn), await _cpu_ms(db)
    await _turns(services, options.conversations, options.turns, first + 2_000_000, options.at_once)
    statements, cpu_ms = dict(db.statements), await _cpu_ms(db) - cpu_ms
    await db.close()  # which publishes its counts
    lines = _report(options.turns, statements, await _counts(dsn) - before)
    return [*lines, f"processor time of Postgres {cpu_ms / options.turns:.2f} ms a turn"]


async def _cpu_ms(db: Postgres) -> float:
    """Of the sessions of this program; they must be on this machine."""
    rows = await db.fetch(
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname = current_database()"
    )
    ticks = 0
    for row in rows:
        try:
            stat = await trio.Path(f"/proc/{row['pid']}/stat").read_text()
        except FileNotFoundError:  # it was going: of the bench's own preparations
            continue
        fields = stat.rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return 1000 * ticks / os.sysconf("SC_CLK_TCK")


async def _counts(dsn: str) -> Counts:
    await trio.sleep(REST_SECONDS)
    return await trio.to_thread.run_sync(counts.read_postgres, dsn)


def _report(turns: int, statements: dict[str, int], added: Counts) -> list[str]:
    found = added.per(turns)
    return [
        f"statements {sum(statements.values()) / turns:.2f} a turn",
        *(
            f"  {number / turns:.2f} {sql}"
            for sql, number in sorted(statements.items(), key=lambda one: -one[1])
        ),
        f"transactions {found['transactions']:.2f}, fsyncs of the log {found['wal_fsyncs']:.2f} a turn",
        f"log {found['wal_bytes']:,.0f} bytes a turn, with {added.wal_images:.0f} full-page images in all",
        f"updates {found['updates']:.2f} a turn, {100 * found['hot_updates']:.0f} % HOT; of the table of turns"
        f" {found['turn_updates']:.2f}, {100 * found['hot_turn_updates']:.0f} % HOT",
    ]


async def _main(options: argparse.Namespace, home: Path) -> list[str]:
    async with trio_asyncio.open_loop(), trio.open_nursery() as nursery:
        dsn = options.dsn
        if not dsn:
            run = partial(run_embedded_postgres, home, on_event=lambda *_args: None)
            dsn = (await nursery.start(run)).dsn
        lines = await _bench(options, dsn)
        nursery.cancel_scope.cancel()
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-writes", description=__doc__)
    parser.add_argument("--turns", type=int, default=400)
    parser.add_argument("--conversations", type=int, default=40)
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--dsn", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="majlis-", dir="/tmp") as home:
        lines = trio.run(_main, options, Path(home))
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
