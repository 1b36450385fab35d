"""The operators' commands against a running daemon, and every admin route checked against docs/openapi.json."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from daemon.operate import ROUTES
from daemon.operate.openapi import rendered
from daemon.operate.route import JSON
from daemon.web.client import unix_get, unix_lines, unix_post
from tests.acceptance.harness import ROOT, DaemonUnderTest, Said, Tree, daemon_under_test, evolution, openai
from tests.acceptance.test_command_line import Command, items, tail
from tests.support.gateway_server import FakeEvolution
from tests.support.openai_server import FakeOpenAI
from tests.support.patience import PATIENCE_SECONDS

OPENAPI = ROOT / "docs/openapi.json"
OPENED = Said("demo", "5511500000001", "an open window", "ADM-1")
BURIED = Said("quick", "5511500000002", "a dead letter", "ADM-2")
ANSWERED = Said("quick", "5511500000003", "an answer", "ADM-3")
SECRETS = [part for said in (OPENED, BURIED, ANSWERED) for part in (said.phone, said.text)]
SETTINGS: Tree = {
    "batching": {"window_seconds": 600},
    "turn": {"max_tries": 1},
    # IPv6, by which the harness distinguishes it from the webhook address.
    "dashboard": {"listen": "[::1]:0"},
    "instances": {"demo": {}, "quick": {"batching": {"window_seconds": 0.3}}},
}


@pytest.fixture(scope="module")
def daemon(gateway: FakeEvolution, model: FakeOpenAI) -> Iterator[DaemonUnderTest]:
    """One conversation waits, one was answered, one is a dead letter."""
    with daemon_under_test(evolution(gateway), openai(model), SETTINGS) as started:
        model.order("status", 1, lambda text: text == BURIED.text)
        started.burst(BURIED, ANSWERED, OPENED)
        started.wait_for(lambda: started.count("dead_letters_open") == 1, "there is a dead letter")
        started.wait_for(lambda: gateway.texts(ANSWERED.phone), "there is an answer")
        started.wait_for(lambda: started.count("answered") == 1, "it is recorded")
        yield started


@pytest.fixture
def majlis(daemon: DaemonUnderTest) -> Command:
    return Command(daemon)


def is_masked(text: str) -> bool:
    """Neither a phone number nor a message text is in it."""
    return not [secret for secret in SECRETS if secret in text]


def test_explain_an_answered_message(majlis: Command) -> None:
    """From the webhook to the reply, with the gateway's id of the sent message."""
    text, document = majlis.both("explain", ANSWERED.id)
    assert (document["state"], document["instance"], document["letters"]) == ("answered", "quick", [])
    whats = [step["what"] for step in items(document, "steps")]
    assert whats == ["arrived", "window closed", "lookups", "reply stored", "part 1", "done"]
    steps = {str(step["what"]): step for step in items(document, "steps")}
    assert "its time was up: turn" in str(steps["window closed"]["detail"])
    assert "history" in str(steps["lookups"]["detail"])
    assert str(steps["reply stored"]["detail"]).startswith("by main, model test in ")
    assert steps["part 1"]["gateway_id"] and str(steps["part 1"]["detail"]).startswith("sent")
    moments = [str(step["at"]) for step in items(document, "steps") if step["at"]]
    assert moments == sorted(moments)
    assert len(text.splitlines()) <= 24 and is_masked(text + json.dumps(document))
    text, document = majlis.both("explain", ANSWERED.id, "--reveal")
    assert ANSWERED.phone in text and ANSWERED.text in text


def test_explain_a_waiting_message(majlis: Command) -> None:
    """Where it waits, and until when."""
    text, document = majlis.both("explain", OPENED.id)
    left = document["seconds_left"]
    assert document["state"] == "waiting" and isinstance(left, float) and 0 < left <= 600
    assert [step["what"] for step in items(document, "steps")] == ["arrived"]
    assert "its window is open: more may come" in text and "left" in text


