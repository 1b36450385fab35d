"""`majlis config`, `reload`, `log-level`."""

from __future__ import annotations

import json

from tests.daemon.cli.conftest import Typed
from tests.daemon.operate.fake_inside import STAFF
from tests.daemon.operate.fake_operations import DoorInThread


def test_config_shows_the_source_of_each_value_and_no_secret(door: DoorInThread, majlis: Typed) -> None:
    out = majlis("config").out
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()[1:-1]}
    assert rows["batching.window_seconds"] == ["5.0", "--set"]
    assert rows["gateway.api_key"][0] == "****" and STAFF not in out
    assert STAFF in majlis("config", "--reveal").out
    assert majlis("config", "turn", "--changed").out == "0 settings\n"
    (row,) = json.loads(majlis("config", "turn", "--json").out)["values"]
    assert row == {"key": "turn.max_tries", "value": "3", "origin": "default"}


def test_reload_says_what_it_reloaded_and_what_not(door: DoorInThread, majlis: Typed) -> None:
    out = majlis("reload").out
    assert out.startswith("0 feature flags reloaded;") and "config.yaml is not reloaded" in out
    assert json.loads(majlis("reload", "--json").out) == {"flags": 0}


def test_the_log_level_is_shown_and_changed(door: DoorInThread, majlis: Typed) -> None:
    assert majlis("log-level").out == "log level info\n"
    assert majlis("log-level", "debug").out == "log level debug; info again after a restart\n"
    assert json.loads(majlis("log-level", "--json").out) == {"level": "debug", "configured": "info"}
    assert "a log level is one of debug, info, warning, error" in majlis("log-level", "loud").err
    assert majlis("log-level", "../drain").status == 2 and door.operations.control.drained == 0
