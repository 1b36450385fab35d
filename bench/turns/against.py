"""`make bench-turns`: the processor time of whole turns and of acknowledgements, compared to another checkout's.

Two daemons run side by side, each a process with its embedded Redis and Postgres: that of this checkout, and that of
the checkout named by `--against`. The gateway, the model and the customers are this process; it answers at once, and
its own time does not count. The loads alternate between the daemons, and the ratio is the median of the rounds' ratios,
so that noise of the machine affects both alike.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import asyncpg

from bench.processes import Process, cpu_seconds, free_port
from bench.servers import ROOT, Server
from bench.turns import world
from bench.turns.world import Said, World
from daemon.stores.places import Places, redis_server_program

INSTANCE, HELD = "shop", "held"
"""The instance whose windows close at once, and the one whose windows stay open."""

EARLIER_TURNS, EARLIER_ROWS = 50, 200
ANSWER_SECONDS = 30.0
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


class Case(NamedTuple):
    """A kind of turn."""

    name: str
    echoes: bool = False
    """The gateway reports each reply in a webhook of its own."""
    quotes: bool = False
    """Each message but the first quotes the reply before."""
    is_old: bool = False
    """The conversations have earlier turns and messages."""
    burst: int = 1
    """Messages a turn."""


CASES = (
    Case("plain"),
    Case("bursts of 3", burst=3),
    Case("echoes", echoes=True),
    Case("quotes", quotes=True),
    Case("old", is_old=True),
)


@dataclass
class Home:
    """One daemon and the world around it."""

    name: str
    port: int
    server: Server
    places: Places
    lanes: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(
        default_factory=asyncio.Queue
    )
    waiting: dict[str, asyncio.Future[str]] = field(default_factory=dict)
    """Customers who wait for a reply, by number."""
    echoes: bool = False
    posting: set[asyncio.Task[None]] = field(default_factory=set)
    sends: int = 0
    asked: int = 0

    async def connect(self, lanes: int) -> None:
        """Anew: the daemon closes connections on which nothing comes."""
        while not self.lanes.empty():
            self.lanes.get_nowait()[1].close()
        for _ in range(lanes):
            self.lanes.put_nowait(await asyncio.open_connection("127.0.0.1", self.port))

    async def post(self, instance: str, payload: dict[str, object]) -> str:
        """The `status` of the response."""
        reader, writer = lane = await self.lanes.get()
        writer.write(world.webhook_request(instance, payload))
        answer_head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(answer_head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        answer = json.loads(await reader.readexactly(length))
        self.lanes.put_nowait(lane)
        return str(answer["status"])

    def sent(self, number: str, text: str) -> str:
        """The daemon sends a reply: returns its id."""
        self.sends += 1
        message_id = f"3EB0{self.sends:018X}"
        if self.echoes:
            echo = world.event(
                "send.message", INSTANCE, world.message(number, text, message_id, from_me=True)
            )
            task = asyncio.ensure_future(self._post_echo(echo))
            self.posting.add(task)
            task.add_done_callback(self.posting.discard)
        if (waits := self.waiting.pop(number, None)) is not None:
            waits.set_result(message_id)
        return message_id

    def answer(self, url: bytes, body: bytes) -> Said:
        """As gateway and as model: at once."""
        if b"chat/completions" in url:
            self.asked += 1
            return Said(200, world.completion(self.asked))
        if b"sendText" in url:
            asked = json.loads(body)
            number = asked["number"].partition("@")[0]
            message_id = self.sent(number, asked["text"])
            return Said(201, world.document(world.message(number, asked["text"], message_id, from_me=True)))
        return Said(200, world.CONNECTED) if b"connectionState" in url else Said(404, world.NO_SUCH_THING)

    async def _post_echo(self, echo: dict[str, object]) -> None:
        await self.post(INSTANCE, echo)

    async def sql(self, *statements: tuple[str, tuple[object, ...]]) -> None:
        connection = await asyncpg.connect(f"postgresql://majlis@/majlis?host={self.places.sockets}")
        for statement, arguments in statements:
            await connection.execute(statement, *arguments, timeout=300)
        await connection.close()


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
    with _directory() as home, ExitStack() as stack:
        homes = [
            await _start(home / name, name, checkout, stack)
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
        return await _spent(home, options.acks, lambda: _acks(home, prefix, options.acks, rng))
    home.echoes = case.echoes
    customers = [f"{prefix}{number:05}" for number in range(max(options.customers, options.turns // 20))]
    if case.is_old:
        await home.connect(32)
        await _converse(home, case, customers, 1, options.customers, rng)
        await asyncio.sleep(1)  # until the turns have ended
        await home.sql((_AGE, (prefix, EARLIER_TURNS)), (_ROWS, (prefix, EARLIER_ROWS)), ("ANALYZE", ()))
    turns = -(-options.turns // len(customers))
    return await _spent(
        home,
        turns * len(customers),
        lambda: _converse(home, case, customers, turns, options.customers, rng),
    )


async def _spent(home: Home, count: int, load: Callable[[], Awaitable[None]]) -> dict[str, float]:
    roots = [process.pid for process in home.server.processes]
    await home.connect(32)
    before = cpu_seconds(roots)
    await load()
    await asyncio.sleep(0.3)  # what comes after the reply belongs to the turn
    after = cpu_seconds(roots)
    return {role: (after[role] - before.get(role, 0.0)) / count * 1000 for role in after}


async def _converse(
    home: Home, case: Case, customers: list[str], turns: int, at_once: int, rng: random.Random
) -> None:
    """`turns` turns of each customer, one after another, `at_once` customers at a time."""
    left = iter(customers)

    async def talk() -> None:
        for number in left:
            last = ""
            for turn in range(turns):
                last = await _turn(home, case, number, turn, last, rng)

    await asyncio.gather(*(talk() for _ in range(at_once)))
    await asyncio.gather(*home.posting)


async def _turn(home: Home, case: Case, number: str, turn: int, last: str, rng: random.Random) -> str:
    waits = home.waiting[number] = asyncio.get_running_loop().create_future()
    instance = INSTANCE if case.burst == 1 else f"{INSTANCE}-{case.burst}"
    for part in range(case.burst):
        data = world.message(
            number, world.question(rng), f"{number}{turn:04}{part:02}{rng.getrandbits(40):010X}"
        )
        if case.quotes and last:
            data["contextInfo"] = {
                "stanzaId": last,
                "participant": "",
                "quotedMessage": {"conversation": "A kilo is 180"},
            }
        status = await home.post(instance, world.event("messages.upsert", instance, data))
        if status != "accepted":
            raise SystemExit(f"{home.name}: a message is {status}")
    return await asyncio.wait_for(waits, ANSWER_SECONDS)


async def _acks(home: Home, prefix: str, count: int, rng: random.Random) -> None:
    left = iter(range(count))

    async def write() -> None:
        for number in left:
            data = world.message(f"{prefix}{number % 1000:05}", world.question(rng), f"{prefix}{number:012X}")
            status = await home.post(HELD, world.event("messages.upsert", HELD, data))
            if status != "accepted":
                raise SystemExit(f"{home.name}: a message is {status}")

    await asyncio.gather(*(write() for _ in range(home.lanes.qsize())))


async def _start(home: Path, name: str, checkout: Path, stack: ExitStack) -> Home:
    port, world_port = free_port(), free_port()
    model = {
        "name": "main",
        "kind": "openai",
        "base_url": f"http://127.0.0.1:{world_port}/v1",
        "api_key": "key",
        "model": "test",
    }
    held = {"window_seconds": 3600, "max_messages": 1_000_000}
    settings: dict[str, object] = {
        "data_dir": str(home / "var"),
        "ingress": {"listen": f"127.0.0.1:{port}"},
        "redis": {"program": str(redis_server_program())},
        "dashboard": {"listen": None},
        "sweep": {"enabled": False},
        "log": {"level": "warning"},
        "gateway": {"kind": "evolution", "base_url": f"http://127.0.0.1:{world_port}", "api_key": "key"},
        "responder": {"providers": [model]},
        "batching": {
            "window_seconds": 30,
            "max_messages": 1,
            "max_batch_messages": 1_000_000,
            "max_waiting_messages": 1_000_000,
        },
        "instances": {
            INSTANCE: {},
            **{
                f"{INSTANCE}-{case.burst}": {"batching": {"max_messages": case.burst}}
                for case in CASES
                if case.burst > 1
            },
            HELD: {"batching": held},
        },
    }
    _write(home, settings)
    places = Places.below(home / "var")
    server = Server(name, port, places.redis_socket, "", tells_duplicates=True)
    one = Home(name, port, server, places)
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: World(one.answer), "127.0.0.1", world_port)
    command = [sys.executable, "-m", "daemon", "run", "--json"]
    server.processes.append(Process(command, home / f"{name}.log", {"PYTHONPATH": str(checkout)}, home))
    stack.callback(server.stop)
    await asyncio.to_thread(server.wait_ready)
    return one


def _write(home: Path, settings: dict[str, object]) -> None:
    home.mkdir()
    (home / "config.yaml").write_text(json.dumps(settings))  # JSON is YAML


@contextmanager
def _directory() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="majlis-", dir="/tmp"))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)
