"""Mode `passthrough`: everything that was acknowledged reaches the old system, in order and as it came. I1, I2.

The daemon is killed under traffic and at named steps; the old system fails. The gateway's own repeats are the test's.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator

import pytest

from tests.acceptance.harness import DaemonUnderTest, Said, daemon_under_test
from tests.acceptance.procfs import forget_peak, peak_bytes
from tests.support.old_system import OldSystem

INSTANCE, LIVE = "passed", "live"
MEDIA_BYTES = int(os.environ.get("MAJLIS_PASSED_MEDIA_BYTES", str(6 * 1024 * 1024)))
"""Of one photo; in base64 it is a third more."""
MORE_MEMORY_BYTES = 48 * 1024 * 1024
"""What a large webhook may cost at most: a few pieces of it in the drivers, and what any work costs."""


@pytest.fixture(scope="module")
def old() -> Iterator[OldSystem]:
    with OldSystem().running() as server:
        yield server


@pytest.fixture(scope="module")
def daemon(old: OldSystem) -> Iterator[DaemonUnderTest]:
    passed = {"mode": "passthrough", "passthrough": {"url": f"{old.url}/hook", "api_key": "TOKEN"}}
    with daemon_under_test({"instances": {INSTANCE: passed, LIVE: {}}}) as daemon:
        yield daemon


def webhook(number: int, instance: str = INSTANCE) -> dict[str, object]:
    said = Said(instance, "5511900000001", f"message {number}", f"P{number}")
    return {**said.payload, "apikey": "TOKEN"}


def wait_forwarded(daemon: DaemonUnderTest) -> None:
    daemon.wait_for(daemon.has_status, "it is up")
    daemon.wait_for(lambda: not daemon.count("forwards_waiting"), "all is forwarded")


def test_nothing_is_lost_when_the_daemon_is_killed_under_traffic(
    daemon: DaemonUnderTest, old: OldSystem
) -> None:
    """Between the record and the answer, and between an arrival and its record."""
    last = 30
    for first, point in ((1, "forward_stored"), (16, "forward_posted")):
        daemon.crash_at(point, 5)
        for number in range(first, first + 15):
            if not daemon.is_alive:
                daemon.start()
            answer = daemon.post(webhook(number))
            if answer.status == 0:
                daemon.wait_crashed()
                daemon.start()
                answer = daemon.post_until_kept(webhook(number))
            assert answer.document == {"status": "forwarded"}
        if daemon.ordered_crashes():
            daemon.wait_crashed()
        if not daemon.is_alive:
            daemon.start()
    wait_forwarded(daemon)
    taken = old.taken("/hook")
    ids = [one.id for one in taken]
    assert list(dict.fromkeys(ids)) == [f"P{each}" for each in range(1, last + 1)]
    assert len(ids) <= last + 4  # for each kill one that had just left, and one that the gateway says again
    for one in taken:
        assert json.loads(one.body) == webhook(int(one.id.removeprefix("P")))
    status = daemon.status()
    assert not status["acknowledged"] and not status["forwards_dead"]  # nothing of it reached the mirror
    assert not daemon.rows("SELECT FROM majlis_turns") and not daemon.rows("SELECT FROM majlis_forwards")


def test_media_arrive_as_they_came(daemon: DaemonUnderTest, old: OldSystem) -> None:
    """Each byte of a webhook far larger than what the door keeps; the daemon's memory does not grow with it."""
    already = len(old.taken())
    media = base64.b64encode(os.urandom(MEDIA_BYTES)).decode()

    def body(instance: str) -> bytes:
        document = Said(instance, "5511900000002", "look at this", "PHOTO").payload
        document["data"]["message"]["base64"] = media  # type: ignore[index]
        return json.dumps({**document, "apikey": "TOKEN"}).encode()

    before = forget_peak(daemon.pid)
    whole = body(INSTANCE)
    # In the second one only the payload says whose it is.
    for path in (f"/webhook/{INSTANCE}", "/webhook"):
        assert daemon.request("POST", path, whole).document == {"status": "forwarded"}
    wait_forwarded(daemon)
    assert [one.sha256 for one in old.taken()[already:]] == 2 * [hashlib.sha256(whole).hexdigest()]
    # The door keeps each large body while anybody is passed through; of others it goes on as ever.
    assert daemon.request("POST", f"/webhook/{LIVE}", body(LIVE)).document["status"] == "accepted"
    assert peak_bytes(daemon.pid) - before < MORE_MEMORY_BYTES
    daemon.wait_settled()
    assert len(old.taken()) == already + 2


def test_a_webhook_that_comes_round_is_refused(daemon: DaemonUnderTest, old: OldSystem) -> None:
    """An address that leads back to us is met at the first webhook."""
    hops = {"x-majlis-forwarded": old.taken()[0].headers["x-majlis-forwarded"]}
    body = json.dumps(webhook(1)).encode()
    answer = daemon.request("POST", f"/webhook/{INSTANCE}", body, hops)
    assert (answer.status, answer.document["reason"]) == (508, "forwarded_in_a_circle")
    [lost] = daemon.status()["ingress"]["lost"]  # type: ignore[index]
    assert lost["instances"] == {INSTANCE: 1}


def test_what_waits_is_forwarded_also_when_the_mode_has_changed(
    daemon: DaemonUnderTest, old: OldSystem
) -> None:
    """And what comes after the change is answered here. The commands show what waits and what is dead."""
    already = len(old.taken())
    old.order(404, 404)
    for number in (99, 100):
        assert daemon.post(webhook(number)).status == 200
    daemon.wait_for(lambda: daemon.count("forwards_dead") == 2, "both are dead")
    old.down()
    for number in (101, 102):
        assert daemon.post(webhook(number)).document == {"status": "forwarded"}
    daemon.settings["instances"][INSTANCE]["mode"] = "live"  # type: ignore[index]
    daemon.restart()
    assert daemon.post(webhook(103)).document["status"] == "accepted"
    shown = daemon.majlis("forwards").stdout
    assert "2 webhooks waiting to be forwarded, 2 dead" in shown and "answered_404" in shown
    first, second = daemon.admin("/v1/forwards?dead=true")["webhooks"]  # type: ignore[misc]
    assert daemon.majlis("forwards", "drop", str(first["id"])).returncode == 0  # type: ignore[has-type]
    assert daemon.majlis("forwards", "retry", str(second["id"])).returncode == 0  # type: ignore[has-type]
    old.up()
    wait_forwarded(daemon)
    assert [one.id for one in old.taken()[already:]] == ["P100", "P101", "P102"]
    daemon.wait_settled()
    assert not daemon.count("forwards_dead")
