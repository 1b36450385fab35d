"""What the service manager is notified of in each phase, and what stops its watchdog pings."""

from __future__ import annotations

import trio
import trio.testing

from actors.errors import LedgerUnavailable
from daemon.observe.feed import EventFeed
from daemon.observe.readiness import Health
from daemon.run.systemd import ServiceManager
from daemon.run.watchdog import (
    MORE_SECONDS,
    RELOAD_SECONDS,
    STATUS_SECONDS,
    STOP_BOUND_SECONDS,
    Liveness,
    Watchdog,
)


class Heard(ServiceManager):
    """Keeps what would be sent."""

    def __init__(self, watchdog_seconds: float | None = 4.0) -> None:
        super().__init__(None, watchdog_seconds)
        self.said: list[str] = []

    @property
    def is_there(self) -> bool:
        return True

    def _send(self, lines: str) -> None:
        self.said.append(lines)

    def count(self, line: str) -> int:
        return self.said.count(line)


class Scene:
    def __init__(self) -> None:
        self.manager = Heard()
        self.feed = EventFeed(strict=True)
        self.health = Health(self.feed)
        self.liveness = Liveness()
        self.reloads = 0
        self.reload_takes_seconds = 0.0
        self.reload_fails: Exception | None = None
        self.watchdog = Watchdog(
            self.manager,
            self.health,
            self.feed,
            at_work=lambda: "2 conversations wait",
            late=self.liveness.late,
            reload=self._reload,
        )

    async def _reload(self) -> None:
        self.reloads += 1
        await trio.sleep(self.reload_takes_seconds)
        if self.reload_fails is not None:
            raise self.reload_fails

    def ready(self) -> None:
        self.health.started()
        self.watchdog.ready()


MORE = f"EXTEND_TIMEOUT_USEC={int(MORE_SECONDS * 1_000_000)}"


async def test_a_long_start_asks_for_more_time_and_says_why(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    scene = Scene()
    scene.health.report("redis", ("Redis evicts keys: set maxmemory-policy noeviction.",))
    await nursery.start(scene.watchdog.run)
    await trio.sleep(20 * STATUS_SECONDS)
    assert scene.manager.count(MORE) > 20
    assert scene.manager.said[-3].startswith("STATUS=Starting. Majlis is starting. Redis evicts keys:")
    assert "READY=1" not in scene.manager.said


async def test_ready_asks_for_no_more_time_and_reports_its_status(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    scene = Scene()
    await nursery.start(scene.watchdog.run)
    scene.ready()
    asked = scene.manager.count(MORE)
    await trio.sleep(60)
    assert scene.manager.count(MORE) == asked
    assert "STATUS=Ready: 2 conversations wait." in scene.manager.said
    scene.health.report("redis", ("Redis is away.",))
    await trio.sleep(STATUS_SECONDS)
    assert scene.manager.said[-2] == "STATUS=Not ready: Redis is away."
    assert scene.manager.said[-1] == "WATCHDOG=1"


async def test_a_part_that_hangs_starves_the_watchdog_until_it_turns(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    scene = Scene()
    turned = scene.liveness.expect("due poll", 60)
    await nursery.start(scene.watchdog.run)
    scene.ready()
    await trio.sleep(61)
    fed = scene.manager.count("WATCHDOG=1")
    assert fed > 25
    await trio.sleep(30)
    assert scene.manager.count("WATCHDOG=1") <= fed + 1
    assert scene.feed.counters["daemon.stalled"] == 1
    starved = scene.manager.count("WATCHDOG=1")
    turned()
    await trio.sleep(3)
    assert scene.manager.count("WATCHDOG=1") > starved


async def test_a_gauge_is_asked_each_time(autojump_clock: trio.testing.MockClock) -> None:
    liveness, hanging = Liveness(), [0.0]
    liveness.gauge("append writer", 60, lambda: hanging[0])
    assert liveness.late() == ()
    hanging[0] = 61
    assert liveness.late() == ("append writer",)


async def test_a_stop_asks_for_more_time_within_its_bound(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    scene = Scene()
    await nursery.start(scene.watchdog.run)
    scene.ready()
    scene.watchdog.stopping(20, "SIGTERM")
    await trio.sleep(20 + STOP_BOUND_SECONDS)
    asked = scene.manager.count(MORE)
    assert asked > 20
    await trio.sleep(60)
    assert scene.manager.count(MORE) <= asked + 1
    assert scene.manager.count("STOPPING=1") == 1
    assert any(line.startswith("STATUS=Stopping (SIGTERM): ") for line in scene.manager.said)


async def test_reloads_go_one_after_another_and_end_ready(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    scene = Scene()
    scene.reload_takes_seconds = 1.0
    await nursery.start(scene.watchdog.run)
    scene.watchdog.reload()
    await trio.sleep(1)
    assert scene.reloads == 0  # a start reads everything anyway
    scene.ready()
    for _ in range(3):
        scene.watchdog.reload()
    await trio.sleep(0.5)
    scene.watchdog.reload()
    await trio.sleep(5)
    assert scene.reloads == 2
    assert scene.manager.count("READY=1") == 3
    assert sum(line.startswith("RELOADING=1\nMONOTONIC_USEC=") for line in scene.manager.said) == 2


async def test_a_reload_that_fails_or_hangs_leaves_it_ready(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    scene = Scene()
    await nursery.start(scene.watchdog.run)
    scene.ready()
    for failure in (LedgerUnavailable("gone"), RuntimeError("a bug")):
        scene.reload_fails = failure
        scene.watchdog.reload()
        await trio.sleep(1)
    scene.reload_takes_seconds = 10 * RELOAD_SECONDS
    scene.watchdog.reload()
    await trio.sleep(RELOAD_SECONDS + 1)
    assert scene.feed.counters["settings.reload_failed"] == 3
    assert scene.manager.count("READY=1") == 4


async def test_a_start_that_ends_while_it_is_stopped_is_not_ready(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    """The recovery may come to its end while the drain runs: a stop stays one, and keeps asking for its time."""
    scene = Scene()
    await nursery.start(scene.watchdog.run)
    scene.watchdog.stopping(20, "SIGTERM")
    scene.ready()
    assert "READY=1" not in scene.manager.said
    asked = scene.manager.count(MORE)
    await trio.sleep(2 * STATUS_SECONDS)
    assert scene.manager.count(MORE) > asked
