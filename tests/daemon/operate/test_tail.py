"""The stream of events, filtered."""

from __future__ import annotations

import json

import pytest

from actors.identity import Conversation
from daemon.web.http1 import Peer, Request
from tests.support.operators import Operators

ACME = Conversation("acme", "5511999990012")
SHOP = Conversation("shop", "5511999990012")


def request(query: dict[str, str]) -> Request:
    return Request("GET", "/v1/tail", ("v1", "tail"), query, {}, b"", Peer("unix", uid=0))


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ({"kind": "turn.dnoe"}, "kind must be an event"),
        ({"kind": "turn.done,turn.dnoe"}, "kind must be an event"),
        ({"conversation": ACME.contact}, "conversation must be a conversation, as its label"),
    ],
)
async def test_an_unknown_event_or_conversation_is_refused(query: dict[str, str], wrong: str) -> None:
    answer = await Operators().api.handle(request(query))
    message = json.loads(answer.body)["message"]
    assert answer.status == 400 and wrong in message and ACME.contact not in message


@pytest.mark.parametrize(
    ("query", "seen"),
    [
        ({}, ["turn.done", "turn.done", "part.sent", "turn.dead"]),
        ({"kind": "turn"}, ["turn.done", "turn.done", "turn.dead"]),
        ({"kind": "part.sent,turn.dead"}, ["part.sent", "turn.dead"]),
        ({"instance": "acme", "kind": ","}, ["turn.done", "part.sent"]),
        ({"conversation": f"shop/+{SHOP.contact}"}, ["turn.done", "turn.dead"]),
        ({"conversation": ACME.label("test install")}, ["turn.done", "part.sent"]),
    ],
)
async def test_events_are_filtered(query: dict[str, str], seen: list[str]) -> None:
    operators = Operators()
    answer = await operators.api.handle(request(query))
    assert answer.status == 200 and answer.stream is not None
    operators.feed.emit("turn.done", ACME, batch=1)
    operators.feed.emit("turn.done", SHOP, batch=1)
    operators.feed.emit("part.sent", ACME)
    operators.feed.emit("turn.dead", SHOP, reason="refused")
    lines = [json.loads(await answer.stream.receive()) for _ in seen]
    assert [line["event"] for line in lines] == seen
    await answer.stream.aclose()
