"""`make bench-cache`: how soon after the freeze a cached answer is sent, compared to one from a responder.

A real daemon process with its embedded Redis and Postgres, fsync on; a gateway and a responder on loopback, the
responder answering at once. Customers ask one question each, one after another, alternately new and known. The time is
measured from the event `window.closed` to the arrival of the reply's request at the gateway. Exit code 1 if the median
of the cached answers is over 50 ms.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from queue import SimpleQueue
from statistics import median, quantiles
from typing import Any

from daemon.web.client import HttpFailed, unix_lines
from tests.acceptance.harness import DaemonUnderTest, Said, daemon_under_test, evolution, openai
from tests.support.gateway_server import FakeEvolution
from tests.support.http_faults import Exchange, Request
from tests.support.openai_server import FakeOpenAI

GOAL_MS = 50.0
WARM_UP_TURNS = 20
WAIT_SECONDS = 30.0
KNOWN_QUESTION = "What does the sidr honey cost, and when are you open?"
INSTANCE = "shop"
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class Gateway(FakeEvolution):
    """Records when each send arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.arrivals: SimpleQueue[float] = SimpleQueue()

    async def handle(self, request: Request, exchange: Exchange) -> None:
        if "/message/sendText/" in request.path:
            self.arrivals.put(time.time())
        await super().handle(request, exchange)


class Bench:
    """Measures one customer after another."""

    def __init__(self, daemon: DaemonUnderTest, gateway: Gateway, freezes: SimpleQueue[float]) -> None:
        self._daemon = daemon
        self._gateway = gateway
        self._freezes = freezes
        self._customers = 0

    def turn_ms(self, known: bool) -> float:
        """The time from freeze to send for the question of one new customer."""
        self._customers += 1
        text = KNOWN_QUESTION if known else f"{KNOWN_QUESTION} {_number_in_words(self._customers)}"
        phone = f"96650{self._customers:07}"
        self._daemon.burst(Said(INSTANCE, phone, text, f"bench-{self._customers}"))
        frozen_at = self._freezes.get(timeout=WAIT_SECONDS)
        return (self._gateway.arrivals.get(timeout=WAIT_SECONDS) - frozen_at) * 1000


def main() -> int:
    options = _options()
    found = _bench(options.turns)
    sys.stdout.write(json.dumps(found, indent=1) + "\n" if options.json else _table(found))
    return 0 if found["kept"]["p50_ms"] <= GOAL_MS else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-cache", description=__doc__)
    parser.add_argument("--turns", type=int, default=200, help="of each kind (default 200)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    return parser.parse_args()


def _bench(turns: int) -> dict[str, Any]:
    settings = {"batching": {"max_messages": 1}, "log": {"level": "warning"}, "instances": {INSTANCE: {}}}
    times: dict[bool, list[float]] = {True: [], False: []}
    with Gateway().running() as gateway, FakeOpenAI().running() as model:
        model.text_for = lambda _asked: "180 SAR a kilo. We are open from nine to ten."
        with (
            daemon_under_test(evolution(gateway), openai(model), settings) as daemon,
            _freezes(daemon) as freezes,
        ):
            bench = Bench(daemon, gateway, freezes)
            for number in range(WARM_UP_TURNS):
                bench.turn_ms(known=number % 2 == 0)
            asked_before = len(model.asked())
            for _ in range(turns):
                for known, measured in times.items():
                    measured.append(bench.turn_ms(known))
            bought = len(model.asked()) - asked_before
            [kept] = [row["hits"] for row in _rows(daemon)]
    if bought != turns:
        raise RuntimeError(f"{turns} new questions were asked, and the responder was called {bought} times")
    return {"turns": turns, "hits": kept, "kept": _figures(times[True]), "new": _figures(times[False])}


def _rows(daemon: DaemonUnderTest) -> Sequence[Mapping[str, Any]]:
    rows = daemon.admin("/v1/cache")["instances"]
    assert isinstance(rows, list)
    return rows


@contextmanager
def _freezes(daemon: DaemonUnderTest) -> Iterator[SimpleQueue[float]]:
    """The times at which windows were frozen, from the daemon's event stream."""
    moments: SimpleQueue[float] = SimpleQueue()
    listening = threading.Event()

    def listen() -> None:
        try:
            with unix_lines(str(daemon.data_dir / "run" / "admin.sock"), "/v1/tail") as (_, lines):
                listening.set()
                for line in lines:
                    event = json.loads(line) if line else {}
                    if event.get("event") == "window.closed":
                        moments.put(datetime.fromisoformat(event["at"]).timestamp())
        except HttpFailed:
            pass  # the daemon was stopped: the bench is over

    threading.Thread(target=listen, daemon=True).start()
    if not listening.wait(WAIT_SECONDS):
        raise RuntimeError("the daemon sends no events")
    yield moments


def _number_in_words(number: int) -> str:
    """A different question for each number, without digits in it."""
    return " ".join(_DIGITS[int(digit)] for digit in str(number))


def _figures(times: Sequence[float]) -> dict[str, float]:
    return {
        "p50_ms": round(median(times), 1),
        "p99_ms": round(quantiles(times, n=100, method="inclusive")[98], 1),
        "max_ms": round(max(times), 1),
    }


def _table(found: Mapping[str, Any]) -> str:
    word = "reached" if found["kept"]["p50_ms"] <= GOAL_MS else "MISSED"
    lines = [
        f"from the freeze to the send, {found['turns']} turns of each kind, in milliseconds",
        "",
        "| answer | p50 | p99 | max |",
        "| --- | --- | --- | --- |",
        *(
            f"| {name} | {row['p50_ms']} | {row['p99_ms']} | {row['max_ms']} |"
            for name, row in (
                ("cached", found["kept"]),
                ("from a responder that takes no time", found["new"]),
            )
        ),
        "",
        f"goal: a cached answer is sent within {GOAL_MS:g} ms (p50) – {word}",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
