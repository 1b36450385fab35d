"""What `majlis doctor` says about the daemon's doors."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.config.open_doors import OpenDoor
from daemon.operate.checks import Check


def door_check(doors: Sequence[OpenDoor]) -> Check:
    """One check for all of them."""
    if not doors:
        return Check(
            name="doors", state="ok", detail="nobody gets in without a token, or from another machine"
        )
    dangers = "; ".join(door.danger for door in doors)
    advice = " ".join(f"{door.advice[0].upper()}{door.advice[1:]}." for door in doors)
    return Check(name="doors", state="warning", detail=f"{dangers[0].upper()}{dangers[1:]}.", advice=advice)
