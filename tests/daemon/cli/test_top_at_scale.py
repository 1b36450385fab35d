"""`majlis top` with ten thousand conversations, from the actors to the lines of an 80 by 24 terminal."""

from __future__ import annotations

from collections import Counter

import trio
from rich.console import Console, Group
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.fairness import FairSlots
from actors.identity import Conversation
from actors.messages import WindowPolicy
from actors.permits import TurnPermits
from actors.supervisor import Supervisor
from daemon.cli.top_screen import SORTS, screen
from daemon.config import Settings
from daemon.controls.live_settings import LiveSettings
from daemon.observe.feed import EventFeed
from daemon.observe.latencies import Latencies
from daemon.observe.readiness import Health
from daemon.operate.actors import ActorSort
from daemon.operate.status import Watched
from daemon.operate.top import Top, TopPage, TopQuery
from tests.support.world import World

CROWD = 10_000
COLUMNS, LINES = 80, 24
ROWS = 30
"""More rows than fit on the screen."""


class CountingFeed(EventFeed):
    """Counts the labels it makes: each is a hash, the most expensive part of a row."""

    labels = 0

    def label(self, conversation: Conversation) -> str:
        self.labels += 1
        return super().label(conversation)


def top_of(supervisor: Supervisor, feed: EventFeed) -> Top:
    health = Health(feed)
    health.started()
    return Top(
        LiveSettings(Settings()),
        "node-a",
        health,
        supervisor,
        TurnPermits(FairSlots(1_000), FairSlots(4)),
        Latencies(feed),
        feed,
        Watched(pauses=tuple),
    )


def drawn(page: TopPage, sort: ActorSort, offset: int) -> list[str]:
    console = Console(width=COLUMNS, color_system=None)
    with console.capture() as captured:
        console.print(Group(*screen(page, {}, sort, offset, width=COLUMNS, height=LINES)))
    return captured.get().splitlines()


async def test_ten_thousand_open_windows_are_one_screen_and_a_look_makes_no_more_than_it_shows(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    world = World(policy=WindowPolicy(window_seconds=3_600))
    await world.start(nursery)
    for number in range(CROWD):
        conversation = Conversation(f"tenant-{number % 30:02}", f"5511{number:09}")
        await world.say("مرحبا", id=f"M{number}", conversation=conversation)
    await wait_all_tasks_blocked()  # every actor has opened its window
    feed = CountingFeed(strict=True)
    feed.set_install_id("test install")
    top = top_of(world.supervisor, feed)
    for sort in SORTS:
        seen: Counter[str] = Counter()
        for offset in (0, ROWS, CROWD - 5):
            feed.labels = 0
            page = await top.page(TopQuery(sort=sort, offset=offset, limit=ROWS))
            assert (page.active, page.open_windows, page.matching) == (CROWD, CROWD, CROWD)
            assert feed.labels == len(page.rows) == min(ROWS, CROWD - offset)
            seen.update(row.conversation for row in page.rows)
            lines = drawn(page, sort, offset)
            assert len(lines) <= LINES and max(map(len, lines)) <= COLUMNS
            assert lines[0].startswith("majlis ") and "windows 10,000" in lines[1]
            assert sum("█" in line for line in lines) == min(
                len(page.rows), LINES - 7
            )  # the counts take two lines
            assert f"of 10,000 busy conversations, by {sort}" in lines[-1]
        assert max(seen.values()) == 1, "no conversation is on two pages"
    nursery.cancel_scope.cancel()
