"""Watchers: events in order and with numbers, resumed where that is possible, and never waited for."""

from __future__ import annotations

import json

import trio

from actors.identity import Conversation
from daemon.realtime.session import SessionLimits
from tests.support.patience import PATIENCE_SECONDS
from tests.support.realtime import Door

DEMO = Conversation("demo", "5511999990012")
OTHER = Conversation("other", "5511999990013")


async def test_events_come_in_order_with_numbers_and_masked() -> None:
    """I11: as in `majlis tail`."""
    async with Door().open() as door, door.talk("watch") as talk:
        began = await talk.watch()
        for number in range(3):
            door.feed.emit("turn.done", DEMO, batch=number, text="canary", note="call +5511999990012")
        events = await talk.events(3)
        numbers = [event["seq"] for event in events]
        assert began["after"] == door.feed.seq - 3
        assert numbers == [door.feed.seq - 2, door.feed.seq - 1, door.feed.seq]
        assert events[0]["conversation"] == door.feed.label(DEMO) and events[0]["instance"] == "demo"
        assert "canary" not in json.dumps(events) and "5511999990012" not in json.dumps(events)


async def test_a_token_shows_its_instances_alone() -> None:
    """Not even events of the daemon as a whole, nor another instance that is asked for by name."""
    async with Door().open() as door, door.talk("watch-demo") as talk:
        await talk.watch(instances=["demo", "other"])
        door.feed.emit("turn.done", OTHER)
        door.feed.emit("provider.opened", None, instance="other", provider="x")
        door.feed.emit("daemon.ready")
        door.feed.emit("turn.done", DEMO)
        door.feed.emit("provider.opened", None, instance="demo", provider="x")
        assert [event["instance"] for event in await talk.events(2)] == ["demo", "demo"]
        await talk.watch(instances=["other"])
        door.feed.emit("turn.done", DEMO)
        door.feed.emit("turn.done", OTHER)
        await talk.watch(kinds=["turn.dead"])
        door.feed.emit("turn.dead", DEMO)
        assert (await talk.events(1))[0]["event"] == "turn.dead"


async def test_filters_by_conversation_and_kind() -> None:
    async with Door().open() as door, door.talk("watch") as talk:
        await talk.watch(conversations=[door.feed.label(DEMO)], kinds=["turn", "part.sent"])
        for who in (OTHER, DEMO):
            door.feed.emit("turn.done", who)
            door.feed.emit("part.sent", who)
            door.feed.emit("part.unknown", who)
        seen = [(event["event"], event["instance"]) for event in await talk.events(2)]
        assert seen == [("turn.done", "demo"), ("part.sent", "demo")]


async def test_who_comes_back_in_time_misses_nothing() -> None:
    async with Door().open() as door:
        async with door.talk("watch") as talk:
            began = await talk.watch(kinds=["turn"])
            door.feed.emit("turn.done", DEMO, batch=1)
            (seen,) = await talk.events(1)
        door.feed.emit("turn.done", DEMO, batch=2)
        async with door.talk("watch") as talk:
            again = await talk.watch(kinds=["turn"], boot=began["boot"], after=seen["seq"])
            assert (again["resumed"], again["why"]) == (True, "")
            door.feed.emit("turn.done", DEMO, batch=3)
            assert [event["batch"] for event in await talk.events(2)] == [2, 3]


async def test_who_comes_back_too_late_is_told_and_gets_what_is_left() -> None:
    async with Door(replay_events=5).open() as door:
        first = door.feed.seq
        for number in range(20):
            door.feed.emit("turn.done", DEMO, batch=number)
        async with door.talk("watch") as talk:
            again = await talk.watch(kinds=["turn"], boot=door.feed.boot, after=first)
            assert (again["resumed"], again["why"]) == (False, "too_old")
            door.feed.emit("turn.done", DEMO, batch="new")
            batches = [event["batch"] for event in await talk.events(5)]
            assert batches == [16, 17, 18, 19, "new"]  # the fifth place was taken by the connection itself


async def test_after_a_restart_everything_of_the_new_life_comes() -> None:
    async with Door().open() as door:
        door.feed.emit("turn.done", DEMO, batch=1)
        async with door.talk("watch") as talk:
            again = await talk.watch(kinds=["turn"], boot="an earlier life", after=1)
            assert (again["resumed"], again["why"], again["after"]) == (False, "restarted", 0)
            assert (await talk.events(1))[0]["batch"] == 1


async def test_a_watcher_that_reads_too_slowly_is_dropped_with_a_reason_and_the_others_go_on() -> None:
    """I8: it is neither waited for nor allowed to pile up memory."""
    limits = SessionLimits(max_queued_events=50)
    async with Door(limits=limits).open() as door, door.talk("watch") as slow, door.talk("watch") as quick:
        await slow.watch()
        await quick.watch(kinds=["turn.dead"])
        pad = "x" * 10_000
        with trio.fail_after(PATIENCE_SECONDS):
            while not door.feed.counters["realtime.dropped"]:
                door.feed.emit("turn.done", DEMO, pad=pad)
                await trio.lowlevel.checkpoint()
        door.feed.emit("turn.dead", DEMO)
        assert (await quick.events(1))[0]["event"] == "turn.dead"
        assert door.feed.reasons("realtime.dropped") == {"watcher": 1}


async def test_a_slow_watcher_that_reads_on_learns_why() -> None:
    limits = SessionLimits(max_queued_events=5)
    async with Door(limits=limits).open() as door, door.talk("watch") as slow:
        await slow.watch()
        for number in range(100):  # at once: nothing can be written meanwhile
            door.feed.emit("turn.done", DEMO, batch=number)
        assert await slow.closed() == (4413, "too_slow")


async def test_who_accepts_nothing_for_too_long_is_dropped() -> None:
    """I8: one frame that cannot be written ends the connection, even with few events."""
    limits = SessionLimits(write_seconds=0.2, close_seconds=0.1, max_queued_events=100_000)
    async with Door(limits=limits).open() as door, door.talk("watch") as slow:
        await slow.watch()
        pad = "x" * 100_000
        with trio.fail_after(PATIENCE_SECONDS):
            while not door.feed.counters["realtime.dropped"]:
                door.feed.emit("turn.done", DEMO, pad=pad)
                await trio.sleep(0.001)
