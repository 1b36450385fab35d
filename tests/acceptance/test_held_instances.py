"""Ten tenants of one file in a real daemon: over a restart, a wrong key holds those that have secrets, and no other."""

from __future__ import annotations

import base64
import json
import os

import yaml

from daemon.tenants.sealing import Sealer
from tests.acceptance.harness import DaemonUnderTest, Said, daemon_under_test, evolution
from tests.support.gateway_server import FakeEvolution

KEY, OTHER = os.urandom(32), os.urandom(32)
TOKEN = "canary7391-token"
TENANTS = [f"tenant-{number}" for number in range(10)]
KEYED, GUARDED, FREE = TENANTS[0], TENANTS[1], TENANTS[2:]
PHONES = {name: f"55119000000{number:02}" for number, name in enumerate(TENANTS)}


def written(key: bytes) -> str:
    return base64.b64encode(key).decode()


def post(daemon: DaemonUnderTest, instance: str, token: str = "", message: str = "1") -> int:
    said = Said(instance, PHONES[instance], f"hello {instance}", f"{instance}-{message}")
    headers = {"apikey": token} if token else {}
    return daemon.request("POST", f"/webhook/{instance}", json.dumps(said.payload).encode(), headers).status


def held(daemon: DaemonUnderTest) -> list[str]:
    pauses = daemon.status()["pauses"]
    assert isinstance(pauses, list)
    return [pause["instance"] for pause in pauses]


def test_ten_tenants_of_one_file_and_a_wrong_key(
    gateway: FakeEvolution,
) -> None:
    """I1, I2: what the held ones are sent is acknowledged, kept, and answered with the right key."""
    with daemon_under_test(evolution(gateway), {"secrets": {"keys": written(KEY)}}) as daemon:
        declared: dict[str, dict[str, object]] = {name: {"prompt": f"You are {name}."} for name in TENANTS}
        declared[KEYED]["gateway"] = {"api_key": gateway.api_key}
        declared[GUARDED]["ingress"] = {"token": TOKEN}
        file = daemon.root / "tenants.yaml"
        file.write_text(yaml.safe_dump({"instances": declared}))
        applied = daemon.majlis("instance", "apply", "-f", str(file), "--yes")
        assert applied.stdout.endswith("10 instances applied\n"), applied
        again = daemon.majlis("instance", "apply", "-f", str(file), "--yes")
        assert again.stdout == "nothing changes: 10 unchanged\n"
        exported = daemon.majlis("instance", "export").stdout
        assert yaml.safe_load(exported)["instances"].keys() >= set(TENANTS) and TOKEN not in exported
        assert post(daemon, GUARDED, TOKEN) == 200
        assert post(daemon, GUARDED, "another", "2") == 403
        assert post(daemon, FREE[0], TOKEN) == 403
        daemon.wait_for(lambda: gateway.texts(PHONES[GUARDED]), "a tenant of the file is answered")
        shown = applied.stdout + again.stdout + daemon.log

        daemon.settings["secrets"] = {"keys": written(OTHER)}
        daemon.restart()
        assert held(daemon) == [KEYED, GUARDED]
        assert post(daemon, KEYED) == 200
        assert post(daemon, GUARDED, TOKEN, "3") == 503  # whether it is the right one cannot be said
        assert [post(daemon, name) for name in FREE] == [200] * len(FREE)
        daemon.wait_for(lambda: all(gateway.texts(PHONES[name]) for name in FREE), "the others are answered")
        assert gateway.texts(PHONES[KEYED]) == []
        doctor = daemon.majlis("doctor")
        assert doctor.returncode == 1 and f"{KEYED}, {GUARDED}" in doctor.stdout
        shown += doctor.stdout + daemon.log

        daemon.settings["secrets"] = {"keys": [written(OTHER), written(KEY)]}
        daemon.restart()
        daemon.wait_for(lambda: gateway.texts(PHONES[KEYED]), "what had waited is answered")
        assert post(daemon, GUARDED, TOKEN, "3") == 200
        rotated = daemon.majlis("secrets", "rotate")
        assert rotated.stdout.endswith(f"2 secrets sealed anew with key {Sealer([OTHER]).first}\n")
        assert held(daemon) == []
        for secret in (TOKEN, written(KEY), written(OTHER)):
            assert secret not in shown + rotated.stdout + daemon.log
