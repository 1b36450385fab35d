"""One booted machine for all tests here; each begins with a running service."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest

from tests.support.gateway_server import FakeEvolution
from tests.systemd.machine import machine, why_not
from tests.systemd.service import ASKED_FOR, CONFIG, MAJLIS, UNIT, Service, free_port


@pytest.fixture(scope="session")
def gateway() -> Iterator[FakeEvolution]:
    with FakeEvolution().running() as server:
        yield server


@pytest.fixture(scope="session")
def installed(gateway: FakeEvolution) -> Iterator[Service]:
    """Installed by the printed steps, its gateway's key handed over as a credential; not started."""
    if os.environ.get(ASKED_FOR) != "1":
        pytest.skip("run by make test-systemd")
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    port = free_port()
    with machine() as booted:
        booted.write(
            CONFIG,
            json.dumps(
                {
                    "data_dir": "/var/lib/majlis",
                    "ingress": {"listen": f"127.0.0.1:{port}"},
                    "dashboard": {"listen": None},
                    "batching": {"window_seconds": 0.6},
                    "gateway": {"kind": "evolution", "base_url": gateway.url},
                    "log": {"level": "debug"},
                }
            ),
        )
        booted.write("/etc/majlis/credentials/gateway.api_key", f"{gateway.api_key}\n", 0o600)
        booted.run(MAJLIS, "install-service")
        booted.run("systemd-sysusers")
        booted.run("systemd-tmpfiles", "--create", "/etc/tmpfiles.d/majlis.conf")
        # A watchdog that a test can wait for.
        booted.write(
            "/etc/systemd/system/majlis.service.d/test.conf", "[Service]\nWatchdogSec=4\nTimeoutAbortSec=3\n"
        )
        booted.systemctl("daemon-reload")
        booted.systemctl("enable", "majlis.socket", UNIT)
        yield Service(booted, port)


@pytest.fixture
def service(installed: Service) -> Service:
    if installed.machine.show(UNIT, "ActiveState") != "active":
        installed.machine.systemctl("start", "majlis.socket", UNIT)
    return installed
