"""Two daemons on the same stores: one acts, and another that lost its leases still serves its door."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from functools import partial

import pytest
import yaml

from tests.acceptance.harness import DaemonUnderTest, Said, daemon_under_test, evolution
from tests.acceptance.own_stores import OwnStores, own_stores
from tests.acceptance.senders import heard
from tests.acceptance.test_command_line import items
from tests.support.gateway_server import FakeEvolution

PHONE = "5511900000001"
OWNER, OTHER = {"node_id": "owner"}, {"node_id": "other"}


@pytest.fixture(scope="module")
def stores() -> Iterator[OwnStores]:
    with own_stores() as both:
        yield both


@pytest.fixture(scope="module")
def daemons(stores: OwnStores, gateway: FakeEvolution) -> Iterator[tuple[DaemonUnderTest, DaemonUnderTest]]:
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


def test_instances_are_set_at_one_daemon_and_by_sql_and_both_follow(
    daemons: tuple[DaemonUnderTest, DaemonUnderTest], stores: OwnStores, gateway: FakeEvolution
) -> None:
    """No SQL, no restart, no file: added at one, answered by the other; what waits in a removed one ends visibly."""
    owner, other = daemons

    def version_at(daemon: DaemonUnderTest, name: str) -> tuple[object, object]:
        for one in items(daemon.admin("/v1/instances"), "instances"):
            if one["instance"] == name:
                return one["version"], one["changed_by"]
        return None, None

    def own() -> dict[str, object]:
        return {"prompt": "You sell tea.", "batching": {"window_seconds": 0.2}}

    def sql_counts(daemon: DaemonUnderTest) -> bool:
        return version_at(daemon, "shop-1") == (2, "SQL")

    names = [f"shop-{number}" for number in range(10)]
    file = owner.root / "shops.yaml"
    file.write_text(yaml.safe_dump({"instances": {name: own() for name in names[1:]}}))
    for command in (
        ("add", names[0], "prompt=You sell tea.", "batching.window_seconds=0.2"),
        ("apply", "-f", str(file), "--yes"),
    ):
        done = owner.majlis("instance", *command)
        assert done.returncode == 0, done.stderr
    heard_by_other = "it hears of all ten"
    other.wait_for(
        lambda: {event["instance"] for event in other.events("instance.added")} >= set(names), heard_by_other
    )
    for place, name in enumerate(names):
        other.post_until_kept(Said(name, f"55119000010{place:02}", f"tea {place}", f"TEN-{place}"))
    for place in range(len(names)):
        owner.wait_for(partial(heard, gateway, f"55119000010{place:02}"), "each is answered")
    stores.query(
        "UPDATE whatsapp_ai_config SET system_prompt = 'sql' WHERE whatsapp_instance_id ="
        " (SELECT id FROM whatsapp_instances WHERE instance_name = 'shop-1')"
    )
    for daemon in daemons:
        daemon.wait_for(partial(sql_counts, daemon), "SQL has a version")
    assert other.majlis("pause", "--instance", "shop-2").returncode == 0
    other.post_until_kept(Said("shop-2", "5511900001099", "still there?", "TEN-99"))
    assert other.majlis("instance", "remove", "shop-2", "--yes").returncode == 0
    ended = "what waited ends by the rule"
    owner.wait_for(
        lambda: [
            event
            for daemon in daemons
            for event in daemon.events("turn.suppressed")
            if event["rule"] == "inactive_instance"
        ],
        ended,
    )
    assert version_at(owner, "shop-2") == (None, None) and heard(gateway, "5511900001099") == []
