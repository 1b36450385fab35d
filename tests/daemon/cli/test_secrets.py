"""`majlis secrets`: keys by their ids, secrets that stay shut, and sealing everything anew."""

from __future__ import annotations

import json

from daemon.config.secret_keys import key_id
from daemon.gateways.webhook_setup import Webhook
from daemon.ledger.secret_rows import SecretRows
from daemon.ledger.wire import encoded
from daemon.operate.former_webhooks import FormerWebhooks
from daemon.tenants.secret_keys import SecretKeys
from daemon.tenants.secrets import Secrets
from tests.daemon.cli.conftest import Typed
from tests.support.operators import SEALING_KEYS, DoorInThread

NEW, OLD = SEALING_KEYS
LOST = bytes([2]) * 32
PLAIN = "canary-secret-7391"
KEY = "gateway.api_key"


def store(door: DoorInThread, key: bytes, *instances: str) -> None:
    """As a daemon with this key does."""

    async def keep() -> None:
        operators = door.operators
        secrets = Secrets(SecretRows(operators.db), SecretKeys([key]), lambda _: None, operators.feed)
        for instance in instances:
            sealed = encoded({KEY: secrets.put(instance, KEY, PLAIN)})
            await operators.db.fetch("SELECT majlis_keep_secrets($1, $2::jsonb, '[]')", instance, sealed)
        await operators.run_time.refresh()

    door.do(keep)


def remember(door: DoorInThread, key: bytes, instance: str) -> None:
    """As `majlis instance connect` does with this key."""

    async def keep() -> None:
        former = FormerWebhooks(door.operators.connections, SecretKeys([key]))
        await former.remember(instance, Webhook(url=f"https://old.example/{PLAIN}"), "http://here", "uid 0")

    door.do(keep)


def test_all_are_sealed_anew_and_what_stays_shut_is_named(door: DoorInThread, majlis: Typed) -> None:
    store(door, OLD, "acme", "shop")
    remember(door, OLD, "acme")
    lines = [line.split() for line in majlis("secrets").out.splitlines()]
    assert [key_id(NEW), "0", "secrets", "0", "webhooks", "seals", "with", "it"] in lines
    assert [key_id(OLD), "2", "secrets", "1", "webhook", "opens", "with", "it"] in lines
    rotated = majlis("secrets", "rotate").out
    assert f"2 secrets and 1 former webhook sealed anew with key {key_id(NEW)}" in rotated
    assert "0 secrets sealed anew" in majlis("secrets", "rotate").out

    store(door, LOST, "a-lost")
    ended = majlis("secrets", "rotate", "--json")
    assert ended.status == 1
    assert json.loads(ended.out) == {
        "key": key_id(NEW), "resealed": 0, "left": 1, "shut": [{"instance": "a-lost", "key": KEY, "why": ""}],
        "webhooks": 0, "shut_webhooks": []
    }  # fmt: skip
    assert "1 could not be opened" in ended.err
    assert "a-lost: gateway.api_key cannot be opened" in majlis("secrets").out
    shown = majlis("status").out
    assert "a-lost held: its gateway.api_key cannot be opened" in shown
    remember(door, LOST, "shop")
    ended = majlis("secrets", "rotate")
    assert ended.status == 1 and "2 could not be opened" in ended.err
    shown += ended.out + majlis("secrets").out
    assert shown.count("shop: its webhook of before cannot be opened") == 2
    assert PLAIN not in shown


def test_options_belong_after_the_subcommand(door: DoorInThread, majlis: Typed) -> None:
    assert "write options after the subcommand" in majlis("secrets", "--json", "rotate").err
