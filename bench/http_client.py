"""`make bench-client`: what a request costs the daemon's HTTP client on its own transport, and on others.

The daemon's own client (`daemon/web/client.py`) runs on each: on its own transport, on that of the library whose
interface it has, and on that of another library of the same interface, as httpx has. Each is a process of its own; they
take turns, and only their processor time counts, not the server's. The question has 4 KB like a responder's, the answer
1 KB. Connections are fresh for every request, as to gateways, or kept, as to responders: then so many lie in the pool
while one request after another is sent. Importing is measured in new processes that have imported what the client needs
besides.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import re
import resource
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import trio

OURS = "ours"
LIBRARY = "httpx2"
"""The daemon's."""
KEPT = (1, 50, 100)
"""Connections in the pool; 0 stands for fresh ones."""
KEEP_SECONDS = 60.0
WARM_UP_REQUESTS = 100
QUESTION = {"model": "m", "messages": [{"role": "user", "content": "What does the sidr honey cost? " * 128}]}
ANSWER = json.dumps({"choices": [{"message": {"content": "180 SAR a kilo. " * 60}}]}).encode()
IMPORT_ROWS = ("import, ms", "import, KiB")


def main() -> int:
    options = _options()
    if options.serve:
        _obey(options.serve, options.folder)
        return 0
    libraries = [OURS, LIBRARY, options.other]
    if not _is_there(options.other, options.folder):
        sys.stdout.write(f"{options.other} is not installed, so it is not measured; see --folder.\n")
        libraries.remove(options.other)
    found = _measure(libraries, options)
    sys.stdout.write(json.dumps(found, indent=1) + "\n" if options.json else _table(libraries, found))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-client", description=__doc__)
    parser.add_argument("--other", default="httpx", help="the library to compare with (default httpx)")
    parser.add_argument(
        "--folder", default="", help="where it is installed (pip install --target); default: here"
    )
    parser.add_argument("--requests", type=int, default=500, help="of each kind in each round (default 500)")
    parser.add_argument("--rounds", type=int, default=9, help="default 9")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--serve", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


def _is_there(library: str, folder: str) -> bool:
    look = "import importlib.util as u, sys; sys.path += sys.argv[2:]; sys.exit(u.find_spec(sys.argv[1]) is None)"
    command = [sys.executable, "-c", look, library, *filter(None, [folder])]
    return subprocess.run(command, check=False).returncode == 0


def _measure(libraries: list[str], options: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """The figures of each round, by what was measured and library."""
    found: dict[str, dict[str, list[float]]] = {}

    def note(what: str, library: str, figure: float) -> None:
        found.setdefault(what, {}).setdefault(library, []).append(figure)

    for number in range(options.rounds):
        for library in libraries[:: -1 if number % 2 else 1]:
            with _child(library, options.folder) as ask:
                for what, figure in zip(IMPORT_ROWS, ask({"do": "import"}), strict=True):
                    note(what, library, figure)
    with _server() as url, ExitStack() as stack:
        children = {each: stack.enter_context(_child(each, options.folder)) for each in libraries}
        for number in range(options.rounds):
            for library in libraries[:: -1 if number % 2 else 1]:
                for kept in (0, *KEPT):
                    question = {"do": "ask", "url": url, "count": options.requests, "kept": kept}
                    what = f"{kept} kept" if kept else "fresh connections"
                    note(f"{what}, µs a request", library, children[library](question)[0])
    return found


Ask = Callable[[Mapping[str, object]], list[float]]


@contextmanager
def _child(library: str, folder: str) -> Iterator[Ask]:
    command = [sys.executable, "-m", "bench.http_client", "--serve", library, "--folder", folder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        told, heard = process.stdin, process.stdout
        assert told is not None
        assert heard is not None

        def ask(question: Mapping[str, object]) -> list[float]:
            told.write(json.dumps(question) + "\n")
            told.flush()
            figures: list[float] = json.loads(heard.readline())
            return figures

        yield ask
        told.close()


def _obey(library: str, folder: str) -> None:
    """Be the child: do what each line of the input says, and answer each with figures."""
    sys.path += filter(None, [folder])
    for line in sys.stdin:
        told = json.loads(line)
        if told["do"] == "import":
            figures = _import(library)
        else:
            figures = [trio.run(partial(_ask, library, told["url"], told["count"], told["kept"]))]
        sys.stdout.write(json.dumps(figures) + "\n")
        sys.stdout.flush()


def _import(library: str) -> list[float]:
    """Milliseconds of processor time, and KiB of memory that stay."""
    tls: Any = importlib.import_module("daemon.web.tls")
    tls.tls_context()
    for other in ("daemon.web.answer", "httptools"):
        importlib.import_module(other)
    gc.collect()
    before_kib, began = _resident_kib(), time.process_time()
    _client(library, kept=0)
    spent = time.process_time() - began
    gc.collect()
    return [spent * 1000, _resident_kib() - before_kib]


def _client(library: str, kept: int) -> Any:
    """The daemon's client on a transport. It sees any library under the name of its own."""
    keep_seconds = KEEP_SECONDS if kept else 0.0
    module: Any = importlib.import_module(LIBRARY if library == OURS else library)
    sys.modules[LIBRARY] = module
    client: Any = importlib.import_module("daemon.web.client")
    transport = None
    if library != OURS:
        limits = module.Limits(
            max_connections=max(KEPT), max_keepalive_connections=kept, keepalive_expiry=keep_seconds
        )
        transport = module.AsyncHTTPTransport(verify=client.tls_context(), trust_env=False, limits=limits)
    return client.HttpClient(keepalive_seconds=keep_seconds, transport=transport)


def _resident_kib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1024


async def _ask(library: str, url: str, count: int, kept: int) -> float:
    """Microseconds of this process for a request."""
    async with _client(library, kept) as http:

        async def ask(times: int) -> None:
            for _ in range(times):
                answer = await http.post_json(url, QUESTION, {"authorization": "Bearer key"}, 60.0, 100_000)
                assert len(answer.body) == len(ANSWER)

        async with trio.open_nursery() as nursery:
            for _ in range(kept):
                nursery.start_soon(ask, 1)
        await ask(WARM_UP_REQUESTS)
        began = time.process_time()
        await ask(count)
        return (time.process_time() - began) / count * 1e6


class _Handler(socketserver.StreamRequestHandler):
    """Answers one request after another on a connection."""

    def handle(self) -> None:
        while first := self.rfile.readline():
            head = first + b"".join(iter(self.rfile.readline, b"\r\n"))
            self.rfile.read(int(re.findall(rb"content-length: (\d+)", head.lower())[0]))
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER))


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256


@contextmanager
def _server() -> Iterator[str]:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/chat/completions"
        server.shutdown()


def _table(libraries: list[str], found: Mapping[str, Mapping[str, list[float]]]) -> str:
    ratios = "".join(f"{f'{OURS} : {name}':>20}" for name in libraries[1:])
    lines = [f"{'medians':<32}" + "".join(f"{name:>12}" for name in libraries) + ratios]
    for what, by_library in found.items():
        line = f"{what:<32}" + "".join(f"{median(by_library[name]):>12.1f}" for name in libraries)
        for name in libraries[1:]:
            pairs = zip(by_library[OURS], by_library[name], strict=True)
            each = [ours / max(other, 1e-9) for ours, other in pairs]
            line += f"{f'{median(each):.2f} ({min(each):.2f}-{max(each):.2f})':>20}"
        lines.append(line)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
