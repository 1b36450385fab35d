"""`majlis instance apply` and `export`: shown before it is done, all or nothing, and back unchanged."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import yaml

from daemon.cli.instance_files import variable
from tests.daemon.cli.conftest import Typed
from tests.support.operators import DoorInThread

SECRET = "canary-secret-7391"
FILE = """
instances:
  dates:
    prompt: |
      You help the customers of a date shop.
      Be short.
    batching: {window_seconds: 5}
    flags: {cache: false}
    ingress: {token: {from_env: DATES_TOKEN}}
    gateway: {api_key: {from_file: dates.key}}
  tiles: {mode: shadow}
"""
WORDS = """
instances:
  fjord: {mode: off, country: NO, model: small}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATES_TOKEN", f"token-{SECRET}")
    (tmp_path / "dates.key").write_text(f"key-{SECRET}\n")
    path = tmp_path / "tenants.yaml"
    path.write_text(FILE)
    return path


def names(majlis: Typed) -> set[str]:
    return {one["instance"] for one in json.loads(majlis("instance", "list", "--json").out)["instances"]}


def stored(door: DoorInThread) -> str:
    """Everything in the tables of instances."""
    tables = ("majlis_secrets", "majlis_settings", "majlis_instance_versions", "majlis_audit")

    async def read() -> str:
        return repr([await door.operators.db.fetch(f"SELECT t::text FROM {table} t") for table in tables])

    return door.do(read)