def test_explain_a_retried_and_a_dropped_dead_letter(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI, majlis: Command
) -> None:
    text, document = majlis.both("explain", BURIED.id)
    (number,) = items(document, "letters")
    assert document["state"] == "dead" and f"majlis dead retry {number}" in text
    majlis.text("dead", "retry", str(number))
    daemon.wait_for(lambda: gateway.texts(BURIED.phone), "the replay is answered")
    daemon.wait_for(lambda: majlis.json("explain", BURIED.id)["state"] == "answered", "explain says so")
    text, document = majlis.both("explain", BURIED.id)
    assert len(items(document, "turns")) == 2 and "retried" in text
    dropped = Said("quick", "5511500000009", "to be dropped", "ADM-9")
    model.order("status", 1, lambda said: said == dropped.text)
    daemon.burst(dropped)
    daemon.wait_for(lambda: daemon.count("dead_letters_open") == 1, "there is another dead letter")
    (letter,) = items(majlis.json("dead", "list"), "letters")
    assert "dropped; it is kept" in majlis.text("dead", "drop", str(letter["id"]))
    assert daemon.count("dead_letters_open") == 0 and majlis.json("dead", "list")["letters"] == []
    assert majlis.json("explain", dropped.id)["state"] == "dropped"
    assert "(dropped)" in majlis.text("dead", "list", "--all")
    assert "was already dropped" in majlis.refused("dead", "drop", str(letter["id"]))
    assert "was already retried at" in majlis.refused("dead", "drop", str(number))
    assert "No message ADM-0 is known" in majlis.refused("explain", "ADM-0")


def test_a_paused_instance_stores_its_messages_and_answers_them_afterwards(
    daemon: DaemonUnderTest, gateway: FakeEvolution, majlis: Command
) -> None:
    """Acknowledged and held without an attempt; visible everywhere; kept across a restart; ended by a resume."""
    said = Said("quick", "5511500000004", "while it is paused", "ADM-4")
    assert "quick: paused until `majlis resume`" in majlis.text("pause", "--instance", "quick")
    daemon.burst(said)
    daemon.wait_for(lambda: majlis.json("explain", said.id)["state"] == "holding", "it is held")
    assert "majlis resume --instance quick" in majlis.text("status")
    assert [pause["instance"] for pause in items(majlis.json("status"), "pauses")] == ["quick"]
    daemon.restart()
    daemon.wait_for(lambda: majlis.json("explain", said.id)["state"] == "holding", "it is held again")
    text, document = majlis.both("explain", said.id)
    assert "paused by an operator until it is resumed" in text and document["seconds_left"] is None
    (held,) = items(majlis.json("actors", "--state", "holding"), "actors")
    assert (held["why"], held["closes_in_seconds"], held["tries"]) == ("paused by an operator", None, 0)
    assert gateway.texts(said.phone) == []
    assert majlis.text("resume", "--instance", "quick") == "quick: resumed, turns start again\n"
    daemon.wait_for(lambda: gateway.texts(said.phone), "it is answered")
    assert items(majlis.json("status"), "pauses") == []
    assert "is not paused" in majlis.refused("resume", "--instance", "quick")


def test_all_instances_are_paused_at_once_and_tree_shows_what_is_held(
    daemon: DaemonUnderTest, gateway: FakeEvolution, majlis: Command
) -> None:
    said = Said("quick", "5511500000005", "while all is paused", "ADM-5")
    majlis.text("pause", "--all")
    daemon.burst(said)
    daemon.wait_for(lambda: majlis.json("explain", said.id)["state"] == "holding", "it is held")
    assert "all instances are" in majlis.refused("resume", "--instance", "quick")
    row = f"conversation/{majlis.json('explain', said.id)['conversation']}  actors/actor.py:"
    daemon.wait_for(lambda: row in majlis.text("tree"), "its window is over, and it has a task")
    tree, document = majlis.both("tree", "--limit", "50")
    assert row in tree and is_masked(tree) and said.phone not in tree
    assert "due poll" in tree and "store watch" in tree
    assert isinstance(document["tasks"], int) and document["tasks"] > 20
    majlis.text("resume", "--all")
    daemon.wait_for(lambda: gateway.texts(said.phone), "it is answered")


def test_config_shows_each_value_in_effect_and_its_source(daemon: DaemonUnderTest, majlis: Command) -> None:
    rows = {str(row["key"]): row for row in items(majlis.json("config"), "values")}
    assert rows["batching.window_seconds"] == {
        "key": "batching.window_seconds",
        "value": "600.0",
        "origin": str(daemon.config),
    }
    assert rows["turn.max_hold_seconds"]["origin"] == "default"
    assert rows["gateway.api_key"]["value"] == rows["responder.providers.0.api_key"]["value"] == "****"
    assert "600.0" in majlis.text("config", "batching", "--changed")


