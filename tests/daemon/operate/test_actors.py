"""Active conversations, sorted and cut into pages."""

from __future__ import annotations

from typing import get_args

import pytest

from actors.counted import ActorView, Phase
from actors.identity import Conversation
from daemon.operate.actors import ActorSort, ActorsQuery, actor_row
from tests.support.operators import Operators


def view(contact: str, phase: Phase = "waiting", **fields: object) -> ActorView:
    conversation = Conversation(str(fields.pop("instance", "acme")), contact)
    known = {"waiting": (), "batch_number": None, "batch_messages": 0, "attempts": 0, "seconds_left": None}
    return ActorView(conversation, phase, **{**known, "why": "", **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sort", "first"),
    [
        ("urgency", "parked"),
        ("left", "soon"),
        ("messages", "many"),
        ("tries", "tried"),
        ("instance", "early"),
    ],
)
async def test_each_sort_order_begins_with_the_right_actor(sort: ActorSort, first: str) -> None:
    operators = Operators()
    operators.actors.show(
        view("soon", seconds_left=1.0),
        view("parked", "parked"),
        view("many", batch_messages=9, seconds_left=5.0),
        view("tried", attempts=2, seconds_left=5.0),
        view("early", instance="aaa", seconds_left=5.0),
    )
    page = await operators.listed.page(ActorsQuery(sort=sort, limit=1))
    assert (page.total, page.matching) == (5, 5) and [row.contact for row in page.actors] == [first]
    assert sort in get_args(ActorSort)


async def test_pages_follow_one_another_without_gaps() -> None:
    operators = Operators()
    operators.actors.show(*(view(str(place), seconds_left=float(place)) for place in range(25)))
    pages = [await operators.listed.page(ActorsQuery(offset=offset, limit=10)) for offset in (0, 10, 20)]
    assert [row.contact for page in pages for row in page.actors] == [str(place) for place in range(25)]
    assert [len(page.actors) for page in pages] == [10, 10, 5]


def test_a_conversation_held_by_a_pause_shows_no_time_left() -> None:
    """`held_by` decides, not the sentence."""
    paused = view("1", "holding", seconds_left=3_600.0, held_by="pause")
    assert actor_row(paused, "label").closes_in_seconds is None
    away = view("1", "holding", seconds_left=24.0, held_by="gateway", why="paused by an operator")
    assert actor_row(away, "label").closes_in_seconds == 24.0
