"""Two daemons on the same stores: one acts, and another that lost its leases still serves its door."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.acceptance.harness import DaemonUnderTest, Said, daemon_under_test, evolution
from tests.acceptance.own_stores import own_stores
from tests.acceptance.senders import heard
from tests.support.gateway_server import FakeEvolution

PHONE = "5511900000001"
OWNER, OTHER = {"node_id": "owner"}, {"node_id": "other"}


@pytest.fixture(scope="module")
def daemons(gateway: FakeEvolution) -> Iterator[tuple[DaemonUnderTest, DaemonUnderTest]]:
    with own_stores() as stores:
        both = (evolution(gateway), stores.settings)
        with (
            daemon_under_test(*both, OWNER, start=False) as owner,
            daemon_under_test(*both, OTHER, start=False) as other,
        ):
            owner.start(until_ready=False)
            assert owner.majlis("migrate").returncode == 0
            owner.wait_ready()
            other.start()
            yield owner, other


def test_a_daemon_that_lost_its_leases_in_a_pause_serves_its_door(
    daemons: tuple[DaemonUnderTest, DaemonUnderTest], gateway: FakeEvolution
) -> None:
    """I1, I5, I15: succession is no fault: 200 at its door, answered by the other, and its status says who owns."""
    owner, other = daemons
    assert (owner.count("partitions_owned"), other.status()["partitions_elsewhere"]) == (256, {"owner": 256})
    owner.signal(signal.SIGSTOP)
    try:
        other.wait_for(lambda: other.count("partitions_owned") == 256, "the other takes over")
    finally:
        owner.signal(signal.SIGCONT)
    owner.post_until_kept(Said("demo", PHONE, "after-the-pause", "PAUSED-1"))
    owner.wait_for(lambda: owner.status()["partitions_elsewhere"] == {"other": 256}, "it says who owns them")
    owner.wait_ready()
    owner.wait_for(lambda: heard(gateway, PHONE) == ["after-the-pause"], "the other answers it")
    status = owner.status()
    assert (status["ready"], status["reasons"], status["partitions_owned"]) == (True, [], 0)
    assert "256 held by other" in owner.majlis("status").stdout
    assert not [event for event in owner.events("store.problem") if event["store"] == "leases"]
