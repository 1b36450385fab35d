"""Finding one message in the mirror, and its arrival: waiting, frozen, answered, and answered long ago."""

from __future__ import annotations

from actors.identity import Conversation
from actors.messages import WindowPolicy
from daemon.mirror.arrivals import Arrivals
from daemon.mirror.keys import place
from daemon.mirror.survey import Survey
from tests.support.mirrors import PARTITIONS, fake_store, fenced_mirror, message

POLICY = WindowPolicy(8.0, 5, 50, 1_000)
DEMO = Conversation("demo", "5511999")


async def test_a_message_is_found_among_all_that_is_pending() -> None:
    async with fake_store() as store:
        mirror = await fenced_mirror(store)
        arrivals = Arrivals(store, Survey(store, mirror), PARTITIONS)
        for number in range(20):
            await mirror.append(message(number, contact=f"55119990{number}"), POLICY)
        receipt = await mirror.append(message(7, instance="acme"), POLICY)
        found = await arrivals.find("M7", None)
        assert {one.conversation.instance for one in found} == {"demo", "acme"}
        (mine,) = await arrivals.find("M7", "acme")
        assert (mine.seq, mine.at_ms, mine.message) == (
            receipt.seq,
            receipt.at_ms,
            message(7, instance="acme"),
        )
        assert await arrivals.find("M99", None) == []
        wanted = [("demo", "M7"), ("demo", "M19"), ("demo", "M99"), ("acme", "M8"), ("none", "M1")]
        assert await arrivals.waits_in(wanted) == {
            ("demo", "M7"): Conversation("demo", "551199907"),
            ("demo", "M19"): Conversation("demo", "5511999019"),
        }


async def test_the_arrival_time_is_known_as_long_as_the_id() -> None:
    async with fake_store() as store:
        mirror = await fenced_mirror(store)
        arrivals = Arrivals(store, Survey(store, mirror), PARTITIONS)
        receipt = await mirror.append(message(1), POLICY)
        batch = await mirror.freeze(DEMO, 1, "timeout", POLICY)
        assert batch is not None and await arrivals.find("M1", None) != []
        await mirror.commit(DEMO, 1, batch, "answered")
        assert await arrivals.find("M1", None) == []  # nothing of it is pending
        answered = await arrivals.arrival(DEMO, "M1")
        assert answered is not None and answered.at_ms == receipt.at_ms and answered.message == message(1)
        await store.command("DEL", place(DEMO, PARTITIONS).own.queue)  # trimmed
        trimmed = await arrivals.arrival(DEMO, "M1")
        assert trimmed is not None and trimmed.message is None
        assert abs(trimmed.at_ms - receipt.at_ms) < 1_000
        assert await arrivals.arrival(DEMO, "M2") is None
