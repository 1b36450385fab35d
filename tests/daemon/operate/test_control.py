"""The daemon as a whole: what it reads again, what it logs, and how it stops."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actors.counted import ActorView
from daemon.observe import logs
from daemon.operate.stop import StopCause
from tests.support.ledgers import DEMO
from tests.support.operators import Operators


@pytest.fixture
def log_level() -> Iterator[None]:
    before = logs.level()
    yield
    logs.set_level(before)


async def test_reload_reads_instances_and_flags_again(operators: Operators) -> None:
    flags = operators.stored_flags
    await operators.db.fetch("INSERT INTO majlis_flags VALUES ('instance:demo', 'parallel', false)")
    assert flags.of("demo").parallel
    assert (await operators.control.reload()).flags == 1
    assert not flags.of("demo").parallel and operators.forgotten == 1
    assert operators.feed.counters["settings.reloaded"] == 1


async def test_a_drain_reports_what_still_runs_and_stops_the_daemon(operators: Operators) -> None:
    operators.actors.show(ActorView(DEMO, "answering", (), None, 0, 0, None, ""))
    draining = await operators.control.drain(StopCause(uid=1000, pid=17))
    assert (draining.active, draining.running_turns) == (1, 1)
    await operators.control.drain(StopCause(origin="dashboard", session="abc"))
    assert await operators.stop.wait() == StopCause(uid=1000, pid=17)  # the first one
    assert (await operators.status.now()).stopping == "asked for by uid 1000, pid 17"
    assert draining.seconds == operators.settings.drain_seconds


@pytest.mark.parametrize(
    ("cause", "fields", "words"),
    [
        (StopCause(signal="SIGTERM"), {"why": "signal", "signal": "SIGTERM"}, "SIGTERM"),
        (StopCause(uid=0, pid=7), {"why": "command", "uid": 0, "pid": 7}, "asked for by uid 0, pid 7"),
        (
            StopCause(origin="dashboard", session="abc"),
            {"why": "command", "origin": "dashboard", "session": "abc"},
            "asked for by session abc of dashboard",
        ),
    ],
)
def test_the_cause_of_a_stop_in_the_log_and_in_words(
    cause: StopCause, fields: dict[str, object], words: str
) -> None:
    assert (cause.fields, cause.words) == (fields, words)


@pytest.mark.usefixtures("log_level")
async def test_the_log_level_applies_until_the_next_start(operators: Operators) -> None:
    assert (await operators.control.set_log_level("debug")).level == "debug"
    shown = await operators.control.log_level()
    assert (shown.level, shown.configured) == ("debug", "info")
