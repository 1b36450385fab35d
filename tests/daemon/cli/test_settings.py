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
            "turn.max_tries=3",
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
    assert row == {"key": "turn.max_tries", "value": "3", "origin": "--set"}


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


def test_a_setting_is_set_shown_and_unset(door: DoorInThread, majlis: Typed) -> None:
    key, words = "batching.window_seconds", 'سيكتب لك زميل قريبًا: "نعم"'
    set_here = majlis("set", key, "5").out
    assert set_here.startswith(f"{key} is 5.0 for this daemon (majlis set, uid ")
    assert majlis("set", key, "2", "--instance", "acme").out.startswith(
        f"{key} is 2.0 for acme (majlis instance set, uid "
    )
    assert majlis("set", key, "6").out.splitlines()[1] == "set for themselves: acme"
    majlis("set", "escalation.message", words, "--instance", "acme")
    majlis("set", "takeover.automatic_texts", '["نحن مغلقون", "back soon"]', "--instance", "acme")
    majlis("set", "takeover.commands.pause", "null")
    majlis("flags", "set", "cache", "off", "--instance", "acme")

    def rows(*arguments: str) -> dict[str, tuple[str, str]]:
        shown = json.loads(majlis("config", *arguments, "--json").out)["values"]
        return {row["key"]: (row["value"], row["origin"].partition(", uid ")[0]) for row in shown}

    of_acme = "majlis instance set"
    here, own = rows(), rows("--instance", "acme")
    assert here[key] == ("6.0", "majlis set") and here[f"instances.acme.{key}"] == ("2.0", of_acme)
    assert here["cache.enabled"] == ("true", "default")
    assert own[key] == ("2.0", of_acme) and own["batching.max_messages"] == ("5", "default")
    assert own["escalation.message"] == (words, of_acme)
    assert own["takeover.automatic_texts"] == ("[نحن مغلقون, back soon]", of_acme)
    assert own["takeover.commands.pause"] == ("null", "majlis set")
    assert own["cache.enabled"] == ("false", "majlis flags set --instance acme")
    assert own["responder.providers.0.kind"] == ("rehearsal", "default") and "redis.url" not in own
    assert words in majlis("config", "escalation.message", "--instance", "acme").out
    assert "the database has no instance called acm" in majlis("config", "--instance", "acm").err.lower()
    assert majlis("unset", key, "--instance", "acme").out.startswith(
        f"{key} is 6.0 for acme (majlis set, uid "
    )
    assert door.operators.live.window("acme").window_seconds == 6
    assert json.loads(majlis("reload", "--json").out) == {"flags": 1, "settings": 4}


def test_a_setting_that_cannot_be_set_is_refused_in_a_sentence(door: DoorInThread, majlis: Typed) -> None:
    for arguments, words in (
        (("batching.window_seconds", "-1"), "batching.window_seconds: must be greater than 0; it is -1"),
        (("window_seconds", "5"), "unknown key; did you mean batching.window_seconds?"),
        (("redis.url", "x"), "change config.yaml and restart the daemon"),
        (("cache.enabled", "false", "-i", "acme"), "`majlis flags set cache on|off` switches it"),
        (("batching.window_seconds", "5", "-i", "acm"), "no instance called acm"),
        (("escalation.notify_numbers", "['12']"), "must be a phone number with its country code"),
        (("", "5"), "name a setting"),
    ):
        outcome = majlis("set", *arguments)
        assert words in outcome.err and outcome.status and not outcome.out, outcome
    assert "is not set at run time for this daemon" in majlis("unset", "batching.window_seconds").err
    assert door.operators.audited == [] and majlis("set", "../drain", "1").status == 1
    assert door.operators.stop.cause is None


def test_phone_numbers_and_texts_are_neither_shown_nor_logged(door: DoorInThread, majlis: Typed) -> None:
    number = "5511900000088"
    for key in ("contacts.ignore", "escalation.notify_numbers"):
        assert number not in majlis("set", key, f"['{number}']", "--instance", "acme").out
    majlis("set", "opt_out.message", "goodbye")
    majlis("set", "batching.max_messages", "3")
    assert number not in majlis("config").out and number not in majlis("config", "-i", "acme").out
    assert majlis("config", "-i", "acme", "--reveal").out.count(number) == 2
    assert [(entry.action, entry.target) for entry in door.operators.audited[:4]] == [
        ("settings.set", "contacts.ignore, instance acme"),
        ("settings.set", "escalation.notify_numbers, instance acme"),
        ("settings.set", "opt_out.message, this daemon"),
        ("settings.set", "batching.max_messages 3, this daemon"),
    ]


def test_a_setting_that_is_not_in_force_is_named(door: DoorInThread, majlis: Typed) -> None:
    wrong = "INSERT INTO majlis_settings VALUES ('instance:acme', 'batching.window_seconds', '\"soon\"')"
    door.do(lambda: door.operators.db.fetch(wrong))
    majlis("reload")
    words = "not in force: batching.window_seconds, set for acme: must be a number; `majlis unset "
    assert words in majlis("config").out and words in majlis("config", "--instance", "acme").out
    assert words not in majlis("config", "--instance", "shop").out
