"""Instances that are set up by commands, on the hardened service."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shlex
from http.client import HTTPConnection

from tests.support.old_system import OldSystem
from tests.systemd.service import CONFIG, MAJLIS, UNIT, Service

SECRET, MEDIA_BYTES = "instance-token", 3_000_000


def test_a_stored_secret_opens_after_a_restart_and_what_is_forwarded_arrives_whole(service: Service) -> None:
    """The key that seals it is the service's own; a large webhook is kept on disk until Postgres has it."""
    box = service.machine
    with OldSystem().running() as old:
        add = [MAJLIS, "instance", "add", "passed", "mode=passthrough", f"passthrough.url={old.url}/hook"]
        add += ["passthrough.api_key=-", "-c", CONFIG]
        box.run("sh", "-ec", f"printf %s {SECRET} | {shlex.join(add)}")
        assert box.run("stat", "-c", "%U %a", "/var/lib/majlis/secret.key").split() == ["majlis", "600"]
        box.systemctl("restart", UNIT)
        assert "held" not in box.run(MAJLIS, "instance", "list", "-c", CONFIG)
        media = base64.b64encode(os.urandom(MEDIA_BYTES)).decode()
        body = json.dumps(
            {
                "event": "messages.upsert",
                "instance": "passed",
                "data": {"message": {"base64": media}},
                "apikey": SECRET,
            }
        )
        assert _post(service, body) == 200
        box.wait_for(lambda: old.taken("/hook"), "it is forwarded")
        assert [one.sha256 for one in old.taken()] == [hashlib.sha256(body.encode()).hexdigest()]
    box.run(MAJLIS, "instance", "remove", "passed", "--yes", "-c", CONFIG)


def _post(service: Service, body: str) -> int:
    connection = HTTPConnection("127.0.0.1", service.port, timeout=30)
    try:
        connection.request("POST", "/webhook/passed", body, {"content-type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()
