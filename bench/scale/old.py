"""What a turn costs an old conversation, and what it costs amid a million turns: ratios to a fresh one, in one run."""

from __future__ import annotations

import random
import statistics
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from bench.scale import ageing
from bench.servers import ROOT
from bench.turns.home import Case, Home, converse, spent, start

PLAIN = Case("plain")
CUSTOMERS = 5
"""Old ones, and as many fresh ones."""
FULL_HISTORY_TURNS = 60
"""With so many the responder sees as much history as it ever does: what comes on top is the past alone."""
SEEDS = 200
"""Contacts among whom the turns of the full database are divided."""
_SETTLE_TURNS = 4


class Size(NamedTuple):
    """How much."""

    conversation_turns: int
    database_turns: int
    turns: int
    """Of a round."""
    rounds: int


async def measure(folder: Path, size: Size) -> dict[str, Any]:
    """The processor milliseconds per turn of each kind, each round; and the ratios."""
    with ExitStack() as stack:
        fresh = await start(folder / "fresh", "fresh", ROOT, stack)
        full = await start(folder / "full", "full", ROOT, stack)
        _say(f"a database is filled with {size.database_turns:,} turns …")
        seeds = [f"9660{number:07}" for number in range(SEEDS)]
        await _converse(full, seeds, 1)
        await ageing.age(str(full.places.sockets), "9660", -(-size.database_turns // SEEDS))
        among_many = await _compare(fresh, full, None, size)
        full.server.stop()
        _say(f"{CUSTOMERS} conversations get {size.conversation_turns:,} turns each …")
        old = [f"9661{number:07}" for number in range(CUSTOMERS)]
        await _converse(fresh, old, 1)
        await ageing.age(str(fresh.places.sockets), "9661", size.conversation_turns)
        of_old = await _compare(fresh, fresh, old, size)
        young = [f"9662{number:07}" for number in range(CUSTOMERS)]
        await _converse(fresh, young, 1)
        await ageing.age(str(fresh.places.sockets), "9662", FULL_HISTORY_TURNS)
        of_young = await _compare(fresh, fresh, old, size, beside=young)
    return {
        **size._asdict(),
        "database": among_many,
        "conversation": of_old,
        "conversation_by_full_history": of_young,
    }


async def _compare(
    fresh: Home, other: Home, customers: list[str] | None, size: Size, beside: list[str] | None = None
) -> dict[str, Any]:
    """Rounds of fresh customers (or `beside`) of the one, and of these or of fresh ones of the other, in turn."""
    found: dict[str, list[dict[str, float]]] = {"fresh": [], "other": []}
    for number in range(-1, size.rounds):  # the first is for warming up
        new = [f"967{random.randrange(10**5):05}{one:04}" for one in range(2 * CUSTOMERS)]
        sides = [
            ("fresh", fresh, beside or new[:CUSTOMERS]),
            ("other", other, customers or new[CUSTOMERS:]),
        ]
        for kind, home, who in sides if number % 2 else reversed(sides):
            await _converse(home, who, _SETTLE_TURNS)  # the conversation is in memory, as one that lives
            turns = -(-size.turns // len(who))
            cost = await spent(home, turns * len(who), partial(_converse, home, who, turns))
            if number >= 0:
                found[kind].append(cost)
        if number >= 0:
            _say(
                f"  round {number + 1}: {_whole(found['fresh'][-1]):.2f} and {_whole(found['other'][-1]):.2f} ms"
            )
    ratios = [_whole(b) / _whole(a) for a, b in zip(found["fresh"], found["other"], strict=True)]
    return {"ratio": statistics.median(ratios), "ratios": ratios, **found}


def _whole(spent_ms: dict[str, float]) -> float:
    return sum(spent_ms.values())


async def _converse(home: Home, customers: list[str], turns: int) -> None:
    await home.connect(32)
    await converse(home, PLAIN, customers, turns, 8, random.Random())


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
