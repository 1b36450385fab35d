"""What attackers and broken proxies send to the listening socket: refused in bounded time, without side effects."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

import pytest

from daemon.ingress import jwt
from daemon.web.standard_webhooks import read_secret, signed_headers
from tests.acceptance.harness import DaemonUnderTest, Posted, Tree, daemon_under_test, evolution
from tests.daemon.web.http1.hostile_requests import KINDS
from tests.support.gateway_server import FakeEvolution
from tests.support.patience import PATIENCE_SECONDS
from tests.support.payloads import NOW, upsert

TOKEN, OTHER_TOKEN = "the-first-token-of-two", "the-second-token-of-two"
MAX_BODY_BYTES, MAX_MEDIA_BYTES = 64 * 1024, 1024 * 1024
ELSEWHERE = "POST /health/live HTTP/1.1"
SLOWEST_SECONDS = 2.0
"""How long a client may take for a head, and for a body."""
JWT_KEY, SIGNING_SECRET = "the-key-of-all-jwts", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STRANGE_NAMES = ("a}{b", "{p001}", "a:b", "*", "..", "%", "عميل", "a b")


@pytest.fixture(scope="module")
def daemon(gateway: FakeEvolution) -> Iterator[DaemonUnderTest]:
    ingress = {
        "auth": {
            "mode": "none",
            "token": [TOKEN, OTHER_TOKEN],
            "jwt_key": [JWT_KEY, "the-next-key-of-jwts"],
        },  # a token that is set is asked for all the same
        "head_seconds": SLOWEST_SECONDS,
        "body_seconds": SLOWEST_SECONDS,
        "max_body_bytes": MAX_BODY_BYTES,
        "max_media_bytes": MAX_MEDIA_BYTES,
        "max_connections_per_address": 32,
    }
    instances: Tree = {name: {} for name in ("demo", *STRANGE_NAMES)}
    instances["demo"] = {"ingress": {"signing_secret": SIGNING_SECRET}}
    instances["three"] = {"batching": {"window_seconds": 600, "max_messages": 3}}
    settings: Tree = {"ingress": ingress, "instances": instances, "dashboard": {"listen": "0.0.0.0:0"}}
    with daemon_under_test(evolution(gateway), settings) as started:
        yield started
        after = json.dumps(upsert("demo", "5511400000009", "after all that", "AFTER-1", NOW)).encode()
        assert post(started, after).status == 200
        started.wait_for(
            lambda: gateway.texts("5511400000009") == ["Heard 1: after all that"], "it still answers"
        )


@pytest.fixture(autouse=True)
def still_well(daemon: DaemonUnderTest) -> Iterator[None]:
    """I9, I14: after each of these tests the daemon is ready, and nothing failed in it."""
    yield
    assert daemon.request("GET", "/health/ready").status == 200
    assert not daemon.events("actor.crashed") and not daemon.events("daemon.problem")


def post(daemon: DaemonUnderTest, body: bytes, path: str = "/webhook/demo", token: str = TOKEN) -> Posted:
    return daemon.request("POST", path, body, {"apikey": token})


def exchange(daemon: DaemonUnderTest, *pieces: bytes, pause_seconds: float = 0.0) -> bytes:
    """Send raw bytes piece by piece, and read until the daemon closes, which it must."""
    received = b""
    with closing(socket.create_connection(("127.0.0.1", daemon.port), PATIENCE_SECONDS)) as stream:
        try:
            for piece in pieces:
                stream.sendall(piece)
                time.sleep(pause_seconds)
            while data := stream.recv(65536):
                received += data
        except ConnectionError:
            pass
    return received


def head(*fields: str, line: str = "POST /webhook/demo HTTP/1.1", token: str = TOKEN) -> bytes:
    return "\r\n".join((line, "Host: majlis", f"apikey: {token}", *fields, "", "")).encode("latin-1")


def statuses(received: bytes) -> list[int]:
    """The status of every received response."""
    return [int(piece[:3]) for piece in received.split(b"HTTP/1.1 ")[1:]]


BODY = json.dumps(upsert("demo", "5511409999999", "smuggled", "SMUGGLED-1", NOW)).encode()
INNER = head(f"Content-Length: {len(BODY)}", "Connection: close") + BODY

TOO_LARGE: dict[str, tuple[bytes, int]] = {
    "long_head": (head("X-A: " + "a" * 20_000), 431),
    "huge_length": (head("Content-Length: 142606336"), 413),
    "absurd_length": (head(f"Content-Length: {'9' * 19}"), 413),
    "one_byte_too_many": (head(f"Content-Length: {MAX_MEDIA_BYTES + 1}"), 413),
    "one_byte_too_many_without_media": (head(f"Content-Length: {MAX_BODY_BYTES + 1}", line=ELSEWHERE), 413),
    "huge_chunk": (head("Transfer-Encoding: chunked") + b"fffffff\r\n", 413),
}
DOUBTFUL = {
    name: (raw, kind.statuses[0])
    for name, kind in KINDS.items()
    if kind.statuses in ((400,), (501,), (505,)) and kind.then == "inner"
    # A daemon has no route /media, so what is sent there says nothing of how it reads.
    if b"/media" not in (raw := b"".join(piece for piece in kind.pieces if isinstance(piece, bytes)))
}


def test_doubtful_requests_are_refused_and_the_connection_closed(
    daemon: DaemonUnderTest, gateway: FakeEvolution
) -> None:
    """I8, I9: one refusal, then the connection is closed: nothing after it is read as a request."""
    accepted = daemon.count("acknowledged")
    found = {name: statuses(exchange(daemon, raw, INNER)) for name, (raw, _) in DOUBTFUL.items()}
    assert {name: got for name, got in found.items() if got not in ([], [DOUBTFUL[name][1]])} == {}
    assert daemon.count("acknowledged") == accepted
    assert gateway.texts("5511409999999") == []


@pytest.mark.parametrize("case", TOO_LARGE)
def test_what_is_too_large_is_refused_and_the_connection_closed(case: str, daemon: DaemonUnderTest) -> None:
    """I8: before it is read."""
    raw, status = TOO_LARGE[case]
    accepted = daemon.count("acknowledged")
    found = statuses(exchange(daemon, raw, INNER))
    assert len(found) <= 1 and set(found) <= {status}
    assert daemon.count("acknowledged") == accepted


def test_a_photo_in_the_webhook_does_not_cost_the_message(
    daemon: DaemonUnderTest, gateway: FakeEvolution
) -> None:
    """I1: twelve times the largest body, and the caption is answered; the operator sees what was left out."""
    payload = upsert("demo", "5511400000006", "", "PHOTO-1", NOW)
    photo = base64.b64encode(bytes(range(256)) * 2304).decode()
    payload["data"]["message"] = {"imageMessage": {"caption": "what is this?"}, "base64": photo}  # type: ignore[index]
    assert post(daemon, json.dumps(payload).encode()).status == 200
    daemon.wait_for(
        lambda: gateway.texts("5511400000006") == ["Heard 1: [image; it cannot be seen here] what is this?"],
        "answered",
    )
    explained = daemon.admin("/v1/explain/PHOTO-1")
    assert (explained["media_inline_dropped"], explained["kind"]) == (True, "image")
    assert post(daemon, json.dumps(payload).encode(), token="wrong").status == 401


def test_slow_clients_are_disconnected(daemon: DaemonUnderTest) -> None:
    """I8: a head, and a body, that does not come in time: 408 or the end."""
    slowly = partial(exchange, daemon, pause_seconds=SLOWEST_SECONDS / 4)
    with ThreadPoolExecutor(2) as pool:
        slow_head = pool.submit(slowly, b"POST /webhook/demo HTTP/1.1\r\n", *[b"X-A: b\r\n"] * 8)
        slow_body = pool.submit(slowly, head("Content-Length: 1000"), *[b"{"] * 8)
    assert set(statuses(slow_head.result()) + statuses(slow_body.result())) <= {408}


def test_idle_connections_do_not_block_others(daemon: DaemonUnderTest) -> None:
    """I8, I9: connections per address are bounded; a client with the token gets in all the same."""
    crowd = [socket.create_connection(("127.0.0.1", daemon.port), PATIENCE_SECONDS) for _ in range(64)]
    try:
        received = exchange(daemon, head("Content-Length: 2", "Connection: close") + b"{}")
        assert len(statuses(received)) == 1 and set(statuses(received)) <= {200, 400}
    finally:
        for stream in crowd:
            stream.close()


def test_pipelined_requests_are_answered_in_order(daemon: DaemonUnderTest, gateway: FakeEvolution) -> None:
    """I1: good requests, and bad ones that keep the connection usable, in one packet."""
    bodies = [
        json.dumps(upsert("three", "5511400000001", f"p{n}", f"PIPE-{n}", NOW)).encode() for n in range(3)
    ]
    requests = [
        head(f"Content-Length: {len(body)}", line="POST /webhook/three HTTP/1.1") + body
        for body in (bodies[0], b"no json", *bodies[1:])
    ]
    last = head("Connection: close", line="GET /health/live HTTP/1.1")
    assert statuses(exchange(daemon, b"".join(requests) + last)) == [200, 400, 200, 200, 200]
    daemon.wait_for(lambda: gateway.texts("5511400000001") == ["Heard 3: p0\np1\np2"], "they are answered")


def test_only_the_tokens_are_accepted(daemon: DaemonUnderTest) -> None:
    """I11: both tokens of a rotation, in either header; any other request learns nothing."""
    good = json.dumps(upsert("demo", "5511400000002", "let in", "TOKEN-1", NOW)).encode()
    for given in (
        {},
        {"apikey": ""},
        {"apikey": "wrong"},
        {"authorization": f"Basic {TOKEN}"},
        {"apikey": "\xff"},
    ):
        assert daemon.request("POST", "/webhook/demo", good, given).status == 401
    for given in ({"apikey": TOKEN}, {"apikey": OTHER_TOKEN}, {"authorization": f"Bearer {TOKEN}"}):
        assert daemon.request("POST", "/webhook/demo", good, given).status == 200
    now = time.time()
    signed = signed_headers([read_secret(SIGNING_SECRET)], "TOKEN-1", now, good)
    by_jwt = {"authorization": f"Bearer {jwt.made(JWT_KEY, now)}"}
    assert daemon.request("POST", "/webhook/demo", good, by_jwt).status == 200
    assert daemon.request("POST", "/webhook/demo", good, signed).status == 200
    assert daemon.request("POST", "/webhook/demo", good + b" ", signed).status == 401
    assert daemon.request("POST", "/webhook/three", good, signed).status == 401
    accepted = (
        "webhooks for all instances: ingress.auth.token (2), ingress.auth.jwt_key (2); of their own: 1 with "
    )
    assert str(daemon.status()["credentials"]).startswith(f"{accepted}ingress.signing_secret")
    assert daemon.request("GET", "/health/ready").status == 200


def test_open_doors_are_told_everywhere_with_what_to_write(daemon: DaemonUnderTest) -> None:
    """I11: the dashboard over plain HTTP at every address, and `mode: none` beside a token."""
    told = {
        event["door"]: f"{event['danger']}. {str(event['advice'])[0].upper()}{str(event['advice'])[1:]}."
        for event in daemon.events("door.open")
    }
    assert list(told) == ["dashboard", "token"]
    assert "0.0.0.0:" in told["dashboard"] and "dashboard.hosts" in told["dashboard"]
    assert "Write ingress.auth.mode: token" in told["token"]
    assert daemon.status()["warnings"] == list(told.values())
    assert all(f"Warning: {sentence}" in daemon.stdout for sentence in told.values())
    checks = daemon.admin("/v1/doctor")["checks"]
    assert isinstance(checks, list)
    doors = {check["name"]: check for check in checks if check["name"].startswith("door")}
    assert list(doors) == ["door dashboard", "door token"]
    assert doors["door token"]["state"] == "warning"
    assert "Write ingress.auth.mode: token" in doors["door token"]["advice"]


def test_messages_lost_for_good_are_named(daemon: DaemonUnderTest) -> None:
    """I1: what the gateway will not send again is in status, log, metrics and alerts, by instance."""

    def lost() -> dict[str, int]:
        ingress = daemon.status()["ingress"]
        assert isinstance(ingress, dict)
        return {view["reason"]: view["instances"].get("three", 0) for view in ingress["lost"]}

    before = lost()
    assert post(daemon, BODY, "/webhook/three", "wrong").status == 401
    assert post(daemon, b"{", "/webhook/Three").status == 400
    assert post(daemon, BODY, "/hooks/three").status == 404
    large = head(f"Content-Length: {MAX_MEDIA_BYTES + 1}", line="POST //webhook/THREE HTTP/1.1")
    assert statuses(exchange(daemon, large)) == [413]
    after = lost()
    reasons = ("wrong_or_missing_token", "unreadable", "no_such_route", "body_too_large")
    assert {reason: after[reason] - before.get(reason, 0) for reason in reasons} == dict.fromkeys(reasons, 1)
    logged = [event["reason"] for event in daemon.events("webhook.refused")]
    assert set(reasons) <= set(logged)
    page = daemon.request("GET", "/metrics").body.decode()
    assert all(f'majlis_webhooks_lost_total{{reason="{reason}"}}' in page for reason in reasons)


def test_a_slip_in_the_path_loses_nothing(daemon: DaemonUnderTest, gateway: FakeEvolution) -> None:
    """I1: slashes, case, and another instance's name; also where only the database knows the instance."""
    daemon.rows("INSERT INTO whatsapp_instances (instance_name) VALUES ('Stored')")
    daemon.admin("/v1/reload", post=True)
    number = 0

    def say(named: str, path: str, token: str = TOKEN) -> Posted:
        nonlocal number
        number += 1
        payload = upsert(named, "5511420000001", "slip", f"SLIP-{number}", NOW)
        return post(daemon, json.dumps(payload).encode(), path, token)

    assert say("Stored", "//webhook///stored//messages-upsert/").document["status"] == "accepted"
    assert say("", "/WebHook/STORED").document["status"] == "accepted"
    assert say("Stored", "/webhook/demo").document["status"] == "accepted"
    assert say("Stored", "//WEBHOOK//demo", "wrong").status == 401
    daemon.wait_settled()
    reached = [sent.instance for sent in gateway.deliveries if sent.number == "5511420000001"]
    assert reached and set(reached) == {"Stored"}
    (mismatch,) = daemon.events("webhook.mismatch")
    assert (mismatch["path"], mismatch["instance"]) == ("demo", "Stored")


