"""One finding of `majlis doctor`, and the report that holds them all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

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
