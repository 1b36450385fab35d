"""Tokens of instances at the door: for whom each opens, and what is said while they are not known."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.ingress import jwt
from daemon.ingress.access import (
    DoorTokens,
    SharedToken,
    SignedBody,
    TokensUnknown,
    any_instance,
    closed_door,
    is_stranger,
    open_door,
    somebody_here,
)
from daemon.ingress.credentials import NO_KEYS, Allows, OwnCredentials, SharedKeys
from daemon.ingress.known_instances import KnownInstances
from daemon.web.http1 import UNPROVEN, Peer, Request, Response
from daemon.web.standard_webhooks import signed_headers
from tests.daemon.ingress.test_gate import head
from tests.daemon.ingress.test_webhooks import Room, item, payload

SHARED = SharedToken(["shared"])
NOW = 1_800_000_000.0
SIGNING = b"s" * 32


ToAll = Callable[[Request], Allows | None]


class Doorkeeper:
    """A door whose tokens a test changes."""

    def __init__(
        self, to_all: ToAll = SHARED, own: OwnCredentials | None = None, shared: SharedKeys = NO_KEYS
    ) -> None:
        self.own = own or OwnCredentials({"acme": ("a1", "a2"), "shop": ("s1",), "both": ("a1",)})
        self.known = KnownInstances(["acme", "shop", "free"])
        self.door = DoorTokens(to_all, lambda: self.own, self.known, shared, lambda: NOW)

    def allows(self, token: str, *names: str, path: str = "/webhook") -> str:
        return self.opens({"apikey": token} if token else {}, *names, path=path)

    def opens(self, headers: dict[str, str], *names: str, path: str = "/webhook", body: bytes = b"") -> str:
        """For whom of these the door opens."""
        allows = self.door(head("POST", path, headers))
        if isinstance(allows, SignedBody):
            allows = allows.allows(body)
        return "nobody" if allows is None else " ".join(name for name in names if allows(name))


def test_a_token_opens_the_door_for_its_instances_alone() -> None:
    keeper = Doorkeeper()
    everyone = ("acme", "shop", "free", "both", "")
    assert keeper.allows("a1", *everyone) == "acme both"
    assert keeper.allows("a2", *everyone) == "acme"
    assert keeper.allows("s1", *everyone) == "shop"
    for wrong in ("", "a", "a1 ", "A1", "acme", "é"):
        assert keeper.allows(wrong) == "nobody"
    assert keeper.door(head("POST", "/webhook/shop", {"apikey": "shared"})) is any_instance
    assert keeper.opens({"authorization": "Bearer s1"}, "shop", path="/webhook/shop") == "shop"


def test_a_change_of_tokens_counts_from_the_next_request_on() -> None:
    keeper = Doorkeeper()
    assert keeper.allows("s1", "shop") == "shop"
    keeper.own = OwnCredentials({"shop": ("s2",)})
    assert keeper.allows("s1") == "nobody"
    assert keeper.allows("s2", "shop", "acme") == "shop"


def test_where_the_door_is_open_it_stays_so_for_instances_without_a_token() -> None:
    keeper = Doorkeeper(open_door)
    assert keeper.allows("", "acme", "shop", "free", "stranger") == "free stranger"
    assert keeper.allows("s1", "acme", "shop", "free") == "shop"
    assert Doorkeeper(open_door, OwnCredentials()).door(head("POST", "/webhook")) is somebody_here


def test_a_stranger_stays_one_beside_instances_with_tokens() -> None:
    """Without a token only who is at this machine is believed, and may still not post for a guarded instance."""
    keeper = Doorkeeper(open_door)
    for address, stranger in (("127.0.0.1", False), ("10.0.0.1", True)):
        request = msgspec.structs.replace(head("POST", "/webhook"), peer=Peer(address))
        allows = keeper.door(request)
        assert allows is not None and not isinstance(allows, SignedBody)
        assert is_stranger(allows) is stranger
        assert allows("free") and not allows("shop")


def test_nobody_is_turned_away_while_it_is_not_known_which_token_is_right() -> None:
    """I1: the gateway never sends again what was answered 401 or 403."""
    unread = Doorkeeper(own=OwnCredentials(are_read=False))
    with pytest.raises(TokensUnknown):
        unread.allows("anything")
    assert unread.door(head("POST", "/webhook/shop", {"apikey": "shared"})) is any_instance

    shut = OwnCredentials({"shop": ("s1",)}, shut=frozenset({"acme"}))
    closed = Doorkeeper(own=shut)
    for path in ("/webhook", "/webhook/acme", "/webhook/ACME/messages-upsert"):
        with pytest.raises(TokensUnknown):
            closed.allows("a1", path=path)
    assert closed.allows("a1", path="/webhook/free") == "nobody"
    assert closed.allows("s1", "shop", path="/webhook/shop") == "shop"

    opened = Doorkeeper(open_door, shut)
    assert opened.allows("", "free", "shop", path="/webhook/free") == "free"
    with pytest.raises(TokensUnknown):
        opened.allows("", "acme", path="/webhook/free")


async def test_what_the_sender_is_told() -> None:
    keeper = Doorkeeper(open_door, OwnCredentials({"demo": ("d1",)}, shut=frozenset({"acme"})))
    room = Room(keeper.door, "demo", "acme")

    async def post(path: str, token: str, instance: str) -> int:
        segments = tuple(path.removeprefix("/").split("/"))
        body = payload(item(f"{path}{token}{instance}"), instance=instance)
        request = Request("POST", path, segments, {}, {"apikey": token}, body, Peer("127.0.0.1"))
        return (await room.ingress.handle(request)).status

    assert await post("/webhook/demo", "d1", "demo") == 200
    assert await post("/webhook", "d1", "demo") == 200
    assert await post("/webhook", "d1", "free") == 403
    assert await post("/webhook/demo", "wrong", "demo") == 403
    assert await post("/webhook/free", "", "free") == 200
    assert await post("/webhook/free", "", "acme") == 503
    assert await post("/webhook/acme", "", "acme") == 503
    assert [message.instance for message in room.accepted] == ["demo", "demo", "free"]
    assert room.ingress.counters.lost.by_reason == {"instance_not_allowed": 2}
    assert room.ingress.counters.refused == {"tokens_unknown": 2}


def keeper_of(own: OwnCredentials, shared: SharedKeys = NO_KEYS, to_all: ToAll = closed_door) -> Doorkeeper:
    return Doorkeeper(to_all, own, shared)


def by_jwt(key: str, seconds_old: float = 0.0) -> dict[str, str]:
    return {"authorization": f"Bearer {jwt.made(key, NOW - seconds_old)}"}


def by_signature(key: bytes, body: bytes = b"", seconds_old: float = 0.0) -> dict[str, str]:
    return signed_headers([key], "message-1", NOW - seconds_old, body)


def test_a_token_may_be_known_by_its_digest_alone() -> None:
    """In hexadecimal, as `encode(sha256('…'), 'hex')` of Postgres writes it."""
    digest = hashlib.sha256(b"h1").hexdigest()
    keeper = keeper_of(OwnCredentials({"shop": ("s1", "h1")}, {"acme": (digest,), "shop": ()}))
    assert keeper.allows("h1", "acme", "shop", "free") == "acme shop"
    assert keeper.allows(digest) == "nobody"


def test_a_jwt_opens_the_door_for_whoever_has_its_key() -> None:
    own = OwnCredentials(jwt_keys={"acme": (b"a1", b"a2"), "shop": (b"s1",), "both": (b"s1",)})
    keeper = keeper_of(own, SharedKeys(jwt=(b"all1", b"all2")))
    for key, path, opens in (
        ("a1", "/webhook/acme", "acme"),
        ("a2", "/webhook/ACME/messages-upsert", "acme"),
        ("s1", "/webhook/shop", "shop both"),
        ("s1", "/webhook/acme", "nobody"),
        ("s1", "/webhook/free", "nobody"),
        ("a1", "/webhook", "nobody"),
        ("all1", "/webhook", "acme shop both free"),
        ("all2", "/webhook/acme", "acme shop both free"),
        ("all", "/webhook/acme", "nobody"),
    ):
        assert keeper.opens(by_jwt(key), "acme", "shop", "both", "free", path=path) == opens
    assert keeper.opens(by_jwt("a1", 661), path="/webhook/acme") == "nobody"
    assert keeper.opens({"apikey": jwt.made("a1", NOW)}, path="/webhook/acme") == "nobody"


def test_a_signature_shows_its_sender_only_with_the_body() -> None:
    own = OwnCredentials(signing_keys={"acme": (SIGNING, b"t" * 32)})
    keeper = keeper_of(own, SharedKeys(signing=(b"u" * 32,)))
    body = b'{"a": 1}'
    for key, path, opens in (
        (SIGNING, "/webhook/acme", "acme"),
        (b"t" * 32, "/webhook/acme", "acme"),
        (b"u" * 32, "/webhook/acme", "acme free"),
        (b"u" * 32, "/webhook", "acme free"),
        (SIGNING, "/webhook", "nobody"),
        (SIGNING, "/webhook/free", "nobody"),
        (b"v" * 32, "/webhook/acme", "nobody"),
    ):
        assert keeper.opens(by_signature(key, body), "acme", "free", path=path, body=body) == opens
        assert keeper.opens(by_signature(key, body), path=path, body=body + b" ") == "nobody"
    late = by_signature(SIGNING, body, 301)
    assert keeper.door(head("POST", "/webhook/acme", late)) is None  # known before the body
    assert keeper.door(head("POST", "/webhook/acme", {"webhook-signature": "v1,x"})) is None
    nobody = keeper_of(own)
    assert nobody.door(head("POST", "/webhook/free", by_signature(SIGNING, body))) is None


def test_an_instance_is_guarded_by_any_credential() -> None:
    for own in (
        OwnCredentials(token_hashes={"acme": ("0" * 64,)}),
        OwnCredentials(jwt_keys={"acme": (b"a",)}),
        OwnCredentials(signing_keys={"acme": (SIGNING,)}),
    ):
        keeper = keeper_of(own, to_all=open_door)
        wrong = {**by_jwt("wrong"), **by_signature(b"w" * 32)}
        for headers in ({}, wrong):
            assert keeper.opens(headers, "acme", "free", path="/webhook/acme") == "free"


def test_a_signature_is_no_proof_against_what_is_not_known_yet() -> None:
    """I1: nobody is turned away for good before all secrets were read."""
    keeper = keeper_of(OwnCredentials(are_read=False), SharedKeys(signing=(SIGNING,)))
    assert keeper.opens(by_signature(SIGNING), "acme") == "acme"
    with pytest.raises(TokensUnknown):
        keeper.opens(by_signature(b"w" * 32))


@given(st.integers(0, 3), st.integers(0, 10_000), st.integers(0, 7))
def test_no_bit_of_a_credential_may_differ(kind: int, place: int, bit: int) -> None:
    own = OwnCredentials(
        {"acme": ("a token of acme",)},
        {"acme": (hashlib.sha256(b"another of acme").hexdigest(),)},
        {"acme": (b"key",)},
        {"acme": (SIGNING,)},
    )
    name, text = (
        ("apikey", "a token of acme"),
        ("apikey", "another of acme"),
        ("authorization", by_jwt("key")["authorization"]),
        ("webhook-signature", by_signature(SIGNING)["webhook-signature"]),
    )[kind]
    start = len("Bearer ") if name == "authorization" else 0
    at = start + place % (len(text) - start)
    flipped = text[:at] + chr(ord(text[at]) ^ 1 << bit) + text[at + 1 :]
    keeper, more = keeper_of(own), by_signature(SIGNING) if kind == 3 else {}
    assert keeper.opens({**more, name: text}, "acme", path="/webhook/acme") == "acme"
    assert keeper.opens({**more, name: flipped}, path="/webhook/acme") == "nobody"


async def test_what_the_sender_of_a_signed_webhook_is_told() -> None:
    """The payload's instance wins, and the credential must be good for it, and for all that it mentions."""
    own = OwnCredentials(
        jwt_keys={"demo": (b"key",)}, signing_keys={"demo": (SIGNING,), "acme": (b"a" * 32,)}
    )
    room = Room(keeper_of(own).door, "demo", "acme")

    async def post(path: str, instance: str, headers: Callable[[bytes], dict[str, str]]) -> int:
        body = payload(item(f"{path}{instance}{headers(b'')}"), instance=instance)
        request = head("POST", path, headers(body))
        seen = room.ingress.gate(request)
        if isinstance(seen, Response):
            return -seen.status
        response = await room.ingress.handle(msgspec.structs.replace(request, body=body))
        return response.status

    def signed(body: bytes) -> dict[str, str]:
        return by_signature(SIGNING, body)

    def badly(body: bytes) -> dict[str, str]:
        return by_signature(SIGNING, body + b" ")

    assert room.ingress.gate(head("POST", "/webhook/demo", signed(b""))) is UNPROVEN
    assert await post("/webhook/demo", "demo", signed) == 200
    assert await post("/webhook/demo", "demo", badly) == 401
    assert await post("/webhook/demo", "acme", signed) == 403
    assert await post("/webhook/acme", "demo", signed) == 401
    assert await post("/webhook", "demo", signed) == -401
    assert await post("/webhook/demo", "demo", lambda _: by_jwt("key")) == 200
    assert await post("/webhook/demo", "acme", lambda _: by_jwt("key")) == 403
    assert await post("/webhook/demo", "demo", lambda _: by_jwt("key", 661)) == -401
    assert [message.instance for message in room.accepted] == ["demo", "demo"]
    assert room.ingress.counters.lost.by_reason == {"wrong_or_missing_token": 4, "instance_not_allowed": 2}
    assert room.quarantined == []
