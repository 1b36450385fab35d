"""Stored secrets in a real daemon: a wrong key holds the instances that have some, and the right one lets them go."""

from __future__ import annotations

import base64
import json
import os

from daemon.tenants.sealing import Sealer
from tests.acceptance.harness import DaemonUnderTest, Said, Tree, daemon_under_test, evolution
from tests.support.gateway_server import FakeEvolution

KEY, OTHER = os.urandom(32), os.urandom(32)
TOKEN = "canary7391-token"
PHONES = {"acme": "5511900000001", "clinic": "5511900000002", "shop": "5511900000003"}
PUT = "INSERT INTO majlis_secrets (instance, key, sealed, key_id) VALUES ($1, $2, $3, $4)"


def written(key: bytes) -> str:
    return base64.b64encode(key).decode()


def store(daemon: DaemonUnderTest, instance: str, setting: str, value: str) -> None:
    """As a daemon with the key does it."""
    sealed = Sealer([KEY]).seal(instance, setting, value)
    daemon.rows(PUT, instance, setting, sealed.box, sealed.key_id)


def post(daemon: DaemonUnderTest, instance: str, token: str = "", message: str = "1") -> int:
    said = Said(instance, PHONES[instance], f"hello {instance}", f"{instance}-{message}")
    headers = {"apikey": token} if token else {}
    return daemon.request("POST", f"/webhook/{instance}", json.dumps(said.payload).encode(), headers).status


def test_a_wrong_key_holds_exactly_the_instances_with_secrets(gateway: FakeEvolution) -> None:
    """I1, I2: what they are sent meanwhile is acknowledged, kept, and answered with the right key."""
    instances: Tree = {"instances": {"acme": {}, "clinic": {}, "shop": {}}}
    keys = {"secrets": {"keys": written(OTHER)}}
    with daemon_under_test(evolution(gateway), instances, keys) as daemon:
        store(daemon, "acme", "gateway.api_key", gateway.api_key)
        store(daemon, "clinic", "ingress.token", TOKEN)
        daemon.majlis("reload")
        held = [pause["instance"] for pause in daemon.status()["pauses"]]  # type: ignore[attr-defined]
        assert held == ["acme", "clinic"]
        assert post(daemon, "acme") == 200
        assert post(daemon, "shop") == 200
        assert post(daemon, "clinic", TOKEN) == 503  # whether it is the right one cannot be said
        daemon.wait_for(lambda: gateway.texts(PHONES["shop"]), "the others are answered")
        assert gateway.texts(PHONES["acme"]) == []
        doctor = daemon.majlis("doctor")
        assert doctor.returncode == 1 and "acme, clinic" in doctor.stdout
        assert "secret.shut" in daemon.log and TOKEN not in daemon.log + doctor.stdout

        daemon.settings["secrets"] = {"keys": [written(OTHER), written(KEY)]}
        daemon.restart()
        daemon.wait_for(lambda: gateway.texts(PHONES["acme"]), "what had waited is answered")
        assert post(daemon, "clinic", TOKEN) == 200
        assert post(daemon, "clinic", "another", "2") == 403
        assert post(daemon, "shop", TOKEN, "2") == 403
        rotated = daemon.majlis("secrets", "rotate")
        assert rotated.stdout.endswith(f"2 secrets sealed anew with key {Sealer([OTHER]).first}\n")
        assert daemon.wait_settled()["pauses"] == []
