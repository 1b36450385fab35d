"""Who is escalated now, as far as this daemon has heard: what goes first where that is set."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import trio
from trio.testing import MockClock

from actors.errors import LedgerUnavailable
from actors.identity import Conversation
from daemon.config import load
from daemon.controls.escalated import REFRESH_SECONDS, EscalatedConversations
from daemon.controls.live_settings import LiveSettings
from daemon.ledger.rows import Escalated, SilenceReasons
from daemon.observe.feed import EventFeed

ONE, TWO, TAKEN = (Conversation("demo", f"55119{number}") for number in range(3))
ESCALATED = SilenceReasons(escalated=Escalated(datetime(2026, 1, 1, tzinfo=UTC), "asks_for_human"))


class Kept:
    def __init__(self) -> None:
        self.rows = {ONE: ESCALATED, TAKEN: SilenceReasons()}
        self.asked = 0
        self.away = False

    async def silent(self, _hand_back_seconds: float, _limit: int) -> dict[Conversation, SilenceReasons]:
        await trio.lowlevel.checkpoint()
        self.asked += 1
        if self.away:
            raise LedgerUnavailable("away")
        return dict(self.rows)


def _escalated(kept: Kept, setting: str, feed: EventFeed) -> EscalatedConversations:
    live = LiveSettings(load(None, [f"escalation.priority={setting}"], {}))
    known = EscalatedConversations(cast(Any, kept), live)
    feed.observe("turn.escalated", known.began)
    feed.observe("conversation.handed_back", known.ended)
    return known


async def test_those_of_the_ledger_and_those_heard_of_since(autojump_clock: MockClock) -> None:
    kept, feed = Kept(), EventFeed(strict=True)
    known = _escalated(kept, "true", feed)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(known.run)
        await trio.sleep(1)
        assert ONE in known and TWO not in known and TAKEN not in known
        feed.emit("turn.escalated", TWO, turn=1, reason="asks_for_human")
        feed.emit("conversation.handed_back", ONE, by="operator")
        assert TWO in known and ONE not in known
        kept.away = True  # what was known last stands
        await trio.sleep(2 * REFRESH_SECONDS)
        assert TWO in known
        kept.away = False
        await trio.sleep(2 * REFRESH_SECONDS)
        assert ONE in known and TWO not in known
        nursery.cancel_scope.cancel()


async def test_where_nobody_wants_to_know_the_ledger_is_not_asked(autojump_clock: MockClock) -> None:
    kept = Kept()
    known = _escalated(kept, "false", EventFeed(strict=True))
    with trio.move_on_after(300):
        await known.run()
    assert kept.asked == 0 and ONE not in known
