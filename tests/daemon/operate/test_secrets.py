"""What operators see and do about secrets: ids of keys, what stays shut, and sealing everything anew."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from daemon.config.secret_keys import key_id
from daemon.ledger.secret_rows import SecretRows
from daemon.ledger.wire import encoded
from daemon.operate.call import Caller
from daemon.operate.secrets import SealedSecrets
from daemon.tenants.secret_keys import SecretKeys
from daemon.tenants.secrets import Secrets
from daemon.web.http1 import Peer, Request
from tests.support.operators import SEALING_KEYS, Operators, open_operators

(OURS, OLD), LOST = SEALING_KEYS, bytes([2]) * 32
PLAIN = "canary-secret-7391"
KEEP = "SELECT majlis_keep_secrets($1, $2::jsonb, '[]')"


async def ask(
    operators: Operators,
    method: str,
    path: str,
    level: Any = "admin",
    body: bytes = b"",
    query: Mapping[str, str] | None = None,
) -> tuple[int, Any]:
    segments = tuple(path.partition("?")[0].removeprefix("/").split("/"))
    request = Request(method, path, segments, query or {}, {}, body, Peer("", uid=0, pid=7))
    answer = await operators.api.answer(request, Caller(level))
    assert PLAIN.encode() not in answer.body
    return answer.status, json.loads(answer.body)


async def store(operators: Operators, key: bytes, instance: str, setting: str = "gateway.api_key") -> None:
    secrets = Secrets(SecretRows(operators.db), SecretKeys([key]), lambda _: None, operators.feed)
    await operators.db.fetch(KEEP, instance, encoded({setting: secrets.put(instance, setting, PLAIN)}))


async def test_keys_are_named_and_what_stays_shut_is_held_until_it_opens(migrated_postgres_dsn: str) -> None:
    async with open_operators(migrated_postgres_dsn) as operators:
        for key, instance in ((OURS, "acme"), (OURS, "shop"), (LOST, "lost")):
            await store(operators, key, instance)
        await operators.run_time.refresh()
        status, page = await ask(operators, "GET", "/v1/secrets", "read")
        assert status == 200
        assert page["keys"] == [
            {"id": key_id(OURS), "secrets": 2, "webhooks": 0, "is_here": True, "seals": True},
            {"id": key_id(OLD), "secrets": 0, "webhooks": 0, "is_here": True, "seals": False},
            {"id": key_id(LOST), "secrets": 1, "webhooks": 0, "is_here": False, "seals": False},
        ]
        assert [(one["instance"], one["key"]) for one in page["shut"]] == [("lost", "gateway.api_key")]
        _, now = await ask(operators, "GET", "/v1/status", "read")
        assert [pause["instance"] for pause in now["pauses"]] == ["lost"]
        assert "cannot be opened" in now["pauses"][0]["held"]
        (check,) = await SealedSecrets(operators.secrets, operators.former).checks()
        assert check.state == "problem" and "lost" in check.detail and "acme" not in check.detail

        await store(operators, OURS, "lost")
        await operators.run_time.refresh()
        assert await SealedSecrets(operators.secrets, operators.former).checks() == []
        _, now = await ask(operators, "GET", "/v1/status", "read")
        assert now["pauses"] == []


async def test_a_held_instance_is_not_resumed_by_hand(migrated_postgres_dsn: str) -> None:
    async with open_operators(migrated_postgres_dsn) as operators:
        await store(operators, LOST, "demo")
        await operators.run_time.refresh()
        status, refusal = await ask(operators, "POST", "/v1/instances/demo/resume")
        assert status == 409 and "is held by Majlis itself" in refusal["message"]


async def test_everything_is_sealed_anew_and_the_audit_says_who(migrated_postgres_dsn: str) -> None:
    async with open_operators(migrated_postgres_dsn) as operators:
        operators.secrets._keys = SecretKeys([OURS, OLD])
        for number in range(3):
            await store(operators, OLD, f"i{number}")
        assert (await ask(operators, "POST", "/v1/secrets/rotate", "operate"))[0] == 403
        status, step = await ask(operators, "POST", "/v1/secrets/rotate")
        assert (status, step["resealed"], step["left"], step["key"]) == (200, 3, 0, key_id(OURS))
        assert [(entry.action, entry.target) for entry in operators.audited] == [
            ("POST /v1/secrets/rotate", "daemon"),
            ("secrets.rotate", "all instances"),
        ]
        assert list(operators.outcomes.values()) == [("refused", "Forbidden"), ("done", "")]
        _, again = await ask(operators, "POST", "/v1/secrets/rotate")
        assert (again["resealed"], again["left"]) == (0, 0)


async def test_who_may_not_see_numbers_sends_neither_keys_nor_messages_elsewhere(
    migrated_postgres_dsn: str,
) -> None:
    """A level that may not see a key must not have it posted to an address of its own choice."""
    async with open_operators(migrated_postgres_dsn) as operators:
        await operators.run_time.refresh()
        await operators.changes.look()
        assert (await ask(operators, "POST", "/v1/instances/shop/add", body=b"{}"))[0] == 200
        for change in (
            {"set": {"gateway.base_url": "http://stranger.example"}},
            {"set": {"model": "m", "responder.providers.0.base_url": "http://stranger.example"}},
            {"set": {"passthrough.url": "http://stranger.example"}},
            {"unset": ["ingress.token"]},
            {"set": {"ingress.tokens_sha256": "0a" * 32}},
        ):
            body = json.dumps(change).encode()
            status, refusal = await ask(operators, "POST", "/v1/instances/shop/set", "operate", body)
            assert status == 403 and "needs level admin" in refusal["message"], change
            assert operators.outcomes[len(operators.audited)] == ("refused", "Forbidden")
            assert operators.audited[-1].action == "instance.set" and "stranger" not in repr(
                operators.audited
            )
        path = "/v1/config/gateway.base_url"
        body = b'{"value": "http://stranger.example"}'
        assert (await ask(operators, "POST", f"{path}/set", "operate", body))[0] == 403
        body = b'{"set": {"mode": "shadow"}}'
        assert (await ask(operators, "POST", "/v1/instances/shop/set", "operate", body))[0] == 200
        # Nor by giving back a version in which they were sent there.
        body = b'{"set": {"gateway.base_url": "http://former.example"}}'
        status, done = await ask(operators, "POST", "/v1/instances/shop/set", "admin", body)
        former = {"version": str(done["version"])}
        assert (
            await ask(
                operators, "POST", "/v1/instances/shop/set", "admin", b'{"unset": ["gateway.base_url"]}'
            )
        )[0] == 200
        for level, expected in (("operate", 403), ("admin", 200)):
            status, answer = await ask(operators, "POST", "/v1/instances/shop/restore", level, query=former)
            assert status == expected, answer
        body = b'{"set": {"mode": "live"}}'
        assert (await ask(operators, "POST", "/v1/instances/shop/set", "operate", body))[0] == 200
        status, answer = await ask(operators, "POST", "/v1/instances/shop/restore", "operate")
        assert status == 200 and [one["key"] for one in answer["changes"]] == ["mode"]


async def test_a_page_of_an_instance_says_that_it_is_held_and_where_its_webhook_was_set(
    migrated_postgres_dsn: str,
) -> None:
    async with open_operators(migrated_postgres_dsn) as operators:
        await operators.run_time.refresh()
        await operators.changes.look()
        assert (await ask(operators, "POST", "/v1/instances/shop/add", body=b"{}"))[0] == 200
        _, page = await ask(operators, "GET", "/v1/instances/shop", "read")
        assert page["held"] == "" and page["forwards"] == {"waiting": 0, "dead": 0}
        assert page["connection"]["connected"] is False

        await store(operators, LOST, "shop")
        await operators.former.remember("shop", None, f"http://here/webhook/shop?x={PLAIN}", "uid 0")
        await operators.db.fetch(
            "INSERT INTO majlis_forward_queues (instance, waiting, waiting_bytes, dead, dead_bytes)"
            " VALUES ('shop', 2, 9, 1, 9)"
        )
        await operators.run_time.refresh()
        _, page = await ask(operators, "GET", "/v1/instances/shop", "read")
        assert "its gateway.api_key cannot be opened" in page["held"]
        assert page["connection"]["url"] == "http://here/webhook/shop?…"
        assert (page["connection"]["connected"], page["connection"]["set_by"]) == (True, "uid 0")
        assert page["forwards"] == {"waiting": 2, "dead": 1}


async def test_a_short_token_is_refused_and_one_that_is_stored_is_in_force_and_named(
    migrated_postgres_dsn: str,
) -> None:
    async with open_operators(migrated_postgres_dsn) as operators:
        await operators.records.register_instances(["acme"])
        for value in ("short", ["0123456789abcdef", "short"]):
            body = encoded({"set": {"ingress.token": value}}).encode()
            status, answer = await ask(operators, "POST", "/v1/instances/acme/set", body=body)
            assert status == 409 and "ingress.token: must have at least 16 characters" in answer["message"]
            assert "short" not in answer["message"]
        token = {"ingress.token": operators.secrets.put("acme", "ingress.token", "short")}
        await operators.db.fetch(KEEP, "acme", encoded(token))
        await operators.run_time.refresh()
        assert operators.live.own_credentials().tokens == {"acme": ("short",)}
        (check,) = await SealedSecrets(operators.secrets, operators.former).checks()
        assert check.state == "warning" and "acme (ingress.token)" in check.detail
        body = encoded({"set": {"ingress.token": "0123456789abcdef"}}).encode()
        status, _ = await ask(operators, "POST", "/v1/instances/acme/set", body=body)
        assert status == 200 and await SealedSecrets(operators.secrets, operators.former).checks() == []
