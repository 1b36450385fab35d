"""A daemon that runs reads none of its installed files: they may be replaced, or descriptors may have run out."""

from __future__ import annotations

from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from tests.acceptance.harness import DaemonUnderTest, Said, daemon_under_test, evolution
from tests.acceptance.run_noting_reads import READS
from tests.support.gateway_server import FakeEvolution
from tests.support.patience import PATIENCE_SECONDS

OPEN = {"monitor": {"every_seconds": 0.2}, "dashboard": {"listen": "127.0.0.1:0"}}
QUICK = {
    "daemon.controls.notifier.POLL_SECONDS": 0.2,
    "daemon.controls.pauses.REFRESH_SECONDS": 0.2,
    "daemon.controls.replays.POLL_SECONDS": 0.2,
    "daemon.knowledge.housekeeping.EVERY_SECONDS": 0.2,
    "daemon.observe.store_watch.CALM_SECONDS": 0.2,
    "daemon.observe.store_watch.CHECK_SECONDS": 0.2,
    "daemon.partitions.due_poll.DUE_SECONDS": 0.2,
    "daemon.run.watchdog.STATUS_SECONDS": 0.2,
    "daemon.tenants.changes.POLL_SECONDS": 0.2,
}
"""So often the loops come round, many times between two renewals of the leases."""


def test_once_it_is_ready_nothing_is_imported_or_read(gateway: FakeEvolution, tmp_path: Path) -> None:
    """I14: neither by a supervision loop nor on the way of the first message, nor for an operator."""
    notes = tmp_path / "reads"
    with daemon_under_test(evolution(gateway), OPEN, start=False) as daemon:
        daemon.module, daemon.environment = "tests.acceptance.run_noting_reads", {READS: str(notes)}
        daemon.constants.update(QUICK)
        daemon.start()
        at_start = notes.read_text()
        assert "import daemon.run.daemon\n" in at_start and "open " in at_start
        renewals = renewals_of(daemon)
        said = Said("demo", "5511900001095", "hello", "READ-1")
        daemon.burst(said)
        for path in ("/v1/status", "/v1/top", "/v1/tree"):
            daemon.admin(path)
        assert page_of(daemon) == 200
        daemon.wait_for(lambda: gateway.texts(said.phone), "it is answered")
        daemon.wait_for(lambda: renewals_of(daemon) > renewals + 1, "all loops have come round")
        assert notes.read_text().removeprefix(at_start) == ""


def renewals_of(daemon: DaemonUnderTest) -> float:
    lines = daemon.request("GET", "/metrics").body.decode().splitlines()
    found = [
        line.split()[1] for line in lines if line.startswith('majlis_lease_renewals_total{outcome="ok"}')
    ]
    return float(found[0])


def page_of(daemon: DaemonUnderTest) -> int:
    """The status of the dashboard's first page."""
    dashboard = daemon.status()["dashboard"]
    assert isinstance(dashboard, dict)
    place = urlsplit(str(dashboard["address"])).netloc
    connection = HTTPConnection(place, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    finally:
        connection.close()
