"""What a proxy pushes is taken as the webhook takes it, and acknowledged in the same words."""

from __future__ import annotations

import trio
import trio.testing

from actors.errors import ConversationFull, MirrorUnavailable
from actors.messages import Message
from daemon.ingress.answers import Readiness
from daemon.realtime.session import SessionLimits
from daemon.web.http1 import BodyBytes
from tests.support.patience import PATIENCE_SECONDS
from tests.support.payloads import upsert
from tests.support.realtime import Door


async def test_accepted_then_duplicate_then_ignored() -> None:
    """I1."""
    async with Door().open() as door, door.talk("proxy-token") as talk:
        first, again = await talk.push(1), await talk.push("two")
        assert (first["id"], first["status"], first["ids"]) == (1, "accepted", ["A"])
        assert (again["id"], again["status"], again["duplicates"]) == ("two", "duplicate", 1)
        await talk.say("push", id=3, payload={"event": "presence.update", "instance": "demo", "data": {}})
        assert (await talk.hear("ack"))["status"] == "ignored"
        assert [message.id for message in door.accepted] == ["A"]
        assert (door.counters.acked, door.counters.duplicates) == (1, 1)


async def test_no_ack_before_it_is_durable() -> None:
    """I1: while the mirror has not said yes, nothing is acknowledged."""
    door, go = Door(), trio.Event()
    started = trio.Event()

    async def wait(_message: object) -> None:
        started.set()
        await go.wait()

    door.before_accept = wait
    async with door.open(), door.talk("proxy-token") as talk:
        await talk.say("push", id=1, payload=upsert("demo", "5511900001095", "oi", "A", 1785100386))
        with trio.fail_after(PATIENCE_SECONDS):
            await started.wait()
        # A later frame is answered at once, so that nothing of the first is still on its way.
        await talk.say("push", id=2, payload={"event": "presence.update", "instance": "demo", "data": {}})
        assert (await talk.hear("ack"))["id"] == 2
        assert door.accepted == []
        go.set()
        ack = await talk.hear("ack")
        assert (ack["id"], ack["status"]) == (1, "accepted")


async def test_what_is_wanted_again_says_retry_and_why() -> None:
    """I1, I8: as 503 does."""
    door = Door()

    async def away(_message: object) -> None:
        raise MirrorUnavailable("away")

    async def full(_message: object) -> None:
        raise ConversationFull("full")

    async with door.open(), door.talk("proxy-token") as talk:
        door.readiness = Readiness(False, ("Redis is away.",))
        ack = await talk.push(1)
        assert (ack["status"], ack["reason"], ack["retry_after_seconds"]) == ("retry", "not_ready", 5)
        assert ack["details"] == ["Redis is away."]
        door.readiness = Readiness(True, draining=True)
        assert (await talk.push(2))["reason"] == "draining"
        door.readiness = Readiness(True)
        door.before_accept = away
        assert (await talk.push(3))["reason"] == "mirror_unavailable"
        door.before_accept = full
        assert (await talk.push(4))["reason"] == "conversation_full"
        door.before_accept = None
        assert (await talk.push(5))["status"] == "accepted"


async def test_another_instance_is_refused_and_nothing_of_it_is_kept() -> None:
    """A token opens the door for its own instances, wherever the frame names another one."""
    async with Door().open() as door, door.talk("proxy-token") as talk:
        refused = await talk.push(1, instance="other")
        assert (refused["status"], refused["reason"]) == ("refused", "instance_not_allowed")
        await talk.say(
            "push", id=2, instance="other", payload=upsert("demo", "5511900001095", "oi", "A", 1785100386)
        )
        assert (await talk.hear("ack"))["status"] == "refused"
        assert door.accepted == []


async def test_what_can_never_be_read_is_refused_and_kept_aside() -> None:
    async with Door().open() as door, door.talk("proxy-token") as talk:
        await talk.say("push", id=1, payload=[1, 2])
        ack = await talk.hear("ack")
        assert (ack["status"], ack["reason"]) == ("refused", "not_an_object")
        assert door.quarantined == ["not_an_object"]


async def test_half_an_emoji_costs_no_message() -> None:
    """I14: JavaScript writes a cut emoji as an escape that strict readers refuse."""
    payload = upsert("demo", "5511900001095", "\ud83d", "A", 1785100386)
    async with Door().open() as door, door.talk("proxy-token") as talk:
        await talk.say("push", id=1, payload=payload)
        assert (await talk.hear("ack"))["status"] == "accepted"
        assert len(door.accepted) == 1


