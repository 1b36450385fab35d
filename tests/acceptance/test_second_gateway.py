"""A gateway that Majlis does not know, registered by one line: it receives and sends through the real daemon."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import yaml

from tests.acceptance.harness import DaemonUnderTest, Said, Tree, daemon_under_test
from tests.acceptance.process import Posted, clean_environment
from tests.support.payloads import NOW
from tests.support.pigeon import FakeLoft

MODULE = "tests.acceptance.run_with_pigeons"
GUEST = "5511900001095"


@pytest.fixture(scope="module")
def loft() -> Iterator[FakeLoft]:
    with FakeLoft().running() as server:
        yield server


@pytest.fixture(scope="module")
def daemon(loft: FakeLoft) -> Iterator[DaemonUnderTest]:
    """`tower` has pigeons; `demo` has the default gateway, which prints."""
    pigeons = {"kind": "pigeon", "loft_url": loft.url, "loft_seal": loft.seal, "timeout_seconds": 2}
    settings: Tree = {"instances": {"demo": {}, "tower": {"gateway": pigeons}}}
    with daemon_under_test(settings, start=False) as daemon:
        daemon.module = MODULE
        daemon.start()
        yield daemon


def post(daemon: DaemonUnderTest, *letters: Tree, instance: str = "tower") -> Posted:
    return daemon.request("POST", f"/webhook/{instance}", json.dumps({"letters": letters}).encode())


def letter(words: str, mark: str, **more: object) -> Tree:
    return {"from": GUEST, "words": words, "mark": mark, "posted": NOW, **more}


def test_a_burst_by_pigeon_gets_one_reply_by_pigeon(daemon: DaemonUnderTest, loft: FakeLoft) -> None:
    answers = [post(daemon, letter(words, mark)) for words, mark in (("hello", "A"), ("are you", "B"))]
    answers.append(post(daemon, letter("open today?", "C"), letter("", "D")))
    assert [answer.status for answer in answers] == [200] * 3
    assert [answer.document["accepted"] for answer in answers] == [1] * 3
    assert answers[2].document["ignored"] == ["torn_letter"]
    assert post(daemon, letter("hello", "A")).document["status"] == "duplicate"
    daemon.wait_settled()
    (reply,) = loft.wait_for_letters(1)
    assert (reply["to"], reply["instance"]) == (GUEST, "tower")
    assert reply["words"] == "Heard 3: hello\nare you\nopen today?"


def test_a_person_of_the_business_takes_over_by_pigeon(daemon: DaemonUnderTest, loft: FakeLoft) -> None:
    before = len(loft.words())
    guest: Tree = {"from": "5511900002095", "posted": int(time.time())}
    assert post(daemon, letter("I am here", "E", carried_back=True, **guest)).status == 200
    assert post(daemon, letter("thank you", "F", **guest)).document["status"] == "accepted"
    daemon.wait_settled()
    assert len(loft.words()) == before


def test_each_instance_is_read_as_its_own_gateway_writes(daemon: DaemonUnderTest) -> None:
    """What cannot be read so is 400, and the other instance is read as ever."""
    said = Said("tower", GUEST, "hello", "G")
    assert daemon.post(said).status == 400
    assert post(daemon, letter("hello", "H"), instance="demo").document["ignored"] == ["no_event"]
    assert daemon.post(Said("demo", GUEST, "hello", "I")).document["status"] == "accepted"


def test_the_doctor_checks_the_second_gateway(daemon: DaemonUnderTest) -> None:
    report = daemon.admin("/v1/doctor")
    assert isinstance(report["checks"], list)
    checks = {check["name"]: (check["state"], check["detail"]) for check in report["checks"]}
    assert checks["gateway of tower"] == ("ok", "pigeon: the loft answers")
    assert checks["gateway of demo"][1].startswith("console: ")


def test_wrong_settings_of_the_second_gateway_are_named(daemon: DaemonUnderTest) -> None:
    """As those of the gateways that Majlis brings."""

    def refused(**gateway: object) -> str:
        config = daemon.root / "wrong.yaml"
        config.write_text(yaml.safe_dump({"data_dir": str(daemon.root / "other"), "gateway": gateway}))
        ended = subprocess.run(
            [sys.executable, "-m", MODULE, "run", "-c", str(config)],
            capture_output=True,
            text=True,
            env=clean_environment(),
            cwd=daemon.root,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 2
        return ended.stderr

    missing = refused(kind="pigeon", loft_url="nowhere")
    assert "gateway.loft_url: must be an http:// or https:// address; it is 'nowhere'" in missing
    assert "gateway.loft_seal: must be set for kind pigeon" in missing
    assert "must be 'console', 'evolution', 'realtime' or 'pigeon'; it is 'owl'" in refused(kind="owl")
    assert "did you mean gateway.loft_seal?" in refused(kind="pigeon", loft_sea="x")