UNREADABLE: dict[str, bytes] = {
    "nothing": b"",
    "no_json": b"hello",
    "half_json": b'{"event": "messages.upsert", "data": {',
    "deep": b'{"data":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "not_an_object": b"[1, 2, 3]",
    "null": b"null",
    "not_text": b"\xff\xfe\x00\x80",
}
"""Never readable, however often it is sent."""

STRANGE: dict[str, bytes] = {
    "empty_object": b"{}",
    "huge_number": b'{"event":"messages.upsert","data":{"key":{"id":"X"},"messageTimestamp":1e400}}',
    "huge_integer": b'{"event":"messages.upsert","data":{"key":{"id":"X"},"messageTimestamp":'
    + b"9" * 4000
    + b"}}",
    "twice_the_same_key": b'{"event":"a","event":"messages.upsert","data":{},"data":[]}',
    "byte_order_mark": b'\xef\xbb\xbf{"event":"messages.upsert","data":{}}',
    "utf_16": '{"event":"messages.upsert","data":{}}'.encode("utf-16"),
    "wrong_types": b'{"event":7,"instance":[],"data":{"key":"x","message":3}}',
    "unknown_event": b'{"event":"something.new","data":{"a":1}}',
}
"""May be ignored, or refused for good; never to be retried."""


