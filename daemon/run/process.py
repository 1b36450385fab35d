"""What holds for this process all its life: no core files, files enough, and memory goes back.

Laws of this file:
1. Texts, phone numbers and keys never get into a core file, also without a service manager. The limit holds for files;
   a program in `kernel.core_pattern` gets what the filter lets through: no memory. Both are inherited by the embedded
   stores. (`PR_SET_DUMPABLE` would do both, but gives `/proc/self` to root: user namespaces of the embedded Postgres
   could not be set up.)
2. Memory that a flood of large bodies took is given back. By default, the C library raises the size from which a block
   gets pages of its own as soon as one was freed; then large bodies lie between small objects, and stay.
3. File descriptors for all connections that the doors may hold, also where a shell grants 1,024 at first. (None is kept
   in reserve for operators: without a free one, `accept` fails before it looks whether anybody waits.)
4. What a flood left behind in reference cycles is collected when it is over: the collector counts objects, not bytes,
   and a daemon that is idle again makes none that would let it begin.
5. The collector's default of a round every 700 objects finds nothing with thousands of messages in memory, and costs a
   seventh of the processor; while a recovery makes a hundred thousand actors, that would be a third.
"""

from __future__ import annotations

import ctypes
import gc
import resource
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import trio

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE_BYTES = 256 * 1024
"""Blocks from here on have pages of their own."""
_KEPT_BYTES = 1024 * 1024
"""Free memory at the end of the heap that is kept."""
_MAX_FILES = 65_536
"""As in the service manager's units."""
TIDY_SECONDS = 5.0
"""Without a large body: then a flood is over."""
TIDY_ROUNDS = (1, 6)
"""Of `TIDY_SECONDS` after a flood; the second is for what its turns leave behind."""
FLOOD_BYTES = 16 * 1024 * 1024
COLLECT_AFTER = (10_000, 20, 20)
"""So many new objects, of each generation."""


def settle_process() -> None:
    """Call it before anything is allocated or started. Where the system has none of it, nothing happens."""
    gc.set_threshold(*COLLECT_AFTER)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        Path("/proc/self/coredump_filter").write_text("0")
    with suppress(OSError, ValueError):
        granted, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _MAX_FILES if most == resource.RLIM_INFINITY else min(most, _MAX_FILES)
        if granted != resource.RLIM_INFINITY and granted < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    with suppress(OSError, AttributeError):  # another C library than glibc
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def most_open_files() -> int:
    """How many files and connections this process may have open at once."""
    granted, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MAX_FILES if granted == resource.RLIM_INFINITY else min(granted, _MAX_FILES)


def settle_memory() -> None:
    """Tell the garbage collector that the start is over: what exists now stays, so it need not visit it again."""
    gc.collect()
    gc.freeze()


async def tidy_after_floods(large_bytes: Callable[[], int]) -> None:
    """Give memory back each time that many large bodies came and no more do; until cancelled.

    Args:
      large_bytes: how many bytes of large bodies there were since the start.
    """
    tidied = before = large_bytes()
    quiet_rounds = 0
    while True:
        await trio.sleep(TIDY_SECONDS)
        now = large_bytes()
        quiet_rounds = quiet_rounds + 1 if now == before else 0
        before = now
        if now - tidied >= FLOOD_BYTES and quiet_rounds in TIDY_ROUNDS:
            _give_back()
            if quiet_rounds == TIDY_ROUNDS[-1]:
                tidied = now


def _give_back() -> None:
    gc.collect()
    with suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)
