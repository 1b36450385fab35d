"""`make bench-top`: the processor time that `majlis top` costs a daemon with 10,000 open windows.

A real daemon process with its embedded Redis and Postgres. Each customer writes once, and the windows stay open. The
daemon's processor time is measured without queries, with one query of `majlis top` per second, and with one of
`majlis actors` per second. Shares are of one core. Exit code 1 if `majlis top` adds more than a tenth of a core.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.processes import BenchBroken
from bench.servers import Server, majlis
from bench.traffic import INSTANCES, instance_name
from daemon.web.client import unix_get
from tests.support.payloads import upsert_body

GOAL_SHARE = 0.1
SENDERS = 32
SETTLE_SECONDS = 3.0
LOOKS = {"nobody": "", "majlis top": "/v1/top?limit=18", "majlis actors": "/v1/actors?limit=50"}


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        server = majlis(Path(home) / "majlis", turns=False)
        try:
            server.wait_ready()
            _fill(server, options.conversations)
            socket = Path(home) / "majlis" / "var" / "run" / "admin.sock"
            shares = {who: _share(server, socket, look, options.seconds) for who, look in LOOKS.items()}
        finally:
            server.stop()
    found = {"conversations": options.conversations, "share_of_a_core": shares}
    sys.stdout.write(json.dumps(found, indent=1) + "\n" if options.json else _table(shares))
    return 0 if _added(shares, "majlis top") <= GOAL_SHARE else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-top", description=__doc__)
    parser.add_argument("--conversations", type=int, default=10_000, help="default 10000")
    parser.add_argument("--seconds", type=int, default=10, help="of each measurement (default 10)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    return parser.parse_args()


def _fill(server: Server, conversations: int) -> None:
    """Open this many windows."""
    now = int(time.time())

    def say(number: int) -> str:
        instance = instance_name(number % INSTANCES)
        body = upsert_body(instance, f"5500{number:08}", "Are you open?", f"bench-{number}", now)
        return server.post(f"/webhook/{instance}", body)

    with ThreadPoolExecutor(SENDERS) as senders:
        answers = set(senders.map(say, range(conversations)))
    if answers != {"accepted"}:
        raise BenchBroken(f"webhooks were answered {sorted(answers)}")
    time.sleep(SETTLE_SECONDS)


def _share(server: Server, socket: Path, look: str, seconds: int) -> float:
    """The daemon's share of a core while this query runs once a second."""
    started_at, before = time.monotonic(), server.cpu_seconds()["server"]
    for tick in range(1, seconds + 1):
        if look:
            status, _ = unix_get(str(socket), look)
            if status != 200:
                raise BenchBroken(f"{look} was answered {status}")
        time.sleep(max(0.0, started_at + tick - time.monotonic()))
    return (server.cpu_seconds()["server"] - before) / (time.monotonic() - started_at)


def _added(shares: Mapping[str, float], who: str) -> float:
    return shares[who] - shares["nobody"]


def _table(shares: Mapping[str, float]) -> str:
    word = "reached" if _added(shares, "majlis top") <= GOAL_SHARE else "MISSED"
    lines = [
        "| once a second | share of a core | added |",
        "| --- | --- | --- |",
        *(f"| {who} | {share:.1%} | {_added(shares, who):.1%} |" for who, share in shares.items()),
        "",
        f"goal: majlis top adds at most {GOAL_SHARE:.0%} of a core – {word}",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
