"""The servers under load: each a process of its own with its own Redis, all on loopback, all dying with the bench.

Every Redis is the same program with the same settings: those that the daemon's embedded Redis runs with are read
from it and given to the peers'.
"""

from __future__ import annotations

import http.client
import json
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import redis

from bench import install
from bench.processes import BenchBroken, Process, cpu_seconds, free_port
from bench.traffic import INSTANCES, instance_name
from daemon.stores.places import Places, redis_server_program

ROOT = Path(__file__).parent.parent
START_SECONDS = 90.0
SHARED_REDIS_SETTINGS = (
    "appendonly",
    "appendfsync",
    "save",
    "no-appendfsync-on-rewrite",
    "auto-aof-rewrite-percentage",
    "auto-aof-rewrite-min-size",
    "aof-use-rdb-preamble",
    "maxmemory",
    "maxmemory-policy",
    "hz",
    "io-threads",
)
DURABLE = {"appendonly": "yes", "appendfsync": "always", "save": "", "maxmemory-policy": "noeviction"}
"""For the peers' Redis when no daemon runs beside them."""
_COUNT_STORED = """
local found = 0
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  local kind = redis.call('TYPE', key).ok
  local sizes = {list = 'LLEN', stream = 'XLEN', zset = 'ZCARD', hash = 'HLEN'}
  found = found + redis.call(sizes[kind], key)
end
return found
"""


@dataclass
class Server:
    """A server that acknowledges webhooks, and the Redis it stores them in."""

    name: str
    port: int
    redis_socket: Path
    stored_keys: str
    """Pattern of the Redis keys with acknowledged messages."""
    tells_duplicates: bool
    processes: list[Process] = field(default_factory=list)

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        until = time.monotonic() + seconds
        while not self._is_ready():
            for process in self.processes:
                process.check()
            if time.monotonic() > until:
                tail = self.processes[-1].log_tail()
                raise BenchBroken(f"{self.name} is not ready after {seconds:.0f} s:\n{tail}")
            time.sleep(0.1)

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def post(self, path: str, body: bytes) -> str:
        """Post one webhook; returns the `status` in the response."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            return str(json.loads(connection.getresponse().read())["status"])
        except (OSError, ValueError, KeyError) as error:
            raise BenchBroken(f"{self.name} does not answer a webhook: {error!r}") from error
        finally:
            connection.close()

    def redis(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.redis_socket), decode_responses=True)

    def stored(self) -> int:
        """The number of messages in the store."""
        with self.redis() as store:
            return int(store.eval(_COUNT_STORED, 0, self.stored_keys))

    def redis_settings(self) -> dict[str, str]:
        with self.redis() as store:
            return {key: store.config_get(key)[key] for key in SHARED_REDIS_SETTINGS}

    def redis_version(self) -> str:
        with self.redis() as store:
            return str(store.info("server")["redis_version"])

    def cpu_seconds(self) -> dict[str, float]:
        """Processor time so far by role: `server`, `redis`, `postgres`."""
        return cpu_seconds([process.pid for process in self.processes])

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.stop()


def majlis(home: Path, turns: bool) -> Server:
    """The daemon as started by `majlis run`. Unless `turns`, its windows stay open: the peers do not answer either."""
    port = free_port()
    settings: dict[str, object] = {
        "data_dir": str(home / "var"),
        "ingress": {"listen": f"127.0.0.1:{port}"},
        "redis": {"program": str(redis_server_program())},  # the peers', whatever this machine has
        "dashboard": {"listen": None},
        "instances": {instance_name(number): {} for number in range(INSTANCES)},
    }
    if not turns:
        many = 1_000_000
        settings["batching"] = {
            "window_seconds": 3600,
            "max_messages": many,
            "max_batch_messages": many,
            "max_waiting_messages": many,
        }
    home.mkdir()
    (home / "config.yaml").write_text(json.dumps(settings))  # JSON is YAML
    sockets = Places.below(home / "var")
    server = Server("majlis", port, sockets.redis_socket, "majlis:*msg_queue:*", tells_duplicates=True)
    server.processes.append(
        Process(
            [sys.executable, "-m", "daemon", "run", "--json"],
            home / "majlis.log",
            {"PYTHONPATH": str(ROOT)},
            home,
        )
    )
    return server


def fastapi(home: Path, settings: Mapping[str, str]) -> Server:
    """FastAPI with redis.asyncio: uvicorn with one worker on uvloop and httptools."""
    python = install.fastapi_python()
    server = peer("fastapi", home, settings, "queue:*", tells_duplicates=True)
    command = [str(python), "-m", "uvicorn", "app:app", "--host", "127.0.0.1", "--port", str(server.port)]
    options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    environment = {"REDIS_SOCKET": str(server.redis_socket)}
    server.processes.append(
        Process([*command, *options], home / "fastapi.log", environment, install.FASTAPI_DIR)
    )
    return server


def fastify(home: Path, settings: Mapping[str, str]) -> Server:
    """Fastify with BullMQ: one node process. BullMQ silently drops a known job id, so all are `accepted`."""
    node = install.fastify_node()
    server = peer("fastify", home, settings, "bull:webhooks:delayed", tells_duplicates=False)
    environment = {
        "REDIS_SOCKET": str(server.redis_socket),
        "PORT": str(server.port),
        "NODE_ENV": "production",
    }
    server.processes.append(
        Process([node, "server.js"], home / "fastify.log", environment, install.FASTIFY_DIR)
    )
    return server


def peer(
    name: str, home: Path, settings: Mapping[str, str], stored_keys: str, tells_duplicates: bool
) -> Server:
    """A server with a running Redis and without its own process yet."""
    home.mkdir()
    sockets = Places.below(home)
    options = [word for key, value in settings.items() for word in (f"--{key}", value)]
    place = ["--port", "0", "--unixsocket", str(sockets.redis_socket), "--dir", str(home)]
    server = Server(name, free_port(), sockets.redis_socket, stored_keys, tells_duplicates)
    server.processes.append(Process([redis_server_program(), *place, *options], home / "redis.log", {}, home))
    _wait_redis(server)
    return server


def _wait_redis(server: Server) -> None:
    until = time.monotonic() + START_SECONDS
    with server.redis() as store:
        while True:
            try:
                store.ping()
                return
            except redis.ConnectionError:
                server.processes[0].check()
                if time.monotonic() > until:
                    raise BenchBroken(f"the Redis of {server.name} does not start") from None
                time.sleep(0.05)


def wait_listening(port: int, check: Callable[[], None]) -> None:
    """`check` raises `BenchBroken` when the process that is to listen has ended."""
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return
        except OSError:
            check()
            if time.monotonic() > until:
                raise BenchBroken(f"nothing listens on port {port}") from None
            time.sleep(0.05)
