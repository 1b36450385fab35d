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
import httptools

from bench.processes import Process, cpu_seconds, free_port
from bench.servers import Server
from daemon.stores.places import Places, redis_server_program

ROOT = Path(__file__).parent.parent
INSTANCE, HELD = "shop", "held"
"""The instance whose windows close at once, and the one whose windows stay open."""

EARLIER_TURNS, EARLIER_ROWS = 50, 200
ANSWER_SECONDS = 30.0
_WORDS = (
    *(
        "honey",
        "dates",
        "price",
        "open",
        "saturday",
        "delivery",
        "riyadh",
        "order",
        "kilo",
        "box",
        "gift",
        "when",
    ),
    *(
        "where",
        "today",
        "moved",
        "late",
        "size",
        "blue",
        "red",
        "green",
        "coffee",
        "market",
        "branch",
        "cash",
    ),
)
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
        body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        head = (
            f"POST /webhook/{instance} HTTP/1.1\r\nContent-Type: application/json\r\nHost: 127.0.0.1\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        reader, writer = lane = await self.lanes.get()
        writer.write(head.encode() + body)
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
            echo = _event("send.message", INSTANCE, _data(number, text, message_id, from_me=True))
            task = asyncio.ensure_future(self._post_echo(echo))
            self.posting.add(task)
            task.add_done_callback(self.posting.discard)
        if (waits := self.waiting.pop(number, None)) is not None:
            waits.set_result(message_id)
        return message_id

    async def _post_echo(self, echo: dict[str, object]) -> None:
        await self.post(INSTANCE, echo)

    async def sql(self, *statements: tuple[str, tuple[object, ...]]) -> None:
        connection = await asyncpg.connect(f"postgresql://majlis@/majlis?host={self.places.sockets}")
        for statement, arguments in statements:
            await connection.execute(statement, *arguments, timeout=300)
        await connection.close()


class World(asyncio.Protocol):
    """One connection of a daemon to its gateway and model: both answer at once."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._parser = httptools.HttpRequestParser(self)
        self._url = self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        url, body = self._url, self._body
        self._url = self._body = b""
        if b"chat/completions" in url:
            self._home.asked += 1
            text = f"Answer {self._home.asked}: a kilo of sidr honey is 180, and we are there every day."
            self._answer(200, _completion(text))
        elif b"sendText" in url:
            asked = json.loads(body)
            number = asked["number"].partition("@")[0]
            message_id = self._home.sent(number, asked["text"])
            sent = {**_data(number, asked["text"], message_id, from_me=True), "status": "PENDING"}
            self._answer(201, sent)
        elif b"connectionState" in url:
            self._answer(200, {"instance": {"instanceName": INSTANCE, "state": "open"}})
        else:
            self._answer(
                404, {"status": 404, "error": "Not Found", "response": {"message": ["no such thing"]}}
            )

    def _answer(self, status: int, said: object) -> None:
        body = json.dumps(said, ensure_ascii=False).encode()
        head = (
            f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._transport.write(head.encode() + body)


def main() -> int:
    options = _options()
    sys.stdout.write(asyncio.run(_bench(options)))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-turns", description=__doc__)
    parser.add_argument("--against", type=Path, required=True, help="another checkout, e.g. a git worktree")
    parser.add_argument("--rounds", type=int, default=5, help="of each case for each daemon (default 5)")
    parser.add_argument("--turns", type=int, default=200, help="of a round (default 200)")
    parser.add_argument("--acks", type=int, default=5000, help="acknowledgements of a round (default 5000)")
    parser.add_argument("--at-once", type=int, default=8, help="customers at a time (default 8)")
    parser.add_argument("--only", choices=[*(case.name for case in CASES), "acks"], action="append")
    return parser.parse_args()


async def _bench(options: argparse.Namespace) -> str:
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
            if options.only and name not in options.only:
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
    customers = [f"{prefix}{number:05}" for number in range(max(options.at_once, options.turns // 20))]
    if case.is_old:
        await home.connect(32)
        await _converse(home, case, customers, 1, options.at_once, rng)
        await asyncio.sleep(1)  # until the turns have ended
        await home.sql((_AGE, (prefix, EARLIER_TURNS)), (_ROWS, (prefix, EARLIER_ROWS)), ("ANALYZE", ()))
    turns = -(-options.turns // len(customers))
    return await _spent(
        home,
        turns * len(customers),
        lambda: _converse(home, case, customers, turns, options.at_once, rng),
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
        data = _data(number, _question(rng), f"{number}{turn:04}{part:02}{rng.getrandbits(40):010X}")
        if case.quotes and last:
            data["contextInfo"] = {
                "stanzaId": last,
                "participant": "",
                "quotedMessage": {"conversation": "A kilo is 180"},
            }
        status = await home.post(instance, _event("messages.upsert", instance, data))
        if status != "accepted":
            raise SystemExit(f"{home.name}: a message is {status}")
    return await asyncio.wait_for(waits, ANSWER_SECONDS)


async def _acks(home: Home, prefix: str, count: int, rng: random.Random) -> None:
    left = iter(range(count))

    async def write() -> None:
        for number in left:
            data = _data(f"{prefix}{number % 1000:05}", _question(rng), f"{prefix}{number:012X}")
            status = await home.post(HELD, _event("messages.upsert", HELD, data))
            if status != "accepted":
                raise SystemExit(f"{home.name}: a message is {status}")

    await asyncio.gather(*(write() for _ in range(home.lanes.qsize())))


def _question(rng: random.Random) -> str:
    return " ".join(rng.choices(_WORDS, k=8)) + "?"


def _data(number: str, text: str, message_id: str, from_me: bool = False) -> dict[str, object]:
    jid = f"{number}@s.whatsapp.net"
    return {
        "key": {
            "remoteJid": jid,
            "remoteJidAlt": jid,
            "fromMe": from_me,
            "id": message_id,
            "participant": "",
        },
        "pushName": "" if from_me else f"Guest {number}",
        "status": "PENDING" if from_me else "DELIVERY_ACK",
        "message": {"conversation": text, "messageContextInfo": {"deviceListMetadataVersion": 2}},
        "messageType": "conversation",
        "messageTimestamp": int(time.time()),
        "instanceId": "628e74c4-f457-463e-a903-113e19b8e794",
        "source": "unknown" if from_me else "android",
    }


def _event(event: str, instance: str, data: dict[str, object]) -> dict[str, object]:
    return {
        "event": event,
        "instance": instance,
        "data": data,
        "destination": f"http://127.0.0.1:8080/webhook/{instance}",
        "date_time": "2026-07-26T18:13:30.262Z",
        "sender": "550099999999@s.whatsapp.net",
        "server_url": "http://localhost:8080",
        "apikey": None,
    }


def _completion(text: str) -> dict[str, object]:
    message = {"role": "assistant", "content": text, "refusal": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "test",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 120, "completion_tokens": 24, "total_tokens": 144},
    }


async def _start(home: Path, name: str, checkout: Path, stack: ExitStack) -> Home:
    port, world = free_port(), free_port()
    model = {
        "name": "main",
        "kind": "openai",
        "base_url": f"http://127.0.0.1:{world}/v1",
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
        "gateway": {"kind": "evolution", "base_url": f"http://127.0.0.1:{world}", "api_key": "key"},
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
    await loop.create_server(lambda: World(one), "127.0.0.1", world)
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


if __name__ == "__main__":
    sys.exit(main())
