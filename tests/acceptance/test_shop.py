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

THANKS = "تسلم ما قصرت"

_numbers = count(1)


class Customer:
    """The phone of a customer of the shop, and what reached it."""

    def __init__(self, daemon: DaemonUnderTest, gateway: FakeEvolution) -> None:
        self.phone = f"96655000{next(_numbers):04d}"
        self.last_id = ""
        self._daemon = daemon
        self._gateway = gateway

    @property
    def name(self) -> str:
        return f"{SHOP}/{self.phone}"

    def says(self, *texts: str, quoting: str = "") -> None:
        """One burst, however slowly it is posted, and its end: answered or suppressed."""
        before = len(self.turns())
        for text in texts:
            self._post(text, quoting=quoting)
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

    def _post(self, text: str, from_me: bool = False, quoting: str = "") -> None:
        number = next(_numbers)
        self.last_id = f"ID{number}"
        payload = upsert(
            SHOP, self.phone, text, self.last_id, int(time.time()), from_me=from_me, push_name="نورة"
        )
        if quoting:
            quoted = {"stanzaId": "3EB0", "quotedMessage": {"conversation": quoting}}
            payload["data"] = {**payload["data"], "contextInfo": quoted}  # type: ignore[dict-item]
        answer = self._daemon.post(payload)
        assert answer.status == 200, answer


@pytest.fixture(scope="module")
def webhook() -> Iterator[FakeWebhook]:
    with FakeWebhook().running() as server:
        yield server


@pytest.fixture(scope="module")
def daemon(gateway: FakeEvolution, model: FakeOpenAI, webhook: FakeWebhook) -> Iterator[DaemonUnderTest]:
    model.text_for = lambda asked: json.dumps(
        {"response": "" if THANKS in asked else f"رد: {asked}", "confidence": 0.9}, ensure_ascii=False
    )
    desk = {"notify_numbers": [STAFF], "notify_webhook": f"{webhook.url}/hook?key={HOOK_KEY}"}
    clock = {"timezone": "Asia/Riyadh", "hours": ["sat-thu 00:00-24:00", "fri 00:00-24:00"]}
    shop = {"escalation": desk, "batching": {"window_seconds": 600}, **clock}
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
    assert "prices_ar.pdf" in asked.texts[-1]
    assert "تمر سكري فاخر 3 كيلو: 75 ريالا" in asked.texts[-1]


def test_the_model_is_told_what_a_person_would_see(
    customer: Customer, model: FakeOpenAI, daemon: DaemonUnderTest
) -> None:
    """What the customer quotes; and date, hours and name, last and apart from the words; by the settings of then."""
    customer.says("عندكم تمر سكري؟")
    customer.says("هذا لو سمحت", quoting="سكري فاخر 3 كيلو")
    asked = model.questions[-1]
    holds, _, words = asked.texts[-1].partition("\n\n")
    assert "Asia/Riyadh (UTC+03:00). The business's opening hours: sat-thu 00:00-24:00" in holds
    assert "Open now, day and night." in holds and 'their name is "نورة"' in holds
    assert words == '[answers the message: "سكري فاخر 3 كيلو"]\nهذا لو سمحت'
    assert "days and then times" in daemon.majlis("set", "hours", '["nonsense"]', "--instance", SHOP).stderr
    assert "Riyad" in daemon.majlis("set", "timezone", "Asia/Riyad", "--instance", SHOP).stderr
    for change in (("hours", '["daily closed"]'), ("timezone", "Asia/Dubai")):
        done = daemon.majlis("set", *change, "--instance", SHOP)
        assert done.returncode == 0, done.stderr
    customer.says("وهذا؟")
    holds = model.questions[-1].texts[-1].partition("\n\n")[0]
    assert "Asia/Dubai (UTC+04:00). The business's opening hours: daily closed. Closed now" in holds


def test_a_customer_who_asks_again_is_answered_and_then_escalated(
    customer: Customer, webhook: FakeWebhook, daemon: DaemonUnderTest
) -> None:
    """Yes, and a choice from a menu, may be said as often as somebody likes."""
    customer.says("نعم")
    customer.says("نعم")
    customer.says("1")
    customer.says("1")
    customer.says("نعم")
    assert (len(customer.heard()), customer.rule()) == (5, "")
    customer.says("متى يصل طلبي")
    customer.says("متى يصل طلبي")
    assert (len(customer.heard()), customer.rule()) == (7, "")
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


def test_a_customer_who_wants_no_messages_gets_none_until_he_says_so(
    customer: Customer, daemon: DaemonUnderTest
) -> None:
    customer.says("إيقاف.")
    assert len(customer.heard()) == 1 and "ابدأ" in customer.heard()[0]
    customer.says("كم سعر السكري؟")
    assert (len(customer.heard()), customer.rule()) == (1, "opted_out")
    assert daemon.show(SHOP, customer.phone)["opted_out"]
    refused = daemon.majlis("resume", customer.name)
    assert refused.returncode == 1 and "--opt-out" in refused.stderr
    customer.says("ابدأ")
    assert len(customer.heard()) == 2 and "إيقاف" in customer.heard()[1]
    customer.says("كم سعر السكري؟")
    assert len(customer.heard()) == 3
    customer.says("STOP")
    assert daemon.majlis("resume", customer.name, "--opt-out").returncode == 0
    customer.says("والخلاص؟")
    assert len(customer.heard()) == 5


def test_the_model_may_say_nothing_and_staff_are_no_customers(
    customer: Customer, daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    before = len(model.questions)
    customer.says(THANKS)
    assert (customer.heard(), customer.rule(), len(model.questions)) == ([], "model_silence", before + 1)
    explained = daemon.majlis("explain", str(customer.last_id)).stdout
    assert "model_silence" in explained and "chose to say nothing" in explained
    staff = Customer(daemon, gateway)
    staff.phone = STAFF
    heard = len(staff.heard())
    staff.says("أنا من المتجر")
    assert (len(staff.heard()), staff.rule(), len(model.questions)) == (heard, "staff", before + 1)


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
    assert "context, not a task" in model.questions[-1].texts[-1]
    customer.says("وغدا")
    assert "context, not a task" not in model.questions[-1].texts[-1]


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
    assert any("أهلا بك، معك خالد" in text for text in asked.texts)
    assert "context, not a task" in asked.texts[-1]


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