def test_leases_top_and_log_level(daemon: DaemonUnderTest, majlis: Command) -> None:
    text, document = majlis.both("leases")
    assert document["fenced"] == document["held"] == 256 and "(this one)" in text
    assert len(items(document, "leases")) == 256
    text, document = majlis.both("top")
    (row,) = [row for row in items(document, "rows") if row["instance"] == "demo"]
    assert (row["state"], row["window_seconds"]) == ("waiting", 600.0) and "█" in text and "per s: in" in text
    assert {"turn", "send", "lookups"} <= {str(one["what"]) for one in items(document, "latencies")}
    assert "log level debug" in majlis.text("log-level")
    majlis.text("log-level", "error")
    quiet = len(daemon.events("message.duplicate"))
    daemon.post(ANSWERED)
    assert "log level debug" in majlis.text("log-level", "debug")
    text, document = majlis.both("audit", "--action", "log-level")
    assert {entry["outcome"] for entry in items(document, "entries")} == {"done"} and "debug" in text
    daemon.post(ANSWERED)
    daemon.wait_for(lambda: len(daemon.events("message.duplicate")) == quiet + 1, "it is logged again, once")


def test_tail_prints_only_matching_events(daemon: DaemonUnderTest, majlis: Command) -> None:
    label = str(majlis.json("explain", ANSWERED.id)["conversation"])
    with tail(daemon, "--json", f"--conversation={label}", "--kind=message.duplicate") as output:
        daemon.post(OPENED)
        daemon.wait_for(
            lambda: daemon.post(ANSWERED) and output.read_text().count("\n") >= 3, "the tail prints it"
        )
        events = [json.loads(line) for line in output.read_text().splitlines()]
    assert {(event["event"], event["conversation"]) for event in events} == {("message.duplicate", label)}
    path = f"/v1/tail?instance=quick&conversation=quick/{ANSWERED.phone}"
    with unix_lines(str(daemon.data_dir / "run" / "admin.sock"), path) as (status, lines):
        daemon.post(OPENED)
        daemon.post(ANSWERED)
        first = json.loads(next(line for line in lines if line))
    assert status == 200 and first["conversation"] == label
    assert "kind must be an event" in majlis.refused("tail", "--kind", "turn.dnoe")


def test_the_admin_socket_bounds_connections_and_request_size(
    daemon: DaemonUnderTest, majlis: Command
) -> None:
    path = str(daemon.data_dir / "run" / "admin.sock")
    with ExitStack() as stack:
        for _ in range(2 * 16):  # the daemon's own user has as many again
            status, _lines = stack.enter_context(unix_lines(path, "/v1/tail"))
            assert status == 200
        assert unix_get(path, "/v1/status")[0] == 503
        assert "the admin socket has no free connection" in majlis.refused("status")
    daemon.wait_for(lambda: unix_get(path, "/v1/status")[0] == 200, "there is room again")
    status, _ = unix_post(path, "/v1/knowledge/demo/remove", {"names": ["x" * 600_000]})
    assert status == 413


def test_openapi_json_matches_the_routes(daemon: DaemonUnderTest) -> None:
    """The file is what the code generates, and what the daemon serves."""
    assert rendered(ROUTES) == OPENAPI.read_text(encoding="utf-8"), (
        "run: python -m daemon.operate docs/openapi.json"
    )
    assert daemon.admin("/v1/openapi.json") == json.loads(OPENAPI.read_text(encoding="utf-8"))


class Documented:
    """Sends requests to a daemon, and validates each answer by its schema in `docs/openapi.json`."""

    def __init__(self, daemon: DaemonUnderTest) -> None:
        self.seen: set[tuple[str, str]] = set()
        self._socket = str(daemon.data_dir / "run" / "admin.sock")
        self._openapi = json.loads(OPENAPI.read_text(encoding="utf-8"))

    def get(self, path: str) -> Tree:
        return self._checked("GET", path, unix_get(self._socket, path))

    def post(self, path: str, body: object = None) -> Tree:
        return self._checked("POST", path, unix_post(self._socket, path, body))

    def refused(self, path: str) -> Tree:
        status, document = unix_get(self._socket, path)
        assert status >= 400
        self._validate("GET", path, "default", document)
        assert isinstance(document, dict)
        return document

    def line(self, path: str, cause: Callable[[], object]) -> None:
        """The first line of a stream."""
        with unix_lines(self._socket, path) as (status, lines):
            cause()
            self._checked("GET", path, (status, json.loads(next(line for line in lines if line))))

    def _checked(self, method: str, path: str, answer: tuple[int, object]) -> Tree:
        status, document = answer
        assert status == 200, document
        self._validate(method, path, "200", document)
        assert isinstance(document, dict)
        return document

    def _validate(self, method: str, path: str, status: str, document: object) -> None:
        segments = tuple(path.partition("?")[0].split("/")[1:])
        route = next(one for one in ROUTES if one.method == method and one.match(segments) is not None)
        operation = self._openapi["paths"][route.path][method.lower()]
        (content,) = operation["responses"][status]["content"].values()
        schema = {**content["schema"], "components": self._openapi["components"]}
        Draft202012Validator(schema).validate(document)
        if status == "200":
            self.seen.add((method, route.path))


