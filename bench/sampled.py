"""Runs a module with a sampling profiler in its process: `python -m bench.sampled daemon run …`.

Every few milliseconds of processor time a signal interrupts the main thread, and its stack is counted. It costs a few
percent, and no time is measured by it, only shares. The program named after it knows nothing of it; no other process is
slowed. A fifo in the working directory takes the words `start` and `stop`; at each `stop` the stacks since the `start`
are written beside it, one a line, outermost frame first, with their count (what flame graph programs read).
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from types import FrameType

INTERVAL_SECONDS = 0.002
FIFO, STACKS = "sampler.fifo", "sampler.stacks"
_MAX_DEPTH = 120

_stacks: Counter[tuple[tuple[str, str], ...]] = Counter()


def _sample(_signal: int, frame: FrameType | None) -> None:
    stack: list[tuple[str, str]] = []
    while frame is not None and len(stack) < _MAX_DEPTH:
        stack.append((frame.f_code.co_filename, frame.f_code.co_qualname))
        frame = frame.f_back
    _stacks[tuple(stack)] += 1


def _obey(fifo: Path) -> None:
    while True:
        for word in fifo.read_text().split():  # waits until somebody writes
            if word == "start":
                _stacks.clear()
                signal.setitimer(signal.ITIMER_PROF, INTERVAL_SECONDS, INTERVAL_SECONDS)
            else:
                signal.setitimer(signal.ITIMER_PROF, 0)
                _write(fifo.with_name(STACKS))


def _write(place: Path) -> None:
    found = dict(_stacks)
    lines = (
        ";".join(f"{file}:{name}" for file, name in reversed(stack)) + f" {count}\n"
        for stack, count in found.items()
    )
    unfinished = place.with_suffix(".new")
    unfinished.write_text("".join(lines))
    unfinished.rename(place)


def main() -> None:
    """Replace ourselves with the module, its arguments following."""
    fifo = Path.cwd() / FIFO
    os.mkfifo(fifo)
    signal.signal(signal.SIGPROF, _sample)
    threading.Thread(target=_obey, args=(fifo,), daemon=True).start()
    module, *arguments = sys.argv[1:]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
