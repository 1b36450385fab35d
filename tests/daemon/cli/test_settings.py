"""`majlis config`, `reload`, `log-level`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from daemon.config import load
from tests.daemon.cli.conftest import Typed
from tests.support.operators import DoorInThread

STAFF = "5511900000099"


def test_config_shows_the_source_of_each_value_and_no_secret(
    door: DoorInThread, majlis: Typed, tmp_path: Path
) -> None:
    settings = load(
        None,
        [
            "batching.window_seconds=5",
            f"escalation.notify_numbers=['{STAFF}']",
            "gateway.api_key=very-secret",
        ],
        {},
    )
    door.use(settings)
    out = majlis("config").out
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()[1:-1]}
    assert rows["batching.window_seconds"] == ["5.0", "--set"]
    assert rows["gateway.api_key"][0] == "****" and STAFF not in out and "very-secret" not in out
    assert STAFF in majlis("config", "--reveal").out
    assert majlis("config", "turn", "--changed").out == "0 settings\n"
    (row,) = json.loads(majlis("config", "turn.max_tries", "--json").out)["values"]
    assert row == {"key": "turn.max_tries", "value": "3", "origin": "default"}


def test_reload_says_what_it_reloaded_and_what_not(door: DoorInThread, majlis: Typed) -> None:
    out = majlis("reload").out
    assert out.startswith("0 feature flags and 0 settings reloaded;") and "config.yaml is not reloaded" in out
    assert json.loads(majlis("reload", "--json").out) == {"flags": 0, "settings": 0}


def test_the_log_level_is_shown_and_changed(
    door: DoorInThread, majlis: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert majlis("log-level", "info").out == "log level info\n"
    assert majlis("log-level", "warning").out == "log level warning; info again after a restart\n"
    assert json.loads(majlis("log-level", "--json").out) == {"level": "warning", "configured": "info"}
    assert "level must be one of debug, info, warning, error" in majlis("log-level", "loud").err
    assert majlis("log-level", "../drain").status == 2 and door.operators.stop.cause is None