@pytest.mark.parametrize("case", UNREADABLE)
def test_unreadable_bodies_are_quarantined(case: str, daemon: DaemonUnderTest) -> None:
    """I8: 400, and a copy for an operator."""
    before = len(quarantined(daemon))
    assert post(daemon, UNREADABLE[case]).status == 400
    assert len(quarantined(daemon)) == before + 1


@pytest.mark.parametrize("case", STRANGE)
def test_strange_payloads_get_a_final_response(case: str, daemon: DaemonUnderTest) -> None:
    """I1, I8: 200 or 400, never a server error, never to be retried."""
    assert post(daemon, STRANGE[case]).status in (200, 400)


def test_quarantined_bodies_contain_no_key(daemon: DaemonUnderTest) -> None:
    """I11: the copy is readable by the operator only, and keys in it are redacted."""
    body = json.dumps(upsert("demo", "5511400000003", "t", "Q-1", 1) | {"apikey": "KEY-CANARY-1"})
    assert post(daemon, body[:-1].encode() + b', "token": "KEY-CANARY-2", ').status == 400
    newest = quarantined(daemon)[-1]
    assert "CANARY" not in newest and "[redacted]" in newest
    assert all(path.stat().st_mode & 0o077 == 0 for path in (daemon.data_dir / "quarantine").iterdir())


