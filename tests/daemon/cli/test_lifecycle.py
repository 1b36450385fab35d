"""`majlis run`, `migrate`, `doctor`, `drain`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import daemon
from actors.errors import LedgerUnavailable
from daemon.config import Settings
from daemon.ledger import Migrated
from daemon.ledger.closing import Closed
from daemon.operate.checks import Check, DoctorReport
from tests.daemon.cli.conftest import Typed
from tests.daemon.cli.scene import actor, show
from tests.support.operators import DoorInThread


class Composed:
    """Stands in for daemon.run."""

    def __init__(self) -> None:
        self.settings: list[Settings] = []
        self.applied: Sequence[str] = ()
        self.closed = Closed()
        self.adopted = False
        self.moves: list[bool] = []
        self.closings: list[tuple[Sequence[str], bool]] = []
        self.fails: Exception | None = None

    def run(self, settings: Settings) -> int:
        self.settings.append(settings)
        if self.fails is not None:
            raise self.fails
        return 0

    def migrate(
        self,
        settings: Settings,
        adopt_redis: bool = False,
        roles: Sequence[str] = (),
        close_tables: bool = False,
        move_redis: bool = False,
    ) -> Migrated:
        self.settings.append(settings)
        self.adopted = adopt_redis
        self.moves.append(move_redis)
        self.closings.append((roles, close_tables))
        return Migrated([*self.applied], self.closed)

    def doctor(self, settings: Settings) -> DoctorReport:
        self.settings.append(settings)
        return DoctorReport(checks=[Check(name="redis", state="problem", detail="away", advice="start it")])


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> Composed:
    made = Composed()
    monkeypatch.setattr(daemon, "run", made, raising=False)
    monkeypatch.setitem(sys.modules, "daemon.run", made)
    return made


def test_run_combines_config_file_and_set_options(composed: Composed, majlis: Typed, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("drain_seconds: 3\nturn: {max_tries: 1}")
    done = majlis("run", "--config", "own.yaml", "--set", "turn.max_tries=7", "--json")
    (settings,) = composed.settings
    assert (done.status, settings.drain_seconds, settings.turn.max_tries) == (0, 3.0, 7)
    assert settings.log.format == "json"


def test_run_that_cannot_start_fails_with_one_sentence(composed: Composed, majlis: Typed) -> None:
    composed.fails = LedgerUnavailable("postgres refuses the password; set postgres.dsn")
    done = majlis("run")
    assert (done.status, done.err) == (1, "majlis: postgres refuses the password; set postgres.dsn\n")


def test_wrong_settings_stop_run_before_it_starts_anything(composed: Composed, majlis: Typed) -> None:
    done = majlis("run", "--set", "drain_seconds=soon")
    assert done.status == 2 and "drain_seconds: must be a number; it is 'soon' (from --set)" in done.err
    assert composed.settings == []


def test_migrate_lists_the_migrations_it_applied(composed: Composed, majlis: Typed) -> None:
    assert majlis("migrate").out == "nothing to do: the tables are up to date\n"
    composed.applied = ("0001_first", "0002_second")
    assert majlis("migrate").out == "applied 0001_first\napplied 0002_second\n"
    majlis("migrate", "--redis-engine")
    assert composed.moves == [False, False, True]
    assert not composed.adopted
    composed.closed = Closed(
        closed=(
            "table public.majlis_turns",
            "table public.whatsapp_messages",
            "function public.majlis_fence()",
        ),
        keep=("bot",),
    )
    done = majlis("migrate", "--role", "bot", "--close-tables")
    assert (
        "closed table public.whatsapp_messages\nclosed 1 table of Majlis' own (majlis_…)\n"
        "closed 1 function\nthese roles keep their rights: bot\n" in done.out
    )
    assert composed.closings == [((), False)] * 3 + [(["bot"], True)]
    assert json.loads(majlis("migrate", "--adopt-redis", "--json").out) == {
        "applied": ["0001_first", "0002_second"],
        "closed": [
            "table public.majlis_turns",
            "table public.whatsapp_messages",
            "function public.majlis_fence()",
        ],
        "keep": ["bot"],
        "shut_out": [],
        "still_open": [],
    }
    assert composed.adopted


def test_doctor_runs_the_checks_itself_when_no_daemon_is_running(composed: Composed, majlis: Typed) -> None:
    done = majlis("doctor")
    assert done.status == 1 and "→ start it" in done.out
    assert done.err == "majlis is not running: these checks ran without it\n"
    assert json.loads(majlis("doctor", "--json").out)["from_daemon"] is False


def test_doctor_asks_the_running_daemon_and_exits_1_on_a_problem(door: DoorInThread, majlis: Typed) -> None:
    assert majlis("doctor").status == 0
    problem = Check(name="gateway", state="problem", detail="answers 401", advice="set gateway.api_key")
    door.operators.report = DoctorReport(checks=[problem])
    done = majlis("doctor")
    assert done.status == 1 and "answers 401" in done.out and "→ set gateway.api_key" in done.out
    assert done.out.endswith("\n\n1 problem, 0 warnings, 0 ok\n")
    document = json.loads(majlis("doctor", "--json").out)
    assert document["well"] is False and document["from_daemon"] is True


def test_drain_without_waiting(door: DoorInThread, majlis: Typed) -> None:
    show(door, *(actor(place, phase="answering" if place < 2 else "waiting") for place in range(12)))
    out = majlis("drain", "--no-wait").out
    assert out == "draining for at most 20 s: 2 running turns, 12 active conversations\n"
    assert json.loads(majlis("drain", "--no-wait", "--json").out)["ended"] is False
    stopping = door.operators.stop.cause
    assert stopping is not None and stopping.uid == os.geteuid() and stopping.pid
    assert f"is draining (asked for by uid {os.geteuid()}, pid {stopping.pid})" in majlis("status").out
