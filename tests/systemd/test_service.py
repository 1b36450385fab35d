"""The units under a real systemd: `make test-systemd`, as root. The daemon runs hardened, with its embedded stores."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.support.gateway_server import FakeEvolution
from tests.systemd.service import CONFIG, UNIT, Service, heard

CONTACTS = 8


def test_it_starts_hardened_and_answers(service: Service, gateway: FakeEvolution) -> None:
    """`systemctl start` returns when it is ready: as its user, without capabilities; a burst is answered."""
    assert service.machine.show(UNIT, "StatusText").startswith("Ready: 0 conversations")
    status = (Path(f"/proc/{service.machine.pid}/root/proc") / service.main_pid / "status").read_text()
    found = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert found["Uid"].split()[0] == service.machine.run("id", "-u", "majlis").strip() != "0"
    assert (found["CapEff"], found["CapBnd"], found["NoNewPrivs"], found["Seccomp"]) == (
        "0" * 16,
        "0" * 16,
        "1",
        "2",
    )
    tree = service.machine.systemctl("status", UNIT)
    assert "redis-server" in tree and "postgres" in tree
    assert [service.post("5511800100001", word, n) for n, word in enumerate(("one", "two", "three"))] == [
        200
    ] * 3
    service.machine.wait_for(lambda: gateway.texts("5511800100001"), "the burst is answered")
    assert heard(gateway, "5511800100001") == ["one", "two", "three"]
    assert len(gateway.texts("5511800100001")) == 1


def test_the_exposure_stays_low(service: Service) -> None:
    """The running unit as systemd sees it: `systemd-analyze security` at 1.5 or below."""
    said = service.machine.run("systemd-analyze", "security", "--no-pager", "--threshold=15", UNIT)
    assert "Overall exposure level" in said


def test_the_first_webhook_starts_it(service: Service, gateway: FakeEvolution) -> None:
    """Socket activation: stopped, the door still stands; whoever comes is answered 200 by the start it causes."""
    service.machine.systemctl("stop", UNIT)
    assert service.machine.show(UNIT, "ActiveState") == "inactive"
    assert service.post("5511800200001", "wake") == 200
    service.wait_active()
    service.machine.wait_for(lambda: gateway.texts("5511800200001"), "it is answered")


def test_reload_is_done_when_systemctl_returns(service: Service) -> None:
    """`systemctl reload`: RELOADING and READY again; the process stays the same."""
    pid = service.main_pid
    service.machine.systemctl("reload", UNIT)
    service.machine.wait_for(
        lambda: "settings.reloaded" in service.machine.journal(UNIT), "settings are read anew"
    )
    service.wait_active()
    assert service.main_pid == pid


def test_a_stuck_daemon_is_ended_and_started_again(service: Service, gateway: FakeEvolution) -> None:
    """The watchdog: a daemon that stands still is killed with its stores and started; nothing acknowledged is lost."""
    pid = service.main_pid
    assert service.post("5511800300001", "before") == 200
    service.machine.run("kill", "-STOP", pid)
    service.machine.wait_for(lambda: service.main_pid not in (pid, "0"), "another process runs", 60)
    service.wait_active()
    assert "watchdog" in service.machine.journal(UNIT).lower()
    assert int(service.machine.show(UNIT, "NRestarts")) >= 1
    service.machine.wait_for(lambda: gateway.texts("5511800300001"), "what was acknowledged is answered")
    assert gateway.texts("5511800300001") == ["Heard 1: before"]


def test_a_killed_daemon_comes_back(service: Service, gateway: FakeEvolution) -> None:
    """SIGKILL in an open window: started again, and the burst is answered once; meanwhile the door stands."""
    pid = service.main_pid
    assert service.post("5511800400001", "survives") == 200
    service.machine.run("kill", "-KILL", pid)
    assert service.post("5511800400002", "meanwhile") == 200
    service.machine.wait_for(lambda: gateway.texts("5511800400001"), "it is answered")
    service.machine.wait_for(lambda: gateway.texts("5511800400002"), "so is the other")
    assert gateway.texts("5511800400001") == ["Heard 1: survives"]


@dataclass
class Sent:
    """What was acknowledged, and every answer."""

    acknowledged: dict[str, list[str]] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)


def test_restarts_under_traffic_refuse_nobody_and_lose_nothing(
    service: Service, gateway: FakeEvolution
) -> None:
    """Three `systemctl restart`: each post is answered 200 at the first try, each text is heard once and in order."""
    sent, stop = Sent(), threading.Event()
    with ThreadPoolExecutor(CONTACTS) as pool:
        senders = [pool.submit(_send, service, sent, stop, number) for number in range(CONTACTS)]
        try:
            for _ in range(3):
                wanted = len(sent.statuses) + 40
                service.machine.wait_for(partial(_passed, sent, wanted), "there is traffic")
                service.machine.systemctl("restart", UNIT)
        finally:
            stop.set()
        for sender in senders:
            sender.result()
    assert set(sent.statuses) == {200} and len(sent.statuses) > 120
    service.machine.wait_for(
        lambda: all(heard(gateway, phone) == texts for phone, texts in sent.acknowledged.items()),
        "everything acknowledged is heard, once and in order",
    )


def test_a_stop_ends_it_with_its_stores(service: Service) -> None:
    """`systemctl stop`: a clean end, and no process is left."""
    service.machine.systemctl("stop", "majlis.socket", UNIT)
    assert service.machine.show(UNIT, "Result") == "success"
    assert service.machine.run("pgrep", "-f", "redis-server|postgres:", check=False).strip() == ""


def test_wrong_settings_do_not_start_again_and_again(service: Service) -> None:
    """Exit 2 is not tried anew: the unit fails with the sentence in its status; mended, it starts."""
    settings = Path(f"/proc/{service.machine.pid}/root{CONFIG}")
    good = settings.read_text()
    service.machine.systemctl("stop", "majlis.socket", UNIT)
    try:
        settings.write_text(good.replace('"batching"', '"batchings"'))
        service.machine.systemctl("start", UNIT, check=False)
        assert service.machine.show(UNIT, "ActiveState") == "failed"
        assert "did you mean batching" in service.machine.systemctl("status", UNIT, check=False)
    finally:
        settings.write_text(good)
    service.machine.systemctl("restart", "majlis.socket", UNIT)
    assert service.post("5511800500001", "mended") == 200


def _passed(sent: Sent, count: int) -> bool:
    return len(sent.statuses) > count


def _send(service: Service, sent: Sent, stop: threading.Event, number: int) -> None:
    phone = f"55118009{number:05d}"
    mine = sent.acknowledged.setdefault(phone, [])
    serial = 0
    while not stop.is_set():
        serial += 1
        text = f"word-{number}-{serial}"
        status = service.post(phone, text, serial)
        sent.statuses.append(status)
        if status == 200:
            mine.append(text)
        time.sleep(0.05)
