"""The playground's chats and gateway: nothing for its customers leaves the daemon."""

from __future__ import annotations

from actors.errors import StaleEpoch
from actors.identity import Conversation, is_playground
from actors.outcome import NoRecord, NotSent, RecordFound, SendEvidence, SendOutcome, Sent
from actors.ports import MaySend, at_any_time
from daemon.gateways.playground import MAX_CHATS, MAX_LINES, Chats, Line, PlaygroundGateway

MADE_UP = Conversation("demo", "999012345678901")
REAL = Conversation("demo", "966500000001")


class RealGateway:
    """Records what reaches it."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []

    async def send(
        self,
        conversation: Conversation,
        text: str,
        may_send: MaySend = at_any_time,
        origin: str = "",
        key: str = "",
    ) -> SendOutcome:
        self.asked.append((conversation, text, may_send, origin, key))
        return Sent("REAL")

    async def find(
        self,
        conversation: Conversation,
        text: str,
        since_ms: int,
        known_ids: frozenset[str],
        origin: str = "",
    ) -> SendEvidence:
        self.asked.append((conversation, text, since_ms, known_ids, origin))
        return RecordFound("REAL")


def nobody_owns() -> None:
    raise StaleEpoch("another daemon does")


def test_only_made_up_numbers_belong_to_the_playground() -> None:
    assert is_playground(MADE_UP.contact)
    for contact in (
        "966500000001",
        "99901234567890",
        "9990123456789012",
        "999000000001",
        "999012345678901@lid",
        "+999012345678901",
        "999٠12345678901",
    ):
        assert not is_playground(contact)


async def test_sends_to_real_customers_pass_through_unchanged() -> None:
    real = RealGateway()
    gateway = PlaygroundGateway(real, Chats())
    assert await gateway.send(REAL, "hello", nobody_owns, "https://evo.example.com", "7.1") == Sent("REAL")
    found = await gateway.find(REAL, "hello", 5, frozenset({"A"}), "https://evo.example.com")
    assert found == RecordFound("REAL")
    assert real.asked == [
        (REAL, "hello", nobody_owns, "https://evo.example.com", "7.1"),
        (REAL, "hello", 5, frozenset({"A"}), "https://evo.example.com"),
    ]


async def test_no_send_to_a_made_up_customer_reaches_a_gateway() -> None:
    real, chats = RealGateway(), Chats()
    gateway = PlaygroundGateway(real, chats)
    assert isinstance(await gateway.send(MADE_UP, "nobody looks", key="6.1"), Sent)
    assert await gateway.find(MADE_UP, "nobody looks", 0, frozenset()) == NoRecord()
    chats.open(MADE_UP)
    sent = await gateway.send(MADE_UP, "hello", origin="https://evo.example.com", key="7.1")
    assert isinstance(sent, Sent)
    (line,) = chats.open(MADE_UP)
    assert (line.sender, line.text, line.id) == ("majlis", "hello", sent.message_id)
    assert await gateway.find(MADE_UP, "hello", line.at_ms, frozenset()) == RecordFound(line.id)
    assert await gateway.find(MADE_UP, "hello", line.at_ms + 1, frozenset()) == NoRecord()
    assert await gateway.find(MADE_UP, "hello", 0, frozenset({line.id})) == NoRecord()
    assert real.asked == []


async def test_a_repeated_send_is_shown_once_and_only_by_the_owner() -> None:
    chats = Chats()
    gateway = PlaygroundGateway(RealGateway(), chats)
    chats.open(MADE_UP)
    held = await gateway.send(MADE_UP, "hello", nobody_owns, key="7.1")
    assert held == NotSent("lease_ended", "hold") and chats.open(MADE_UP) == ()
    first = await gateway.send(MADE_UP, "hello", key="7.1")
    assert await gateway.send(MADE_UP, "hello", key="7.1") == first
    assert await gateway.send(MADE_UP, "hello", key="8.1") != first
    assert len(chats.open(MADE_UP)) == 2


def test_chats_are_limited_and_the_least_recent_is_removed() -> None:
    chats = Chats()
    all_of_them = [Conversation("demo", f"999{number:012d}") for number in range(MAX_CHATS)]
    for conversation in all_of_them:
        chats.open(conversation)
        chats.say(conversation, Line("A", "customer", "hello", 1))
    assert len(chats.open(all_of_them[0])) == 1
    chats.open(MADE_UP)
    assert len(chats.open(all_of_them[0])) == 1
    assert chats.open(all_of_them[1]) == ()
    for number in range(MAX_LINES + 1):
        chats.say(MADE_UP, Line(str(number), "majlis", "hello", number))
    assert [line.id for line in chats.open(MADE_UP)] == [str(number) for number in range(1, MAX_LINES + 1)]
    chats.close(MADE_UP)
    chats.say(MADE_UP, Line("late", "majlis", "hello", 1))
    assert chats.open(MADE_UP) == ()
