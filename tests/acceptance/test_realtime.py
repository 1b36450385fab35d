"""The realtime interface of a running daemon, with the clients shown in docs/realtime.md."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import playwright
import pytest
import trio
from trio_websocket import open_websocket_url

from tests.acceptance.harness import ROOT, DaemonUnderTest, Said, Tree, daemon_under_test
from tests.acceptance.oracle import Contact, ids_in_turns
from tests.support.patience import PATIENCE_SECONDS
from tests.support.payloads import upsert
from tests.support.socketio_server import FakeSocketIo

PROXY_TOKEN, SCREEN_TOKEN = "proxy-token", "screen-token"
SETTINGS: Tree = {
    "realtime": {
        # IPv6, so that the harness can tell it from the listener for webhooks.
        "listen": "[::1]:0",
        "clients": [
            {"name": "proxy", "token": PROXY_TOKEN, "instances": ["demo"], "may_push": True},
            {"name": "screen", "token": SCREEN_TOKEN, "instances": "all", "may_watch": True},
        ],
    },
    "turn": {"duplicate_seconds": 0},
}
DELIVERED: Tree = {"gateway": {"kind": "realtime", "client": "proxy", "timeout_seconds": 20}}


def shown_client(heading: str) -> str:
    """The program in the document under this heading."""
    text = (ROOT / "docs/realtime.md").read_text(encoding="utf-8")
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = re.findall(r"^```\w+\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def node() -> str:
    """A Node.js with `WebSocket`: the one bundled with Playwright, so that none needs to be installed."""
    return str(Path(playwright.__file__).parent / "driver" / "node")


def url_of(daemon: DaemonUnderTest) -> str:
    realtime = daemon.status()["realtime"]
    assert isinstance(realtime, dict)
    return f"ws://{realtime['listen']}/v1"


class Running:
    """A client process and its output."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def says(self, payload: Tree) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(payload) + "\n")
        self.process.stdin.flush()

    def printed(self, words: str) -> list[str]:
        return [line for line in self.lines if words in line]


