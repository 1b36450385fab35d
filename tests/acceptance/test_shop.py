"""A day of an Arabic shop with a price list, and a customer who writes in bursts, repeats himself, asks for a
person, is taken over, and comes back. The real daemon between a gateway, a model and the shop's own webhook."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from tests.acceptance.harness import DaemonUnderTest, daemon_under_test, evolution, merged, openai
from tests.support.gateway_server import FakeEvolution
from tests.support.openai_server import FakeOpenAI
from tests.support.payloads import upsert
from tests.support.webhook_server import FakeWebhook

SHOP = "dates-shop"
STAFF = "966500000001"
HOOK_KEY = "hook-key-7391"
PERSONA = "أنت مساعد متجر التمور في الرياض."
A_PERSON_COMES = "سيتواصل معك أحد موظفينا قريبًا."
PRICES = Path(__file__).parents[1] / "daemon" / "knowledge" / "fixtures" / "prices_ar.pdf"

_numbers = count(1)


class Customer:
    """The phone of a customer of the shop, and what reached it."""

    def __init__(self, daemon: DaemonUnderTest, gateway: FakeEvolution) -> None:
        self.phone = f"96655000{next(_numbers):04d}"
        self._daemon = daemon
        self._gateway = gateway

    @property
    def name(self) -> str:
        return f"{SHOP}/{self.phone}"

    def says(self, *texts: str) -> None:
        """One burst, however slowly it is posted, and its end: answered or suppressed."""
        before = len(self.turns())
        for text in texts:
            self._post(text)
        self._daemon.flush(SHOP, self.phone)
        self._daemon.wait_for(
            lambda: len(self.turns()) > before and self.turns()[0]["ended_at"], "the turn ends"
        )

    def is_written_to_by_staff(self, text: str) -> None:
        """Someone in the shop writes in this chat, on the shop's phone."""
        self._post(text, from_me=True)

    def turns(self) -> list[dict[str, object]]:
        """Newest first; empty before the first one."""
        try:
            turns = self._daemon.show(SHOP, self.phone)["turns"]
        except AssertionError:
            return []
        assert isinstance(turns, list)
        return turns

    def rule(self) -> object:
        return self.turns()[0]["rule"]

    def heard(self) -> list[str]:
        return self._gateway.texts(self.phone)

    def _post(self, text: str, from_me: bool = False) -> None:
        number = next(_numbers)
        # What staff writes within seconds of a customer's first message is taken for a greeting.
        at = int(time.time()) - (0 if from_me else 60)
        payload = upsert(SHOP, self.phone, text, f"ID{number}", at, from_me=from_me)
        answer = self._daemon.post(payload)
        assert answer.status == 200, answer


@pytest.fixture(scope="module")
def webhook() -> Iterator[FakeWebhook]:
    with FakeWebhook().running() as server:
        yield server


@pytest.fixture(scope="module")
def daemon(gateway: FakeEvolution, model: FakeOpenAI, webhook: FakeWebhook) -> Iterator[DaemonUnderTest]:
    model.text_for = lambda asked: json.dumps(
        {"response": f"رد: {asked}", "confidence": 0.9}, ensure_ascii=False
    )
    desk = {"notify_numbers": [STAFF], "notify_webhook": f"{webhook.url}/hook?key={HOOK_KEY}"}
    shop = {"escalation": desk, "batching": {"window_seconds": 600}}
    settings = merged(evolution(gateway), openai(model), {"instances": {SHOP: shop}})
    with ExitStack() as stack:
        daemon = stack.enter_context(daemon_under_test(settings))
        daemon.rows(
            "UPDATE whatsapp_instances SET escalation_enabled = true, escalated_message = $2 WHERE instance_name = $1",
            SHOP,
            A_PERSON_COMES,
        )
        daemon.rows(
            "INSERT INTO whatsapp_ai_config (whatsapp_instance_id, system_prompt)"
            " SELECT id, $2 FROM whatsapp_instances WHERE instance_name = $1",
            SHOP,
            PERSONA,
        )
        added = daemon.majlis("knowledge", "add", SHOP, str(PRICES))
        assert added.returncode == 0, added.stderr
        assert daemon.majlis("reload").returncode == 0
        yield daemon


