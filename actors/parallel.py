"""Lookups of a turn, side by side in one nursery, each with its deadline, its time and a named outcome.

A lookup that fails or is late gives its default and a warning: an optional lookup never fails a turn.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

import msgspec
import trio

from actors.errors import StaleEpoch

Outcome = Literal["ok", "failed", "timed_out"]


class Lookup(msgspec.Struct, frozen=True):
    call: Callable[[], Awaitable[Any]]
    default: Any
    deadline_seconds: float


class LookupResult(msgspec.Struct, frozen=True):
    value: Any
    outcome: Outcome
    started_ms: float
    """After the start of the run, milliseconds."""
    took_ms: float
    error: str = ""


async def safe_with_defaults(lookups: Mapping[str, Lookup]) -> dict[str, LookupResult]:
    """Run all lookups at once; every name has a result, and only `StaleEpoch` or cancellation ends the run early."""
    results: dict[str, LookupResult] = {}
    origin = trio.current_time()
    stale: list[StaleEpoch] = []

    async def run(name: str, lookup: Lookup) -> None:
        start = trio.current_time()

        def result(value: Any, outcome: Outcome, error: str = "") -> LookupResult:
            took_ms = (trio.current_time() - start) * 1000
            return LookupResult(value, outcome, (start - origin) * 1000, took_ms, error)

        with trio.move_on_after(lookup.deadline_seconds) as scope:
            try:
                results[name] = result(await lookup.call(), "ok")
            except StaleEpoch as error:
                stale.append(error)
            except (
                Exception
            ) as error:  # an optional lookup is a default and a warning, whatever happened to it
                results[name] = result(lookup.default, "failed", type(error).__name__)
        if scope.cancelled_caught:
            results[name] = result(lookup.default, "timed_out")

    async with trio.open_nursery() as nursery:
        for name, lookup in lookups.items():
            nursery.start_soon(run, name, lookup, name=f"lookup/{name}")
    if stale:
        raise stale[0]
    return results