def test_special_characters_in_names_have_no_effect(daemon: DaemonUnderTest, gateway: FakeEvolution) -> None:
    """I5, I11: braces, colons, dots and spaces in an instance name have no effect on keys, routes or patterns."""
    phones = {name: f"551141000{number:04d}" for number, name in enumerate(STRANGE_NAMES)}
    for name, phone in phones.items():
        body = json.dumps(upsert(name, phone, "strange name", f"NAME-{name}", NOW)).encode()
        assert post(daemon, body, "/webhook").status == 200
    daemon.wait_for(lambda: all(map(gateway.texts, phones.values())), "all are answered")
    reached = {sent.instance: sent.number for sent in gateway.deliveries if sent.number in phones.values()}
    assert reached == phones


def test_text_that_no_store_can_hold_is_answered(daemon: DaemonUnderTest, gateway: FakeEvolution) -> None:
    """I2: NUL, lone surrogates and bidirectional overrides in a text: 200, and one visible outcome."""
    payload = upsert("demo", "5511400000004", "a\0b \ud800 \u202e c", "TEXT-\0\ud800", NOW)
    assert post(daemon, json.dumps(payload).encode()).status in (200, 400)
    daemon.wait_settled()


def test_the_largest_body_that_is_allowed(daemon: DaemonUnderTest) -> None:
    """I8: a body of exactly the limit is accepted."""
    payload = upsert("demo", "5511400000005", "long", "LARGE-1", NOW)
    room = MAX_BODY_BYTES - len(json.dumps(payload | {"padding": ""}))
    assert post(daemon, json.dumps(payload | {"padding": "x" * room}).encode()).status == 200
    assert post(daemon, json.dumps(payload | {"padding": "x" * (room + 1)}).encode()).status == 413


def quarantined(daemon: DaemonUnderTest) -> list[str]:
    """The quarantined bodies, the newest last."""
    folder = daemon.data_dir / "quarantine"
    return [path.read_bytes().decode("latin-1") for path in sorted(folder.glob("*.payload"))]
