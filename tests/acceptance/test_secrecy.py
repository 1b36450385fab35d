"""I11: unique phones, names, texts, keys and tokens are used everywhere, then searched for where they must not be."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.tenants.documents import nested
from daemon.web.client import unix_post
from tests.acceptance.harness import DaemonUnderTest, Tree, daemon_under_test, merged
from tests.support.gateway_server import FakeEvolution
from tests.support.openai_server import FakeOpenAI
from tests.support.payloads import NOW, upsert

CANARY = "canary7391"
PHONES = [f"5598877665{number:02d}" for number in range(6)]
TOKEN, GATEWAY_KEY, MODEL_KEY = f"token-{CANARY}", f"gateway-{CANARY}", f"model-{CANARY}"
PROMPT = f"prompt {CANARY}"
SEALED = {"gateway.api_key": GATEWAY_KEY, "alerts.webhook": f"http://127.0.0.1:9/sealed-{CANARY}"}
"""Stored for the instance by its command."""
BY_SQL = ("escalation.notify_webhook", f"http://127.0.0.1:9/sql-{CANARY}")
"""Written in clear by SQL."""
FILE = {
    "url": f"http://127.0.0.1:9/old-{CANARY}",
    "api_key": f"old-{CANARY}",
    "headers": {"X-Old": f"head-{CANARY}"},
}
"""Declared in a file, of the other system."""
FORMER = f"former-{CANARY}"
"""In the webhook that stood at the gateway before `connect`."""
REFUSED = {
    "gateway.api_key": [f"list-{CANARY}"],
    "gateway.apikey": f"misspelt-{CANARY}",
    "alerts.webhook": f"ftp://user:bad-{CANARY}@host",
    "responder.providers.7.api_key": f"place-{CANARY}",
    "ingress.token": f"t-{CANARY}",
}
"""Set, and refused."""
SECRETS = [f"{word}-{CANARY}" for word in ("apikey", "sealed", "gateway", "sql", "old", "head", "list", "misspelt",
                                         "bad", "place", "t", "former")]  # fmt: skip
"""None of them is stored or shown anywhere."""
DIGITS = "5598877665"
"""The prefix of all the phone numbers."""


@pytest.fixture(scope="module")
def seen(gateway: FakeEvolution, model: FakeOpenAI) -> Iterator[DaemonUnderTest]:
    """A daemon after answers, failures, refusals, crashes and queries of an operator."""
    gateway.api_key, model.api_key = GATEWAY_KEY, MODEL_KEY
    provider = {"name": "main", "kind": "openai", "base_url": model.base_url, "api_key": MODEL_KEY}
    settings: Tree = {
        "ingress": {"auth": {"mode": "token", "token": TOKEN}},
        "turn": {"max_tries": 2, "backoff_seconds": [0.1]},
        "responder": {
            "providers": [{**provider, "model": "test", "timeout_seconds": 20, "system_prompt": PROMPT}]
        },
        "gateway": {
            "kind": "evolution",
            "base_url": gateway.url,
            "api_key": GATEWAY_KEY,
            "timeout_seconds": 10,
            "settle_seconds": 0.1,
        },
    }
    with daemon_under_test(settings) as daemon:
        suffer(daemon, gateway, model)
        yield daemon


def said(number: int, text: str, message_id: str) -> Tree:
    """A webhook with a canary in every free-text field."""
    payload = upsert("demo", PHONES[number], f"{text} {CANARY}", message_id, NOW, push_name=f"name {CANARY}")
    more = {
        "apikey": f"apikey-{CANARY}",
        "sender": f"{DIGITS}99@s.whatsapp.net",
        "server_url": f"http://{CANARY}/",
    }
    return merged(payload, more)


def send(daemon: DaemonUnderTest, payload: Tree, token: str = TOKEN) -> int:
    body = json.dumps(payload).encode()
    return daemon.request("POST", "/webhook/demo", body, {"apikey": token}).status


def told(daemon: DaemonUnderTest, gateway: FakeEvolution) -> None:
    """Secrets of instances, in every way in which one may come."""

    def ask(path: str, body: object, status: int = 200) -> Tree:
        found, document = unix_post(str(daemon.data_dir / "run" / "admin.sock"), path, body)
        assert found == status and isinstance(document, dict), document
        assert_clean(json.dumps(document), path)
        return document

    daemon.rows("INSERT INTO majlis_settings (scope, key, value) VALUES ('instance:demo', $1, $2::text::jsonb)",
                BY_SQL[0], json.dumps(BY_SQL[1]))  # fmt: skip
    ask("/v1/instances/demo/set", {"set": SEALED, "why": "its own"})
    for key, value in REFUSED.items():
        ask("/v1/instances/demo/set", {"set": {key: value}}, 409)
        ask("/v1/apply", {"instances": {"demo": nested({key: value})}}, 409)
        ask(f"/v1/config/{key}/set?instance=demo", {"value": str(value)}, 409)
    old = {"mode": "passthrough", "passthrough": FILE}
    for dry_run in (True, False):
        ask("/v1/apply", {"instances": {"old": old}, "dry_run": dry_run})
    webhook = json.dumps(said(0, "to the other system", "S-0") | {"instance": "old"}).encode()
    assert daemon.request("POST", "/webhook/old", webhook, {"apikey": TOKEN}).status == 200
    headers = {"authorization": f"Bearer {FORMER}"}
    gateway.webhooks["demo"] = {**(gateway.webhook or {}), "url": "http://127.0.0.1:9/", "headers": headers}
    seen = ask("/v1/instances/demo/connect", {"url": "http://127.0.0.1:9/webhook/demo"})["seen"]
    body = {"url": "http://127.0.0.1:9/webhook/demo", "confirm": True, "seen": seen, "force": True}
    assert ask("/v1/instances/demo/connect", body)["done"]
    is_sealed = "SELECT 1 FROM majlis_secrets WHERE key = $1"
    daemon.wait_for(lambda: daemon.rows(is_sealed, BY_SQL[0]), "what SQL wrote is sealed")


def suffer(daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI) -> None:
    told(daemon, gateway)
    assert send(daemon, said(0, "well", "S-1")) == 200
    model.order("status", 2, lambda text: "model-500" in text)
    assert send(daemon, said(1, "model-500", "S-2")) == 200
    gateway.order("prisma_400_after_send", 1, lambda text: "prisma" in text)
    assert send(daemon, said(2, "prisma", "S-3")) == 200
    gateway.order("not_on_whatsapp", 1, lambda text: "nobody" in text)
    assert send(daemon, said(3, "nobody", "S-4")) == 200
    gateway.order("reset_before_send", 2, lambda text: "reset" in text)
    assert send(daemon, said(4, "reset", "S-5")) == 200
    daemon.crash_at("begun", action="raise")
    assert send(daemon, said(5, "crash", "S-6")) == 200
    daemon.wait_for(lambda: gateway.texts(PHONES[5]), "the crash is got over")
    daemon.wait_settled()
    daemon.wait_for(lambda: daemon.count("dead_letters_open") >= 2, "there are dead letters")
    os.kill(daemon.postgres_pid, signal.SIGKILL)
    assert send(daemon, said(0, "postgres is gone", "S-7")) == 200
    daemon.wait_for(lambda: any("gone" in text for text in gateway.texts(PHONES[0])), "it healed")
    for conversation in (f"demo/{PHONES[0]}", f"demo/{PHONES[1]}"):
        daemon.admin(f"/v1/conversations/{conversation}?reveal=true")


def assert_clean(text: str, where: str) -> None:
    """Assert that no canary and no phone number is in the text, in any notation that a program may use."""
    lines = [line for line in text.splitlines() if CANARY in line or DIGITS in line]
    assert not lines, f"{where}: {lines[:3]}"


def test_the_canaries_reached_their_recipients(
    seen: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    """The other tests of this file prove something only if this one passes."""
    assert any(CANARY in text for text in gateway.texts(PHONES[0]))
    assert any(CANARY in question.asked and PROMPT in question.system for question in model.questions)
    revealed = json.dumps(seen.show("demo", PHONES[0]))
    assert CANARY in revealed and PHONES[0] in revealed


def test_no_log_line_contains_them(seen: DaemonUnderTest) -> None:
    assert seen.events("turn.done") and seen.events("turn.dead") and seen.events("part.unknown")
    assert_clean(seen.log, "standard error")
    assert_clean(seen.stdout, "standard output")


def test_no_log_of_a_store_contains_them(seen: DaemonUnderTest) -> None:
    logs = [path for path in seen.data_dir.rglob("*.log*") if path.is_file()]
    assert len(logs) >= 2
    for path in logs:
        assert_clean(path.read_text(errors="replace"), str(path))


def test_no_response_to_a_webhook_contains_them(seen: DaemonUnderTest) -> None:
    body = json.dumps(said(0, "refused", f"R-{CANARY}")).encode()
    path = f"/webhook/{CANARY}"
    for method, to, given, headers in (
        ("POST", path, body, {"apikey": f"wrong-{CANARY}"}),
        ("POST", path, body[:-2], {"apikey": TOKEN}),
        ("PUT", path, body, {"apikey": TOKEN}),
        ("POST", f"/{CANARY}", body, {"apikey": TOKEN}),
        ("POST", path, body * 10_000, {"apikey": TOKEN}),
        ("GET", "/health/ready", None, {}),
    ):
        answer = seen.request(method, to, given, headers)
        assert_clean(answer.body.decode(), f"{method} {to[:9]}")
    assert_clean(seen.log, "standard error")


@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("actors",),
        ("dead", "list", "--all"),
        ("dead", "show", "1"),
        ("show", f"demo/{PHONES[0]}"),
        ("show", f"demo/{PHONES[1]}"),
        ("doctor",),
        ("secrets",),
    ],
    ids=" ".join,
)
def test_no_command_shows_them_unless_asked(command: tuple[str, ...], seen: DaemonUnderTest) -> None:
    ended = seen.majlis(*command, "--json")
    assert json.loads(ended.stdout), ended
    assert_clean(ended.stdout + ended.stderr, " ".join(command[:1]))


def test_a_stored_secret_is_in_force_and_masked(seen: DaemonUnderTest) -> None:
    rows = json.loads(seen.majlis("config", "--instance", "demo", "--json").stdout)["values"]
    stored = {row["key"]: row["value"] for row in rows if "majlis instance set" in row["origin"]}
    masked = {key for key, value in stored.items() if value == "****"}
    assert {*SEALED, BY_SQL[0]} <= masked and CANARY not in json.dumps(stored)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/instances/demo",
        "/v1/instances/demo/history",
        "/v1/instances/old/history",
        "/v1/export",
        "/v1/audit",
        "/v1/secrets",
        "/v1/connections",
        "/v1/forwards",
        "/v1/doctor",
        "/v1/config?instance=old",
        "/v1/turns",
    ],
)
def test_no_answer_about_instances_contains_a_secret(path: str, seen: DaemonUnderTest) -> None:
    document = json.dumps(seen.admin(path))
    assert len(document) > 20 and not [word for word in SECRETS if word in document]


def test_no_metadata_of_a_process_contains_them(seen: DaemonUnderTest) -> None:
    """Neither the command lines of the daemon and its stores, nor the environment of the stores."""
    stores = seen.children()
    assert len(stores) == 2
    for pid in (seen.pid, *stores):
        assert_clean(_proc(pid, "cmdline"), f"command line of {pid}")
    for pid in stores:
        assert_clean(_proc(pid, "environ"), f"environment of {pid}")


def test_quarantined_bodies_contain_no_key(seen: DaemonUnderTest) -> None:
    """The unreadable body is quarantined for the operator, with texts and without keys."""
    body = json.dumps(said(0, "half", "R-2")).encode()
    assert seen.request("POST", "/webhook/demo", body[:-1], {"apikey": TOKEN}).status == 400
    newest = max((seen.data_dir / "quarantine").glob("*.payload"))
    assert f"apikey-{CANARY}" not in newest.read_text()


def test_no_key_is_stored(seen: DaemonUnderTest) -> None:
    """The key in every webhook, and those that are stored sealed, are in no file of Redis and no table of Postgres."""
    aof = b"".join(path.read_bytes() for path in (seen.data_dir / "redis").rglob("*") if path.is_file())
    assert CANARY.encode() in aof
    sealed = {row["key"] for row in seen.rows("SELECT key FROM majlis_secrets")}
    assert sealed >= {*SEALED, BY_SQL[0], "passthrough.url", "passthrough.api_key", "passthrough.headers"}
    assert seen.rows("SELECT 1 FROM majlis_forwards") and seen.rows("SELECT 1 FROM majlis_connections")
    secret = SECRETS
    assert not [word for word in secret if word.encode() in aof]
    tables = seen.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
    for table in [row["table_name"] for row in tables]:
        written = [*secret, *(word.encode().hex() for word in secret)]  # so is the text of a bytea
        found = seen.rows(
            f'SELECT count(*) AS n FROM "{table}" t WHERE t::text ~ $1', "|".join(map(re.escape, written))
        )
        assert found[0]["n"] == 0, table


def _proc(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_bytes().replace(b"\0", b"\n").decode(errors="replace")
