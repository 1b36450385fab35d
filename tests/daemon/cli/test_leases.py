"""`majlis leases`: which daemon owns which partitions."""

from __future__ import annotations

from tests.daemon.cli.conftest import Typed
from tests.daemon.operate.fake_operations import DoorInThread


def test_leases_show_owner_and_expiry(door: DoorInThread, majlis: Typed) -> None:
    out = majlis("leases").out
    assert "node-a (this one)" in out and "9.1 s" in out
    assert out.endswith("active on this daemon: 1 of 3 partitions; 1 unowned\n")
    assert [line.split()[-1] for line in majlis("leases", "--all").out.splitlines()[-4:-1]] == [
        *("here", "elsewhere", "unowned")
    ]
