"""Our own messages come back, often before the gateway has answered: memory knows them."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from actors.identity import Conversation
from actors.outcome import NotSent, SendOutcome, Sent, Unknown
from daemon.gateways.remembered import RememberedSends
from daemon.ingress.inbound import OwnMessage, OwnSender

HUDA = Conversation("demo", "966500000001")


class SlowGateway:
    def __init__(self, outcome: SendOutcome) -> None:
        self.outcome = outcome
        self.asked, self.answer = trio.Event(), trio.Event()

    async def send(self, *_args: object) -> SendOutcome:
        self.asked.set()
        await self.answer.wait()
        return self.outcome

    async def find(self, *_args: object) -> None:
        raise AssertionError


def echo(
    text: str, *, to: str = HUDA.contact, id: str = "G1", lid: str = "", sender: OwnSender = "program"
) -> OwnMessage:
    return OwnMessage("demo", to, lid, id, text, 0, sender=sender)


@pytest.mark.parametrize("outcome", [Sent("G1"), Sent(""), Unknown("timed_out"), NotSent("refused", "hold")])
async def test_a_send_is_known_by_its_words_while_under_way_and_by_its_id_after(
    outcome: SendOutcome, autojump_clock: MockClock
) -> None:
    """I6. After it the words are nobody's any more: a person may say the same."""
    gateway = SlowGateway(outcome)
    sends = RememberedSends(gateway)  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sends.send, HUDA, "One\r\nmoment ")
        await gateway.asked.wait()
        assert sends.is_ours(echo("One\nmoment"))
        assert sends.is_ours(echo("One\nmoment", to="7@lid", lid="")), "by another name"
        assert sends.is_ours(echo("One moment", sender="person"))
        assert not sends.is_ours(echo("One moment", to="966500000002", sender="chatwoot"))
        assert not sends.is_ours(echo("One moment, please"))
        gateway.answer.set()
    assert sends.is_ours(echo("whatever it says")) is (outcome == Sent("G1"))
    assert not sends.is_ours(echo("One\nmoment", id="G2"))


async def test_a_send_that_is_cancelled_is_no_longer_under_way(autojump_clock: MockClock) -> None:
    gateway = SlowGateway(Sent("G1"))
    sends = RememberedSends(gateway)  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sends.send, HUDA, "hello")
        await gateway.asked.wait()
        nursery.cancel_scope.cancel()
    assert not sends.is_ours(echo("hello"))


async def test_only_the_latest_ids_are_kept(autojump_clock: MockClock) -> None:
    """I8."""
    gateway = SlowGateway(Sent("G1"))
    gateway.answer.set()
    sends = RememberedSends(gateway, least_ids=2)  # type: ignore[arg-type]
    numbers = range(1, 6)
    for number in numbers:
        gateway.outcome = Sent(f"G{number}")
        await sends.send(HUDA, "hello")
    assert [sends.is_ours(echo("", id=f"G{number}")) for number in numbers] == [
        False,
        False,
        True,
        True,
        True,
    ]
