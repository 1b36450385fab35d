"""`make bench-turns`: the processor time of whole turns and of acknowledgements, compared to another checkout's.

Two daemons run side by side, each a process with its embedded Redis and Postgres: that of this checkout, and that of
the checkout named by `--against`. The gateway, the model and the customers are this process; it answers at once, and
its own time does not count. The loads alternate between the daemons, and the ratio is the median of the rounds' ratios,
so that noise of the machine affects both alike.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path

from bench.servers import ROOT
from bench.turns import world
from bench.turns.home import HELD, Case, Home, converse, directory, spent, start

EARLIER_TURNS, EARLIER_ROWS = 50, 200
_AGE = """
    WITH seed AS MATERIALIZED (
        SELECT DISTINCT ON (contact) * FROM majlis_turns WHERE contact LIKE $1 || '%' ORDER BY contact, id DESC),
    turns AS (
        INSERT INTO majlis_turns OVERRIDING SYSTEM VALUE
        SELECT (jsonb_populate_record(NULL::majlis_turns, to_jsonb(s) || jsonb_build_object(
            'id', nextval(pg_get_serial_sequence('majlis_turns', 'id')),
            'batch_number', s.batch_number - 86400000 - g * 60000, 'text_hash', md5(s.id || ' ' || g),
            'created_at', s.created_at - interval '1 day' - g * interval '1 minute',
            'opened_at', s.opened_at - interval '1 day' - g * interval '1 minute',
            'answered_at', s.answered_at - interval '1 day' - g * interval '1 minute',
            'finished_at', s.finished_at - interval '1 day' - g * interval '1 minute',
            'message_ids', jsonb_build_array('old-' || s.id || '-' || g),
            'messages', jsonb_set(s.messages, '{0,id}', to_jsonb('old-' || s.id || '-' || g))))).*
        FROM seed s CROSS JOIN generate_series($2::int, 1, -1) AS g
        RETURNING id, contact)
    INSERT INTO majlis_outbox
    SELECT (jsonb_populate_record(NULL::majlis_outbox, to_jsonb(o) || jsonb_build_object(
        'turn_id', t.id, 'gateway_message_id', 'OLD' || t.id || '-' || o.part,
        'claimed_at', o.claimed_at - interval '1 day', 'last_claimed_at', o.last_claimed_at - interval '1 day',
        'settled_at', o.settled_at - interval '1 day'))).*
    FROM turns t JOIN seed s USING (contact) JOIN majlis_outbox o ON o.turn_id = s.id
"""
_ROWS = """
    INSERT INTO whatsapp_messages (conversation_id, sender_type, content, message_id, created_at)
    SELECT c.id, CASE WHEN g % 2 = 0 THEN 'user' ELSE 'assistant' END, 'earlier words of number ' || g,
           CASE WHEN g % 4 = 0 THEN 'old-' || s.id || '-' || g / 4 ELSE 'row-' || s.id || '-' || g END,
           now() - interval '1 day' - g * interval '1 minute'
    FROM (SELECT DISTINCT ON (contact) id, contact, conversation_id FROM majlis_turns
          WHERE contact LIKE $1 || '%' ORDER BY contact, id DESC) s
    JOIN whatsapp_conversations c ON c.id::text = s.conversation_id
    CROSS JOIN generate_series($2::int, 1, -1) AS g
"""


CASES = (
    Case("plain"),
    Case("bursts of 3", burst=3),
    Case("echoes", echoes=True),
    Case("quotes", quotes=True),
    Case("old", is_old=True),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the comparison."""
    group = parser.add_argument_group("comparison to another checkout")
    group.add_argument("--against", type=Path, help="that checkout, e.g. a git worktree")
    group.add_argument("--turns", type=int, default=200, help="of a round (default 200)")
    group.add_argument("--acks", type=int, default=5000, help="acknowledgements of a round (default 5000)")
    group.add_argument("--customers", type=int, default=8, help="customers at a time (default 8)")
    group.add_argument("--case", choices=[*(case.name for case in CASES), "acks"], action="append")


async def compare(options: argparse.Namespace) -> str:
    """A table, each figure this checkout's / the other's."""
    lines = ["| case | " + " | ".join(f"{role}, ms" for role in _ROLES) + " | whole | ratio (each round) |"]
    lines += ["| --- |" + " --- |" * (len(_ROLES) + 2)]
    with directory() as home, ExitStack() as stack:
        homes = [
            await start(home / name, name, checkout, stack)
            for name, checkout in (("this", ROOT), ("other", options.against.resolve()))
        ]
        serial = 0
        for case in (*CASES, None):
            name = case.name if case else "acks"
            if options.case and name not in options.case:
                continue
            found: dict[str, list[dict[str, float]]] = {one.name: [] for one in homes}
            for number in range(-1, options.rounds):  # the first is for warming up
                for one in homes if number % 2 else reversed(homes):
                    serial += 1
                    spent = await _round(one, case, f"96{serial:05}", options)
                    if number >= 0:
                        found[one.name].append(spent)
            lines.append(_line(name, found["this"], found["other"]))
            sys.stderr.write(lines[-1] + "\n")
    return "\n".join(lines) + "\n"


_ROLES = ("server", "postgres", "redis")


def _line(name: str, this: list[dict[str, float]], other: list[dict[str, float]]) -> str:
    """Each figure: this checkout's / the other's."""
    cells = []
    for role in _ROLES:
        mine, theirs = (statistics.median(spent.get(role, 0.0) for spent in found) for found in (this, other))
        cells.append(f"{mine:.3f} / {theirs:.3f}")
    whole = [(sum(mine.values()), sum(theirs.values())) for mine, theirs in zip(this, other, strict=True)]
    ratios = [mine / theirs for mine, theirs in whole]
    both = " / ".join(f"{statistics.median(column):.3f}" for column in zip(*whole, strict=True))
    each = ", ".join(f"{ratio:.2f}" for ratio in sorted(ratios))
    return f"| {name} | {' | '.join(cells)} | {both} | **{statistics.median(ratios):.2f}** ({each}) |"


async def _round(home: Home, case: Case | None, prefix: str, options: argparse.Namespace) -> dict[str, float]:
    """Processor milliseconds per turn or acknowledgement, by role."""
    rng = random.Random(prefix)
    if case is None:
        return await spent(home, options.acks, lambda: _acks(home, prefix, options.acks, rng))
    home.echoes = case.echoes
    customers = [f"{prefix}{number:05}" for number in range(max(options.customers, options.turns // 20))]
    if case.is_old:
        await home.connect(32)
        await converse(home, case, customers, 1, options.customers, rng)
        await asyncio.sleep(1)  # until the turns have ended
        await home.sql((_AGE, (prefix, EARLIER_TURNS)), (_ROWS, (prefix, EARLIER_ROWS)), ("ANALYZE", ()))
    turns = -(-options.turns // len(customers))
    return await spent(
        home,
        turns * len(customers),
        lambda: converse(home, case, customers, turns, options.customers, rng),
    )


async def _acks(home: Home, prefix: str, count: int, rng: random.Random) -> None:
    left = iter(range(count))

    async def write() -> None:
        for number in left:
            data = world.message(f"{prefix}{number % 1000:05}", world.question(rng), f"{prefix}{number:012X}")
            await home.post(HELD, world.event("messages.upsert", HELD, data))

    await asyncio.gather(*(write() for _ in range(home.lanes.qsize())))
