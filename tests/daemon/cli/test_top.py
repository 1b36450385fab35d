"""`majlis top`: readable at 80 by 24, live on a terminal, one snapshot in a pipe."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import msgspec
import pytest
from rich.console import Console, Group

from daemon.cli.top_screen import SORTS, rates_between, screen
from daemon.operate import AlertView, LatencyView, ProviderView
from daemon.operate.instances import InstancePause
from daemon.operate.top import TopPage, TopRow
from tests.daemon.cli.conftest import Typed
from tests.daemon.cli.scene import actor, show
from tests.support.operators import DoorInThread
from tests.support.patience import PATIENCE_SECONDS

ROOT = Path(__file__).parents[3]
_IN_CONTROL = """
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from daemon.cli import main
main()
"""
"""The command with the terminal as its controlling terminal: without that, Ctrl-C is an ordinary character."""


PHONE = "5511999990012"


def top_page(rows: int = 12) -> TopPage:
    """A busy daemon: 10,000 conversations, of which the page shows a few."""
    return TopPage(
        at="2026-01-31T12:00:01.000Z",
        node_id="node-a",
        version="0.1.0",
        ready=True,
        draining=False,
        uptime_seconds=100.0,
        active=10_000,
        open_windows=3_120,
        waiting_messages=9_031,
        phases={"answering": 42, "queued": 3, "holding": 2, "retrying": 1, "parked": 1, "waiting": 3_120},
        in_flight=42,
        at_work=3,
        at_work_most=4,
        counters={"message.accepted": 1_000, "turn.done": 300, "turn.dead": 1},
        latencies=[
            LatencyView(what=what, count=500, p50_ms=p50, p95_ms=p95, max_ms=p95)
            for what, p50, p95 in (("turn", 1_050.0, 2_400.0), ("window lateness", 3.0, 14.0))
        ],
        providers=[
            ProviderView(name="main", state="closed"),
            ProviderView(name="backup", state="open", failures=5, last_reason="timed_out", wait_seconds=12.0),
        ],
        alerts=[
            AlertView(
                flag="queue_depth", meaning="waiting messages", value=9_031, threshold=1_000, seconds=33.0
            )
        ],
        pauses=[InstancePause(instance="clinic", since="2026-01-31T11:00:00.000Z")],
        matching=3_169,
        rows=[_row(place) for place in range(rows)],
    )


def _row(place: int) -> TopRow:
    held = place == 0
    return TopRow(
        conversation=f"{place:010x}",
        instance="shop-with-a-long-name-in-the-north",
        contact=PHONE,
        state="holding" if held else "waiting",
        waiting_messages=2,
        closes_in_seconds=24.0 if held else 4.0,
        why="the gateway is not connected" if held else "window open",
        window_seconds=8.0,
    )


def drawn(page: TopPage, width: int, height: int | None, problem: str = "") -> list[str]:
    rates = dict.fromkeys(("message.accepted", "turn.done", "turn.dead"), 310.2)
    console = Console(width=width, height=50, file=io.StringIO(), highlight=False, record=True)
    console.print(Group(*screen(page, rates, "urgency", 0, width=width, height=height, problem=problem)))
    return console.export_text().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (60, 16)])
def test_the_screen_fits_the_terminal_with_500_conversations(width: int, height: int) -> None:
    page = top_page(500)
    lines = drawn(page, width, height)
    assert len(lines) <= height and max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "waiting messages: 9,031" in text and "clinic paused: majlis resume --instance clinic" in text
    assert (
        "windows 3,120" in text
        and "turns 42 (3/4 at work)" in text
        and "backup circuit open for 12.0 s" in text
    )
    assert "3,169 busy conversations" in text and PHONE not in text


def test_many_alerts_leave_room_for_conversations() -> None:
    page = top_page(500)
    page = msgspec.structs.replace(
        page, ready=False, reasons=["Redis cannot be reached."], alerts=page.alerts * 9
    )
    lines = drawn(page, 80, 24)
    assert "NOT READY" in lines[0] and lines[1] == "Redis cannot be reached."
    assert any("more: majlis status" in line for line in lines)
    assert sum("█" in line for line in lines) >= 5


def test_an_open_window_has_a_bar_for_the_time_left() -> None:
    held, waiting = drawn(top_page(2), 120, None)[-3:-1]
    assert "█████░░░░░   4.0 s" in waiting and "█" not in held
    assert "24.0 s" in held and "the gateway is not connected" in held


def test_rates_are_differences_and_empty_across_a_restart() -> None:
    before = top_page()
    after = msgspec.structs.replace(
        before, uptime_seconds=102.0, counters={"message.accepted": 1_020, "turn.done": 300}
    )
    assert rates_between(before, after) == {"message.accepted": 10.0, "turn.done": 0.0}
    assert rates_between(after, before) == {}


def test_in_a_pipe_top_prints_one_snapshot(door: DoorInThread, majlis: Typed) -> None:
    show(door, *(actor(place) for place in range(8)))
    out = majlis("top", "--limit", "5").out
    assert "8 busy conversations" in out and out.count("\n") < 20 and "\x1b" not in out
    assert len(json.loads(majlis("top", "--json", "--limit", "2", "--sort", "left").out)["rows"]) == 2
    assert door.asked[-1] == ("/v1/top", {"sort": "left", "limit": "2"})
    assert "--sort must be one of" in majlis("top", "--sort", "size").err
    assert majlis("top", "--sort", SORTS[1]).status == 0


def test_on_a_terminal_top_refreshes_until_q(door: DoorInThread) -> None:
    """It refreshes, turns pages, changes the order, and leaves the terminal as it was."""
    show(door, *(actor(place) for place in range(60)))
    with Terminal("top", "--every", "0.2", "--set", f"admin.socket={door.socket}") as top:
        top.wait_for("busy conversations, by urgency")
        requests = len(door.asked)
        top.type("s")
        top.wait_for("by left")
        top.type("n")
        top.until(lambda: "offset" in door.asked[-1][1])
        assert len(door.asked) > requests
        top.type("q")
        assert top.process.wait(PATIENCE_SECONDS) == 0
        assert termios.tcgetattr(top.terminal)[3] & (termios.ICANON | termios.ECHO)


def test_on_a_terminal_ctrl_c_ends_top_quietly(door: DoorInThread) -> None:
    with Terminal("top", "--set", f"admin.socket={door.socket}") as top:
        top.wait_for("busy conversations")
        top.type("\x03")
        assert top.process.wait(PATIENCE_SECONDS) == 0
        assert "Traceback" not in top.seen


class Terminal:
    """One command on a terminal of 80 by 24."""

    def __init__(self, *arguments: str) -> None:
        self._command = [sys.executable, "-c", _IN_CONTROL, *arguments]
        self.seen = ""

    def __enter__(self) -> Terminal:
        self._ours, self.terminal = pty.openpty()
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            self._command,
            stdin=self.terminal,
            stdout=self.terminal,
            stderr=self.terminal,
            env=environment,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)
        os.close(self.terminal)

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def wait_for(self, words: str) -> None:
        self.until(lambda: words in self.seen)

    def until(self, condition: object) -> None:
        assert callable(condition)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, self.seen[-2_000:]
            if select.select([self._ours], [], [], 0.1)[0]:
                self.seen += os.read(self._ours, 65_536).decode(errors="replace")
