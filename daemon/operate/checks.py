"""One finding of `majlis doctor`, and the report that holds them all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Literal

import msgspec

from actors.errors import MajlisError
from daemon.web.finding import Finding

CheckState = Literal["ok", "warning", "problem"]
WORST_FIRST: Sequence[CheckState] = ("problem", "warning", "ok")


class Check(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    state: CheckState
    detail: str
    advice: str = ""
    """What to do; empty when there is nothing to do."""


class DoctorReport(msgspec.Struct, frozen=True, kw_only=True):
    checks: list[Check]

    @property
    def well(self) -> bool:
        return all(check.state != "problem" for check in self.checks)


def check_of(finding: Finding, name: str, kind: str = "") -> Check:
    """`kind`: the kind of peer that was examined, and its instances if there are several."""
    detail = f"{kind}: {finding.detail}" if kind else finding.detail
    return Check(name=name, state=finding.state, detail=detail, advice=finding.advice)


async def contained(name: str, ask: Callable[[], Awaitable[Iterable[Check]]]) -> list[Check]:
    """What these checks find. One that breaks is one more problem, and keeps no other from being asked."""
    try:
        return list(await ask())
    except Exception as error:
        return [broken(name, error)]


def broken(name: str, error: Exception) -> Check:
    """Of what else an error says nothing is shown: it may quote an address with a key."""
    if isinstance(error, MajlisError):
        return Check(name=name, state="problem", detail=str(error), advice="See the message.")
    words = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    advice = "Run it as the user that Majlis runs as; if that changes nothing, it is a bug of Majlis."
    return Check(name=name, state="problem", detail=f"could not be looked at ({words})", advice=advice)