async def test_a_push_that_fails_fails_alone() -> None:
    """I9: with the connection it would take all else down that the proxy says, and again each time it is pushed."""
    door, go = Door(), trio.Event()

    async def broken(message: Message) -> None:
        if message.id == "BUG":
            raise ZeroDivisionError
        await go.wait()

    door.before_accept = broken
    async with door.open(), door.talk("proxy-token") as talk:
        await talk.say("push", id=1, payload=upsert("demo", "5511900001095", "oi", "A", 1785100386))
        failed = await talk.push(2, "BUG")
        assert (failed["status"], failed["reason"], failed["retry_after_seconds"]) == ("retry", "failed", 5)
        go.set()
        assert (await talk.hear("ack"))["status"] == "accepted"
        assert [type(error) for error in door.errors] == [ZeroDivisionError]
        door.errors.clear()


async def test_an_id_that_cannot_be_said_back_is_refused_before_its_message_is_kept() -> None:
    """I1: kept and never acknowledged, it would be pushed again for ever."""
    async with Door().open() as door, door.talk("proxy-token") as talk:
        payload = upsert("demo", "5511900001095", "oi", "A", 1785100386)
        await talk.say("push", id="\ud83d", payload=payload)
        assert await talk.closed() == (4400, "bad_frame")
        assert door.accepted == []


async def test_a_long_backlog_is_no_silence() -> None:
    """The answer to a ping stands behind all that was said before: who pushes on is there."""
    limits = SessionLimits(ping_seconds=0.05, pong_seconds=1.5, max_pushes_in_flight=1)
    door, pushes = Door(limits=limits), range(40)

    async def slowly(_message: object) -> None:
        await trio.sleep(0.06)  # longer in all than a pong is waited for

    door.before_accept = slowly
    async with door.open(), door.talk("proxy-token") as talk:
        for number in pushes:
            payload = upsert("demo", "5511900001095", "oi", f"M{number}", 1785100386)
            await talk.say("push", id=number, payload=payload)
        acks = [await talk.hear("ack") for _ in pushes]
        assert {ack["status"] for ack in acks} == {"accepted"}


async def test_pushes_run_side_by_side_within_a_bound() -> None:
    """I8."""
    door, go = Door(limits=SessionLimits(max_pushes_in_flight=3)), trio.Event()
    running = 0

    async def wait(_message: object) -> None:
        nonlocal running
        running += 1
        await go.wait()

    door.before_accept = wait
    async with door.open(), door.talk("proxy-token") as talk:
        for number in range(8):
            payload = upsert("demo", "5511900001095", "oi", f"M{number}", 1785100386)
            await talk.say("push", id=number, payload=payload)
        await door.until(lambda: running == 3)
        await trio.testing.wait_all_tasks_blocked(0.05)  # all that was pushed could be read by now
        assert running == 3
        go.set()
        acks = [await talk.hear("ack") for _ in range(8)]
        assert sorted(str(ack["id"]) for ack in acks) == [str(number) for number in range(8)]
        assert {ack["status"] for ack in acks} == {"accepted"}


async def test_pushes_share_the_bytes_that_bodies_may_hold() -> None:
    """I8: what finds no room is answered at once, on whatever connection, and taken when there is room again."""
    bodies = BodyBytes(1500)
    door, go, started = Door(limits=SessionLimits(bodies=bodies)), trio.Event(), trio.Event()

    async def wait(_message: object) -> None:
        started.set()
        await go.wait()

    def pushed(message_id: str) -> dict[str, object]:
        return {
            "id": message_id,
            "payload": upsert("demo", "5511900001095", "o" * 700, message_id, 1785100386),
        }

    door.before_accept = wait
    async with door.open(), door.talk("proxy-token") as talk, door.talk("new-token") as other:
        await talk.say("push", **pushed("A"))
        with trio.fail_after(PATIENCE_SECONDS):
            await started.wait()
        for full in (talk, other):
            await full.say("push", **pushed("B"))
            ack = await full.hear("ack")
            assert (ack["status"], ack["reason"]) == ("retry", "too_many_bytes_in_flight")
            assert (ack["id"], ack["retry_after_seconds"]) == ("B", 5)
        assert 700 < bodies.held < 1500
        go.set()
        assert (await talk.hear("ack"))["status"] == "accepted"
        await other.say("push", **pushed("B"))
        assert (await other.hear("ack"))["status"] == "accepted"
        await door.until(lambda: bodies.held == 0)
