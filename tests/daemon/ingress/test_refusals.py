"""Webhooks whose messages are lost: which refusals count, and under whose name."""

from __future__ import annotations

import json

import pytest

from daemon.ingress.access import SharedToken, anybody, open_door, somebody_here
from daemon.ingress.refusals import ADVICE, MAX_NAMES, OTHERS, UNKNOWN, Refusals, refusal_of
from daemon.ingress.unknown import MAX_UNKNOWN
from daemon.ingress.webhooks import MAX_LOOKED_AT
from daemon.web.http1 import Limits, Peer, Request
from tests.daemon.ingress.test_webhooks import Room, item, payload
from tests.daemon.web.http1.support import serving

BODY = payload(item("A"))


def lost(room: Room) -> dict[str, dict[str, int]]:
    return {view.reason: view.instances for view in room.ingress.counters.lost.views(0.0)}


@pytest.mark.parametrize(
    ("method", "segments", "body", "found"),
    [
        ("POST", ("webhook", "shop"), BODY, {"wrong_or_missing_token": {"shop": 1}}),
        ("POST", ("WebHook", "", "SHOP", ""), BODY, {"wrong_or_missing_token": {"shop": 1}}),
        ("POST", ("webhook", "5511999990000"), BODY, {"wrong_or_missing_token": {UNKNOWN: 1}}),
        ("POST", ("webhook",), BODY, {"wrong_or_missing_token": {UNKNOWN: 1}}),
        ("POST", ("webhook", "shop", "a", "b"), b"", {"no_such_route": {"shop": 1}}),
        ("POST", ("xmlrpc.php",), b"<xml/>", {}),
        ("POST", ("hooks", "shop"), BODY, {}),  # by a stranger
        ("GET", ("webhook", "shop"), b"", {}),
        ("GET", ("wp-login.php",), b"", {}),
    ],
)
async def test_a_refusal_counts_where_a_message_may_be_lost(
    method: str, segments: tuple[str, ...], body: bytes, found: dict[str, dict[str, int]]
) -> None:
    room = Room(SharedToken(["good"]), "shop")
    assert (await room.ask(method, *segments, body=body)).status in (401, 404, 405)
    assert lost(room) == found
    assert [event for event, _ in room.events] == ["webhook.refused"] * len(found)


async def test_a_wrong_address_counts_for_who_may_post() -> None:
    room = Room(open_door, "shop")
    far_away = ("a",) * MAX_LOOKED_AT + ("shop",)  # I8: a path may have thousands of names
    for segments in (("hooks", "Shop"), ("",), ("Webhooks",), far_away):
        assert (await room.ask("POST", *segments, body=b' {"event":1}')).status == 404
    assert lost(room) == {"no_such_route": {"shop": 1, UNKNOWN: 3}}


async def test_a_payload_that_cannot_be_read_or_is_not_allowed_is_counted() -> None:
    room = Room(open_door, "shop")
    await room.ask("POST", "webhook", "shop", body=b"{")
    await room.ingress.receive(BODY, "shop", allows=lambda instance: instance == "demo")
    assert lost(room) == {"instance_not_allowed": {"shop": 1}, "unreadable": {"shop": 1}}


async def test_what_the_http_server_refuses_is_counted_under_its_name() -> None:
    """I8: a body that is too large never gets to the handler, nor does a head that cannot be read."""
    room = Room(open_door, "shop")
    head = b"POST %b HTTP/1.1\r\nHost: a\r\n%b\r\n"
    large, ambiguous = b"Content-Length: 5000\r\n", b"Content-Length: 1\r\nContent-Length: 2\r\n"
    requests = (
        head % (b"/webhook/Shop", large),
        head % (b"/webhook/shop", b"Transfer-Encoding: chunked\r\n") + b"fff\r\n",
        head % (b"/webhook/sho%70?x=1", ambiguous),
        head % (b"/webhook/50%off", b""),
        head % (b"/health/live", b"") + head % (b"/login", large),
        head % (b"/webhook/shop", b"Content-Length: 9\r\n") + b"{",  # cut short: its sender posts again
        b"GET /webhook/shop HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\r\n\r\n",
    )
    limits = Limits(max_body_bytes=1000)
    async with serving(room.ingress.handle, limits, on_rejected=room.ingress.rejected) as served:
        for request in requests:
            async with await served.connect() as stream:
                await stream.send_all(request)
                await stream.send_eof()
                while await stream.receive_some():
                    pass
    assert lost(room) == {"malformed_request": {"shop": 1, UNKNOWN: 1}, "body_too_large": {"shop": 2}}


@pytest.mark.parametrize(
    ("status", "reason", "refusal"),
    [
        (413, "body_too_large", "body_too_large"),
        (431, "head_too_large", "malformed_request"),
        (400, "bad_target", "malformed_request"),
        (400, "request_cut_short", None),
        (408, "body_too_slow", None),
        (503, "too_many_bytes_in_flight", None),
    ],
)
def test_what_comes_again_is_not_lost(status: int, reason: str, refusal: str | None) -> None:
    assert refusal_of(status, reason) == refusal


