"""Which daemon owns which partition."""

from __future__ import annotations

from tests.support.ledgers import PARTITIONS
from tests.support.operators import NODE, Operators


async def test_a_lease_that_ended_has_no_owner(operators: Operators) -> None:
    await operators.db.fetch(
        "UPDATE majlis_partitions SET epoch = 4, owner = CASE WHEN partition = 0 THEN $1 ELSE 'node-b' END,"
        " until = now() + CASE WHEN partition < 3 THEN interval '9 s' ELSE interval '-1 s' END",
        NODE,
    )
    operators.fences = {0: 4, 1: 3}
    page = await operators.leases.page()
    assert (page.partitions, page.held, page.fenced) == (PARTITIONS, 3, 2)
    assert [(owner.owner, owner.ours, owner.partitions) for owner in page.owners] == [
        (NODE, True, 1),
        ("node-b", False, 2),
    ]
    assert all(0 < owner.seconds_left <= 9 for owner in page.owners)
    assert [(lease.owner, lease.fenced) for lease in page.leases[:4]] == [
        (NODE, True),
        ("node-b", False),  # fenced under an older epoch than the lease's
        ("node-b", False),
        ("", False),
    ]
