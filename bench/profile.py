"""`make bench-profile`: where the daemon's processor time goes in a turn, while turns saturate it.

A sampler in the daemon's process (sampled.py) counts stacks while the driver of `make bench-turns` keeps it busy. A
sample belongs to the innermost frame of a package that is listed here: the standard library counts for its caller.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.processes import BenchBroken, end_as_by_ctrl_c
from bench.sampled import FIFO, STACKS
from bench.servers import ROOT
from bench.turns.contestants import WINDOW_SECONDS, Contestant, start_majlis
from bench.turns.driver import Load

PACKAGES = {
    "trio/": "Trio's scheduler and sockets",
    "trio_asyncio/": "the bridge to asyncio",
    "asyncio/": "asyncio's loop, timers and futures",
    "asyncpg/": "asyncpg",
    "redis/": "redis",
    "hiredis/": "redis",
    "httpx2/": "the HTTP client",
    "httpcore2/": "the HTTP client",
    "h11/": "the HTTP client",
    "anyio/": "the HTTP client",
    "sniffio/": "the HTTP client",
    "logging/": "logging",
}
_EVERYWHERE = 0.9
"""A function in this share of the stacks is how the daemon was started."""


def area(files: Sequence[str]) -> str:
    """What a stack belongs to, outermost frame first: a room of the daemon, or a library."""
    for file in reversed(files):
        if file.startswith(f"{ROOT}/daemon/"):
            return "daemon/" + file.removeprefix(f"{ROOT}/daemon/").partition("/")[0]
        if file.startswith(f"{ROOT}/actors/"):
            return "actors"
        _, is_library, inside = file.rpartition("/site-packages/")
        rest = inside if is_library else file.rpartition("/lib/python")[2].partition("/")[2]
        for package, name in PACKAGES.items():
            if rest.startswith(package):
                return name
    return "the rest"


def read(stacks: Path) -> Iterator[tuple[list[tuple[str, str]], int]]:
    """The stacks of a sampler with their counts: file and function of each frame, outermost first."""
    for line in stacks.read_text().splitlines():
        frames, _, count = line.rpartition(" ")
        yield [_frame(frame) for frame in frames.split(";")], int(count)


def _frame(text: str) -> tuple[str, str]:
    file, _, name = text.partition(":")
    return file, name


def table(found: Sequence[tuple[list[tuple[str, str]], int]], ms_per_turn: float, most: int) -> str:
    """Milliseconds per turn by area, by function itself, and by function with all it calls."""
    areas: Counter[str] = Counter()
    itself: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for stack, count in found:
        areas[area([file for file, _ in stack])] += count
        itself[_short(*stack[-1])] += count
        for frame in {_short(*frame) for frame in stack}:
            within[frame] += count
    samples = max(1, sum(areas.values()))
    ms = ms_per_turn / samples
    for frame in [frame for frame, count in within.items() if count > _EVERYWHERE * samples]:
        del within[frame]
    lines = [f"{ms_per_turn:.2f} ms of the server per turn, {samples:,} samples", ""]
    for title, counts in (("by area", areas), ("by function itself", itself), ("with all it calls", within)):
        lines += [title, *(f"{count * ms:9.3f} ms  {name}" for name, count in counts.most_common(most)), ""]
    return "\n".join(lines)


def _short(file: str, name: str) -> str:
    for mark in ("/site-packages/", f"{ROOT}/", "/lib/"):
        _, is_there, rest = file.rpartition(mark)
        if is_there:
            return f"{rest}:{name}"
    return f"{file}:{name}"


def main() -> int:
    options = _options()
    end_as_by_ctrl_c()
    try:
        with tempfile.TemporaryDirectory(prefix="majlis-", dir="/tmp") as home, ExitStack() as stack:
            one = start_majlis(Path(home) / "majlis", stack, program=("bench.sampled",))
            ms_per_turn = _load(one, Path(home) / "majlis", options)
            stacks = Path(home) / "majlis" / STACKS
            sys.stdout.write(table(list(read(stacks)), ms_per_turn, options.most))
            if options.stacks:
                options.stacks.write_text(stacks.read_text())
    except BenchBroken as error:
        sys.stderr.write(f"bench-profile: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-profile", description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0, help="measured time (default 15)")
    parser.add_argument("--conversations", type=int, default=600, help="at once (default 600)")
    parser.add_argument("--model-seconds", type=float, default=0.0, help="that the model takes (default 0)")
    parser.add_argument("--most", type=int, default=40, help="lines of each table (default 40)")
    parser.add_argument("--stacks", type=Path, help="keep all stacks in this file, for a flame graph")
    return parser.parse_args()


def _load(one: Contestant, home: Path, options: argparse.Namespace) -> float:
    """Processor milliseconds of the server per turn, while it is sampled."""
    sys.stderr.write("turns saturate the daemon …\n")
    load = Load(1, options.conversations, options.seconds, 6.0, WINDOW_SECONDS, options.model_seconds)
    one.driver.start(load)
    one.driver.wait("begin")
    (home / FIFO).write_text("start\n")
    before = one.cpu_seconds()["server"]
    one.driver.wait("end")
    spent = one.cpu_seconds()["server"] - before
    (home / FIFO).write_text("stop\n")
    turns: int = one.driver.wait("done")["turns"]
    if not (home / STACKS).exists():
        raise BenchBroken("the sampler wrote nothing")
    return spent / max(1, turns) * 1000


if __name__ == "__main__":
    sys.exit(main())
