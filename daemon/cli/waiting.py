"""Waits for what the daemon is about to do, and says so once."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TypeVar

POLL_SECONDS = 2.0
"""Between two looks: the gateway makes a new QR code about every 20 s, and a scanned one is noticed at once."""
T = TypeVar("T")


def moment(left_seconds: float = POLL_SECONDS) -> None:
    """Wait until the next look."""
    time.sleep(min(POLL_SECONDS, left_seconds))


def progress(seconds: float, look: Callable[[], T], is_done: Callable[[T], bool], words: str) -> T | None:
    """None: it did not come about in time."""
    until, said = time.monotonic() + seconds, False
    while not is_done(found := look()):
        left = until - time.monotonic()
        if left <= 0:
            return None
        sys.stderr.write(f"{words}, for at most {seconds:g} s …\n" if not said else "")
        said = True
        moment(left)
    return found
