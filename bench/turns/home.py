"""One daemon whose customers, gateway and model live in this process: what a turn of a few customers costs.

The gateway and the model answer at once. A webhook that is refused, or whose connection ends, is posted again for a
while, as a gateway does.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import asyncpg

from bench.processes import BenchBroken, Process, cpu_seconds, free_port
from bench.servers import START_SECONDS, Server
from bench.turns import world
from bench.turns.world import Said, World
from daemon.stores.places import Places, redis_server_program

INSTANCE, HELD = "shop", "held"
"""The instance whose windows close at once, and the one whose windows stay open."""

BURSTS = (3,)
"""For each of these `shop-N`, whose windows close with that many messages."""

ANSWER_SECONDS = 60.0
AGAIN_SECONDS = 0.25


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


@dataclass
class Home:
    """One daemon and the world around it."""

    name: str
    port: int
    server: Server
    places: Places
    folder: Path
    checkout: Path
    lanes: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(
        default_factory=asyncio.Queue
    )
    waiting: dict[str, asyncio.Future[str]] = field(default_factory=dict)
    """Customers who wait for a reply, by number."""
    echoes: bool = False
    posting: set[asyncio.Task[None]] = field(default_factory=set)
    sends: int = 0
    asked: int = 0
    model_seconds: float = 0.0
    """How long the model takes."""

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def admin_socket(self) -> Path:
        return self.folder / "var" / "run" / "admin.sock"

    async def launch(self, within_seconds: float = START_SECONDS) -> None:
        """Start the daemon, and wait until it is ready."""
        command = [sys.executable, "-m", "daemon", "run", "--json"]
        environment = {"PYTHONPATH": str(self.checkout)}
        self.server.processes[:] = [Process(command, self.log, environment, self.folder)]
        await asyncio.to_thread(self.server.wait_ready, within_seconds)

    async def connect(self, lanes: int) -> None:
        """Anew: the daemon closes connections on which nothing comes."""
        while not self.lanes.empty():
            self.lanes.get_nowait()[1].close()
        for _ in range(lanes):
            self.lanes.put_nowait(await asyncio.open_connection("127.0.0.1", self.port))

    async def post(self, instance: str, payload: dict[str, object]) -> None:
        """Until it is acknowledged."""
        until = time.monotonic() + ANSWER_SECONDS
        request, said = world.webhook_request(instance, payload), "nothing"
        while time.monotonic() < until:
            lane = await self.lanes.get()
            try:
                said = await _exchange(*lane, request)
            except (OSError, asyncio.IncompleteReadError):
                lane[1].close()
                lane = await asyncio.open_connection("127.0.0.1", self.port)
            finally:
                self.lanes.put_nowait(lane)
            if said in ("accepted", "duplicate", "ignored"):
                return
            await asyncio.sleep(AGAIN_SECONDS)
        raise BenchBroken(f"{self.name}: a webhook is answered {said}")

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
            return Said(200, world.completion(self.asked), self.model_seconds)
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
        try:
            for statement, arguments in statements:
                await connection.execute(statement, *arguments, timeout=3600)
        finally:
            connection.terminate()


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> str:
    """The `status` of the response."""
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    return str(json.loads(await reader.readexactly(length)).get("status"))


async def spent(home: Home, count: int, load: Callable[[], Awaitable[None]]) -> dict[str, float]:
    """Processor milliseconds by role for each of `count` things that a load does."""
    roots = [process.pid for process in home.server.processes]
    await home.connect(32)
    before = cpu_seconds(roots)
    await load()
    await asyncio.sleep(0.3)  # what comes after the reply belongs to the turn
    after = cpu_seconds(roots)
    return {role: (after[role] - before.get(role, 0.0)) / count * 1000 for role in after}


async def converse(
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
    """One turn; returns the reply's id."""
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
        await home.post(instance, world.event("messages.upsert", instance, data))
    return await asyncio.wait_for(waits, ANSWER_SECONDS)


async def start(home: Path, name: str, checkout: Path, stack: ExitStack, log_level: str = "warning") -> Home:
    """Start the daemon of a checkout."""
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
        "log": {"level": log_level},
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
            **{f"{INSTANCE}-{burst}": {"batching": {"max_messages": burst}} for burst in BURSTS},
            HELD: {"batching": held},
        },
    }
    _write(home, settings)
    places = Places.below(home / "var")
    server = Server(name, port, places.redis_socket, "", tells_duplicates=True)
    one = Home(name, port, server, places, home, checkout)
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: World(loop, one.answer), "127.0.0.1", world_port)
    stack.callback(server.stop)
    await one.launch()
    return one


def _write(home: Path, settings: dict[str, object]) -> None:
    home.mkdir()
    (home / "config.yaml").write_text(json.dumps(settings))  # JSON is YAML


@contextmanager
def directory() -> Iterator[Path]:
    """A folder with a short path, as sockets lie in it."""
    home = Path(tempfile.mkdtemp(prefix="majlis-", dir="/tmp"))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)
