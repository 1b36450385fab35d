"""Every command has a test against a running daemon. A table names each; those without a better place are here."""

from __future__ import annotations

import ast
import json
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer.main
import yaml
from typer.core import TyperGroup

from daemon.cli import app
from tests.acceptance.harness import (
    ROOT,
    DaemonUnderTest,
    Said,
    Tree,
    daemon_under_test,
    evolution,
    merged,
    openai,
)
from tests.acceptance.test_command_line import Command, items
from tests.support.gateway_server import FakeEvolution
from tests.support.openai_server import FakeOpenAI
from tests.support.payloads import upsert

TESTS = {
    "run": "test_process_life.py::test_a_second_daemon_on_the_same_data_is_refused",
    "status": "test_command_line.py::test_status",
    "actors": "test_command_line.py::test_actors_and_show",
    "silent": "test_every_command.py::test_a_conversation_is_taken_over_listed_and_handed_back",
    "show": "test_command_line.py::test_actors_and_show",
    "explain": "test_admin_commands.py::test_explain_an_answered_message",
    "cost": "test_every_command.py::test_the_cost_of_an_answer_is_shown",
    "kpi": "test_every_command.py::test_the_cost_of_an_answer_is_shown",
    "top": "test_admin_commands.py::test_leases_top_and_log_level",
    "dashboard": "test_dashboard_door.py::test_the_command_makes_links_of_the_callers_level",
    "dashboard sessions": "test_dashboard_door.py::test_the_command_makes_links_of_the_callers_level",
    "dashboard close": "test_dashboard_door.py::test_the_command_makes_links_of_the_callers_level",
    "shadow": "test_every_command.py::test_a_shadow_is_laid_beside_the_old_system",
    "tail": "test_admin_commands.py::test_tail_prints_only_matching_events",
    "flush": "test_command_line.py::test_flush",
    "pause": "test_every_command.py::test_a_conversation_is_taken_over_listed_and_handed_back",
    "resume": "test_every_command.py::test_a_conversation_is_taken_over_listed_and_handed_back",
    "try": "test_every_command.py::test_a_prompt_is_tried_before_it_is_live",
    "eval": "test_every_command.py::test_a_prompt_is_tried_before_it_is_live",
    "reload": "test_every_command.py::test_a_changed_row_applies_after_a_reload",
    "drain": "test_admin_commands.py::test_drain_answers_waiting_messages_and_waits_for_the_end",
    "log-level": "test_admin_commands.py::test_leases_top_and_log_level",
    "audit": "test_admin_commands.py::test_leases_top_and_log_level",
    "leases": "test_admin_commands.py::test_leases_top_and_log_level",
    "config": "test_admin_commands.py::test_config_shows_each_value_in_effect_and_its_source",
    "tree": "test_admin_commands.py::test_all_instances_are_paused_at_once_and_tree_shows_what_is_held",
    "doctor": "test_command_line.py::test_doctor",
    "migrate": "test_command_line.py::test_an_external_database_is_migrated_by_command",
    "simulate": "test_simulate.py::test_a_rehearsal_with_a_running_daemon",
    "install-service": "test_every_command.py::test_the_service_of_this_daemon_is_rendered",
    "set": "test_every_command.py::test_a_setting_is_changed_while_the_daemon_runs",
    "unset": "test_every_command.py::test_a_setting_is_changed_while_the_daemon_runs",
    "flags": "test_every_command.py::test_a_flag_is_set_and_cleared",
    "flags set": "test_every_command.py::test_a_flag_is_set_and_cleared",
    "flags clear": "test_every_command.py::test_a_flag_is_set_and_cleared",
    **dict.fromkeys(
        (f"instance {name}" for name in ("list", "show", "add", "set", "history", "rollback", "remove")),
        "test_every_command.py::test_an_instance_is_added_answered_set_given_back_and_removed",
    ),
    "dead list": "test_command_line.py::test_dead_letters_and_tail",
    "dead show": "test_command_line.py::test_dead_letters_and_tail",
    "dead retry": "test_command_line.py::test_dead_letters_and_tail",
    "dead drop": "test_admin_commands.py::test_explain_a_retried_and_a_dropped_dead_letter",
    "forwards": "test_passthrough.py::test_what_waits_is_forwarded_also_when_the_mode_has_changed",
    "forwards retry": "test_passthrough.py::test_what_waits_is_forwarded_also_when_the_mode_has_changed",
    "forwards drop": "test_passthrough.py::test_what_waits_is_forwarded_also_when_the_mode_has_changed",
    "instance apply": "test_held_instances.py::test_ten_tenants_of_one_file_and_a_wrong_key",
    "instance export": "test_held_instances.py::test_ten_tenants_of_one_file_and_a_wrong_key",
    "secrets": "test_held_instances.py::test_ten_tenants_of_one_file_and_a_wrong_key",
    "secrets rotate": "test_held_instances.py::test_ten_tenants_of_one_file_and_a_wrong_key",
    "instance connect": "test_every_command.py::test_an_instance_is_connected_and_given_back",
    "instance rollback": "test_every_command.py::test_an_instance_is_connected_and_given_back",
    "knowledge add": "test_every_command.py::test_a_knowledge_file_is_added_used_and_removed",
    "knowledge list": "test_every_command.py::test_a_knowledge_file_is_added_used_and_removed",
    "knowledge remove": "test_every_command.py::test_a_knowledge_file_is_added_used_and_removed",
    "cache stats": "test_every_command.py::test_a_cached_answer_is_counted_and_deleted",
    "cache clear": "test_every_command.py::test_a_cached_answer_is_counted_and_deleted",
}