def test_every_route_answers_as_openapi_json_says(
    daemon: DaemonUnderTest, model: FakeOpenAI, majlis: Command
) -> None:
    """Each route is called at least once; draining has a daemon of its own, below, and a session a browser."""
    ask, phone = Documented(daemon), OPENED.phone
    label = str(majlis.json("explain", OPENED.id)["conversation"])
    for route in ROUTES:
        if route.method == "GET" and "{" not in route.path and route.content_type == JSON:
            ask.get(route.path)
    for path in (
        "actors?sort=left&limit=1",
        "turns?limit=3",
        "config?reveal=true",
        "dead?all=true&reveal=true",
    ):
        ask.get(f"/v1/{path}")
    ask.get(f"/v1/conversations/{label}")
    shown = ask.get(f"/v1/conversations/quick/{ANSWERED.phone}?reveal=true")
    ask.get(f"/v1/turns/{items(shown, 'turns')[0]['id']}")
    ask.get(f"/v1/explain/{ANSWERED.id}?reveal=true")
    ask.post("/v1/dashboard/login")
    ask.post("/v1/dashboard/sessions/close")
    ask.line("/v1/tail", lambda: daemon.post(ANSWERED))
    for place, who in enumerate((label, f"demo/{phone}")):
        daemon.burst(Said("demo", phone, f"once more {place}", f"ADM-7{place}"))
        ask.post(f"/v1/conversations/{who}/flush")
        ask.post(f"/v1/conversations/{who}/pause?seconds=60")
        ask.get(f"/v1/silent?instance=demo&reveal={'true' if place else 'false'}")
        ask.post(f"/v1/conversations/{who}/resume")
    for path in ("/v1/instances/demo", "/v1"):
        ask.post(f"{path}/flush")
        ask.post(f"{path}/pause?seconds=60")
        ask.get("/v1/status")
        ask.post(f"{path}/resume")
    ask.post("/v1/reload")
    ask.post("/v1/log-level/debug")
    ask.post("/v1/flags/cache/off?instance=demo")
    ask.post("/v1/config/turn.duplicate_seconds/set?instance=demo", {"value": "60"})
    ask.post("/v1/config/turn.duplicate_seconds/unset?instance=demo")
    ask.post("/v1/cache/clear?instance=demo")
    for place in range(2):
        dead = Said("quick", f"551150000100{place}", f"dead {place}", f"ADM-8{place}")
        model.order("status", 1, lambda text: text == dead.text)  # noqa: B023
        daemon.burst(dead)
        daemon.wait_for(lambda: daemon.count("dead_letters_open") == 1, "there is a dead letter")
        number = items(ask.get("/v1/dead"), "letters")[0]["id"]
        ask.get(f"/v1/dead/{number}?reveal=true")
        ask.post(f"/v1/dead/{number}/{('retry', 'drop')[place]}")
    ask.post("/v1/dead/retry-all")
    begun = ask.post("/v1/knowledge/demo/files", {"name": "a.md", "sha256": "0" * 64, "bytes": 9})
    load = f"/v1/knowledge/demo/files/{begun['file']}"
    ask.post(f"{load}/chunks", {"chunks": [{"ordinal": 0, "heading": "", "text": "open at nine"}]})
    ask.post(f"{load}/ready", {"chunks": 1})
    ask.get("/v1/knowledge/demo")
    ask.post("/v1/knowledge/demo/remove", {"names": ["a.md"]})
    _ask_of_instances(ask, daemon)
    assert "limt is not a parameter" in str(ask.refused("/v1/actors?limt=1")["message"])
    assert ask.refused("/v1/dead/4711")["reason"] == "not_found"
    asked = {(route.method, route.path) for route in ROUTES}
    assert asked - ask.seen == {
        ("POST", "/v1/drain"),
        ("POST", "/v1/dashboard/sessions/{session}/close"),
        # Nothing is dead here: tests/acceptance/test_passthrough.py.
        ("POST", "/v1/forwards/{id}/retry"),
        ("POST", "/v1/forwards/{id}/drop"),
    }


