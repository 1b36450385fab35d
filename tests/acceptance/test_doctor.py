"""`majlis doctor` of a running daemon: itself, its stores, its last sends, and what few installations have."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.harness import Said, Tree, daemon_under_test, evolution
from tests.support.embeddings_server import FakeEmbeddings
from tests.support.gateway_server import FakeEvolution

SECRET = "canary7391"


def test_what_the_running_daemon_knows() -> None:
    """Its vectors, its own process, its command line, and what became of its sends on a channel that says nothing.

    The embeddings server is called, and reported when it is down.
    """
    gateway = FakeEvolution()
    gateway.channel, gateway.keeps_records = "business", False
    with FakeEmbeddings().running() as server, gateway.running():
        settings: Tree = {
            "embeddings": {"base_url": server.base_url, "api_key": server.api_key, "model": "small"},
            "instances": {"demo": {}},
        }
        with daemon_under_test(settings, evolution(gateway), start=False) as daemon:
            daemon.start(options=["--set", f"metrics.token={SECRET}"])
            (exposed,) = daemon.events("settings.exposed")
            assert exposed["keys"] == ["metrics.token"]
            limits = Path(f"/proc/{daemon.pid}/limits").read_text().splitlines()
            assert next(line.split()[4:6] for line in limits if "core file" in line) == ["0", "0"]
            for pid in (daemon.pid, *daemon.children()):
                assert Path(f"/proc/{pid}/coredump_filter").read_text().strip("0\n") == ""
            daemon.burst(Said("demo", "5511600070001", "hello", "DOC-1"))
            gateway.wait_for_deliveries(1)
            daemon.wait_settled()
            found = checks(daemon.admin("/v1/doctor"))
            assert SECRET not in str(found) and gateway.api_key not in str(found)
            assert found["command line"][0] == "warning" and "metrics.token" in found["command line"][1]
            assert found["core files"][0] == found["pgvector"][0] == found["embeddings"][0] == "ok"
            assert found["gateway of demo"] == (
                "ok",
                "evolution: open, as WHATSAPP-BUSINESS always says; last reply: accepted; "
                "records: not known yet",  # it is not old enough to look for
            )
            assert found["gateway channel"][0] == "warning"
            daemon.rows("UPDATE majlis_outbox SET settled_at = settled_at - interval '1 minute' RETURNING 1")
            server.down()
            found = checks(daemon.admin("/v1/doctor"))
            assert found["gateway records"][0] == "warning" and found["embeddings"][0] == "problem"


def checks(report: Tree) -> dict[str, tuple[str, str]]:
    listed = report["checks"]
    assert isinstance(listed, list)
    return {check["name"]: (check["state"], check["detail"]) for check in listed}