def test_a_file_is_shown_applied_once_and_comes_back_unchanged(
    door: DoorInThread, majlis: Typed, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = majlis("instance", "apply", "-f", str(file), "--dry-run").out
    assert "+ dates (added)" in shown and "batching.window_seconds: 5.0" in shown
    assert "ingress.token: set (secret)" in shown and "+You help the customers of a date shop." in shown
    assert "2 to change, 0 unchanged" in shown
    assert not {"dates", "tiles"} & names(majlis)

    assert majlis("instance", "apply", "-f", str(file)).status == 2  # nobody is there to say yes
    assert "2 instances applied" in majlis("instance", "apply", "-f", str(file), "--yes").out
    live = door.operators.live
    assert live.window("dates").window_seconds == 5 and live.terms("tiles").mode == "shadow"
    assert live.own_credentials().tokens == {"dates": (f"token-{SECRET}",)}
    again = majlis("instance", "apply", "-f", str(file), "--yes").out
    assert again == "nothing changes: 2 unchanged\n"
    history = json.loads(majlis("instance", "history", "dates", "--json").out)["versions"]
    assert [(one["version"], one["why"]) for one in history] == [(1, "apply tenants.yaml")]

    file.write_text(FILE.replace("Be short.", "Be kind.").replace("seconds: 5", "seconds: 7"))
    monkeypatch.setenv("DATES_TOKEN", f"other-{SECRET}")
    changed = majlis("instance", "apply", "-f", str(file), "--yes").out
    assert "batching.window_seconds: 5.0 → 7.0" in changed and "ingress.token: changed (secret)" in changed
    assert "-Be short." in changed and "+Be kind." in changed and "1 to change, 1 unchanged" in changed

    out = tmp_path / "export.yaml"
    out.touch(0o644)
    majlis("instance", "export", "dates", "tiles", "-o", str(out))
    text = out.read_text()
    assert out.stat().st_mode & 0o777 == 0o600
    tree = yaml.safe_load(text)["instances"]
    assert tree["dates"]["gateway"]["api_key"] == {"from_env": "INSTANCE_DATES_GATEWAY_API_KEY"}
    assert "prompt: |\n" in text
    kept = majlis("instance", "apply", "-f", str(out), "--yes").out
    assert kept == "nothing changes: 2 unchanged\n2 secrets left as stored: the variables are not set\n"
    monkeypatch.setenv("INSTANCE_DATES_GATEWAY_API_KEY", f"key-{SECRET}")
    monkeypatch.setenv("INSTANCE_DATES_INGRESS_TOKEN", f"other-{SECRET}")
    assert majlis("instance", "apply", "-f", str(out), "--yes").out == "nothing changes: 2 unchanged\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(text.replace("  dates:", "  elsewhere:")))
    monkeypatch.delenv("INSTANCE_DATES_INGRESS_TOKEN")
    refused = majlis("instance", "apply", "-f", "-", "--yes")
    assert refused.status == 2, refused
    assert "elsewhere: ingress.token: the environment has no INSTANCE_DATES_INGRESS_TOKEN" in refused.err
    for written in (shown, again, changed, text, refused.err, stored(door)):
        assert SECRET not in written


def test_words_that_yaml_has_for_false_are_meant_as_they_stand(
    door: DoorInThread, majlis: Typed, file: Path
) -> None:
    file.write_text(WORDS)
    shown = majlis("instance", "apply", "-f", str(file), "--yes").out
    assert "1 instance applied" in shown, shown
    own = door.operators.live.for_instance("fjord")
    assert (own.mode, own.country, own.responder.providers[0].model) == ("off", "NO", "small")


def test_one_fault_and_nothing_is_done(door: DoorInThread, majlis: Typed, file: Path) -> None:
    file.write_text(
        FILE + "  bad: {batching: {window_seconds: -1}, nothing: 1}\n  worse: {gateway: {api_key: ''}}\n"
        "  'a/b': {mode: live}\n  Dates: {mode: live}\n  url: {alerts: {webhook: 'canary-secret-7391'}}\n"
    )
    ended = majlis("instance", "apply", "-f", str(file), "--yes")
    assert ended.status == 1
    for words in ("bad: nothing: unknown key", "worse: gateway.api_key: must be a text", "a/b: ", "url: "):
        assert f"majlis: {words}" in ended.err, ended.err
    assert SECRET not in ended.err
    assert not {"dates", "tiles", "bad"} & names(majlis)


def test_what_the_file_does_not_name_stays_or_goes_when_asked(
    door: DoorInThread, majlis: Typed, file: Path
) -> None:
    majlis("instance", "add", "old", "mode=off")
    majlis("instance", "add", "tiles", "batching.max_messages=3")
    out = majlis("instance", "apply", "-f", str(file), "--yes").out
    assert "~ tiles (changed)" in out and "old" not in out
    assert door.operators.live.for_instance("tiles").batching.max_messages == 3
    dry = majlis("instance", "apply", "-f", str(file), "--prune", "--dry-run").out
    assert "- old (removed)" in dry and "- dates" not in dry
    others = len(names(majlis) - {"dates", "tiles", "demo"})  # the last one is declared in config.yaml
    pruned = majlis("instance", "apply", "-f", str(file), "--prune", "--yes").out
    assert f"0 instances applied, {others} removed" in pruned
    assert names(majlis) == {"dates", "tiles", "demo"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("instances: {a: &x {contacts: {ignore: [*x]}}}", "line 1: refers to itself; write it out"),
        ("instances:\n  a: {}\n  a: {}", "line 3: the key a appears twice"),
        ("a: {}", "must hold `instances:` alone"),
        ("instances: {a: [1]}", "a: must be a section"),
        ("instances: {a: {prompt: 'canary-secret-7391}}", "is not valid YAML"),
        ("instances: {" + ", ".join(f"i{n}: {{}}" for n in range(1_001)) + "}", "more than 1,000"),
        ("instances: {a: {gateway: {api_key: {from_file: nowhere}}}}", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_a_sentence(
    text: str, words: str, majlis: Typed, door: DoorInThread, tmp_path: Path
) -> None:
    path = tmp_path / "tenants.yaml"
    path.write_text(text)
    ended = majlis("instance", "apply", "-f", str(path), "--yes")
    assert ended.status == 2 and words in ended.err and SECRET not in ended.err


def test_each_secret_has_a_variable_of_its_own() -> None:
    names = ("acme", "Acme", "acme-1", "acme_1", "acme 1", "متجر", "5511", "ACME")
    made = [variable(name, "gateway.api_key") for name in names]
    assert len(set(made)) == len(names) and made[0] == "INSTANCE_ACME_GATEWAY_API_KEY"
    assert all(
        one.isascii() and one.replace("_", "a").isalnum() and not one.startswith("MAJLIS") for one in made
    )
