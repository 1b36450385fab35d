"""`make structure`: how large the house is, and how many files one message passes through.

Counts modules, rooms (folders of `daemon`, and `actors`) and the arrows between them, then starts a real daemon with a
gateway and a model on loopback, lets one customer's message be answered to warm it up, and counts the files of ours in
which a function was called while a second customer's message went from the webhook to its committed reply. What runs
by itself meanwhile (leases, monitor, polls) is known from a silence of the same length: a file counts when it is called
more often than then.
"""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

from tests.acceptance.settings import evolution, merged, openai
from tests.support.gateway_server import FakeEvolution
from tests.support.openai_server import FakeOpenAI
from tests.support.payloads import upsert_body

ROOT = Path(__file__).parent.parent
PACKAGES = ("actors", "daemon")
WAIT_SECONDS = 60.0
SECONDS = 4.0
"""Within which a reply is committed; its window is half a second."""


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        _child(Path(sys.argv[2]), sys.argv[3:])
        return
    modules, rooms, arrows = _counts()
    accepted, whole = _files_of_a_message()
    sys.stdout.write(
        f"modules {modules}, rooms {rooms}, arrows between rooms {arrows}\n"
        f"files that one message passes through: {len(accepted)} until it is acknowledged, {len(whole)} until its "
        f"reply is committed\n"
    )
    if "--list" in sys.argv:
        sys.stdout.write("\n".join(sorted(whole)) + "\n")


def _counts() -> tuple[int, int, int]:
    files = {_module(path): path for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    arrows = set()
    for module, path in files.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named: list[str] = []
            if isinstance(node, ast.Import):
                named = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                within = (f"{node.module}.{alias.name}" for alias in node.names)
                named = [name if name in files else node.module for name in within]
            arrows |= {(_room(module), _room(name)) for name in named if name.split(".")[0] in PACKAGES}
    return len(files), len({_room(module) for module in files}), sum(one != other for one, other in arrows)


def _module(path: Path) -> str:
    return str(path.relative_to(ROOT)).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _room(module: str) -> str:
    package, _, rest = module.partition(".")
    return package if package == "actors" or not rest else rest.partition(".")[0]


def _files_of_a_message() -> tuple[set[str], set[str]]:
    with (
        tempfile.TemporaryDirectory(prefix="majlis-", dir="/tmp") as home,
        FakeEvolution().running() as gateway,
        FakeOpenAI().running() as model,
    ):
        seen = Path(home) / "seen"
        port = 18_000 + os.getpid() % 20_000
        config = Path(home) / "config.yaml"
        config.write_text(
            json.dumps(
                merged(
                    {
                        "data_dir": f"{home}/data",
                        "ingress": {"listen": f"127.0.0.1:{port}"},
                        "dashboard": {"listen": None},
                        "batching": {"window_seconds": 0.5},
                        "log": {"level": "warning"},
                        "monitor": {"every_seconds": 300},
                        "instances": {"demo": {}},
                    },
                    evolution(gateway),
                    openai(model),
                )
            )
        )
        child = subprocess.Popen(
            [sys.executable, "-m", "bench.structure", "--child", str(seen), "run", "-c", str(config)],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )
        try:
            _until(lambda: _ready(port))
            _say(port, "96650000001")
            _until(lambda: len(gateway.texts()) == 1)
            time.sleep(2.0)
            short_silence = _seen(child, seen, partial(time.sleep, 0.2))
            silence = _seen(child, seen, partial(time.sleep, SECONDS))
            accepted = _seen(child, seen, partial(_say, port, "96650000002", 0.2))
            whole = _seen(child, seen, partial(_say, port, "96650000003", SECONDS))
            assert len(gateway.texts()) == 3, "the replies took too long: run it on a quieter machine"
        finally:
            child.terminate()
            child.wait(WAIT_SECONDS)
    return _more(accepted, short_silence), _more(whole, silence)


def _more(calls: Counter[str], silence: Counter[str]) -> set[str]:
    return {file for file, count in calls.items() if count > 2 * silence[file]}


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _say(port: int, phone: str, wait_seconds: float = 0.0) -> None:
    """Post one message, and look on for a while."""
    body = upsert_body("demo", phone, f"Question {phone}", f"id-{phone}", int(time.time()))
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/webhook", body, {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as answer:
        assert answer.status == 200
    time.sleep(wait_seconds)


def _seen(child: subprocess.Popen[bytes], seen: Path, work: Callable[[], object]) -> Counter[str]:
    """The files in which something was called while `work` was done."""
    child.send_signal(signal.SIGUSR1)
    _until(lambda: not seen.exists())
    work()
    child.send_signal(signal.SIGUSR2)
    _until(seen.exists)
    return Counter(json.loads(seen.read_text()))


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError("the daemon did not get there; run it by hand to see why")
        time.sleep(0.05)


def _child(seen: Path, arguments: list[str]) -> None:
    """The daemon itself, with every file noted in which a function is called."""
    calls: Counter[str] = Counter()
    ours = tuple(f"{ROOT / package}/" for package in PACKAGES)

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(ours):
            calls[frame.f_code.co_filename] += 1

    def forget(*_: object) -> None:
        calls.clear()
        seen.unlink(missing_ok=True)

    def tell(*_: object) -> None:
        beside = seen.with_suffix(".new")
        beside.write_text(
            json.dumps({str(Path(file).relative_to(ROOT)): count for file, count in calls.items()})
        )
        beside.replace(seen)

    signal.signal(signal.SIGUSR1, forget)
    signal.signal(signal.SIGUSR2, tell)
    from daemon.cli import main as majlis

    sys.argv = ["majlis", *arguments]
    sys.setprofile(note)
    majlis()


if __name__ == "__main__":
    main()
