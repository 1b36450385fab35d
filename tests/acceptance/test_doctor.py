"""`majlis doctor` also checks what few installations have: an embeddings server."""

from __future__ import annotations

from tests.acceptance.harness import Tree, daemon_under_test
from tests.support.embeddings_server import FakeEmbeddings


def test_the_running_daemon_reports_its_vectors() -> None:
    """The embedded Postgres can compare vectors; the embeddings server is called, and reported when it is down."""
    with FakeEmbeddings().running() as server:
        settings: Tree = {
            "embeddings": {"base_url": server.base_url, "api_key": server.api_key, "model": "small"}
        }
        with daemon_under_test(settings) as daemon:
            assert states(daemon.admin("/v1/doctor")) == {"pgvector": "ok", "embeddings": "ok"}
            server.down()
            assert states(daemon.admin("/v1/doctor")) == {"pgvector": "ok", "embeddings": "problem"}


def states(report: Tree) -> dict[str, str]:
    checks = report["checks"]
    assert isinstance(checks, list)
    return {check["name"]: check["state"] for check in checks if check["name"] in ("pgvector", "embeddings")}
