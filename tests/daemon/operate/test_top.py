"""The page of `majlis top`, which asks no store."""

from __future__ import annotations

from actors.counted import ActorView, Phase
from actors.identity import Conversation
from actors.messages import Message, Waiting
from daemon.operate.top import TopQuery
from tests.support.operators import Operators

ACME = Conversation("acme", "5511900000001")
SHOP = Conversation("shop", "5511900000002")


def view(conversation: Conversation, phase: Phase, left: float | None) -> ActorView:
    waiting = (Waiting(1, 1, Message(*conversation, "M", "hello", 1_000)),)
    return ActorView(conversation, phase, waiting, None, 0, 0, left, "window open")


async def test_one_page_of_ten_thousand() -> None:
    """The daemon sorts; idle conversations are not shown; labels are made only for the page."""
    operators = Operators()
    views = [
        view(Conversation("acme", str(place)), "idle" if place % 2 else "waiting", float(place))
        for place in range(10_000)
    ]
    views[9_998] = view(SHOP, "parked", None)
    operators.actors.show(*views)
    page = await operators.top.page(TopQuery(limit=20))
    assert (page.active, page.matching, len(page.rows)) == (10_000, 5_000, 20)
    assert [row.state for row in page.rows[:2]] == ["parked", "waiting"]
    assert page.rows[1].closes_in_seconds == 0
    second = await operators.top.page(TopQuery(sort="left", instance="acme", offset=20, limit=20))
    assert [row.closes_in_seconds for row in second.rows] == [float(place) for place in range(40, 80, 2)]
    assert second.rows[0].window_seconds == 8.0 and page.phases["idle"] == 5_000


async def test_latencies_are_those_of_recent_events() -> None:
    operators = Operators()
    for took_ms in range(1, 2_001):
        operators.feed.emit("turn.done", ACME, took_ms=took_ms)
    (turn,) = (await operators.top.page(TopQuery())).latencies
    assert (turn.what, turn.count, turn.p50_ms, turn.max_ms) == ("turn", 500, 1_751.0, 2_000.0)
