"""What the admin door looks through and steers by, without a daemon."""

from __future__ import annotations

import msgspec
import trio

from daemon.operate import AlertView, Conflict, NotFound, ProviderView
from daemon.operate.control_views import (
    Draining,
    InstanceFlushed,
    InstancePause,
    InstanceResumed,
    LogLevel,
    LogLevelView,
)
from daemon.operate.inspect_views import (
    ConfigPage,
    ConfigValue,
    Explanation,
    LatencyView,
    LeaseOwner,
    LeasePage,
    LeaseView,
    Step,
    TaskView,
    TopPage,
    TopRow,
    TopSort,
    TreePage,
    TurnHeadView,
    TurnPage,
)

PHONE = "5511999990012"
SAID = "how much is a room for two nights"
STAFF = "5511900000099"


def top_page(rows: int = 12) -> TopPage:
    """A busy daemon: 10,000 conversations, of which the page shows a few."""
    return TopPage(
        at="2026-01-31T12:00:01.000Z",
        node_id="node-a",
        version="0.1.0",
        ready=True,
        draining=False,
        uptime_seconds=100.0,
        active=10_000,
        open_windows=3_120,
        waiting_messages=9_031,
        phases={"answering": 42, "queued": 3, "holding": 2, "retrying": 1, "parked": 1, "waiting": 3_120},
        slots_held=42,
        slots=50,
        counters={"message.accepted": 1_000, "turn.done": 300, "turn.dead": 1},
        latencies=[
            LatencyView(what=what, count=500, p50_ms=p50, p95_ms=p95, max_ms=p95)
            for what, p50, p95 in (("turn", 1_050.0, 2_400.0), ("window lateness", 3.0, 14.0))
        ],
        providers=[
            ProviderView(name="main", state="closed"),
            ProviderView(name="backup", state="open", failures=5, last_reason="timed_out", wait_seconds=12.0),
        ],
        alerts=[
            AlertView(
                flag="queue_depth", meaning="messages that wait", value=9_031, threshold=1_000, seconds=33.0
            )
        ],
        pauses=[InstancePause(instance="clinic", since="2026-01-31T11:00:00.000Z")],
        matching=3_169,
        rows=[_row(place) for place in range(rows)],
    )


def _row(place: int) -> TopRow:
    held = place == 0
    return TopRow(
        conversation=f"{place:010x}",
        instance="shop-with-a-long-name-in-the-north",
        contact=PHONE,
        state="holding" if held else "waiting",
        waiting_messages=2,
        closes_in_seconds=24.0 if held else 4.0,
        why="the gateway is not connected" if held else "window open",
        window_seconds=8.0,
    )


def explanation() -> Explanation:
    return Explanation(
        message="3EB0C7",
        conversation="3fa9c01b22",
        instance="acme",
        contact=PHONE,
        partition=17,
        kind="text",
        text=SAID,
        state="answered",
        why="answered 9.8 s after its burst began",
        turns=[7],
        steps=[
            Step(at="2026-01-31T12:00:00.000Z", what="arrived", detail="stored durably in the mirror"),
            Step(
                at="2026-01-31T12:00:08.004Z", what="window closed", detail="its time was over: turn 7 begins"
            ),
            Step(at="", what="lookups", detail="12 ms in all: history 8"),
            Step(
                at="2026-01-31T12:00:09.800Z",
                what="part 1",
                detail="sent",
                text="A room is 80 a night.",
                gateway_id="3EB0AB",
            ),
        ],
    )


