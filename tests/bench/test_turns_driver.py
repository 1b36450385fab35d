"""The driver of whole turns, against a small server in this process; and the peers' statements and locks."""

from __future__ import annotations

import asyncio
import json
import random
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors.messages import WindowPolicy
from bench import traffic
from bench.turns import driver, world
from bench.turns.driver import Driver, Load
from bench.turns.world import World

PEERS = Path(driver.__file__).parents[1] / "peers"
ROOT = PEERS.parents[1]


class _Toy:
    """Acknowledges webhooks, refuses the first, and sends a reply for each three of a contact."""

    def __init__(self) -> None:
        self.world_port = 0
        self.refused = 0
        self.heard: dict[str, list[str]] = {}
        self.replying: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while lines := [line async for line in _head(reader)]:
            head = "".join(lines)
            length = re.search(r"Content-Length: (\d+)", head)
            assert length
            data = json.loads(await reader.readexactly(int(length[1])))["data"]
            status = "503 Busy" if not self.refused else "200 OK"
            said = json.dumps({"status": "accepted" if self.refused else "busy"})
            self.refused = 1
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(said)}\r\n\r\n{said}".encode())
            if status == "200 OK":
                self._take(data["key"]["remoteJid"].partition("@")[0], data["key"]["id"])

    def _take(self, phone: str, message_id: str) -> None:
        heard = self.heard.setdefault(phone, [])
        heard.append(message_id)
        if len(heard) % 3 == 0:
            task = asyncio.create_task(self._reply(phone))
            self.replying.add(task)
            task.add_done_callback(self.replying.discard)

    async def _reply(self, phone: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.world_port)
        for path, body in (
            ("/v1/chat/completions", b"{}"),
            ("/message/sendText/shop", json.dumps({"number": phone, "text": "yes"}).encode()),
        ):
            writer.write(
                f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
            )
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(b"content-length: ")[2].split()[0]))
        writer.close()


async def _head(reader: asyncio.StreamReader) -> AsyncIterator[str]:
    """The lines of a head; none when the connection has ended."""
    while (line := (await reader.readline()).decode()) not in ("", "\r\n"):
        yield line


def test_a_burst_follows_each_reply_and_a_refused_webhook_is_posted_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(driver, "_tell", told.append)
    toy = _Toy()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(toy.serve, "127.0.0.1", 0)
        one = Driver(server.sockets[0].getsockname()[1], loop)
        outside = await loop.create_server(lambda: World(loop, one.answer), "127.0.0.1", 0)
        toy.world_port = outside.sockets[0].getsockname()[1]
        await one.run(
            Load(
                run=1, conversations=2, seconds=0.4, warm_seconds=0.1, window_seconds=0.01, model_seconds=0.02
            )
        )

    asyncio.run(run())
    begin, end, done = told
    assert (begin["at"], end["at"], done["at"]) == ("begin", "end", "done")
    assert done["turns"] > 2
    assert done["unanswered"] == 0
    assert sum(done["odd"].values()) == 1, done["odd"]  # the one that was refused
    ids = [message_id for heard in toy.heard.values() for message_id in heard]
    assert len(ids) == len(set(ids))
    assert all(len(heard) % 3 == 0 for heard in toy.heard.values())


def test_the_driver_needs_no_package_of_the_daemon() -> None:
    """It runs in the environment of the FastAPI peer, where that is installed."""
    said = (
        "import sys, bench.turns.driver; print({'actors', 'daemon', 'msgspec', 'trio'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", said], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_conversation_of_the_load_never_has_more_waiting_than_a_window_takes() -> None:
    assert WindowPolicy().max_messages == traffic.MOST_WAITING


def test_no_question_is_like_the_one_before() -> None:

    rng = random.Random(1)
    assert len({world.question(rng) for _ in range(500)}) == 500


def test_the_peers_use_every_statement_of_theirs_and_no_other() -> None:
    named = set(re.findall(r"-- name: (\w+)\n.*?;", (PEERS / "turns_statements.sql").read_text(), re.DOTALL))
    python = (PEERS / "fastapi_redis" / "turns.py").read_text()
    script = (PEERS / "fastify_bullmq" / "turns.js").read_text()
    assert set(re.findall(r'SQL\["(\w+)"\]', python)) == named
    assert set(re.findall(r"query\('(\w+)'", script)) == named


def test_the_locks_of_the_peers_pin_by_hash_and_name_no_registry() -> None:
    packages = json.loads((PEERS / "fastify_bullmq" / "package-lock.json").read_text())["packages"]
    assert all("integrity" in package for name, package in packages.items() if name)
    assert not any("resolved" in package for package in packages.values())
    lock = (PEERS.parent / "requirements-bench.lock").read_text()
    assert lock.count("==") <= lock.count("--hash=sha256:")
    assert "://" not in lock
