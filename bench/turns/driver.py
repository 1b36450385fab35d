"""The customers, the gateway and the model of one server, as a process of its own.

Closed loop: each conversation writes a burst of messages, waits for the reply, and writes the next one at once, so a
window follows the other. Loads are read as lines of JSON from standard input. For each load three lines are written: at
the begin and at the end of the measured time, so that the parent reads the processor times of the same moments, and
the result. A webhook that is refused, or whose connection ends, is posted again, as a gateway does; that is counted.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import random
import sys
import time
import traceback
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

import httptools

from bench.traffic import INSTANCES, instance_name
from bench.turns import world
from bench.turns.world import Said, World

LANES = 32
AGAIN_SECONDS = 0.25
SILENCE_SECONDS = 20.0
"""Without any reply for so long, no more is expected."""
_ARABIC = "السلام عليكم كم سعر التوصيل"


@dataclass
class Load:
    """What to do."""

    run: int
    conversations: int
    seconds: float
    warm_seconds: float
    window_seconds: float
    model_seconds: float = 0.0
    burst: int = 3


@dataclass
class Found:
    """What came of it, within the measured time but for the last two."""

    turns: int = 0
    asked: int = 0
    overhead_ms: list[float] = field(default_factory=list)
    """From a burst to its reply, less the window and the model."""
    ack_ms: list[float] = field(default_factory=list)
    driver_seconds: float = 0.0
    """The driver's own processor time."""
    odd: Counter[str] = field(default_factory=Counter)
    """Answers that were no acknowledgement, and replies nobody waited for."""
    unanswered: int = 0
    """Customers who got no reply at all."""


