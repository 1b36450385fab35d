"""Tokens of instances at the door: for whom each opens, and what is said while they are not known."""

from __future__ import annotations

import msgspec
import pytest

from daemon.ingress.access import (
    Authorize,
    DoorTokens,
    OwnTokens,
    SharedToken,
    TokensUnknown,
    any_instance,
    is_stranger,
    open_door,
    somebody_here,
)
from daemon.ingress.known_instances import KnownInstances
from daemon.web.http1 import Peer, Request
from tests.daemon.ingress.test_gate import head
from tests.daemon.ingress.test_webhooks import Room, item, payload

SHARED = SharedToken(["shared"])


class Doorkeeper:
    """A door whose tokens a test changes."""

    def __init__(self, to_all: Authorize = SHARED, own: OwnTokens | None = None) -> None:
        self.own = own or OwnTokens({"acme": ("a1", "a2"), "shop": ("s1",), "both": ("a1",)})
        self.known = KnownInstances(["acme", "shop", "free"])
        self.door = DoorTokens(to_all, lambda: self.own, self.known)

    def allows(self, token: str, *names: str, path: str = "/webhook") -> str:
        allows = self.door(head("POST", path, {"apikey": token} if token else {}))
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
    bearer = keeper.door(head("POST", "/webhook/shop", {"authorization": "Bearer s1"}))
    assert bearer is not None and bearer("shop")


def test_a_change_of_tokens_counts_from_the_next_request_on() -> None:
    keeper = Doorkeeper()
    assert keeper.allows("s1", "shop") == "shop"
    keeper.own = OwnTokens({"shop": ("s2",)})
    assert keeper.allows("s1") == "nobody"
    assert keeper.allows("s2", "shop", "acme") == "shop"


def test_where_the_door_is_open_it_stays_so_for_instances_without_a_token() -> None:
    keeper = Doorkeeper(open_door)
    assert keeper.allows("", "acme", "shop", "free", "stranger") == "free stranger"
    assert keeper.allows("s1", "acme", "shop", "free") == "shop"
    assert Doorkeeper(open_door, OwnTokens()).door(head("POST", "/webhook")) is somebody_here


def test_a_stranger_stays_one_beside_instances_with_tokens() -> None:
    """Without a token only who is at this machine is believed, and may still not post for a guarded instance."""
    keeper = Doorkeeper(open_door)
    for address, stranger in (("127.0.0.1", False), ("10.0.0.1", True)):
        request = msgspec.structs.replace(head("POST", "/webhook"), peer=Peer(address))
        allows = keeper.door(request)
        assert allows is not None and is_stranger(allows) is stranger
        assert allows("free") and not allows("shop")


def test_nobody_is_turned_away_while_it_is_not_known_which_token_is_right() -> None:
    """I1: the gateway never sends again what was answered 401 or 403."""
    unread = Doorkeeper(own=OwnTokens(are_read=False))
    with pytest.raises(TokensUnknown):
        unread.allows("anything")
    assert unread.door(head("POST", "/webhook/shop", {"apikey": "shared"})) is any_instance

    shut = OwnTokens({"shop": ("s1",)}, frozenset({"acme"}))
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
    keeper = Doorkeeper(open_door, OwnTokens({"demo": ("d1",)}, frozenset({"acme"})))
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
