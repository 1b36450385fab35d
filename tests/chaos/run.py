"""One run: people write, faults come and go, and at the end everything must be in order.

`python -m tests.chaos.run --seconds 600 --seeds 1 2 3` plays whole runs. The seed decides which faults come in which
order and what people do; processes have their own timing, so a seed does not repeat a run exactly.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.chaos.checker import must_end, violations
from tests.chaos.faults import KINDS, End, concerned
from tests.chaos.people import People
from tests.chaos.system import System, system
from tests.support.patience import PATIENCE_SECONDS, wait_until

REGULARS = 10
DESKS = 4
AT_ONCE = 2
GAP_SECONDS = 0.5
CLOCK_SKEWS_SECONDS = (0, 150, -15)
"""Of the gateway, by turns."""
SETTLE_SECONDS = 5 * PATIENCE_SECONDS
PROGRESS_SECONDS = 15.0


@dataclass
class Report:
    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    written: int = 0
    acknowledged: int = 0
    """Of those, by a webhook that came in time."""
    kinds: Counter[str] = field(default_factory=Counter)
    """Edits, deletions and the like that were acknowledged."""
    swept: Counter[str] = field(default_factory=Counter)
    """Messages that a sweep found, by what became of them."""
    refused: int = 0
    turns: int = 0
    delivered: int = 0
    resent: int = 0
    lost_tails: int = 0
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        kinds = ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        return (
            f"seed {self.seed}: {sum(self.faults.values())} faults of {len(self.faults)} kinds; "
            f"{self.written} messages, {self.acknowledged} acknowledged in time, {dict(self.kinds)}, "
            f"{dict(self.swept)} swept, "
            f"{self.refused} refused attempts, {self.turns} turns, "
            f"{self.delivered} replies, {self.resent} sent again, "
            f"{self.lost_tails} lost tails; {len(self.violations)} violations\n  {kinds}"
        )


class Nemesis:
    """Begins and ends faults, at most `AT_ONCE` at a time, each kind once before any comes again.

    From one thread, and it must be the main one: a daemon dies with the thread that started it.
    """

    def __init__(self, target: System, seed: int, longest_seconds: float | None) -> None:
        self._system = target
        self._dice = random.Random(f"nemesis {seed}")
        self._longest_seconds = longest_seconds
        self._bag: list[str] = []
        self._running: dict[str, tuple[float, End, str]] = {}
        self._down: set[str] = set()
        self.begun: Counter[str] = Counter()

    def step(self) -> None:
        """End what is over; perhaps begin another."""
        now = time.monotonic()
        for held, (until, end, _) in list(self._running.items()):
            if until <= now:
                del self._running[held]
                end()
                self._down.discard(held)
        for daemon in self._system.daemons:
            if f"daemon {daemon.root}" not in self._down and not daemon.is_alive:
                daemon.fail("a daemon ended that nobody had stopped")
        if len(self._running) < AT_ONCE and self._dice.random() < 0.5:
            self._begin(now)

    def heal(self) -> None:
        """End every fault."""
        for held, (_, end, _) in list(self._running.items()):
            del self._running[held]
            end()
        for daemon in self._system.daemons:
            daemon.wait_ready()

    def every_kind_came(self) -> bool:
        return len(self.begun) == len(KINDS)

    def _begin(self, now: float) -> None:
        if not self._bag:
            self._bag = list(KINDS)
            self._dice.shuffle(self._bag)
        number = self._dice.randrange(len(self._system.daemons))
        for name in self._bag:
            kind = KINDS[name]
            held = concerned(kind, self._system.daemons[number])
            if held not in self._running:
                break
        else:
            return
        self._bag.remove(name)
        seconds = self._dice.uniform(*kind.seconds)
        if self._longest_seconds is not None and kind.seconds[0] < self._longest_seconds:
            seconds = min(seconds, self._longest_seconds)
        if kind.stops_daemon:
            self._down.add(held)
        self._running[held] = (now + seconds, kind.begin(self._system, number, self._dice), name)
        self.begun[name] += 1


def play(
    seed: int,
    seconds: float,
    *,
    longest_seconds: float | None = None,
    gap_seconds: float = GAP_SECONDS,
    clock_skew_seconds: int = 0,
    say: Callable[[str], None] = lambda text: None,
) -> Report:
    """Play one run and check it.

    Args:
      seconds: how long faults come; longer when not every kind has come by then.
      longest_seconds: cuts the faults short that may be of any length.
      gap_seconds: after each, a fault begins with every second throw of the dice.
      clock_skew_seconds: how far the gateway's clock is ahead.
      say: gets a line of progress now and then.
    """
    report = Report(seed)
    with system(clock_skew_seconds) as target:
        webhooks = target.webhooks
        people, nemesis = People(webhooks, seed, REGULARS, DESKS), Nemesis(target, seed, longest_seconds)
        webhooks.start()
        people.start()
        began = said = time.monotonic()
        while time.monotonic() < began + seconds or not nemesis.every_kind_came():
            nemesis.step()
            time.sleep(gap_seconds)
            if time.monotonic() > said + PROGRESS_SECONDS:
                said = time.monotonic()
                faults = sum(nemesis.begun.values())
                say(f"seed {seed}: {said - began:.0f} s, {len(webhooks.written)} messages, {faults} faults")
        nemesis.heal()
        people.stop()
        webhooks.stop()
        report.violations += webhooks.failures
        report.violations += _settle(target)
        seen = target.evidence()
        report.violations += violations(seen)
        report.violations += sorted(set(target.crashes()))
        report.faults = nemesis.begun
        report.written, report.refused = len(seen.written), webhooks.refused
        report.acknowledged = sum(map(len, seen.acknowledged.values()))
        report.kinds.update(
            message.kind for message in seen.written if message.kind and message.acknowledged_at
        )
        report.swept.update(
            str(event["reason"]) for event in target.events() if event["event"] == "message.swept"
        )
        report.turns, report.delivered = len(seen.turns), len(seen.delivered)
        report.resent = sum(part.resends for part in seen.parts)
        report.lost_tails = len(seen.lost_tails)
        if report.violations:
            for daemon in target.daemons:
                say(daemon.last_words())
    return report


def _settle(target: System) -> list[str]:
    """I10: once everything is well, what customers wrote ends by itself, whether a webhook brought it or not."""

    def all_ended() -> bool:
        seen, tails = target.webhooks.seen(), target.lost_tails
        return target.unfinished() == 0 and {one.id for one in seen if must_end(one, tails)} <= target.ended()

    try:
        wait_until(
            all_ended,
            "everything that customers wrote has ended",
            SETTLE_SECONDS,
        )
        before = time.time()
        wait_until(lambda: target.swept_at() > before, "one more sweep has ended", SETTLE_SECONDS)
        wait_until(lambda: target.unfinished() == 0, "what it found has ended", SETTLE_SECONDS)
    except AssertionError as error:
        return [str(error)]
    return []


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.run", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long faults come in each run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args(arguments)
    failed = False
    for seed in options.seeds:
        skew = CLOCK_SKEWS_SECONDS[seed % len(CLOCK_SKEWS_SECONDS)]
        report = play(seed, options.seconds, clock_skew_seconds=skew, say=_say)
        _say(str(report))
        for violation in report.violations:
            _say(f"  VIOLATION: {violation}")
        failed = failed or bool(report.violations)
    return int(failed)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