@contextmanager
def running(command: list[str], source: str, place: Path, *arguments: str) -> Iterator[Running]:
    """Run the client with this name and these arguments; it is ended afterwards."""
    place.write_text(source, encoding="utf-8")
    process = subprocess.Popen(
        [*command, str(place), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield Running(process)
    finally:
        process.kill()
        process.wait(PATIENCE_SECONDS)


async def push(url: str, payloads: list[Tree]) -> list[Tree]:
    """Push all of them; returns the acknowledgements."""
    acks: list[Tree] = []
    with trio.fail_after(PATIENCE_SECONDS):
        async with open_websocket_url(url, extra_headers=[(b"apikey", PROXY_TOKEN.encode())]) as socket:
            await socket.get_message()
            for number, payload in enumerate(payloads):
                await socket.send_message(json.dumps({"type": "push", "id": number, "payload": payload}))
            while len(acks) < len(payloads):
                acks.append(json.loads(await socket.get_message()))
    return acks


def test_acknowledged_messages_are_answered_after_a_kill() -> None:
    """I1: an acknowledgement over the WebSocket is as good as a 200."""
    with daemon_under_test(SETTINGS, {"batching": {"window_seconds": 30}}) as daemon:
        contacts = [Contact() for _ in range(20)]
        said = [contact.says() for contact in contacts]
        acks = trio.run(push, url_of(daemon), [one.payload for one in said])
        daemon.kill()
        assert {ack["status"] for ack in acks} == {"accepted"}
        daemon.settings = {**daemon.settings, "batching": {"window_seconds": 0.6}}
        daemon.start()
        daemon.wait_settled()
        assert sorted(ids_in_turns(daemon)) == sorted(one.id for one in said)
        assert daemon.count("answered") == len(said)


def test_the_python_proxy_pushes_and_delivers(tmp_path: Path) -> None:
    """The client in the document, across a restart of the daemon and of itself."""
    source = shown_client("A proxy in Python")
    with daemon_under_test(SETTINGS, DELIVERED) as daemon:
        contact = Contact()
        arguments = (url_of(daemon), PROXY_TOKEN)
        place = tmp_path / "proxy.py"
        with running([sys.executable], source, place, *arguments) as proxy:
            said = contact.says()
            proxy.says(said.payload)
            daemon.wait_for(lambda: proxy.printed(f"accepted {said.id}"), "it is acknowledged")
            daemon.wait_for(lambda: proxy.printed(f"to {contact.phone} Heard 1"), "the reply came")
        daemon.wait_for(lambda: not _connected(daemon), "the daemon noticed that it left")
        assert "no clients connected" in daemon.majlis("status").stdout
        assert daemon.post(contact.says()).status == 200
        daemon.wait_for(lambda: daemon.count("held_turns"), "the reply is held")
        with running([sys.executable], source, place, *arguments) as proxy:
            daemon.wait_for(lambda: proxy.printed(f"to {contact.phone} Heard 1"), "it came at once")
            daemon.wait_settled()
            assert len(proxy.printed("to ")) == 1


def _connected(daemon: DaemonUnderTest) -> object:
    realtime = daemon.status()["realtime"]
    assert isinstance(realtime, dict)
    return realtime["connected"]


def test_a_reply_with_an_unknown_outcome_arrives_once(tmp_path: Path) -> None:
    """I6: the daemon is killed after the reply has left; after the restart the proxy recognizes the key."""
    with daemon_under_test(SETTINGS, DELIVERED) as daemon:
        listen = url_of(daemon).removeprefix("ws://").removesuffix("/v1")
        daemon.settings["realtime"] = {**SETTINGS["realtime"], "listen": listen}  # type: ignore[dict-item]
        contact = Contact()
        source, place = shown_client("A proxy in Python"), tmp_path / "proxy.py"
        with running([sys.executable], source, place, url_of(daemon), PROXY_TOKEN) as proxy:
            daemon.wait_for(lambda: _connected(daemon), "it is connected")
            daemon.crash_at("send_returned")
            proxy.says(contact.says().payload)
            daemon.wait_crashed()
            daemon.wait_for(lambda: proxy.printed("to "), "the reply left")
            daemon.start()
            daemon.wait_settled()
            assert len(proxy.printed("to ")) == 1
            assert daemon.events("part.resent") and daemon.count("answered") == 1


@pytest.fixture(scope="module")
def watched() -> Iterator[DaemonUnderTest]:
    with daemon_under_test(SETTINGS) as daemon:
        yield daemon


def test_a_person_who_writes_in_the_chat_takes_over(watched: DaemonUnderTest) -> None:
    """`fromMe` over the WebSocket has the same effect as by webhook."""
    person = upsert(
        "demo", "5511900400001", "This is Ali of the shop", "PERSON-1", int(time.time()), from_me=True
    )
    (ack,) = trio.run(push, url_of(watched), [person])
    assert (ack["status"], ack["ignored"]) == ("ignored", ["own_message"])
    assert "taken over until" in watched.majlis("silent").stdout


def interpreter(language: str) -> list[str]:
    return [node() if language == "JavaScript" else sys.executable]


@pytest.mark.parametrize("language", ["Python", "JavaScript"])
def test_a_watcher_misses_nothing_and_learns_of_a_restart(
    language: str, watched: DaemonUnderTest, tmp_path: Path
) -> None:
    """With the clients in the document."""
    daemon, contact, source = watched, Contact(), shown_client(f"A watcher in {language}")
    assert source.count("\n") <= 30
    arguments = (url_of(daemon), SCREEN_TOKEN)
    with running(interpreter(language), source, tmp_path / "watcher.mjs", *arguments) as watcher:
        daemon.wait_for(lambda: "realtime watch" in str(daemon.admin("/v1/tree")), "it watches")
        daemon.burst(contact.says())
        daemon.wait_for(lambda: watcher.printed("turn.done demo"), "it saw the turn")
        numbers = [int(line.split()[0]) for line in watcher.lines]
        assert numbers == sorted(set(numbers))
        listen = url_of(daemon).removeprefix("ws://").removesuffix("/v1")
        daemon.settings["realtime"] = {**SETTINGS["realtime"], "listen": listen}  # type: ignore[dict-item]
        daemon.restart()
        daemon.wait_for(lambda: watcher.printed("events are missing: restarted"), "it got the event")
        daemon.burst(contact.says())
        daemon.wait_for(lambda: len(watcher.printed("turn.done demo")) == 2, "it goes on")
        # Of the first burst it may have come too late; nothing of the new life is missing.
        assert watcher.printed("message.accepted demo")
    daemon.wait_for(lambda: not _connected(daemon), "the daemon noticed that it left")


async def _two_over_the_feed(daemon: DaemonUnderTest, feed: FakeSocketIo, said: list[Said]) -> None:
    """The feed is given: the first by webhook, too."""
    with trio.fail_after(4 * PATIENCE_SECONDS):
        async with feed.running():
            daemon.settings["gateway"] = {
                "kind": "evolution",
                "base_url": feed.url,
                "api_key": feed.api_key,
                "feed": "websocket",
            }
            await trio.to_thread.run_sync(daemon.signal, signal.SIGKILL)
            await trio.to_thread.run_sync(daemon.wait_exit)
            daemon.start(until_ready=False)
            await trio.to_thread.run_sync(daemon.wait_ready)
            await trio.to_thread.run_sync(
                daemon.wait_for, lambda: "/demo" in feed.joined, "it listens to the feed"
            )
            await trio.to_thread.run_sync(daemon.post, said[0])
            for one in said:
                await feed.emit("messages.upsert", one.payload)
            await trio.to_thread.run_sync(
                daemon.wait_for, lambda: len(ids_in_turns(daemon)) == len(said), "both are in turns"
            )
            status = await trio.to_thread.run_sync(daemon.majlis, "status")
            assert (
                "demo over WebSocket: connected, 2 received; events while it is disconnected are lost"
                in " ".join(status.stdout.split())
            )


def test_the_gateways_feed_brings_messages_and_the_status_shows_its_limits() -> None:
    """I3: a message that also arrives by webhook is stored once."""
    with daemon_under_test() as daemon:
        contact = Contact()
        said = [contact.says(), contact.says()]
        trio.run(_two_over_the_feed, daemon, FakeSocketIo(), said)
        assert sorted(ids_in_turns(daemon)) == sorted(one.id for one in said)
