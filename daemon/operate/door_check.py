"""What `majlis doctor` says about the daemon's doors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from daemon.config.open_doors import OpenDoor
from daemon.operate.checks import Check


def door_checks(doors: Sequence[OpenDoor]) -> Iterator[Check]:
    """One for each door that is open, or one that all are closed."""
    if not doors:
        detail = "nobody gets in without a token, or from another machine"
        yield Check(name="doors", state="ok", detail=detail)
    for door in doors:
        yield Check(
            name=f"door {door.door}", state="warning", detail=door.danger, advice=_capital(f"{door.advice}.")
        )


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]
