"""Redis and Postgres down, frozen, killed, full, weak, read-only, emptied: nothing is lost or answered twice.

An outage lasts `MAJLIS_TEST_OUTAGE_SECONDS` (3 by default, 30 for the longer proof).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.harness import DaemonUnderTest, Said, daemon_under_test, evolution
from tests.acceptance.own_stores import OwnStores, own_stores
from tests.acceptance.senders import assert_answered_once_in_order, heard, traffic
from tests.support.gateway_server import FakeEvolution

OUTAGE_SECONDS = float(os.environ.get("MAJLIS_TEST_OUTAGE_SECONDS", "3"))
BEYOND_LEASE_SECONDS = 11.0
"""A lease lasts ten seconds."""


@pytest.fixture(scope="module")
def stores() -> Iterator[OwnStores]:
    with own_stores() as both:
        yield both


@pytest.fixture(scope="module")
def daemon(stores: OwnStores, gateway: FakeEvolution) -> Iterator[DaemonUnderTest]:
    with daemon_under_test(evolution(gateway), stores.settings, start=False) as started:
        started.start(until_ready=False)
        assert started.majlis("migrate").returncode == 0
        started.wait_ready()
        yield started


@pytest.fixture(scope="module")
def embedded(gateway: FakeEvolution) -> Iterator[DaemonUnderTest]:
    with daemon_under_test(evolution(gateway)) as started:
        yield started


def reasons(daemon: DaemonUnderTest) -> str:
    """Why it is not ready; empty if it is."""
    found = daemon.status()
    reasons = found["reasons"]
    assert isinstance(reasons, list)
    assert found["ready"] is not bool(reasons)
    return " ".join(reasons)


def wait_unready(daemon: DaemonUnderTest, words: str) -> None:
    daemon.wait_for(lambda: words in reasons(daemon), f"the status says {words!r}")


def store_told(daemon: DaemonUnderTest, store: str) -> str:
    """The status of one store."""
    found = daemon.status()["stores"]
    assert isinstance(found, dict)
    return str(found[store])


def refused(daemon: DaemonUnderTest, said: Said) -> bool:
    """Whether it makes the gateway retry this message, as it must."""
    answer = daemon.post(said)
    if answer.status == 200:
        return False
    assert answer.status == 503
    assert answer.retry_after is not None and int(answer.retry_after) > 0
    return True


def test_starts_before_its_stores_and_waits_for_them(
    daemon: DaemonUnderTest, stores: OwnStores, gateway: FakeEvolution
) -> None:
    """I15, I1, I10: both stores down at boot: alive, not ready, no ack; ready by itself once they are there."""
    said = Said("demo", "5511900000001", "early", "BOOT-1")
    assert daemon.terminate() == 0
    with stores.redis.away():
        with stores.postgres.away():
            daemon.start(until_ready=False)
            daemon.wait_for(lambda: daemon.request("GET", "/health/live").status == 200, "it is alive")
            # The admin socket answers only `starting` until the parts are put together.
            daemon.wait_for(daemon.has_status, "the admin socket answers")
            daemon.wait_for(
                lambda: "Postgres cannot be used now" in store_told(daemon, "postgres"), "Postgres is missed"
            )
            assert daemon.request("GET", "/health/ready").status == 503
            assert refused(daemon, said)
        wait_unready(daemon, "Redis cannot be used now")
        assert refused(daemon, said)
    daemon.wait_ready()
    daemon.burst(said)
    daemon.wait_for(lambda: gateway.texts(said.phone) == ["Heard 1: early"], "it is answered")


def test_a_proven_send_outlives_an_outage_and_a_kill(
    daemon: DaemonUnderTest, stores: OwnStores, gateway: FakeEvolution
) -> None:
    """I6: the gateway answers with an id while Postgres is away, its records lose the message, the daemon is killed."""
    said = Said("demo", "5511900000003", "proven", "PROVEN-1")
    gate = gateway.gate("after_send", lambda text: said.text in text)
    daemon.burst(said)
    gate.wait_arrived()

    def kept() -> bool:
        with stores.redis_client() as client:
            return any(client.scan_iter("majlis:{p*}:proofs"))

    with stores.postgres.away():
        with gateway.lock:
            gateway.records.clear()
        gate.release()
        daemon.wait_for(kept, "the proof is kept")
        daemon.kill()
    daemon.start()
    daemon.wait_settled()
    assert gateway.texts(said.phone) == ["Heard 1: proven"]
    daemon.wait_for(lambda: not kept(), "the proof is with the ledger")


def test_redis_down_under_traffic(daemon: DaemonUnderTest, stores: OwnStores, gateway: FakeEvolution) -> None:
    """I1, I2, I4, I10: 503 while Redis is down; once it is back all retries are answered, in order."""
    with traffic(daemon, "redis-away") as seen:
        daemon.wait_for(lambda: len(seen.answers) > 30, "the traffic flows")
        with stores.redis.away():
            wait_unready(daemon, "Redis cannot be used now")
            away = time.monotonic()
            time.sleep(OUTAGE_SECONDS)
            daemon.wait_for(lambda: len(seen.since(away)) > 10, "the traffic goes on")
            assert {answer.status for answer in seen.since(away)} == {503}
            assert daemon.is_alive
        daemon.wait_ready()
    assert seen.refusals() and all(answer.retry_after for answer in seen.refusals())
    daemon.wait_settled()
    assert_answered_once_in_order(gateway, seen)


def test_redis_hangs_under_traffic(
    daemon: DaemonUnderTest, stores: OwnStores, gateway: FakeEvolution
) -> None:
    """I1, I2, I9: a hanging Redis gives 503 in time; a message that was stored after all is a duplicate."""
    with traffic(daemon, "redis-hangs") as seen:
        daemon.wait_for(lambda: len(seen.answers) > 20, "the traffic flows")
        with stores.redis.frozen():
            wait_unready(daemon, "Redis cannot be used now")
            assert refused(daemon, Said("demo", "5511900000002", "while-frozen", "FROZEN-1"))
        daemon.wait_ready()
    assert all(answer.status in (200, 503) for answer in seen.answers)
    daemon.wait_settled()
    assert_answered_once_in_order(gateway, seen)


@dataclass(frozen=True)
class Weakness:
    """A way for Redis to become weaker than configured at run time."""

    commands: str
    mends: str
    words: tuple[str, ...]
    """What the status says about it."""


WEAKNESSES = {
    "settings": Weakness(
        "CONFIG SET appendonly no/CONFIG SET appendfsync everysec/CONFIG SET no-appendfsync-on-rewrite yes"
        "/CONFIG SET maxmemory-policy allkeys-lru",
        "CONFIG SET appendonly yes/CONFIG SET appendfsync always/CONFIG SET no-appendfsync-on-rewrite no"
        "/CONFIG SET maxmemory-policy noeviction",
        (
            "set `appendonly yes`",
            "set `appendfsync always`",
            "set `no-appendfsync-on-rewrite no`",
            "set `maxmemory-policy noeviction`",
        ),
    ),
    "full": Weakness("CONFIG SET maxmemory 100kb", "CONFIG SET maxmemory 0", ("raise `maxmemory`",)),
    "replica": Weakness("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", ("point redis.url at the master",)),
}


@pytest.mark.parametrize("name", WEAKNESSES)
def test_a_weak_redis_is_refused_until_it_is_fixed(
    name: str, daemon: DaemonUnderTest, stores: OwnStores, gateway: FakeEvolution
) -> None:
    """I15, I1, I10: not ready, 503, a sentence that says what to change; ready again without a restart."""
    weakness, phone = WEAKNESSES[name], f"55119001{list(WEAKNESSES).index(name):05d}"
    daemon.burst(Said("demo", phone, f"before-{name}", f"BEFORE-{name}"))
    during = Said("demo", phone, f"during-{name}", f"DURING-{name}")
    run(stores, weakness.commands)
    try:
        for words in weakness.words:
            wait_unready(daemon, words)
        assert refused(daemon, during)
        doctor = daemon.admin("/v1/doctor")
        assert all(words in str(doctor["checks"]) for words in weakness.words)
    finally:
        run(stores, weakness.mends)
    daemon.wait_ready()
    daemon.burst(during)
    both = [f"before-{name}", f"during-{name}"]
    daemon.wait_for(lambda: len(heard(gateway, phone)) >= len(both), "both are answered")
    daemon.wait_settled()
    assert heard(gateway, phone) == both


def run(stores: OwnStores, commands: str) -> None:
    with stores.redis_client() as client:
        for command in commands.split("/"):
            client.execute_command(*command.split())  # type: ignore[no-untyped-call]


def test_an_emptied_redis_is_refused_until_it_is_adopted(
    daemon: DaemonUnderTest, stores: OwnStores, gateway: FakeEvolution
) -> None:
    """I15: after FLUSHALL nothing is acknowledged until an operator confirms that the data is lost for good."""
    daemon.burst(Said("demo", "5511900000003", "before-flushall", "FLUSHED-0"))
    with stores.redis_client() as client:
        client.flushall()
        # The very next one, before any check has looked.
        assert refused(daemon, Said("demo", "5511900000003", "after-flushall", "FLUSHED-1"))
        wait_unready(daemon, "majlis migrate --adopt-redis")
        assert client.keys() == [], "nothing was written into it, no fence either"
    assert refused(daemon, Said("demo", "5511900000003", "after-flushall", "FLUSHED-1"))
    adopted = daemon.majlis("migrate", "--adopt-redis")
    assert adopted.returncode == 0, adopted
    daemon.wait_ready()
    daemon.burst(Said("demo", "5511900000003", "after-flushall", "FLUSHED-1"))
    daemon.wait_for(lambda: heard(gateway, "5511900000003")[-1:] == ["after-flushall"], "it is answered")


def test_postgres_down_under_traffic(
    daemon: DaemonUnderTest, stores: OwnStores, gateway: FakeEvolution
) -> None:
    """I1, I6, I10: messages are acknowledged, nothing is sent without a claim, and all are answered in order later."""
    with traffic(daemon, "postgres-away") as seen:
        daemon.wait_for(lambda: len(gateway.texts()) > 0 and len(seen.answers) > 20, "the traffic flows")
        with stores.postgres.away():
            daemon.wait_for(lambda: store_told(daemon, "postgres") != "ok", "Postgres is missed")
            sent, away = _sent_at_last(gateway), time.monotonic()
            time.sleep(OUTAGE_SECONDS)
            daemon.wait_for(lambda: len(seen.since(away)) > 10, "the traffic goes on")
            assert len(gateway.sends) == sent
            assert {answer.status for answer in seen.since(away)} == {200}
            assert "Postgres cannot be used now" in store_told(daemon, "postgres")
    daemon.wait_settled()
    assert_answered_once_in_order(gateway, seen)


def test_postgres_turns_read_only_under_traffic(
    daemon: DaemonUnderTest, stores: OwnStores, gateway: FakeEvolution
) -> None:
    """I1, I6, I10: acks go on, replies are held; once it can be written, all are answered, without a restart."""
    before = daemon.pid
    with traffic(daemon, "read-only") as seen:
        daemon.wait_for(lambda: len(seen.answers) > 20, "the traffic flows")
        with stores.read_only_postgres():
            daemon.wait_for(lambda: "read-only" in store_told(daemon, "postgres"), "the status says so")
            assert "point postgres.dsn at the primary" in str(daemon.admin("/v1/doctor")["checks"])
            sent, began = _sent_at_last(gateway), time.monotonic()
            daemon.wait_for(lambda: len(seen.since(began)) > 10, "the traffic goes on")
            assert len(gateway.sends) == sent
            assert {answer.status for answer in seen.since(began)} == {200}
    daemon.wait_ready()
    daemon.wait_settled()
    assert_answered_once_in_order(gateway, seen)
    assert daemon.pid == before


def _sent_at_last(gateway: FakeEvolution) -> int:
    """How many sends there were when those that were claimed before had reached the gateway: none came for a while."""
    sent = -1
    while sent != (sent := len(gateway.sends)):
        time.sleep(1)
    return sent


@pytest.mark.parametrize("store", ["redis", "postgres"])
def test_a_killed_embedded_store_is_restarted(
    store: str, embedded: DaemonUnderTest, gateway: FakeEvolution
) -> None:
    """I2, I10, I14: SIGKILL of the store under traffic; it is restarted, nothing is lost or duplicated."""
    with traffic(embedded, f"killed-{store}") as seen:
        embedded.wait_for(lambda: len(seen.answers) > 20, "the traffic flows")
        pid = embedded.redis_pid if store == "redis" else embedded.postgres_pid
        os.kill(pid, signal.SIGKILL)
        embedded.wait_for(
            lambda: any(event["store"] == store for event in embedded.events("store.died")), "it is missed"
        )
        embedded.wait_ready()
        kept = len(seen.answers)
        embedded.wait_for(lambda: len(seen.answers) > kept + 20, "the traffic flows again")
    embedded.wait_settled()
    assert_answered_once_in_order(gateway, seen)


def test_paused_beyond_its_lease_between_claim_and_send(
    embedded: DaemonUnderTest, gateway: FakeEvolution
) -> None:
    """I5, I6: a daemon that was suspended past its lease after claiming a send checks the lease first; one message."""
    phone = "5511900000004"
    embedded.crash_at("claimed", action="stop")
    embedded.burst(Said("demo", phone, "pause", "PAUSE-1"))
    embedded.wait_for(lambda: _is_stopped(embedded.pid), "it is stopped at the claim")
    time.sleep(BEYOND_LEASE_SECONDS)
    assert gateway.texts(phone) == []
    embedded.signal(signal.SIGCONT)
    embedded.wait_settled()
    assert gateway.texts(phone) == ["Heard 1: pause"]
    assert gateway.sends.count("Heard 1: pause") == 1


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