def commands(group: TyperGroup, above: str = "") -> Iterator[str]:
    """Every command and subcommand: `status`, `dead list`."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, f"{above}{name} ")
        if not isinstance(command, TyperGroup) or command.invoke_without_command:
            yield f"{above}{name}"


def test_every_command_has_a_test_against_a_running_daemon() -> None:
    """Each test exists, and its file contains the command's words."""
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    assert set(commands(root)) == set(TESTS)
    for command, test in TESTS.items():
        file, _, name = test.partition("::")
        functions, words = _inside(ROOT / "tests/acceptance" / file)
        assert name in functions, f"{command}: there is no test {test}"
        assert set(command.split()) <= words, f"{command} is not said in {file}"


@cache
def _inside(path: Path) -> tuple[frozenset[str], frozenset[str]]:
    """The functions and the string literals of a file."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    functions = frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef))
    strings = (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return functions, frozenset(strings)


@pytest.fixture(scope="module")
def daemon(gateway: FakeEvolution, model: FakeOpenAI) -> Iterator[DaemonUnderTest]:
    """Answers have a price; a question repeated in the same words comes from the response cache."""
    priced = openai(model, price_per_million_input_tokens=1_000, price_per_million_output_tokens=1_000)
    instances: Tree = {"instances": {"demo": {}, "shop": {}}}
    with daemon_under_test(evolution(gateway), priced, instances) as started:
        yield started


@pytest.fixture
def majlis(daemon: DaemonUnderTest) -> Command:
    return Command(daemon)


def ask(daemon: DaemonUnderTest, gateway: FakeEvolution, number: int, text: str, instance: str) -> None:
    """One message of a new customer, and its answer."""
    said = Said(instance, f"9665500010{number:02d}", text, f"EVERY-{number}")
    daemon.burst(said)
    daemon.wait_for(lambda: gateway.texts(said.phone), "it is answered")
    daemon.wait_settled()


def test_a_conversation_is_taken_over_listed_and_handed_back(
    daemon: DaemonUnderTest, gateway: FakeEvolution, majlis: Command
) -> None:
    name = "shop/966550001001"
    ask(daemon, gateway, 1, "before the take-over", "shop")
    assert "taken over, Majlis is silent until" in majlis.text("pause", name, "--seconds", "600")
    text, document = majlis.both("silent", "--instance", "shop")
    assert "taken over until" in text and text.endswith("1 silent conversation\n")
    (silent,) = items(document, "conversations")
    assert silent["contact"] == "…01"
    assert "966550001001" in majlis.text("silent", "--reveal")
    assert "take-over ended" in majlis.text("resume", name)
    assert items(majlis.json("silent"), "conversations") == []
    assert "nothing to resume" in majlis.refused("resume", name)


def test_the_cost_of_an_answer_is_shown(
    daemon: DaemonUnderTest, gateway: FakeEvolution, majlis: Command
) -> None:
    ask(daemon, gateway, 11, "what does it cost", "demo")
    text, document = majlis.both("cost", "--instance", "demo", "--days", "1")
    (row,) = items(document, "rows")
    assert (row["instance"], row["answers"], row["input_tokens"], row["output_tokens"]) == ("demo", 1, 11, 7)
    assert "0.018" in text and "total" in text
    text, document = majlis.both("kpi", "--instance", "demo")
    measured = {row["name"]: row for row in items(document, "targets")}
    assert measured["cost_per_message"]["actual"] == 0.018
    # The window is no part of it, and what came after its end is.
    assert 0 < float(str(measured["response_time"]["actual"])) < 60
    assert "too little traffic to say" in text


def test_a_flag_is_set_and_cleared(majlis: Command) -> None:
    majlis.text("flags", "set", "knowledge", "off", "--instance", "shop")
    assert "shop off" in majlis.text("flags")
    (flag,) = (flag for flag in items(majlis.json("flags"), "flags") if flag["flag"] == "knowledge")
    assert flag["effective"] is True
    majlis.text("flags", "clear", "knowledge", "--instance", "shop")
    assert "shop off" not in majlis.text("flags")


def test_a_setting_is_changed_while_the_daemon_runs(
    daemon: DaemonUnderTest, gateway: FakeEvolution, majlis: Command
) -> None:
    """The next burst closes by the new window, and the one after `unset` by the old one."""
    key = ("batching.window_seconds", "--instance", "shop")
    assert "batching.window_seconds is 600.0 for shop (majlis instance set, uid " in majlis.text(
        "set", "batching.window_seconds", "600", "--instance", "shop"
    )
    held = Said("shop", "966550001051", "does this wait?", "EVERY-51")
    daemon.burst(held)
    (row,) = items(majlis.json("top", "--instance", "shop"), "rows")
    assert (row["state"], row["window_seconds"]) == ("waiting", 600.0)
    assert isinstance(left := row["closes_in_seconds"], float) and left > 500
    assert "must be greater than 0; it is 0" in majlis.refused("set", "batching.window_seconds", "0")
    assert "`majlis flags set cache on|off` switches it" in majlis.refused("set", "cache.enabled", "false")
    (shown,) = items(majlis.json("config", *key), "values")
    assert shown["value"] == "600.0"
    majlis.text("unset", *key)
    prompt = Said("shop", "966550001052", "and does this?", "EVERY-52")
    daemon.burst(prompt)
    daemon.wait_for(lambda: gateway.texts(prompt.phone), "it is answered")
    assert not gateway.texts(held.phone), "what was decided for a window stays"
    daemon.flush("shop", held.phone)
    daemon.wait_for(lambda: gateway.texts(held.phone), "it is answered as well")
    daemon.wait_settled()


def test_a_shadow_is_laid_beside_the_old_system(
    daemon: DaemonUnderTest, gateway: FakeEvolution, majlis: Command
) -> None:
    """Heard, answered by the model, and not a word to the customer; the mode changes without a restart."""
    assert "nothing was heard in mode shadow" in majlis.text("shadow", "shop")
    majlis.text("set", "mode", "shadow", "--instance", "shop")
    asked = Said("shop", "966550001061", "do you deliver?", "EVERY-61")
    daemon.burst(asked)
    at = int(time.time())
    old = upsert("shop", asked.phone, "we do, says the old system", "OLD-61", at, from_me=True)
    assert daemon.post({**old, "event": "send.message"}).status == 200

    def ended() -> bool:
        return bool(items(majlis.json("shadow", "shop"), "turns"))

    daemon.wait_for(ended, "its turn ended")
    majlis.text("unset", "mode", "--instance", "shop")
    text = majlis.text("shadow", "shop", "--limit", "5", "--reveal")
    assert "do you deliver?" in text and "we do, says the old system" in text and "both answered 1" in text
    masked, document = majlis.both("shadow", "shop")
    assert "do you deliver?" not in masked and "old system" in masked
    (turn,) = items(document, "turns")
    assert turn["majlis"]["rule"] == "shadow" and turn["old"][0]["sender"] == "program"  # type: ignore[index]
    assert "by rule shadow" in majlis.text("explain", "EVERY-61")
    assert not gateway.texts(asked.phone)


def test_an_instance_is_added_answered_set_given_back_and_removed(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI, majlis: Command
) -> None:
    """The prompt of each version is what the model is told, at once and without a restart."""

    def told(number: int) -> str:
        said = Said("tea", f"9665500010{number}", f"how much is tea {number}?", f"EVERY-{number}")
        daemon.burst(said)
        daemon.wait_for(lambda: gateway.texts(said.phone), "it is answered")
        return model.questions[-1].system

    majlis.text("instance", "add", "tea", "prompt=You sell green tea.", "batching.window_seconds=0.2")
    assert "You sell green tea." in told(71)
    majlis.text("instance", "set", "tea", "prompt=You sell black tea.", "--why", "sold out")
    assert "You sell black tea." in told(72)
    majlis.text("instance", "rollback", "tea", "--to", "previous")
    assert "You sell green tea." in told(73)
    assert "sold out" in majlis.text("instance", "history", "tea")
    listed = items(majlis.json("instance", "list"), "instances")
    assert [one["version"] for one in listed if one["instance"] == "tea"] == [3]
    majlis.text("instance", "remove", "tea", "--yes")
    assert "There is no instance called tea" in majlis.refused("instance", "show", "tea")


def test_a_knowledge_file_is_added_used_and_removed(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI, majlis: Command
) -> None:
    opening = daemon.root / "opening.md"
    opening.write_text("# Opening hours\nThe bakery opens at seven on weekdays.\n")
    assert majlis.text("knowledge", "add", "shop", str(opening)) == "opening.md: added, 1 chunk\n"
    text, document = majlis.both("knowledge", "list", "shop")
    assert "opening.md" in text and [file["name"] for file in items(document, "files")] == ["opening.md"]
    ask(daemon, gateway, 21, "when does the bakery open on weekdays?", "shop")
    assert "opens at seven" in str(model.questions[-1])
    assert majlis.text("knowledge", "remove", "shop", "opening.md") == "opening.md: removed\n"
    assert items(majlis.json("knowledge", "list", "shop"), "files") == []


def test_a_cached_answer_is_counted_and_deleted(
    daemon: DaemonUnderTest, gateway: FakeEvolution, majlis: Command
) -> None:
    majlis.text("cache", "clear")
    for number in (31, 32):
        ask(daemon, gateway, number, "do you deliver to Jeddah?", "demo")
    (row,) = items(majlis.json("cache", "stats", "--instance", "demo"), "instances")
    assert (row["entries"], row["hits"]) == (1, 1)
    week = row["week"]
    assert isinstance(week, dict) and week["outcomes"]["hit_exact"] == 1, row
    assert "1 cached answer" in majlis.text("cache", "stats")
    assert majlis.text("cache", "clear", "--instance", "demo") == "1 cached answer deleted\n"
    assert "0 cached answers" in majlis.text("cache", "stats")


def test_a_changed_row_applies_after_a_reload(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI, majlis: Command
) -> None:
    ask(daemon, gateway, 41, "who are you?", "demo")
    daemon.rows(
        "INSERT INTO whatsapp_ai_config (whatsapp_instance_id, system_prompt)"
        " SELECT id, 'You sell dates.' FROM whatsapp_instances WHERE instance_name = 'demo'"
    )
    assert "config.yaml is not reloaded" in majlis.text("reload")
    ask(daemon, gateway, 42, "and who are you now?", "demo")
    assert model.questions[-1].system.startswith("You sell dates.")


def test_the_service_of_this_daemon_is_rendered(daemon: DaemonUnderTest) -> None:
    """The units listen where the daemon does and keep data where a service may; nothing is written."""
    moved = {"ingress": {"listen": f"127.0.0.1:{daemon.port}"}, "data_dir": "/srv/majlis"}
    config = daemon.root / "service.yaml"
    config.write_text(yaml.safe_dump(merged(daemon.settings, moved)))
    ended = Command(daemon, config).run("install-service", "--dry-run", "--json")
    assert ended.status == 0, ended
    document = json.loads(ended.out)
    units = {Path(name).name: text for name, text in document["files"].items()}
    assert f"ListenStream=127.0.0.1:{daemon.port}\n" in units["majlis.socket"]
    assert "ReadWritePaths=/srv/majlis\n" in units["majlis.service"]
    assert str(config) in units["majlis.service"] and document["written"] is False


def test_a_prompt_is_tried_before_it_is_live(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI, majlis: Command, tmp_path: Path
) -> None:
    """The model gets the draft in place of the live prompt; nobody is sent anything."""
    sent, asked = len(gateway.texts()), len(model.questions)
    (tmp_path / "draft.txt").write_text("Answer as a pirate.")
    majlis.text("try", "demo", "hello", "--prompt", str(tmp_path / "draft.txt"))
    (tmp_path / "questions.yaml").write_text(
        "instance: demo\nprompt_file: draft.txt\ncases: [{ask: hello, expect: {max_chars: 1000}}]\n"
    )
    assert "1 passed, 0 failed" in majlis.text("eval", str(tmp_path / "questions.yaml"))
    told = model.questions[asked:]
    assert len(told) == 2 and all("Answer as a pirate." in one.texts[0] for one in told)
    assert len(gateway.texts()) == sent


def test_an_instance_is_connected_and_given_back(
    daemon: DaemonUnderTest, gateway: FakeEvolution, majlis: Command
) -> None:
    """I1: killed between the steps nothing is forgotten; what was acknowledged is answered after it was given back."""
    former = gateway.webhooks["shop"] = {
        **(gateway.webhook or {}),
        "url": "https://old.example/hook?key=canary",
    }
    daemon.crash_at("webhook_set")
    connect = ("instance", "connect", "shop", "--yes", "--wait", "0")
    url = f"http://127.0.0.1:{daemon.port}/webhook/shop"
    assert "stopped answering" in majlis.run(*connect, "--url", url).err
    daemon.wait_crashed()
    daemon.start()
    url = f"http://127.0.0.1:{daemon.port}/webhook/shop"  # another port, so the one of before is ours as well
    assert "read back" in majlis.text(*connect, "--url", url)
    (row,) = items(daemon.admin("/v1/connections"), "connections")
    assert (row["instance"], row["url"], row["events"]) == ("shop", url, 0)
    said = Said("shop", "966550001091", "is anybody there", "EVERY-91")
    for event, data in (("connection.update", {"state": "open"}), ("messages.upsert", said.payload["data"])):
        told = gateway.event("shop", event, data)
        assert told is not None
        address, headers, body = told
        assert address == url and daemon.request("POST", "/webhook/shop", body, headers).status == 200
    ended = majlis.run("instance", "rollback", "shop", "--yes")
    assert ended.status == 0 and "canary" not in ended.out and "nothing left to answer" in ended.out
    assert len(gateway.texts(said.phone)) == 1
    assert (
        gateway.webhook_of("shop") == former and items(daemon.admin("/v1/connections"), "connections") == []
    )