def _ask_of_instances(ask: Documented, daemon: DaemonUnderTest) -> None:
    """The life of one."""
    one, turns = "/v1/instances/late", items(ask.get("/v1/turns?instance=quick"), "turns")
    turn = next(turn["id"] for turn in turns if turn["state"] == "done")
    ask.post(f"{one}/add", {"set": {"mode": "off", "batching.window_seconds": 5}, "why": "documented"})
    ask.post(f"{one}/set", {"set": {"prompt": "Be brief."}, "unset": ["mode"]})
    for path in (one, f"{one}/history", f"{one}/connection", f"{one}/shadow"):
        ask.get(path)
    ask.post(f"{one}/restore")
    ask.post(f"{one}/try", {"messages": ["hello"]})
    ask.post(f"/v1/turns/{turn}/try", {"prompt": "Be kind."})
    ask.post("/v1/apply", {"instances": {"late": {"prompt": "Be brief."}}, "dry_run": True})
    ask.post("/v1/secrets/rotate")
    ask.post("/v1/forwards/retry-all")
    ask.post("/v1/instances/demo/connect", {"url": f"http://127.0.0.1:{daemon.port}/webhook/demo"})
    ask.get("/v1/instances/demo/qr")
    ask.post("/v1/instances/demo/disconnect", {})
    ask.post("/v1/disconnect", {})
    ask.post(f"{one}/remove", {})


def test_drain_answers_waiting_messages_and_waits_for_the_end(
    gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    """Waiting messages are answered, and the command ends when the daemon has stopped."""
    with daemon_under_test(evolution(gateway), openai(model), SETTINGS) as daemon:
        majlis, said = Command(daemon), Said("demo", "5511500000021", "answered at the end", "ADM-21")
        daemon.burst(said)
        text = majlis.text("drain")
        assert text.startswith("draining for at most 10 s: ") and text.endswith("the daemon has stopped\n")
        assert daemon.wait_exit() == 0
        assert len(gateway.texts(said.phone)) == 1
        assert "is not running" in majlis.refused("drain", status=3)
        daemon.start()
        answer = Documented(daemon).post("/v1/drain")
        assert answer["seconds"] == 10.0 and daemon.wait_exit() == 0
        why = daemon.events("daemon.draining")[-1]
        assert (why["why"], why["uid"], why["pid"]) == ("command", os.geteuid(), os.getpid())


def test_an_unknown_user_in_admin_levels_stops_the_start(tmp_path: Path) -> None:
    with daemon_under_test({"admin": {"levels": {"read": ["nobody-of-this-name"]}}}, start=False) as daemon:
        daemon.start(until_ready=False)
        assert daemon.wait_exit() != 0
        assert "admin.levels.read: this machine has no user called nobody-of-this-name" in daemon.log


def ask_as(uid: int, groups: list[int], path: str, method: str, target: str) -> tuple[int, str]:
    """Status and body of a request as another user, sent by a child that drops root for good."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            os.setgroups(groups)
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(PATIENCE_SECONDS)
                client.connect(path)
                request = (
                    f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
                )
                client.sendall(request.encode())
                while piece := client.recv(65_536):
                    os.write(writing, piece)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        head, _, body = answer.read().partition(b"\r\n\r\n")
    os.waitpid(child, 0)
    return int(head.split()[1]), body.decode()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")
def test_other_users_may_do_what_their_level_allows(gateway: FakeEvolution, model: FakeOpenAI) -> None:
    """By peer credentials, over a socket that everyone can connect to: by uid and by a supplementary group."""
    with tempfile.TemporaryDirectory(prefix="majlis-door-", dir="/tmp") as door:
        Path(door).chmod(0o755)
        path = f"{door}/admin.sock"
        levels = {"read": [61_001], "operate": ["group:61002"]}
        admin = {"admin": {"socket": path, "open_to": "everyone", "levels": levels}}
        with daemon_under_test(evolution(gateway), openai(model), SETTINGS, admin):

            def ask(uid: int, groups: list[int], method: str, target: str) -> tuple[int, str]:
                return ask_as(uid, groups, path, method, target)

            assert ask(61_003, [], "GET", "/v1/status")[0] == 403
            assert ask(61_001, [], "GET", "/v1/status")[0] == 200
            status, body = ask(61_001, [], "POST", "/v1/instances/quick/pause")
            assert status == 403 and "this needs level operate, and yours is read" in body
            assert ask(61_001, [], "GET", "/v1/dead?reveal=true")[0] == 403
            assert ask(61_003, [61_002], "POST", "/v1/instances/quick/pause")[0] == 200
            status, body = ask(61_003, [61_002], "POST", "/v1/drain")
            assert status == 403 and "this needs level admin, and yours is operate" in body
