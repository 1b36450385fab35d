"""The installed service as its tests use it: webhooks through its door, systemd around it."""

from __future__ import annotations

import json
import socket
import sys
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from tests.support.gateway_server import FakeEvolution
from tests.support.payloads import NOW, upsert
from tests.systemd.machine import Machine

ASKED_FOR = "MAJLIS_TEST_SYSTEMD"
MAJLIS = str(Path(sys.executable).with_name("majlis"))
CONFIG = "/etc/majlis/config.yaml"
UNIT = "majlis.service"


@dataclass(frozen=True)
class Service:
    machine: Machine
    port: int

    def post(self, phone: str, text: str, serial: int = 1) -> int:
        """One webhook on a connection of its own; 0: no answer came."""
        body = json.dumps(upsert("demo", phone, text, f"ID-{text}", NOW + serial))
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", "/webhook/demo", body, {"content-type": "application/json"})
            return connection.getresponse().status
        except (OSError, HTTPException):
            return 0
        finally:
            connection.close()

    @property
    def main_pid(self) -> str:
        return self.machine.show(UNIT, "MainPID")

    def wait_active(self) -> None:
        self.machine.wait_for(
            lambda: self.machine.show(UNIT, "ActiveState") == "active", "the service is active"
        )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def heard(gateway: FakeEvolution, phone: str) -> list[str]:
    """What the rehearsal responder tells to have heard."""
    return [word for text in gateway.texts(phone) for word in text.split(": ", 1)[1].split()]
