"""What holds for the process of the daemon: no core files, memory that comes back, a data directory of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import trio

from daemon.run.lifecycle import lock_data_dir
from tests.acceptance.settings import ROOT
from tests.support.patience import PATIENCE_SECONDS, until

BODIES = 32
BODY = b'{"event":"presence.update","instance":"demo","data":[' + b'{"a":"b"},' * 100_000 + b"{}]}"
SERVER = """
import resource, sys, trio
from daemon.gateways.evolution.payload import parse_webhook
from daemon.run import process
from daemon.web.http1 import BodyBytes, HttpServer, Limits, Response, open_tcp_listeners

_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (128, most))
process.settle_process()
with open("/proc/self/coredump_filter") as file:
    assert file.read().strip() == "00000000", "a program that takes core files would get the memory"
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (min(most, 65536), most), "files"
process.TIDY_SECONDS = 0.5
bodies, all_are_here = BodyBytes(1 << 30), trio.Event()
kept = []

async def handle(request):
    parse_webhook(request.body, "demo", None)
    if bodies.held == int(sys.argv[1]):
        all_are_here.set()
    await all_are_here.wait()
    kept.append(object())  # something small that stays lies among what goes
    cycle = [request]  # as an error does whose traceback knows the body
    cycle.append(cycle)
    return Response(200, b"handled")

async def main():
    server = HttpServer(handle, Limits(max_connections_per_address=512), bodies=bodies)
    (listener,) = await open_tcp_listeners("127.0.0.1:0")
    process.settle_memory()
    print(resource.getrlimit(resource.RLIMIT_CORE), listener.socket.getsockname()[1], flush=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(process.tidy_after_floods, lambda: bodies.large_bytes)
        await server.serve([listener])

trio.run(main)
"""


def resident_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


async def test_memory_goes_back_after_a_flood_of_large_bodies() -> None:
    """Also what is in reference cycles; the process is near its first size again, and would leave no core file.

    It may have as many files as the system allows.
    """
    with subprocess.Popen(  # noqa: ASYNC220  it returns after the fork
        [sys.executable, "-c", SERVER, str(BODIES * len(BODY))], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as child:
        try:
            assert child.stdout is not None
            line = await trio.to_thread.run_sync(child.stdout.readline)
            assert line.startswith("(0, 0) ")
            port = int(line.split()[-1])
            before = resident_bytes(child.pid)

            async def post(_number: int) -> None:
                stream = await trio.open_tcp_stream("127.0.0.1", port)
                async with stream:
                    await stream.send_all(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n")
                    await stream.send_all(b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY)
                    answer = b""
                    while data := await stream.receive_some(65536):
                        answer += data
                assert answer.endswith(b"handled")

            with trio.fail_after(PATIENCE_SECONDS):
                async with trio.open_nursery() as posts:
                    for number in range(BODIES):
                        posts.start_soon(post, number)
            flood = BODIES * len(BODY)
            assert resident_bytes(child.pid) - before > flood / 2
            await until(lambda: resident_bytes(child.pid) - before < flood / 4)
        finally:
            child.kill()


def test_the_data_dir_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    """One that exists keeps its mode: other things may be in it, and the doctor says so."""
    new, old = tmp_path / "deep" / "new", tmp_path / "old"
    old.mkdir(mode=0o755)
    for data_dir, mode in ((new, 0o700), (old, 0o755)):
        with lock_data_dir(data_dir):
            assert data_dir.stat().st_mode & 0o777 == mode
            assert (data_dir / "run").stat().st_mode & 0o777 == 0o700