class Lane(asyncio.Protocol):
    """A connection on which webhooks are posted, one at a time."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._body = b""
        self._request: bytes | None = None
        self._since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has another parent
        self._parser = httptools.HttpResponseParser(self)

    def post(self, request: bytes) -> None:
        self._request, self._since, self._body = request, time.perf_counter(), b""
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        request, self._request = self._request, None
        assert request is not None
        status = self._parser.get_status_code()
        self._driver.acknowledged(self, request, self._since, status, self._body)

    def connection_lost(self, error: Exception | None) -> None:
        self._driver.lost(self, self._request)


class Driver:
    """The state of one load at a time."""

    def __init__(self, port: int, loop: asyncio.AbstractEventLoop) -> None:
        self._port = port
        self._loop = loop
        self._rng = random.Random(port)
        self._mark = os.urandom(3).hex().upper()
        self._serial = 0
        self._lanes: set[Lane] = set()
        self._free: list[Lane] = []
        self._connecting: set[asyncio.Task[None]] = set()
        self._queue: deque[bytes] = deque()
        self._sends = self._asked = 0
        self._waiting: dict[int, float] = {}
        self._load = Load(0, 0, 0, 0, 0)
        self._prefix = ""
        self._from = self._until = 0.0
        self._found = Found()

    async def run(self, load: Load) -> None:
        """One load, from its first webhook to the last reply."""
        self._load, self._found = load, Found()
        self._prefix = f"9665{load.run:05}"
        self._waiting.clear()
        while len(self._lanes) < LANES:
            await self._connect()
        self._from = time.perf_counter() + load.warm_seconds
        self._until = self._from + load.seconds
        cycle = load.window_seconds + load.model_seconds
        for number in range(load.conversations):  # not all at once: their windows would close so for ever
            self._loop.call_later(self._rng.random() * cycle, self._write, number)
        await asyncio.sleep(load.warm_seconds)
        spent, turns, asked = time.process_time(), self._sends, self._asked
        _tell({"at": "begin"})
        await asyncio.sleep(self._until - time.perf_counter())
        self._found.turns, self._found.asked = self._sends - turns, self._asked - asked
        self._found.driver_seconds = time.process_time() - spent
        _tell({"at": "end"})
        heard, since = self._sends, time.perf_counter()
        while self._waiting and time.perf_counter() - since < SILENCE_SECONDS + load.model_seconds:
            await asyncio.sleep(0.1)
            if self._sends > heard:
                heard, since = self._sends, time.perf_counter()
        self._found.unanswered = len(self._waiting)
        _tell({"at": "done", **vars(self._found)})

    def _write(self, number: int) -> None:
        self._waiting[number] = time.perf_counter()
        instance = instance_name(number % INSTANCES)
        phone = f"{self._prefix}{number:06}"
        for part in range(self._load.burst):
            self._serial += 1
            text = _ARABIC if part == 2 else world.question(self._rng)
            data = world.message(phone, text, f"{self._mark}{self._serial:026X}")
            self._queue.append(
                world.webhook_request(instance, world.event("messages.upsert", instance, data))
            )
        self._pump()

    def _pump(self) -> None:
        while self._queue and self._free:
            self._free.pop().post(self._queue.popleft())

    async def _connect(self) -> None:
        _, lane = await self._loop.create_connection(lambda: Lane(self), "127.0.0.1", self._port)
        self._lanes.add(lane)
        self._free.append(lane)

    def lost(self, lane: Lane, request: bytes | None) -> None:
        """A connection ended: also a server may end one that rests."""
        self._lanes.discard(lane)
        if lane in self._free:
            self._free.remove(lane)
        if request is not None:
            self._found.odd["a connection ended before its answer"] += 1
            self._queue.appendleft(request)
        task = self._loop.create_task(self._connect_again())
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect_again(self) -> None:
        while True:
            with suppress(OSError):
                await self._connect()
                break
            await asyncio.sleep(AGAIN_SECONDS)
        self._pump()

    def acknowledged(self, lane: Lane, request: bytes, since: float, status: int, body: bytes) -> None:
        """A webhook was answered."""
        now = time.perf_counter()
        self._free.append(lane)
        if status == 200 and (b'"accepted"' in body or b'"duplicate"' in body):
            if self._from <= now < self._until:
                self._found.ack_ms.append((now - since) * 1000)
        else:
            self._found.odd[f"{status} {body[:60].decode('ascii', 'replace')}"] += 1
            self._loop.call_later(AGAIN_SECONDS, self._post_again, request)
        self._pump()

    def _post_again(self, request: bytes) -> None:
        self._queue.append(request)
        self._pump()

    def answer(self, url: bytes, body: bytes) -> Said:
        """As gateway and as model."""
        if b"chat/completions" in url:
            self._asked += 1
            return Said(200, world.completion(self._asked), self._load.model_seconds)
        if b"sendText" in url:
            asked = json.loads(body)
            phone = asked["number"].partition("@")[0]
            self._sends += 1
            sent = world.message(phone, asked["text"], f"3EB0{self._sends:018X}", from_me=True)
            self._replied(phone)
            return Said(201, world.document(sent))
        return Said(200, world.CONNECTED) if b"connectionState" in url else Said(404, world.NO_SUCH_THING)

    def _replied(self, phone: str) -> None:
        number = int(phone.removeprefix(self._prefix)) if phone.startswith(self._prefix) else -1
        since, now = self._waiting.pop(number, None), time.perf_counter()
        if since is None:
            self._found.odd["a reply nobody waited for"] += 1
            return
        if self._from <= now < self._until:
            rest = self._load.window_seconds + self._load.model_seconds
            self._found.overhead_ms.append((now - since - rest) * 1000)
        if now < self._until:
            self._loop.call_soon(self._write, number)


def _tell(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _end(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    traceback.print_exception(error) if error else sys.stderr.write(context["message"])
    os._exit(1)


async def _serve(port: int, world_port: int) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_end)  # a driver with a hole in it measures nothing
    driver = Driver(port, loop)
    await loop.create_server(lambda: World(loop, driver.answer), "127.0.0.1", world_port, backlog=4096)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        await driver.run(Load(**json.loads(line)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--port", type=int, required=True, help="of the server")
    parser.add_argument("--world-port", type=int, required=True, help="of gateway and model")
    options = parser.parse_args()
    with suppress(ImportError):  # the FastAPI peer's environment has it
        importlib.import_module("uvloop").install()
    asyncio.run(_serve(options.port, options.world_port))


if __name__ == "__main__":
    main()
