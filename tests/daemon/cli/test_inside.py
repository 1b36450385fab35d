"""explain, tree, config, leases, drain, log-level, pause and resume of instances, dead drop: what a person reads."""

from __future__ import annotations

import json

from daemon.cli.knowledge import PORTION_BYTES, portions
from daemon.knowledge.chunks import MAX_CHARS, Chunk
from tests.daemon.cli.conftest import Typed
from tests.daemon.operate.fake_inside import PHONE, SAID, STAFF
from tests.daemon.operate.fake_operations import CONTACT, HELD, DoorInThread, actor


def test_explain_tells_a_life_in_one_screen(door: DoorInThread, majlis: Typed) -> None:
    out = majlis("explain", "3EB0C7").out
    lines = out.splitlines()
    assert len(lines) <= 24 and PHONE not in out and SAID not in out
    assert "answered: answered 9.8 s after its burst began" in out and "majlis show 7" in out
    assert any(line.split()[:3] == ["12:00:08.004", "+8.00", "s"] for line in lines)
    assert "gateway id 3EB0AB" in out and "(21 characters)" in out
    revealed = majlis("explain", "3EB0C7", "--reveal").out
    assert PHONE in revealed and SAID in revealed and "A room is 80 a night." in revealed
    assert [entry.target for entry in door.operations.audited] == ["message 3EB0C7"]
    assert json.loads(majlis("explain", "3EB0C7", "--json").out)["state"] == "answered"


def test_explain_says_what_it_does_not_know(door: DoorInThread, majlis: Typed) -> None:
    assert majlis("explain", "nope").err == "majlis: No message of this id is known.\n"
    assert "say which, with --instance acme" in majlis("explain", "3EB0C7", "-i", "other").err
    assert "at most 512 printable characters" in majlis("explain", "x" * 600).err


def test_tree_is_bounded_and_says_what_is_left_out(door: DoorInThread, majlis: Typed) -> None:
    lines = majlis("tree", "--limit", "3").out.splitlines()
    assert lines[0] == "main" and len(lines) == 6
    assert "conversation/0000000000  actors/actor.py:1 _sleep" in lines[1]
    assert "97 more, see --limit" in lines[-2] and lines[-1] == "102 tasks"


def test_config_tells_where_each_value_came_from_and_no_secret(door: DoorInThread, majlis: Typed) -> None:
    out = majlis("config").out
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()[1:-1]}
    assert rows["batching.window_seconds"] == ["5.0", "--set"]
    assert rows["gateway.api_key"][0] == "****" and STAFF not in out
    assert STAFF in majlis("config", "--reveal").out
    assert majlis("config", "turn", "--changed").out == "0 settings\n"
    (row,) = json.loads(majlis("config", "turn", "--json").out)["values"]
    assert row == {"key": "turn.max_tries", "value": "3", "origin": "default"}


def test_leases_tell_whose_and_how_long(door: DoorInThread, majlis: Typed) -> None:
    out = majlis("leases").out
    assert "node-a (this one)" in out and "9.1 s" in out
    assert out.endswith("this daemon acts for 1 of 3 partitions; 1 partition owned by nobody\n")
    assert [line.split()[-1] for line in majlis("leases", "--all").out.splitlines()[-4:-1]] == [
        *("for", "another", "free")
    ]


def test_instances_and_all_are_paused_and_resumed(door: DoorInThread, majlis: Typed) -> None:
    held = "acme: no turn begins until you resume it; messages are kept and wait\n"
    assert majlis("pause", "--instance", "acme").out == held
    shorter = majlis("pause", "--instance", "acme").out
    assert shorter == f"{held[:-1]}; before this it was until you resume it\n"
    until = majlis("pause", "--all", "--seconds", "60").out
    assert until.startswith("all instances: no turn begins until 2026-01-31 13:00:00 UTC;")
    assert door.operations.control.paused == {"acme": None, None: 60}
    assert majlis("resume", "--instance", "acme").out == "acme: turns begin again\n"
    assert majlis("resume", "--all").out == "all instances: turns begin again\n"
    assert majlis("resume", "--instance", "acme").err.startswith("majlis: acme is not paused")
    assert majlis("pause", "--instance", "nobody").err.startswith("majlis: The database has no instance")
    assert [entry.target for entry in door.operations.audited[1:3]] == ["instance acme", "all instances"]


def test_it_must_be_said_what_is_paused(door: DoorInThread, majlis: Typed) -> None:
    sentence = "majlis: say which: a conversation, or --instance NAME, or --all\n"
    for words in ((), (f"acme/{CONTACT}", "--all"), ("--instance", "acme", "--all")):
        for command in ("pause", "resume"):
            ended = majlis(command, *words)
            assert (ended.status, ended.err) == (2, sentence)
    assert not door.operations.paused and not door.operations.control.paused
    assert majlis("pause", f"acme/{CONTACT}").status == 0 and door.operations.paused == [(HELD, None)]


def test_the_log_level_is_told_and_set(door: DoorInThread, majlis: Typed) -> None:
    assert majlis("log-level").out == "logged from info on\n"
    assert majlis("log-level", "debug").out == "logged from debug on; info again after a restart\n"
    assert json.loads(majlis("log-level", "--json").out) == {"level": "debug", "configured": "info"}
    assert "a log level is one of debug, info, warning, error" in majlis("log-level", "loud").err
    assert majlis("log-level", "../drain").status == 2 and door.operations.control.drained == 0


def test_a_drain_that_is_not_waited_for(door: DoorInThread, majlis: Typed) -> None:
    out = majlis("drain", "--no-wait").out
    assert out == "draining for at most 20 s: 2 running turns, 12 active conversations\n"
    assert json.loads(majlis("drain", "--no-wait", "--json").out)["ended"] is False
    assert door.operations.control.drained == 2


def test_a_dead_letter_is_dropped_once(door: DoorInThread, majlis: Typed) -> None:
    assert majlis("dead", "drop", "17").out == "dead letter 17 is dropped; it is kept\n"
    assert "was dropped already" in majlis("dead", "drop", "17").err
    assert "there is no dead letter 4" in majlis("dead", "drop", "4").err
    assert [(entry.action, entry.target) for entry in door.operations.audited[:1]] == [
        ("dead.drop", "dead letter 17")
    ]


def test_actors_are_sorted_and_paged(door: DoorInThread, majlis: Typed) -> None:
    door.operations.active = [actor(place, conversation=f"{place:010x}") for place in range(25)]
    lines = majlis("actors", "--sort", "left", "--limit", "10", "--page", "3").out.splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == [f"{place:010x}" for place in range(20, 25)]
    assert lines[-1] == "25 active conversations"
    assert "sort must be one of" in majlis("actors", "--sort", "size").err


def test_no_portion_of_a_file_is_larger_than_a_request_may_be() -> None:
    """Whatever is in the chunks: what a character costs is counted, not guessed."""
    for letter in ("a", "م", "😀", '"', "\n"):
        chunks = [Chunk(place, letter * 200, letter * MAX_CHARS) for place in range(100)]
        cut = list(portions(chunks))
        assert [chunk for portion in cut for chunk in portion] == chunks
        for portion in cut:
            body = [{"ordinal": one.ordinal, "heading": one.heading, "text": one.text} for one in portion]
            assert len(json.dumps({"chunks": body}, ensure_ascii=False).encode()) <= 64 * 1024
            assert len(portion) <= 32
    assert PORTION_BYTES < 64 * 1024