def test_a_view_says_how_many_when_and_what_to_do() -> None:
    """The latest first; a bounded number of names."""
    refusals = Refusals()
    for number in range(MAX_NAMES + 5):
        refusals.add("unreadable", f"shop-{number}", 10.0)
    refusals.add("wrong_or_missing_token", "shop", 70.0)
    latest, first = refusals.views(100.0)
    assert (latest.reason, latest.count, latest.seconds_ago) == ("wrong_or_missing_token", 1, 30.0)
    assert latest.advice == ADVICE["wrong_or_missing_token"] and "apikey" in latest.advice
    assert (first.count, first.instances[OTHERS], len(first.instances)) == (MAX_NAMES + 5, 5, MAX_NAMES + 1)


async def test_where_path_and_payload_differ_the_sender_must_be_allowed_to_post_for_the_winner() -> None:
    """I11: a client of one shop posts nothing for another, whatever the path says."""
    room = Room(open_door, "shop", "demo")
    mine = {"shop"}.__contains__
    answer = await room.ingress.receive(BODY, "shop", allows=mine)  # the payload names `demo`
    assert (answer.status, room.accepted) == (403, [])
    assert lost(room) == {"instance_not_allowed": {"demo": 1}} and not room.ingress.counters.overruled
    answer = await room.ask("POST", "webhook", "Shop", body=BODY)
    assert (answer.status, [message.instance for message in room.accepted]) == (200, ["demo"])
    assert room.ingress.counters.overruled == {"shop → demo": 1}
    assert room.events[-1][0] == "webhook.mismatch"


@pytest.mark.parametrize("path", [None, "shop", "SHOP", "demo", " Demo ", "messages-upsert", "typo", ""])
async def test_no_spelling_of_another_instance_gets_past_what_a_client_may(path: str | None) -> None:
    """I11: in the path, the payload or both; what lands, lands where the client may post."""
    other = (
        "demo",
        "DEMO",
        " demo\n",
        "Demo\u200b",
        "ｄｅｍｏ",
        "de\0mo",
        "demo/",
        "café",
        "CAFE\u0301",
        "DEMİ",
        "strasse",
    )
    room = Room(open_door, "shop", "demo", "café", "demi", "straße")
    for number, named in enumerate(("shop", "Shop ", *other)):
        document = json.loads(payload(item(f"A{number}"))) | {"instance": named}
        answer = await room.ingress.receive(
            json.dumps(document).encode(), path, None, allows={"shop"}.__contains__
        )
        assert answer.status in (200, 400, 403)
    assert {message.instance for message in room.accepted} <= {"shop"}
    assert bool(room.accepted) is (path in (None, "shop"))


@pytest.mark.parametrize(
    ("segments", "instance"),
    [
        (("", "webhook", "", "shop", "", "messages-upsert", ""), "shop"),
        (("WEBHOOK", "SHOP"), "shop"),
        (("webhook", "", "messages-upsert"), "demo"),
        (("webhook", "/"), "/"),  # an encoded slash is part of a name
        (("webhook", "//Shop"), "//Shop"),
    ],
)
async def test_the_path_of_a_webhook_is_read_forgivingly(segments: tuple[str, ...], instance: str) -> None:
    room = Room(open_door, "shop")
    assert (await room.ask("POST", *segments, body=BODY)).status == 200
    assert [message.instance for message in room.accepted] == [instance]


@pytest.mark.parametrize("segments", [("Health", "live"), ("", "health", "live"), ("health", "", "live")])
async def test_no_other_route_is_more_forgiving(segments: tuple[str, ...]) -> None:
    """A proxy may keep strangers from it by its path."""
    assert (await Room().ask("GET", *segments)).status == 404


async def test_an_unknown_instance_is_named_at_once_and_a_stranger_is_not_believed() -> None:
    """Names are kept of senders who proved something; what a stranger sent is marked as his."""
    room = Room(SharedToken(["good"]), "shop")
    room.known.learn(["shop"])
    assert (await room.ingress.receive(BODY, "ghost")).status == 200
    assert (await room.ingress.receive(payload(item("B")), "made-up", allows=anybody)).status == 200
    assert (await room.ingress.receive(payload(item("C")), "here", allows=somebody_here)).status == 200
    assert (await room.ingress.receive(payload(item("D")), "shop", allows=anybody)).status == 200
    assert [message.stranger for message in room.accepted] == [False, True, False, False]
    seen = room.ingress.counters.unknown
    assert {(one.instance, one.messages) for one in seen.views(0.0)} == {
        ("ghost", 1),
        (UNKNOWN, 1),
        ("here", 1),
    }
    room.known.learn(["shop", "ghost"])
    assert {one.instance for one in seen.views(0.0)} == {UNKNOWN, "here"}, "it has been set up"
    for number in range(2 * MAX_UNKNOWN):
        await room.ingress.receive(payload(item(f"E{number}")), f"name-{number}")
    views = seen.views(0.0)
    assert len(views) == MAX_UNKNOWN + 1 and OTHERS in {one.instance for one in views}


async def test_nobody_is_unknown_before_the_stored_names_are_read() -> None:
    room = Room(SharedToken(["good"]), "shop")
    assert (await room.ingress.receive(BODY, "stored")).status == 200
    assert room.ingress.counters.unknown.messages == 0


def test_only_this_machine_is_believed_without_a_token() -> None:
    def asked_from(address: str) -> object:
        return open_door(Request("POST", "/webhook", ("webhook",), {}, {}, b"", Peer(address)))

    assert {asked_from(one) for one in ("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1")} == {
        somebody_here
    }
    assert {asked_from(one) for one in ("10.0.0.1", "::ffff:10.0.0.1", "2001:db8::1", "12.7.0.1")} == {
        anybody
    }