class FakeInsight:
    def __init__(self) -> None:
        self.page = top_page()
        self.asked: list[tuple[TopSort, str | None, int, int]] = []

    async def tree(self, limit: int) -> TreePage:
        await trio.lowlevel.checkpoint()
        children = [
            TaskView(task=f"conversation/{place:010x}", at="actors/actor.py:1 _sleep")
            for place in range(limit)
        ]
        return TreePage(tasks=102, tree=TaskView(task="main", children=children, more=100 - limit))

    async def config(self, reveal: bool) -> ConfigPage:
        await trio.lowlevel.checkpoint()
        staff = STAFF if reveal else "…99"
        return ConfigPage(
            values=[
                ConfigValue(key="batching.window_seconds", value="5.0", origin="--set"),
                ConfigValue(
                    key="gateway.api_key", value="****", origin="environment MAJLIS_GATEWAY__API_KEY"
                ),
                ConfigValue(key="escalation.notify_numbers", value=f"[{staff}]", origin="config.yaml"),
                ConfigValue(key="turn.max_tries", value="3", origin="default"),
            ]
        )

    async def leases(self) -> LeasePage:
        await trio.lowlevel.checkpoint()
        return LeasePage(
            node_id="node-a",
            partitions=3,
            held=2,
            fenced=1,
            owners=[
                LeaseOwner(owner="node-a", ours=True, partitions=1, seconds_left=9.1),
                LeaseOwner(owner="node-b", ours=False, partitions=1, seconds_left=4.0),
            ],
            leases=[
                LeaseView(partition=0, epoch=4, owner="node-a", seconds_left=9.1, fenced=True),
                LeaseView(partition=1, epoch=7, owner="node-b", seconds_left=4.0),
                LeaseView(partition=2, epoch=0),
            ],
        )

    async def explain(self, message_id: str, instance: str | None) -> Explanation:
        await trio.lowlevel.checkpoint()
        if message_id != "3EB0C7":
            raise NotFound("No message of this id is known.")
        if instance not in (None, "acme"):
            raise Conflict("Messages of acme and shop have this id: say which, with --instance acme.")
        return explanation()

    async def turns(self, instance: str | None, limit: int) -> TurnPage:
        await trio.lowlevel.checkpoint()
        head = TurnHeadView(
            id=7,
            conversation="3fa9c01b22",
            instance=instance or "acme",
            contact=PHONE,
            state="done",
            messages=3,
            provider="main",
            started_at="2026-01-31T12:00:08.004Z",
            ended_at="2026-01-31T12:00:09.810Z",
            took_ms=1_806.0,
        )
        return TurnPage([head][:limit])

    async def top(self, sort: TopSort, instance: str | None, offset: int, limit: int) -> TopPage:
        """Each look is a second after the one before."""
        await trio.lowlevel.checkpoint()
        self.asked.append((sort, instance, offset, limit))
        counters = {name: total + 10 for name, total in self.page.counters.items()}
        self.page = msgspec.structs.replace(
            self.page, uptime_seconds=self.page.uptime_seconds + 1, counters=counters
        )
        return msgspec.structs.replace(self.page, rows=self.page.rows[:limit])


class FakeControl:
    def __init__(self) -> None:
        self.paused: dict[str | None, int | None] = {}
        self.level: LogLevel = "info"
        self.drained = 0

    async def flush(self, instance: str | None) -> InstanceFlushed:
        await trio.lowlevel.checkpoint()
        return InstanceFlushed(instance=instance or "", conversations=2, messages=5)

    async def pause(self, instance: str | None, seconds: int | None) -> InstancePause:
        await trio.lowlevel.checkpoint()
        if instance == "nobody":
            raise NotFound("The database has no instance called nobody: check the spelling.")
        ends = {None: "", 60: "2026-01-31T13:00:00.000Z"}
        stood_until = ends[self.paused[instance]] if instance in self.paused else None
        self.paused[instance] = seconds
        return InstancePause(
            instance=instance or "",
            since="2026-01-31T12:00:00.000Z",
            until=ends[seconds],
            stood_until=stood_until,
        )

    async def resume(self, instance: str | None) -> InstanceResumed:
        await trio.lowlevel.checkpoint()
        if instance not in self.paused:
            raise Conflict(f"{instance} is not paused: there is nothing to resume.")
        del self.paused[instance]
        return InstanceResumed(instance=instance or "")

    async def drain(self) -> Draining:
        await trio.lowlevel.checkpoint()
        self.drained += 1
        return Draining(seconds=20.0, active=12, running_turns=2)

    async def log_level(self) -> LogLevelView:
        await trio.lowlevel.checkpoint()
        return LogLevelView(level=self.level, configured="info")

    async def set_log_level(self, level: LogLevel) -> LogLevelView:
        self.level = level
        return await self.log_level()
