"""`majlis leases`: which daemon owns which partitions."""

from __future__ import annotations

import re

from tests.daemon.cli.conftest import Typed
from tests.support.operators import NODE, DoorInThread

_OWNED = """
    UPDATE majlis_partitions SET owner = CASE WHEN partition = 0 THEN $1 ELSE 'node-b' END,
        until = now() + interval '9 s' WHERE partition < 2
"""


def test_leases_show_owner_and_expiry(door: DoorInThread, majlis: Typed) -> None:
    door.do(lambda: door.operators.db.fetch(_OWNED, NODE))
    door.operators.fences = {0: 1}
    out = majlis("leases").out
    assert "node-a (this one)" in out and re.search(r"[5-9]\.\d s", out)
    assert out.endswith("active on this daemon: 1 of 8 partitions; 6 unowned\n")
    words = [line.split()[-1] for line in majlis("leases", "--all").out.splitlines()[-9:-1]]
    assert words == ["here", "elsewhere", *["unowned"] * 6]
