"""What one attempt at forwarding looks like, and what its end means. Pure.

As the gateway itself does it: ten attempts, waits of 5 s that double up to 300 s, and five answers that are final.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal, NamedTuple

from daemon.ingress import jwt
from daemon.ingress.forwards import HOPS_HEADER

MAX_TRIES = 10
FIRST_DELAY_SECONDS = 5.0
MAX_DELAY_SECONDS = 300.0
MAX_RETRY_AFTER_SECONDS = 3_600.0
JITTER = 0.2
FINAL_STATUSES = frozenset((400, 401, 403, 404, 422, 508))
"""The gateway's own, and what a Majlis answers to a webhook that it has forwarded already."""
SECONDS = 30.0
SECONDS_PER_MIB = 1.0
JWT_KEY = "jwt_key"
"""Among the headers of a webhook: not sent, but signed with, as the gateway does."""


class AttemptResult(NamedTuple):
    outcome: Literal["sent", "again", "dead"]
    reason: str = ""
    retry_after_seconds: float | None = None


def answered(status: int, retry_after_seconds: float | None) -> AttemptResult:
    """What an answer means. A redirect is not followed, and comes again like any other answer that says nothing."""
    if 200 <= status < 300:
        return AttemptResult("sent")
    if status in FINAL_STATUSES:
        return AttemptResult("dead", f"answered_{status}")
    return AttemptResult("again", f"answered_{status}", retry_after_seconds)


def delay_seconds(result: AttemptResult, tries: int, draw: float) -> float | None:
    """How long to wait before the next attempt; None: there is none.

    Args:
      tries: attempts so far, this one included.
      draw: a uniform random number in [0, 1).
    """
    if result.outcome == "dead" or tries >= MAX_TRIES:
        return None
    delay = min(FIRST_DELAY_SECONDS * 2.0 ** (tries - 1), MAX_DELAY_SECONDS)
    delay *= 1 + JITTER * (2 * draw - 1)
    return max(delay, min(result.retry_after_seconds or 0.0, MAX_RETRY_AFTER_SECONDS))


def deadline_seconds(size: int) -> float:
    return SECONDS + SECONDS_PER_MIB * size / (1024 * 1024)


def address(url: str, event: str, by_events: bool) -> str:
    """Where a webhook goes: to `url`, with the event behind it as the gateway writes it there, if that is wanted.

    The gateway knows neither of a slash at the end nor of a query.
    """
    return f"{url}/{event.replace('.', '-')}" if by_events and event else url


def headers_of(
    kept: Mapping[str, str], own: Mapping[str, str], hop: str, size: int, now: float
) -> dict[str, bytes]:
    """What goes with a webhook: what came with it, what the settings say, and that it was forwarded.

    What came may be anything: HTTP promises no more than bytes, and the door reads each as one character.
    """
    set_here = {name.lower(): value for name, value in own.items() if name.lower() != JWT_KEY}
    key = next((value for name, value in own.items() if name.lower() == JWT_KEY), None)
    if key is not None:
        set_here["authorization"] = f"Bearer {jwt.made(key, now)}"
    before = kept.get(HOPS_HEADER, "")
    hops = f"{before}, {hop}" if before else hop
    fields = {**kept, **set_here, HOPS_HEADER: hops, "content-length": str(size)}
    return {name: value.encode("latin-1") for name, value in fields.items()}


def value_of(api_key: str | None) -> bytes:
    """What stands at the token's place."""
    return b"null" if api_key is None else json.dumps(api_key, ensure_ascii=False).encode()
