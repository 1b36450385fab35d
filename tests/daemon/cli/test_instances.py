"""`majlis instance`: the life of one, as an operator types it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from tests.daemon.cli.conftest import Typed, on_a_terminal
from tests.support.operators import DoorInThread

PROMPT = "You sell flowers. أنت تبيع الزهور. " * 30
STAFF = "+55 11 90000-0099"


def test_an_instance_is_added_set_shown_given_back_and_removed(
    door: DoorInThread, majlis: Typed, tmp_path: Path
) -> None:
    (tmp_path / "prompt.txt").write_text(f"{PROMPT}\n", encoding="utf-8")
    added = majlis(
        "instance", "add", "rose", "prompt=@prompt.txt", "model=big", "mode=off", "--why", "new customer"
    )
    assert added.status == 0 and added.out.splitlines()[-1] == "rose is at version 1", added
    done = majlis(
        "instance",
        "set",
        "rose",
        "batching.window_seconds=5",
        f"contacts.ignore=['{STAFF}']",
        "flags.cache=off",
    )
    assert "batching.window_seconds: not set → 5.0" in done.out and "0099" not in done.out, (
        "numbers are masked"
    )
    assert (
        majlis("instance", "set", "rose", "mode=off").out
        == "rose: everything was so already, version 2 stays\n"
    )

    def rows(*arguments: str) -> dict[str, tuple[str, str, str]]:
        shown = json.loads(majlis("instance", "show", "rose", *arguments, "--json").out)
        return {
            one["key"]: (one["value"], one["origin"].partition(", uid ")[0], one["kind"])
            for one in shown["values"]
        }

    own = rows()
    assert own["prompt"] == (PROMPT, "column whatsapp_ai_config.system_prompt", "column")
    assert own["batching.window_seconds"] == ("5.0", "majlis instance set", "setting")
    assert own["responder.providers.0.model"][:2] == ("big", "majlis instance set")
    assert (
        own["flags.cache"] == ("false", "majlis instance set", "flag")
        and own["flags.takeover"][1] == "default"
    )
    assert own["batching.max_messages"] == ("5", "default", "setting") and own["mode"][0] == "off"
    assert own["escalation.enabled"][:2] == ("true", "column whatsapp_instances.escalation_enabled")
    assert own["contacts.ignore"][0] == "[…99]" and STAFF in rows("--reveal")["contacts.ignore"][0]
    shown = majlis("instance", "show", "rose", "--changed").out
    assert "characters)" in shown and PROMPT not in shown and "batching.max_messages" not in shown
    assert " ".join(PROMPT.split()) in " ".join(
        majlis("instance", "show", "rose", "prompt", "--full").out.split()
    )
    listed = json.loads(majlis("instance", "list", "--json").out)["instances"]
    (rose,) = [one for one in listed if one["instance"] == "rose"]
    assert (rose["mode"], rose["version"], rose["origin"], rose["has_prompt"]) == ("off", 2, "stored", True)
    assert {one["instance"]: one["origin"] for one in listed}["demo"] == "declared"
    assert "rose" in majlis("instance", "list").out

    majlis("instance", "set", "rose", "--unset", "batching.window_seconds", "--why", "not needed")
    back = majlis("instance", "rollback", "rose", "--to", "2")
    assert "batching.window_seconds: not set → 5.0" in back.out, back
    told = json.loads(majlis("instance", "history", "rose", "--json").out)["versions"]
    assert [(one["version"], one["what"], one["why"]) for one in told] == [
        (4, "restore", "as version 2"),
        (3, "change", "not needed"),
        (2, "change", ""),
        (1, "add", "new customer"),
    ]
    assert told[0]["by"].startswith("uid ") and told[0]["changes"] == [
        {"key": "batching.window_seconds", "before": None, "after": "5.0"}
    ]
    assert "restored: as version 2" in majlis("instance", "history", "rose").out
    assert "add --yes" in majlis("instance", "remove", "rose").err
    removed = majlis("instance", "remove", "rose", "--yes")
    assert removed.status == 0 and "its conversations and history stay" in removed.out
    assert "There is no instance called rose" in majlis("instance", "show", "rose").err
    again = majlis("instance", "add", "rose", "mode=off").out
    last = int(removed.out.partition("version ")[2].partition(")")[0]) - 1
    assert f"What was set for it then: majlis instance rollback rose --to {last}" in " ".join(again.split())
    audited = [
        (one.action, one.target) for one in door.operators.audited if one.action.startswith("instance.")
    ]
    assert audited[0] == ("instance.add", "instance rose, prompt, responder.providers.0.model, mode")
    assert ("instance.remove", "instance rose") in audited and "flowers" not in repr(audited)


REFUSED = (
    (("set", "acme", "prompt"), "must be written KEY=VALUE"),
    (("set", "acme", "hours=a", "hours=b"), "hours is given twice"),
    (("set", "acme", "prompt=@nowhere.txt"), "nowhere.txt: cannot be read: No such file or directory"),
    (("set", "acme"), "Name what to change"),
    (("set", "acme", "batching.window_seconds=soon", "hurs=x"), "hurs: unknown key; did you mean hours"),
    (("set", "acme", "gateway.api_key="), "gateway.api_key: must be a text, not empty"),
    (("set", "nobody", "hours=[]"), "There is no instance called nobody"),
    (("add", "ACME"), "There is acme, which differs in case alone"),
    (("remove", "demo", "--yes"), "demo is declared in config.yaml"),
    (("rollback", "acme", "--to", "first"), "say which version: --to previous"),
    (("rollback", "--to", "2"), "--to is for one instance: name it"),
    (("rollback", "acme", "--to", "99"), "acme has no version 99"),
)


def test_what_cannot_be_done_is_one_sentence(door: DoorInThread, majlis: Typed) -> None:
    door.do(door.operators.changes.look)
    for arguments, words in REFUSED:
        done = majlis("instance", *arguments)
        assert done.status != 0 and words in done.err and "s3cret" not in done.err, done
    operators = door.operators
    assert [(one.action, one.target) for one in operators.audited if one.action.startswith("instance.")] == [
        ("instance.set", "instance acme"),
        ("instance.set", "instance acme, batching.window_seconds, (unknown key)"),
        ("instance.set", "instance acme, gateway.api_key"),
        ("instance.set", "instance nobody, hours"),
        ("instance.add", "instance ACME"),
        ("instance.remove", "instance demo"),
        ("instance.restore", "instance acme, version 99"),
    ], "what was asked for, and no value of it; what the command line refuses was never asked for"
    assert {outcome for outcome, _ in operators.outcomes.values()} == {"refused"}


def test_a_value_is_read_from_standard_input_and_a_removal_asks(
    door: DoorInThread, majlis: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("from a pipe\n"))
    assert majlis("instance", "set", "acme", "prompt=-").status == 0
    shown = json.loads(majlis("instance", "show", "acme", "prompt", "--json").out)
    assert shown["values"][0]["value"] == "from a pipe"
    screen = on_a_terminal(monkeypatch)
    majlis("instance", "show", "acme", "prompt")
    assert max(map(len, screen.lines)) <= 80


def test_a_key_on_the_command_line_is_stored_and_warned_of(door: DoorInThread, majlis: Typed) -> None:
    majlis("instance", "add", "keyed")
    done = majlis("instance", "set", "keyed", "gateway.api_key=canary-7391", "batching.window_seconds=4")
    assert done.status == 0 and "gateway.api_key=- asks for it" in done.err
    assert "canary-7391" not in done.out + done.err
    assert "command line" not in majlis("instance", "set", "keyed", "batching.window_seconds=5").err
