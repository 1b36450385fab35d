"""`make bench-client`: what a request costs the daemon's HTTP client on the library it uses, and on another.

The daemon's own client (`daemon/web/client.py`) runs on both: the other library must have the same interface, as httpx
has. Each is a process of its own; they take turns, and only their processor time counts, not the server's. The
question has 4 KB like a responder's, the answer 1 KB. Connections are kept, as to responders, or fresh for every
request, as to gateways. Importing is measured in new processes that have imported what the client needs besides.
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
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import trio

OURS = "httpx2"
KINDS: Mapping[str, float] = {"kept connections": 30.0, "fresh connections": 0.0}
"""`keepalive_seconds` of the client."""
WARM_UP_REQUESTS = 100
QUESTION = {"model": "m", "messages": [{"role": "user", "content": "What does the sidr honey cost? " * 128}]}
ANSWER = json.dumps({"choices": [{"message": {"content": "180 SAR a kilo. " * 60}}]}).encode()
IMPORT_ROWS = ("import, ms", "import, KiB")


def main() -> int:
    options = _options()
    if options.serve:
        _obey(options.serve, options.folder)
        return 0
    libraries = [OURS, options.other]
    if not _is_there(options.other, options.folder):
        sys.stdout.write(f"{options.other} is not installed, so only {OURS} is measured; see --folder.\n")
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
    with (
        _server() as url,
        _child(libraries[0], options.folder) as first,
        _child(libraries[-1], options.folder) as second,
    ):
        for number in range(options.rounds):
            pairs = list(zip(libraries, (first, second), strict=False))
            for library, ask in pairs[:: -1 if number % 2 else 1]:
                for kind, keepalive_seconds in KINDS.items():
                    question = {"do": "ask", "url": url, "count": options.requests, "keep": keepalive_seconds}
                    note(f"{kind}, µs a request", library, ask(question)[0])
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
            sys.modules[OURS] = importlib.import_module(library)
            figures = [trio.run(partial(_ask, told["url"], told["count"], told["keep"]))]
        sys.stdout.write(json.dumps(figures) + "\n")
        sys.stdout.flush()


def _import(library: str) -> list[float]:
    """Milliseconds of processor time, and KiB of memory that stay."""
    for other in ("daemon.web.tls", "daemon.web.answer", "daemon.web.progress"):
        importlib.import_module(other)
    gc.collect()
    before_kib, began = _resident_kib(), time.process_time()
    module = importlib.import_module(library)
    module.AsyncHTTPTransport(verify=False)  # some of it is imported only now
    spent = time.process_time() - began
    gc.collect()
    return [spent * 1000, _resident_kib() - before_kib]


def _resident_kib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1024


async def _ask(url: str, count: int, keepalive_seconds: float) -> float:
    """Microseconds of this process for a request."""
    client: Any = importlib.import_module("daemon.web.client")
    async with client.HttpClient(keepalive_seconds=keepalive_seconds) as http:
        began = 0.0
        for number in range(WARM_UP_REQUESTS + count):
            if number == WARM_UP_REQUESTS:
                began = time.process_time()
            answer = await http.post_json(url, QUESTION, {"authorization": "Bearer key"}, 30.0, 100_000)
            assert len(answer.body) == len(ANSWER)
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
    request_queue_size = 128


@contextmanager
def _server() -> Iterator[str]:
    with _Server(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/chat/completions"
        server.shutdown()


def _table(libraries: list[str], found: Mapping[str, Mapping[str, list[float]]]) -> str:
    lines = [f"{'medians':<32}" + "".join(f"{name:>12}" for name in libraries) + f"{OURS + ' : other':>18}"]
    for what, by_library in found.items():
        figures = "".join(f"{median(by_library[name]):>12.1f}" for name in libraries)
        ratios = (
            [ours / max(other, 1e-9) for ours, other in zip(*(by_library[n] for n in libraries), strict=True)]
            if len(libraries) == 2
            else []
        )
        spread = f"{median(ratios):>8.2f} ({min(ratios):.2f}-{max(ratios):.2f})" if ratios else ""
        lines.append(f"{what:<32}{figures}{spread:>18}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
