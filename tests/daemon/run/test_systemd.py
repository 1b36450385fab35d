"""The small notify client and the sockets that a manager passes."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from daemon.run.systemd import MAX_STATUS_CHARS, ServiceManager, UnfitSocket, passed_sockets
from tests.support.patience import PATIENCE_SECONDS


def test_without_a_manager_nothing_happens() -> None:
    manager = ServiceManager.from_environment({})
    manager.ready()
    manager.status("words")
    manager.close()
    assert not manager.is_there and manager.watchdog_seconds is None


@pytest.mark.parametrize("abstract", [False, True])
def test_every_word_arrives_as_one_datagram(tmp_path: Path, abstract: bool) -> None:
    name = f"majlis-words-{os.getpid()}"
    address = f"\0{name}" if abstract else str(tmp_path / "notify")
    environment = {
        "NOTIFY_SOCKET": f"@{name}" if abstract else address,
        "WATCHDOG_USEC": "3000000",
        "KEPT": "1",
    }
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(address)
        heard.settimeout(PATIENCE_SECONDS)
        manager = ServiceManager.from_environment(environment)
        assert environment == {"KEPT": "1"}
        manager.ready()
        manager.status("two\nlines " + "x" * 1000)
        manager.need(1.5)
        manager.alive()
        manager.stopping()
        manager.reloading()
        said = [heard.recv(4096).decode() for _ in range(6)]
        manager.close()
        manager.ready()  # after the end it is silent, and no error
    assert said[0] == "READY=1"
    assert said[1].startswith("STATUS=two lines xxx") and len(said[1]) == len("STATUS=") + MAX_STATUS_CHARS
    assert said[2:5] == ["EXTEND_TIMEOUT_USEC=1500000", "WATCHDOG=1", "STOPPING=1"]
    assert said[5].startswith("RELOADING=1\nMONOTONIC_USEC=")


def test_a_manager_that_is_gone_or_deaf_stops_nobody(tmp_path: Path) -> None:
    manager = ServiceManager(str(tmp_path / "nobody"), 1.0)
    manager.ready()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(tmp_path / "deaf"))
        full = ServiceManager(str(tmp_path / "deaf"), 1.0)
        for _ in range(2000):  # far more than its queue holds
            full.alive()
        full.close()
    manager.close()


def test_words_that_are_no_text_stop_nobody(tmp_path: Path) -> None:
    """A path of undecodable bytes may stand in a reason."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(address)
        heard.settimeout(PATIENCE_SECONDS)
        manager = ServiceManager(address)
        manager.status("Starting. /data/\udcff cannot be written.")
        assert heard.recv(4096) == b"STATUS=Starting. /data/? cannot be written."
        manager.close()


def test_a_door_for_operators_must_tell_who_comes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Over TCP nobody knows the peer, and a socket without a file is no place that the command line finds."""
    for family, address in ((socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_UNIX, f"\0majlis-{os.getpid()}")):
        held = socket.socket(family, socket.SOCK_STREAM)
        held.bind(address)
        held.listen()
        monkeypatch.setattr("daemon.run.systemd.FIRST_PASSED_DESCRIPTOR", held.detach())
        environment = {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "admin"}
        with pytest.raises(UnfitSocket, match="the passed socket admin is no socket file"):
            passed_sockets(environment)


def test_several_doors_of_every_kind_are_taken_by_their_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    doors = [socket.create_server(("127.0.0.1", 0)), socket.create_server(("::1", 0), family=socket.AF_INET6)]
    for name in ("web.sock", "admin.sock"):
        doors.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        doors[-1].bind(str(tmp_path / name))
        doors[-1].listen()
    first = 200
    for place, door in enumerate(doors):
        os.dup2(door.fileno(), first + place)
    monkeypatch.setattr("daemon.run.systemd.FIRST_PASSED_DESCRIPTOR", first)
    environment = {
        "LISTEN_FDS": "4",
        "LISTEN_PID": str(os.getpid()),
        "LISTEN_FDNAMES": "majlis.socket::x:admin",
    }
    passed = passed_sockets(environment)
    families = [door.family for door in passed.ingress]
    assert families == [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX]
    assert passed.admin is not None and passed.admin.getsockname().endswith("admin.sock")
    for opened in (*doors, *passed.ingress, passed.admin):
        opened.close()


def test_a_watchdog_meant_for_another_process_is_not_ours() -> None:
    manager = ServiceManager.from_environment({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"})
    assert manager.watchdog_seconds is None
    manager.close()


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
        {"LISTEN_FDS": "x", "LISTEN_PID": str(os.getpid())},
        {"LISTEN_FDS": "0", "LISTEN_PID": str(os.getpid())},
    ],
)
def test_sockets_that_are_not_for_us_are_not_taken(environment: dict[str, str]) -> None:
    assert passed_sockets(environment).ingress == ()
    assert environment == {}


def test_a_closed_descriptor_is_told() -> None:
    environment = {"LISTEN_FDS": "1000", "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "x"}
    with pytest.raises(UnfitSocket, match="the passed socket"):
        passed_sockets(environment)
