"""The load generator: a separate process with one epoll loop over keep-alive connections, without an HTTP library.

There are two kinds of load. Without `--rate`, every connection sends its next webhook as soon as the last one is
answered (saturation). With `--rate`, webhooks start at random times at that mean rate whatever the responses do, and
latency is counted from when a webhook was due, so a server that stalls cannot hide it. Only a 200 with
`"status":"accepted"` counts. The result is one line of JSON on standard output.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from bench.traffic import webhooks

DRAIN_SECONDS = 10.0
_ACCEPTED = re.compile(rb'"status"\s*:\s*"accepted"')
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)\r\n", re.IGNORECASE)


@dataclass
class Result:
    """The result of one load."""

    accepted: int = 0
    """Acknowledged webhooks including the warm-up; the store must hold as many."""
    measured: int = 0
    """Those acknowledged within the measured time."""
    measured_seconds: float = 0.0
    latencies_us: list[int] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)
    """Responses that were no acknowledgement, by first line."""
    generator_cpu_seconds: float = 0.0


class LoadBroken(Exception):
    """The load cannot go on: the server closed a connection, violated HTTP, or stopped responding."""


class Connection:
    """One keep-alive connection with at most one request in flight."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5.0)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.due_at = 0.0
        self._received = b""

    def send(self, request: bytes, due_at: float) -> None:
        self.due_at = due_at
        if self.socket.send(request) != len(request):
            raise LoadBroken("the server does not read its socket")

    def answer(self) -> bytes | None:
        """The complete response, or None if it has not arrived yet."""
        chunk = self.socket.recv(65536)
        if not chunk:
            raise LoadBroken("the server closed a connection")
        self._received += chunk
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return None
        length = _CONTENT_LENGTH.search(self._received, 0, head_end + 2)
        if length is None:
            raise LoadBroken("the server answered without a Content-Length")
        if len(self._received) < head_end + 4 + int(length[1]):
            return None
        answer, self._received = self._received, b""
        return answer


class Load:
    def __init__(self, port: int, connections: int, requests: Iterator[bytes]) -> None:
        self._requests = requests
        self._connections = [Connection(port) for _ in range(connections)]
        self._by_descriptor = {one.socket.fileno(): one for one in self._connections}
        self._epoll = select.epoll()
        for descriptor in self._by_descriptor:
            self._epoll.register(descriptor, select.EPOLLIN)
        self._measure_from = self._measure_until = 0.0
        self.result = Result()

    def saturate(self, warm_up_seconds: float, seconds: float) -> None:
        """Keep every connection busy."""
        self._start_clock(warm_up_seconds, seconds)
        for connection in self._connections:
            connection.send(next(self._requests), time.perf_counter())
        on_their_way = len(self._connections)
        while on_their_way:
            for connection in self._answered(self._measure_until + DRAIN_SECONDS):
                now = time.perf_counter()
                if now < self._measure_until:
                    connection.send(next(self._requests), now)
                else:
                    on_their_way -= 1
        self._stop_clock()

    def at_rate(self, rate: float, warm_up_seconds: float, seconds: float, seed: int) -> None:
        """Start webhooks at random moments (a Poisson process) of `rate` per second, open loop."""
        self._start_clock(warm_up_seconds, seconds)
        moments = _moments(rate, time.perf_counter(), self._measure_until, random.Random(seed))
        due: deque[float] = deque()
        idle = deque(self._connections)
        coming = next(moments, None)
        while coming is not None or due or len(idle) < len(self._connections):
            now = time.perf_counter()
            while coming is not None and coming <= now:
                due.append(coming)
                coming = next(moments, None)
            while due and idle:
                idle.popleft().send(next(self._requests), due.popleft())
            idle.extend(
                self._answered(coming or self._measure_until + DRAIN_SECONDS, patient=coming is not None)
            )
        self._stop_clock()

    def _answered(self, until: float, patient: bool = False) -> Iterator[Connection]:
        """Wait until `until` for responses and yield their connections. Only a `patient` wait may return none."""
        # select() keeps microseconds where epoll's own timeout rounds up to whole milliseconds
        wait_seconds = max(0.0, until - time.perf_counter())
        readable, _, _ = select.select([self._epoll.fileno()], [], [], wait_seconds)
        if not readable and not patient:
            raise LoadBroken(f"{DRAIN_SECONDS:.0f} s after the end responses are still missing")
        for descriptor, _ in self._epoll.poll(0):
            connection = self._by_descriptor[descriptor]
            answer = connection.answer()
            if answer is not None:
                self._count(connection, answer)
                yield connection

    def _count(self, connection: Connection, answer: bytes) -> None:
        now = time.perf_counter()
        if not (answer.startswith(b"HTTP/1.1 200") and _ACCEPTED.search(answer)):
            first_line = answer.partition(b"\r\n")[0].decode("ascii", "replace")
            self.result.failures[first_line] = self.result.failures.get(first_line, 0) + 1
            return
        self.result.accepted += 1
        if self._measure_from <= connection.due_at < self._measure_until:
            self.result.latencies_us.append(round((now - connection.due_at) * 1e6))
        if self._measure_from <= now < self._measure_until:
            self.result.measured += 1

    def _start_clock(self, warm_up_seconds: float, seconds: float) -> None:
        self._measure_from = time.perf_counter() + warm_up_seconds
        self._measure_until = self._measure_from + seconds
        self.result.measured_seconds = seconds
        self.result.generator_cpu_seconds = -time.process_time()

    def _stop_clock(self) -> None:
        self.result.generator_cpu_seconds += time.process_time()
        for connection in self._connections:
            connection.socket.close()
        self._epoll.close()


def _moments(rate: float, start: float, end: float, rng: random.Random) -> Iterator[float]:
    moment = start + rng.expovariate(rate)
    while moment < end:
        yield moment
        moment += rng.expovariate(rate)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--conversations", type=int, default=1000)
    parser.add_argument("--warm-up-seconds", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=float, help="webhooks per second; without it: saturation")
    parser.add_argument("--run", type=int, required=True, help="a number no other load of this server has")
    parser.add_argument("--instances", default="bench", help="what the instances' names begin with")
    options = parser.parse_args()
    requests = webhooks(options.port, options.conversations, int(time.time()), options.run, options.instances)
    try:
        load = Load(options.port, options.connections, requests)
        if options.rate is None:
            load.saturate(options.warm_up_seconds, options.seconds)
        else:
            load.at_rate(options.rate, options.warm_up_seconds, options.seconds, seed=options.run)
    except (LoadBroken, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(asdict(load.result)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
