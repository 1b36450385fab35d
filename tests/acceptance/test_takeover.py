"""A person of the business writes in the chat, and Majlis stops answering: real daemon, gateway and model."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count

import pytest

from tests.acceptance.harness import DaemonUnderTest, daemon_under_test, evolution, openai
from tests.support.gateway_server import FakeEvolution
from tests.support.openai_server import FakeOpenAI
from tests.support.payloads import upsert

_numbers = count(1)


class Chat:
    """A customer and the business, each with a phone."""

    def __init__(self, daemon: DaemonUnderTest, gateway: FakeEvolution) -> None:
        number = next(_numbers)
        self.phone, self.lid = f"55119{number:08d}", f"1685{number:08d}"
        self._daemon = daemon
        self._gateway = gateway
        self._ends: list[tuple[str, str]] = []

    def customer(self, text: str, lid: str | None = None, ago_seconds: float = 60) -> None:
        """A minute ago: what the business writes within seconds of the first message is taken for a greeting."""
        answer = self._post(text, lid=lid, ago_seconds=ago_seconds)
        assert answer == (200, "accepted")

    def person(
        self, text: str, *, message_id: str = "", ago_seconds: float = 0, lid: str | None = None
    ) -> None:
        """Someone at the business writes on the phone."""
        answer = self._post(text, from_me=True, message_id=message_id, ago_seconds=ago_seconds, lid=lid)
        assert answer == (200, "ignored")

    def _post(
        self,
        text: str,
        *,
        from_me: bool = False,
        message_id: str = "",
        ago_seconds: float = 0,
        lid: str | None = None,
    ) -> tuple[int, object]:
        at = int(time.time() - ago_seconds)
        payload = upsert(
            "demo", self.phone, text, message_id or f"TO{next(_numbers)}", at, from_me=from_me, lid=lid
        )
        if from_me and lid:  # then the gateway sends nothing else
            key = payload["data"]["key"]  # type: ignore[index]
            del key["remoteJidAlt"]
        answer = self._daemon.post(payload)
        return answer.status, answer.document.get("status")

    @property
    def replies(self) -> list[str]:
        return self._gateway.texts(self.phone)

    def ends(self, state: str, rule: str) -> None:
        """Wait until one more turn has this outcome."""
        self._ends.append((state, rule))
        self._daemon.wait_for(lambda: self._turns() == self._ends, f"the turns are {self._ends}")

    def _turns(self) -> list[tuple[str, str]]:
        rows = self._daemon.rows(
            "SELECT state, rule FROM majlis_turns WHERE contact = $1 ORDER BY id", self.phone
        )
        return [(row["state"], row["rule"]) for row in rows]


@pytest.fixture(scope="module")
def daemon(gateway: FakeEvolution, model: FakeOpenAI) -> Iterator[DaemonUnderTest]:
    model.text_for = lambda asked: f"Answer: {asked}"
    with daemon_under_test(evolution(gateway), openai(model), {"instances": {"demo": {}}}) as daemon:
        yield daemon


@pytest.fixture
def chat(daemon: DaemonUnderTest, gateway: FakeEvolution) -> Chat:
    return Chat(daemon, gateway)


def test_a_person_takes_over_and_hands_back(daemon: DaemonUnderTest, chat: Chat) -> None:
    """The messages of the take-over are history for what comes after."""
    chat.customer("hello")
    chat.ends("done", "")
    chat.person("I will see to it myself")
    chat.customer("thank you")
    chat.ends("suppressed", "taken_over")
    assert len(chat.replies) == 1
    assert daemon.majlis("resume", f"demo/{chat.phone}").returncode == 0
    chat.customer("are you there?")
    chat.ends("done", "")
    assert len(chat.replies) == 2
    said = daemon.rows(
        "SELECT m.sender_type, m.content FROM whatsapp_messages m JOIN whatsapp_conversations c"
        " ON c.id = m.conversation_id WHERE c.user_phone = $1 ORDER BY m.created_at, m.id",
        chat.phone,
    )
    assert [tuple(row) for row in said][2:4] == [
        ("assistant", "I will see to it myself"),
        ("user", "thank you"),
    ]


def test_a_person_who_writes_during_a_turn_stops_the_send(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI, chat: Chat
) -> None:
    """The model is still working: nothing is sent. Another customer is answered meanwhile."""
    other = Chat(daemon, gateway)
    gate = model.gate()
    chat.customer("slow question")
    gate.wait_arrived()
    chat.person("I take this one")
    other.customer("hello")
    other.ends("done", "")
    gate.release()
    chat.ends("suppressed", "taken_over")
    assert (chat.replies, len(other.replies)) == ([], 1)


def test_a_lid_alone_is_enough(chat: Chat) -> None:
    """The gateway gives only the LID of the customer when the business writes from another device."""
    chat.customer("hello", lid=chat.lid)
    chat.ends("done", "")
    chat.person("I am here", lid=chat.lid)
    chat.customer("thank you")
    chat.ends("suppressed", "taken_over")
    assert len(chat.replies) == 1


def test_a_greeting_that_the_app_sends_by_itself_silences_nobody(daemon: DaemonUnderTest, chat: Chat) -> None:
    """Before or after the customer's first message; `explain`, `show` and `status` say what it was."""
    taken_over = daemon.status()["taken_over"]
    chat.person("Thank you for writing to the shop!", message_id="GREET-1")
    chat.customer("do you deliver?", ago_seconds=1)
    chat.ends("done", "")
    chat.customer("are you there?", ago_seconds=0)
    chat.ends("done", "")
    assert len(chat.replies) == 2
    assert daemon.status()["taken_over"] == taken_over
    why = "automatic: greeting within 3 s of the first message"
    assert why in daemon.majlis("explain", "GREET-1").stdout
    assert why in daemon.majlis("show", f"demo/{chat.phone}").stdout
    chat.person("#human")
    chat.customer("thank you")
    chat.ends("suppressed", "taken_over")
    chat.person("#bot")
    chat.customer("another question")
    chat.ends("done", "")


def test_messages_that_are_not_a_take_over(gateway: FakeEvolution, chat: Chat) -> None:
    """Old messages, and the echo of our own reply."""
    chat.customer("hello")
    chat.ends("done", "")
    [sent] = [sent for sent in gateway.deliveries if sent.number == chat.phone]
    chat.person("yesterday's words", ago_seconds=86_400)
    chat.person(sent.text, message_id=sent.id)
    chat.customer("another question")
    chat.ends("done", "")
    assert len(chat.replies) == 2