@pytest.fixture
def customer(daemon: DaemonUnderTest, gateway: FakeEvolution) -> Customer:
    return Customer(daemon, gateway)


def test_a_burst_is_answered_once_from_the_price_list(customer: Customer, model: FakeOpenAI) -> None:
    customer.says("السلام عليكم", "عندي سؤال", "كم سعر التمر السكري", "الكيلو؟")
    assert len(customer.heard()) == 1
    assert "{" not in customer.heard()[0]
    asked = model.questions[-1]
    assert asked.asked.split("\n") == ["السلام عليكم", "عندي سؤال", "كم سعر التمر السكري", "الكيلو؟"]
    assert asked.system.startswith(PERSONA)
    assert "prices_ar.pdf" in asked.system
    assert "تمر سكري فاخر 3 كيلو: 75 ريالا" in asked.system


def test_a_customer_who_repeats_himself_is_answered_once_and_then_escalated(
    customer: Customer, webhook: FakeWebhook, daemon: DaemonUnderTest
) -> None:
    customer.says("متى يصل طلبي")
    customer.says("متى يصل طلبي")
    assert (len(customer.heard()), customer.rule()) == (1, "duplicate")
    customer.says("متى يصل طلبي؟")
    assert len(customer.heard()) == 2
    posted_before = len(webhook.posted)
    customer.says("متى يصل طلبي؟؟")
    assert (customer.heard()[-1], customer.rule()) == (A_PERSON_COMES, "escalated")
    post = webhook.wait_for(posted_before + 1)[-1]
    assert HOOK_KEY in post.path
    assert daemon.rows("SELECT id FROM majlis_notices n WHERE n::text LIKE $1", f"%{HOOK_KEY}%") == []
    document = post.document
    assert isinstance(document, dict)
    assert (document["reason"], document["contact"]) == ("repeated_question", customer.phone)
    assert daemon.majlis("resume", customer.name).returncode == 0


def test_a_customer_who_asks_for_a_person_gets_no_bot_until_the_hand_back(
    customer: Customer, daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    staff_heard = len(gateway.texts(STAFF))
    customer.says("أريد التحدث مع موظف")
    assert customer.heard() == [A_PERSON_COMES]
    daemon.wait_for(lambda: len(gateway.texts(STAFF)) > staff_heard, "the staff is notified")
    assert customer.phone in gateway.texts(STAFF)[-1]
    customer.says("هل من أحد؟")
    assert (len(customer.heard()), customer.rule()) == (1, "escalated")
    resumed = daemon.majlis("resume", customer.name)
    assert resumed.returncode == 0, resumed.stderr
    customer.says("شكرا، هل أنتم مفتوحون اليوم")
    assert len(customer.heard()) == 2
    assert "context, not a task" in model.questions[-1].system
    customer.says("وغدا")
    assert "context, not a task" not in model.questions[-1].system


def test_a_taken_over_customer_gets_no_bot_until_the_hand_back(
    customer: Customer, daemon: DaemonUnderTest, model: FakeOpenAI
) -> None:
    customer.says("بكم التوصيل")
    customer.is_written_to_by_staff("أهلا بك، معك خالد")
    customer.says("أهلا خالد")
    assert (len(customer.heard()), customer.rule()) == (1, "taken_over")
    shown = daemon.majlis("show", customer.name).stdout
    assert "taken over" in shown.lower()
    assert daemon.majlis("resume", customer.name).returncode == 0
    customer.says("بقي سؤال أخير")
    assert len(customer.heard()) == 2
    asked = model.questions[-1]
    assert "أهلا بك، معك خالد" in asked.texts
    assert "context, not a task" in asked.system


def test_a_person_who_writes_during_a_turn_stops_the_answer(
    customer: Customer, model: FakeOpenAI, daemon: DaemonUnderTest
) -> None:
    gate = model.gate()
    customer._post("كم سعر العجوة")
    daemon.flush(SHOP, customer.phone)
    gate.wait_arrived()
    customer.is_written_to_by_staff("أنا معك")
    gate.release()
    daemon.wait_for(lambda: customer.turns() and customer.turns()[0]["ended_at"], "the turn ends")
    assert (customer.heard(), customer.rule()) == ([], "taken_over")
