"""How tests wait for what must come: one bound for all of them, and one way to look again and again.

The bound says nothing about speed. It is what a machine under heavy load may need at most, and what a test that fails
costs; whoever waits for something that comes goes on at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import trio

PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.05

T = TypeVar("T")


class WaitedInVain(AssertionError):
    """What had to come did not."""


def wait_until(condition: Callable[[], T | None], what: str, seconds: float = PATIENCE_SECONDS) -> T:
    """Poll until `condition` gives something true, and give it back.

    Raises:
      WaitedInVain: it did not within `seconds`; the message says `what` was waited for.
    """
    deadline = time.monotonic() + seconds
    while True:
        if found := condition():
            return found
        if time.monotonic() > deadline:
            raise WaitedInVain(f"waited {seconds} s in vain until {what}")
        time.sleep(POLL_SECONDS)


async def until(condition: Callable[[], object]) -> None:
    """The same for a test that runs in Trio, on its clock."""
    with trio.fail_after(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - what is looked at tells nobody when it changes
            await trio.sleep(0.01)
