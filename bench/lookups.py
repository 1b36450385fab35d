"""`make bench-lookups`: the lookups of a turn before its responder is called, in parallel and in sequence.

A real Postgres with a million messages, behind a proxy that delays every reply by 50 ms, like a distant server. Each
turn is a new batch of another conversation; the ways to run it alternate, so that noise of the machine affects all
alike. Exit code 1 if parallel lookups take more than 40 % of the time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import trio
import trio_asyncio

from actors.identity import Conversation
from actors.inquiry import Inquiry
from actors.instance import FeatureFlags, Terms
from daemon.ledger import PostgresLedger
from daemon.lookups import PostgresLookups, cached_answer, knowledge
from daemon.stores.embedded_postgres import run_embedded_postgres
from tests.support.big_ledger import FIRST, Size, fill
from tests.support.ledgers import PARTITIONS, batch, open_postgres
from tests.support.near_embeddings import NearEmbeddings
from tests.support.pg_proxy import PostgresProxy

ROOT = Path(__file__).parent.parent
GOAL = 0.40
WARM_UP_TURNS = 30
"""Undelayed turns before the first that counts, to open connections and prepare statements."""
TERMS = Terms(allowed_origins=("https://gateway.example",), turns_per_minute=1_000, tokens_per_day=10**9)
"""With these, no lookup is skipped."""

Way = tuple[bool, bool]
"""Whether lookups run in parallel, and whether the settings are cached."""
WAYS: tuple[Way, ...] = ((False, False), (True, False), (False, True), (True, True))


@dataclass
class Bench:
    """Turns of many conversations, each up to the point where the responder would be called."""

    ledger: PostgresLedger
    lookups: PostgresLookups
    conversations: int
    number: int = 0
    fields: Mapping[str, Any] = field(default_factory=dict)

    async def lookup_ms(self, way: Way) -> float:
        """The time that the lookups of one new turn take."""
        side_by_side, remembered = way
        conversation = self._next()
        if remembered:
            await self.lookups.instance(conversation.instance)
        else:
            self.lookups.forget()
        asked = batch("What does it cost?", number=self.number, conversation=conversation)
        flags = FeatureFlags(parallel=side_by_side)
        await Inquiry(self.ledger, self.lookups, self, asked, 1, flags, TERMS, lambda: 1).run()
        if self.fields["failures"]:
            raise RuntimeError(f"lookups failed: {self.fields['failures']}")
        return float(self.fields["total_ms"])

    def emit(self, event: str, conversation: Conversation | None = None, **fields: object) -> None:
        if event == "turn.lookups":
            self.fields = fields

    def _next(self) -> Conversation:
        """The next conversation, beginning with the one with most messages; each turn has a new number."""
        place = self.number % self.conversations
        self.number += 1
        return Conversation(f"shop-{1 + place % Size().instances}", str(int(FIRST.contact) + place))


def main() -> int:
    options = _options()
    found = trio.run(_bench, options)
    sys.stdout.write(json.dumps(found, indent=1) + "\n" if options.json else _table(found))
    return 1 if found["worst_ratio"] > GOAL else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-lookups", description=__doc__)
    parser.add_argument("--turns", type=int, default=25, help="of each kind (default 25)")
    parser.add_argument("--delay-ms", type=float, default=50.0, help="added to each query (default 50)")
    parser.add_argument("--messages", type=int, default=1_000_000, help="in the database (default 1,000,000)")
    parser.add_argument("--conversations", type=int, default=100_000, help="(default 100,000)")
    parser.add_argument(
        "--data-dir", type=Path, default=ROOT / "var", help="where Postgres writes (default var/)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    return parser.parse_args()


async def _bench(options: argparse.Namespace) -> dict[str, Any]:
    size = Size(messages=options.messages, conversations=options.conversations)
    options.data_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.data_dir) as home:
        async with _far_postgres(Path(home), size) as (bench, proxy):
            for number in range(WARM_UP_TURNS):
                await bench.lookup_ms(WAYS[number % len(WAYS)])
            near = await _measure(bench, options.turns)
            proxy.delay_seconds = options.delay_ms / 1000
            far = await _measure(bench, options.turns)
    return {
        "messages": size.messages,
        "conversations": size.conversations,
        "turns": options.turns,
        "delay_ms": options.delay_ms,
        "rows": _rows(0.0, near) + _rows(options.delay_ms, far),
        "worst_ratio": max(row["ratio"] for row in _rows(options.delay_ms, far)),
    }


@asynccontextmanager
async def _far_postgres(home: Path, size: Size) -> AsyncIterator[tuple[Bench, PostgresProxy]]:
    async with trio.open_nursery() as nursery, trio_asyncio.open_loop():
        run = partial(run_embedded_postgres, home, on_event=lambda _event, _fields: None)
        server = await nursery.start(run)
        sys.stderr.write(f"filling a database with {size.messages:,} messages …\n")
        async with open_postgres(server.dsn) as near:
            await fill(near, size)
        proxy = PostgresProxy(server.dsn)
        await nursery.start(proxy.serve)
        async with open_postgres(proxy.dsn, max_connections=20) as db:
            sources = (knowledge.lookup(NearEmbeddings()), cached_answer.lookup(NearEmbeddings()))
            lookups = PostgresLookups(db, sources=sources)
            yield Bench(PostgresLedger(db, PARTITIONS), lookups, size.conversations), proxy
        nursery.cancel_scope.cancel()


async def _measure(bench: Bench, turns: int) -> dict[Way, list[float]]:
    measured: dict[Way, list[float]] = {way: [] for way in WAYS}
    for _ in range(turns):
        for way, times in measured.items():
            times.append(await bench.lookup_ms(way))
    return measured


def _rows(delay_ms: float, measured: Mapping[Way, list[float]]) -> list[dict[str, Any]]:
    rows = []
    for remembered in (False, True):
        in_a_row, side_by_side = (statistics.median(measured[way, remembered]) for way in (False, True))
        rows.append(
            {
                "delay_ms": delay_ms,
                "settings": "cached" if remembered else "read",
                "one_after_another_ms": round(in_a_row, 1),
                "side_by_side_ms": round(side_by_side, 1),
                "side_by_side_p95_ms": round(statistics.quantiles(measured[True, remembered], n=20)[-1], 1),
                "ratio": round(side_by_side / in_a_row, 3),
            }
        )
    return rows


def _table(found: Mapping[str, Any]) -> str:
    lines = [
        f"{found['messages']:,} messages, {found['conversations']:,} conversations; medians of {found['turns']} turns",
        "",
        "| added to each query | settings | in sequence | in parallel | p95 | ratio |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row['delay_ms']:g} ms | {row['settings']} | {row['one_after_another_ms']} ms |"
        f" {row['side_by_side_ms']} ms | {row['side_by_side_p95_ms']} ms | {row['ratio']:.0%} |"
        for row in found["rows"]
    ]
    word = "reached" if found["worst_ratio"] <= GOAL else "MISSED"
    lines += [
        "",
        f"goal with {found['delay_ms']:g} ms added: at most {GOAL:.0%} – {word} ({found['worst_ratio']:.0%})",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
