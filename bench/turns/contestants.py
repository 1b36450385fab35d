"""The servers that take whole turns: Majlis and two peers, each with its own Redis, Postgres and driver."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import install, servers
from bench.processes import BenchBroken, Process, cpu_seconds, free_port
from bench.servers import ROOT, START_SECONDS, Server
from bench.traffic import HELD, INSTANCES, instance_name
from bench.turns import counts
from bench.turns.driver import Load
from bench.turns.postgres import READY
from daemon.stores.places import Places, redis_server_program

TITLES = {"majlis": "Majlis", "fastapi": "FastAPI", "fastify": "Fastify + BullMQ"}
WINDOW_SECONDS = 1.0
AT_ONCE = 50
"""Turns at once in a peer, as Majlis' default was."""
_WAITING = 2000
"""The same where the model takes its time: they only wait."""
_PEERS = Path(__file__).parent.parent / "peers"
_PATIENCE_SECONDS = 300.0


class Driver:
    """A driver process (driver.py)."""

    def __init__(self, port: int, world_port: int, log: Path) -> None:
        command = [str(_driver_python()), "-m", "bench.turns.driver"]
        options = ["--port", str(port), "--world-port", str(world_port)]
        self._log = log
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [*command, *options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=ROOT,
                text=True,
            )

    def check(self) -> None:
        """Raise `BenchBroken` when the process has ended."""
        if self._process.poll() is not None:
            raise self._ended()

    def _ended(self) -> BenchBroken:
        return BenchBroken(f"a driver ended:\n{self._log.read_text(errors='replace')[-2000:]}")

    def start(self, load: Load) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(load)) + "\n")
        self._process.stdin.flush()

    def wait(self, at: str) -> dict[str, Any]:
        """Wait for the line that tells this moment."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        told: dict[str, Any] = json.loads(line)
        if told["at"] != at:
            raise BenchBroken(f"a driver tells {told['at']}, not {at}")
        return told

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def _driver_python() -> Path:
    """With uvloop the driver leaves the servers more of the machine."""
    python = install.fastapi_python_if_there()
    return python or Path(sys.executable)


@dataclass
class Contestant:
    """One server with all that is its own. The last of its processes is the server itself."""

    server: Server
    places: Places
    driver: Driver

    @property
    def name(self) -> str:
        return self.server.name

    @property
    def postgres_log(self) -> Path:
        return self.places.logs / "postgres.log"

    def cpu_seconds(self) -> dict[str, float]:
        """Processor time so far of `server`, `postgres` and `redis`."""
        everything = self.server.cpu_seconds()
        own = cpu_seconds([self.server.processes[-1].pid])
        return {**everything, "server": own["server"]}


def start_majlis(home: Path, stack: ExitStack, program: tuple[str, ...] = ()) -> Contestant:
    """The daemon at its defaults, but for a window of one second.

    Args:
      program: what runs it instead of `python -m`, e.g. the sampler.
    """
    port, world_port = free_port(), free_port()
    model = {
        "name": "main",
        "kind": "openai",
        "base_url": f"http://127.0.0.1:{world_port}/v1",
        "api_key": "key",
        "model": "test",
    }
    many = 1_000_000
    held = {"window_seconds": 3600, "max_messages": many, "max_batch_messages": many}
    settings: dict[str, object] = {
        "data_dir": str(home / "var"),
        "ingress": {"listen": f"127.0.0.1:{port}"},
        "redis": {"program": str(redis_server_program())},  # the peers', whatever this machine has
        "dashboard": {"listen": None},
        "sweep": {"enabled": False},
        "gateway": {"kind": "evolution", "base_url": f"http://127.0.0.1:{world_port}", "api_key": "key"},
        "responder": {"providers": [model]},
        "batching": {"window_seconds": WINDOW_SECONDS, "max_waiting_messages": many},
        "instances": {
            **{instance_name(number): {} for number in range(INSTANCES)},
            **{instance_name(number, HELD): {"batching": held} for number in range(INSTANCES)},
        },
    }
    home.mkdir()
    (home / "config.yaml").write_text(json.dumps(settings))  # JSON is YAML
    places = Places.below(home / "var")
    server = Server("majlis", port, places.redis_socket, "majlis:*msg_queue:*", tells_duplicates=True)
    stack.callback(server.stop)
    command = [sys.executable, "-m", *program, "daemon", "run", "--json"]
    server.processes.append(Process(command, home / "majlis.log", {"PYTHONPATH": str(ROOT)}, home))
    server.wait_ready()
    return _with_driver(server, places, world_port, stack)


def start_fastapi(home: Path, stack: ExitStack, settings: Mapping[str, str], at_once: int) -> Contestant:
    """FastAPI with redis.asyncio, asyncpg and aiohttp: uvicorn with one worker on uvloop and httptools."""
    python = install.fastapi_python()
    server, places, environment = _peer("fastapi", home, stack, settings, at_once)
    command = [str(python), "-m", "uvicorn", "turns:app", "--host", "127.0.0.1", "--port", str(server.port)]
    options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    server.processes.append(
        Process([*command, *options], home / "fastapi.log", environment, install.FASTAPI_DIR)
    )
    server.wait_ready()
    return _with_driver(server, places, int(environment["WORLD"].rpartition(":")[2]), stack)


def start_fastify(home: Path, stack: ExitStack, settings: Mapping[str, str], at_once: int) -> Contestant:
    """Fastify with BullMQ, pg and undici: one node process, its worker inside.

    Raises:
      LookupError: no node 20 or newer; the text says what that means.
    """
    node = install.fastify_node()
    server, places, environment = _peer("fastify", home, stack, settings, at_once)
    environment |= {"PORT": str(server.port), "NODE_ENV": "production"}
    server.processes.append(
        Process([node, "turns.js"], home / "fastify.log", environment, install.FASTIFY_DIR)
    )
    server.wait_ready()
    return _with_driver(server, places, int(environment["WORLD"].rpartition(":")[2]), stack)


def _peer(
    name: str, home: Path, stack: ExitStack, settings: Mapping[str, str], at_once: int
) -> tuple[Server, Places, dict[str, str]]:
    """A server with Redis and Postgres, without its own process yet; and that one's environment."""
    server = servers.peer(name, home, settings, "queue:*", tells_duplicates=True)
    stack.callback(server.stop)
    places = Places.below(home)
    server.processes.append(
        Process([sys.executable, "-m", "bench.turns.postgres", home], home / "postgres.log", {}, ROOT)
    )
    _fill(server, places)
    environment = {
        "REDIS_SOCKET": str(server.redis_socket),
        "POSTGRES_HOST": str(places.sockets),
        "WORLD": f"http://127.0.0.1:{free_port()}",
        "WINDOW_SECONDS": str(WINDOW_SECONDS),
        "AT_ONCE": str(at_once),
    }
    return server, places, environment


def _fill(server: Server, places: Places) -> None:
    """Wait for Postgres, then make the peers' tables."""
    until = time.monotonic() + START_SECONDS
    while not (places.data_dir / READY).exists():
        for process in server.processes:
            process.check()
        if time.monotonic() > until:
            raise BenchBroken(f"the Postgres of {server.name} does not start")
        time.sleep(0.1)
    names = ", ".join(f"('{instance_name(number)}')" for number in range(INSTANCES))
    rows = f"INSERT INTO instances (name) VALUES {names};"
    counts.run_script(places.sockets, (_PEERS / "turns_schema.sql").read_text() + rows)


def _with_driver(server: Server, places: Places, world_port: int, stack: ExitStack) -> Contestant:
    driver = Driver(server.port, world_port, places.data_dir / "driver.log")
    stack.callback(driver.stop)
    servers.wait_listening(world_port, driver.check)
    return Contestant(server, places, driver)
