"""The cache of rarely changing values: one fetch for all callers, bounded age and size, failures not cached."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from daemon.lookups.remembered import Remembered


class Source:
    """Fetches that wait for a gate and fail on demand."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gate = trio.Event()
        self.failure: Exception | None = None

    async def fetch(self, name: str) -> str:
        self.asked.append(name)
        number = len(self.asked)
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return f"{name} {number}"


@pytest.fixture
def source() -> Source:
    return Source()


async def test_a_value_is_kept_for_keep_seconds(mock_clock: MockClock, source: Source) -> None:
    remembered = Remembered(source.fetch, keep_seconds=30)
    source.gate.set()
    assert remembered.known("a") is None
    assert await remembered.get("a") == "a 1"
    mock_clock.jump(29.9)
    assert (await remembered.get("a"), remembered.known("a")) == ("a 1", "a 1")
    mock_clock.jump(0.1)
    assert remembered.known("a") is None
    assert await remembered.get("a") == "a 2"


async def test_age_counts_from_the_start_of_the_fetch(mock_clock: MockClock, source: Source) -> None:
    remembered = Remembered(source.fetch, keep_seconds=30)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(remembered.get, "a")
        await wait_all_tasks_blocked()
        mock_clock.jump(29)
        source.gate.set()
    mock_clock.jump(1)
    assert await remembered.get("a") == "a 2"


@pytest.mark.parametrize("keep_seconds", [30, 0])
async def test_all_who_wait_share_one_fetch(source: Source, keep_seconds: float) -> None:
    remembered, found = Remembered(source.fetch, keep_seconds), []

    async def ask() -> None:
        found.append(await remembered.get("a"))

    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        source.gate.set()
    assert found == ["a 1"] * 100
    assert source.asked == ["a"]


async def test_a_failure_is_shared_and_not_kept(source: Source) -> None:
    remembered, failures = Remembered(source.fetch, keep_seconds=30), []

    async def ask() -> None:
        with pytest.raises(ValueError, match="away") as caught:
            await remembered.get("a")
        failures.append(caught.value)

    source.failure = ValueError("away")
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        source.gate.set()
    assert len(failures) == 3
    assert source.asked == ["a"]
    source.failure = None
    assert await remembered.get("a") == "a 2"


async def test_a_stale_value_is_never_served(mock_clock: MockClock, source: Source) -> None:
    remembered = Remembered(source.fetch, keep_seconds=30)
    source.gate.set()
    await remembered.get("a")
    mock_clock.jump(31)
    source.failure = ValueError("away")
    with pytest.raises(ValueError, match="away"):
        await remembered.get("a")


async def test_a_cancelled_fetch_is_taken_over(source: Source) -> None:
    remembered, found = Remembered(source.fetch, keep_seconds=30), []

    async def ask() -> None:
        found.append(await remembered.get("a"))

    async with trio.open_nursery() as nursery:
        first = trio.CancelScope()

        async def ask_and_leave() -> None:
            with first:
                await remembered.get("a")

        nursery.start_soon(ask_and_leave)
        await wait_all_tasks_blocked()
        for _ in range(3):
            nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        first.cancel()
        await wait_all_tasks_blocked()
        source.gate.set()
    assert found == ["a 2"] * 3
    assert source.asked == ["a", "a"]


async def test_a_fetch_in_progress_is_not_kept_after_forget(source: Source) -> None:
    remembered, found = Remembered(source.fetch, keep_seconds=30), []

    async def ask() -> None:
        found.append(await remembered.get("a"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        remembered.forget()
        source.gate.set()
    assert len(remembered) == 0
    source.asked.clear()
    source.gate = trio.Event()
    found.clear()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        remembered.forget()
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        source.gate.set()
    assert sorted(found) == ["a 1", "a 2"]
    assert await remembered.get("a") == "a 2"
    remembered.forget()
    assert len(remembered) == 0
    assert await remembered.get("a") == "a 3"


async def test_the_least_recently_used_value_is_dropped(source: Source) -> None:
    remembered = Remembered(source.fetch, keep_seconds=30, max_entries=2)
    source.gate.set()
    for name in ("a", "b", "a", "c"):
        await remembered.get(name)
    assert len(remembered) == 2
    assert (await remembered.get("a"), await remembered.get("c")) == ("a 1", "c 3")
    assert await remembered.get("b") == "b 4"
