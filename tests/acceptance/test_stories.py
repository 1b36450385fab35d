"""Stories of customers and tenants, played with the real daemon between a gateway and a model.

One daemon serves most stories; they keep apart by contacts and instances. Two stories take the shipped settings.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import get_args

import pytest

from tests.acceptance.harness import (
    DaemonUnderTest,
    Tree,
    daemon_under_test,
    evolution,
    merged,
    openai,
    shipped_settings,
)
from tests.acceptance.oracle import Contact, check_books, wait_answered
from tests.support.gateway_server import FakeEvolution, SendFault
from tests.support.openai_server import FakeOpenAI

SHIPPED_WINDOW_SECONDS = 8.0
QUIET_SECONDS = 3.0
LONG = "a long story please"

_INSTANCES = {
    "instances": {
        "demo": {},
        "crowd": {"batching": {"window_seconds": 2.5}},
        "patient": {"batching": {"window_seconds": 5}},
        # However slowly it is posted, a burst of two is one batch.
        "two": {"batching": {"window_seconds": 600, "max_messages": 2}},
        "quiet": {
            "batching": {"policy": "quiet", "quiet_seconds": QUIET_SECONDS},
            "gateway": {"ask_typing": True},
        },
    }
}


@pytest.fixture(scope="module")
def daemon(gateway: FakeEvolution, model: FakeOpenAI) -> Iterator[DaemonUnderTest]:
    model.text_for = _answer
    with daemon_under_test(evolution(gateway, timeout_seconds=3), openai(model), _INSTANCES) as daemon:
        yield daemon
        check_books(daemon)


def _answer(asked: str) -> str:
    if LONG in asked:
        return "\n\n".join(f"chapter {number} {'word ' * 600}" for number in (1, 2, 3, 4))
    return f"Answer 0: {asked}"


# The window.


def test_five_messages_over_eleven_seconds(gateway: FakeEvolution, model: FakeOpenAI) -> None:
    """I2, I3, I4: the lost-message story, under the shipped window.

    The fourth and fifth message arrive as the first window closes, for every contact at another moment about it;
    for the last ones the fifth comes at eleven seconds, while a slow model answers the first burst.
    """
    model.text_for = _answer
    around_the_close = [-0.15, -0.08, -0.04, -0.02, -0.01, -0.004, 0.0, 0.004, 0.01, 0.02, 0.04, 0.08]
    contacts = [Contact("shipped") for _ in (*around_the_close, "slow", "slow")]
    pauses = [[0.0, 3.0, 6.0, SHIPPED_WINDOW_SECONDS + off, 0.03] for off in around_the_close]
    pauses += [[0.0, 3.0, 6.0, SHIPPED_WINDOW_SECONDS - 0.01, 11.0], [0.0, 3.0, 6.0, 8.01, 11.0]]
    slow = {contact.tag for contact in contacts[-2:]}
    model.order("slow", 2, lambda text: any(tag in text for tag in slow), seconds=4)
    through = merged(evolution(gateway, settle_seconds=5), openai(model, timeout_seconds=30))
    with daemon_under_test(through, {"instances": {"shipped": None}}, base=shipped_settings) as daemon:
        began = time.time()
        with ThreadPoolExecutor(len(contacts)) as pool:
            list(pool.map(partial(_five_messages, daemon), contacts, pauses))
        wait_answered(daemon, gateway, *contacts)
        for contact in contacts:
            contact.check(model, gateway)
            assert 1 <= len(contact.replies_at(gateway)) <= 2
        patient = [contact.phone for contact in contacts[-2:]]
        first = min(sent.at for sent in gateway.deliveries if sent.number in patient)
        assert first >= began + SHIPPED_WINDOW_SECONDS
        check_books(daemon)


def _five_messages(daemon: DaemonUnderTest, contact: Contact, moments: list[float]) -> None:
    """Seconds after the first acknowledgement; a small value counts from the previous message."""
    opened = time.monotonic()
    for moment in moments:
        wait = opened + moment - time.monotonic() if moment >= 1.0 else moment
        time.sleep(max(0.0, wait))  # the moments are the story
        daemon.burst(contact.says())
        if moment == 0.0:
            opened = time.monotonic()


def test_the_command_printed_by_make_run_pasted_three_times() -> None:
    """I7: with the shipped settings, one answer to three pasted messages, eight seconds after the first."""
    with daemon_under_test(base=shipped_settings) as daemon:
        banner = daemon.wait_for(lambda: _curl_line(daemon.stdout), "a line to paste is printed")
        url, data = banner
        assert url == f"http://127.0.0.1:{daemon.port}/webhook/demo"
        first = time.time()
        for _ in range(3):
            answer = daemon.request("POST", "/webhook/demo", _evaluated_by_a_shell(data))
            assert (answer.status, answer.document["status"]) == (200, "accepted")
        daemon.wait_for(lambda: "Heard" in daemon.stdout, "the answer is printed")
        assert time.time() >= first + SHIPPED_WINDOW_SECONDS
        daemon.wait_settled()
        heard = [line.strip() for line in daemon.stdout.splitlines() if "Heard" in line]
        assert len(heard) == 1
        assert re.fullmatch(r"Heard 3: hello at \d\d:\d\d:\d\d", heard[0])
        assert daemon.count("answered") == 3
        assert daemon.terminate() == 0
        assert daemon.stdout.count("Heard") == 1


def _curl_line(stdout: str) -> tuple[str, str] | None:
    found = re.search(r"^curl -sS (\S+) .* -d (.+)$", stdout, re.MULTILINE)
    return (found[1], found[2]) if found else None


def _evaluated_by_a_shell(argument: str) -> bytes:
    return subprocess.run(["sh", "-c", f"printf %s {argument}"], check=True, capture_output=True).stdout


def test_two_hundred_conversations_at_once(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    """I2, I3, I9: everyone is answered, no one twice."""
    contacts = [Contact("crowd") for _ in range(200)]
    answers = daemon.post_all([contact.says() for contact in contacts for _ in range(2)])
    assert {answer.status for answer in answers} == {200}
    wait_answered(daemon, gateway, *contacts)
    for contact in contacts:
        # A store that a busy machine keeps waiting fails an attempt, and the same batch is asked about again.
        batches = list(dict.fromkeys(contact.batches_at(model)))
        lines = sorted(line for batch in batches for line in batch)
        assert lines == sorted(said.text for said in contact.said)
        assert len(contact.replies_at(gateway)) == len(batches)


def test_messages_during_a_slow_answer_are_the_next_batch(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    """I3, I4 (test 36): what arrives while the model thinks is answered after it."""
    contact = Contact("two")
    gate = model.gate()
    daemon.burst(contact.says(), contact.says())
    gate.wait_arrived()
    daemon.burst(contact.says(), contact.says())
    gate.release()
    wait_answered(daemon, gateway, contact)
    contact.check(model, gateway)
    assert [len(batch) for batch in contact.batches_at(model)] == [2, 2]


def test_the_fifth_message_closes_the_window(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    """I7: five messages do not wait for the window."""
    contact = Contact("crowd")
    daemon.burst(*(contact.says() for _ in range(5)))
    wait_answered(daemon, gateway, contact)
    contact.check(model, gateway)
    turns = daemon.show("crowd", contact.phone)["turns"]
    assert isinstance(turns, list)
    assert [turn["closed_by"] for turn in turns] == ["count"]


def test_a_customer_who_types_is_heard_out(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    """I7: the first reply asks to be told of it; then the window waits for what is being typed."""
    contact = Contact("quiet")
    daemon.burst(contact.says())
    wait_answered(daemon, gateway, contact)
    gateway.webhooks["quiet"] = {"url": "", "headers": None, "enabled": True, "events": ["PRESENCE_UPDATE"]}
    daemon.burst(contact.says())
    told = gateway.typing("quiet", contact.phone, "composing")
    assert told is not None, "it was asked to"
    assert {instance for instance, _ in gateway.subscribed} == {"quiet"}, "and of nobody else"
    answer = daemon.post(json.loads(told[2]))
    assert (answer.status, answer.document["ignored"]) == (200, ["presence"])
    time.sleep(QUIET_SECONDS + 0.5)
    assert len(contact.batches_at(model)) == 1
    daemon.burst(contact.says())
    wait_answered(daemon, gateway, contact)
    contact.check(model, gateway)
    assert [len(batch) for batch in contact.batches_at(model)] == [1, 2]
    turns = daemon.show("quiet", contact.phone)["turns"]
    assert isinstance(turns, list) and [turn["closed_by"] for turn in turns] == ["quiet", "quiet"]
    typing = daemon.status()["typing"]
    assert isinstance(typing, dict) and typing["extended"] == 1
    assert "told in " in daemon.majlis("status").stdout
    changed = daemon.majlis("instance", "set", "quiet", "batching.policy=rule", "batching.window_seconds=0.5")
    assert changed.returncode == 0, changed.stderr
    daemon.burst(contact.says())
    wait_answered(daemon, gateway, contact)
    turns = daemon.show("quiet", contact.phone)["turns"]
    assert isinstance(turns, list) and sorted(turn["closed_by"] for turn in turns) == [
        "quiet",
        "quiet",
        "timeout",
    ]


# Identity and what is no message.


def test_the_same_webhook_twenty_times_at_once(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    """I1 (test 37): all get 200, one is stored."""
    contact = Contact()
    said = contact.says()
    answers = daemon.post_all([said] * 20, at_once=20)
    assert [answer.status for answer in answers] == [200] * 20
    statuses = sorted(str(answer.document["status"]) for answer in answers)
    assert statuses == ["accepted"] + ["duplicate"] * 19
    wait_answered(daemon, gateway, contact)
    contact.check(model, gateway)


@pytest.mark.parametrize("phone_is_told_at_once", [True, False])
def test_first_as_lid_then_as_phone(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI, phone_is_told_at_once: bool
) -> None:
    """I3 (test 39): one person under two ids is one conversation and gets one answer, even if the link comes late."""
    contact = Contact("patient")
    lid = f"77{contact.phone[-8:]}{'1' if phone_is_told_at_once else '2'}"
    hidden = _as_lid(contact.says().payload, lid, phone_is_told_at_once)
    assert daemon.post(hidden).status == 200
    linked = _as_lid(contact.says().payload, lid, phone_told=True)
    assert daemon.post(linked).status == 200
    daemon.burst(contact.says())
    wait_answered(daemon, gateway, contact)
    contact.check(model, gateway)
    assert len(contact.replies_at(gateway)) == 1
    assert not gateway.texts(lid)


def _as_lid(payload: Tree, lid: str, phone_told: bool) -> Tree:
    key = payload["data"]["key"]  # type: ignore[index]
    key["remoteJid"] = f"{lid}@lid"
    if not phone_told:
        del key["remoteJidAlt"]
    return payload


@pytest.mark.parametrize(
    ("jid", "from_me", "reason"),
    [
        ("120363410000001479@g.us", False, "group"),
        ("status@broadcast", False, "status_broadcast"),
        (None, True, "own_message"),
    ],
)
def test_messages_that_are_not_for_majlis(
    daemon: DaemonUnderTest, model: FakeOpenAI, jid: str | None, from_me: bool, reason: str
) -> None:
    """I2 (test 40): groups, status broadcasts and own messages get 200 and start no turn."""
    contact = Contact()
    payload = contact.says().payload
    key = payload["data"]["key"]  # type: ignore[index]
    if jid is not None:
        key |= {"remoteJid": jid, "remoteJidAlt": "", "participant": f"{contact.phone}@s.whatsapp.net"}
    key["fromMe"] = from_me
    before = daemon.count("acknowledged")
    answer = daemon.post(payload)
    assert (answer.status, answer.document["status"], answer.document["ignored"]) == (
        200,
        "ignored",
        [reason],
    )
    ignored = daemon.status()["ingress"]["ignored"]  # type: ignore[index]
    assert ignored[reason] >= 1
    assert daemon.count("acknowledged") == before
    assert not contact.batches_at(model)


def test_an_unknown_instance(daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI) -> None:
    """I2: its messages are stored and end by a visible rule. They are answered, once, when it is set up soon."""
    before = daemon.count("suppressed")
    contact = Contact("nobody-knows-it")
    daemon.burst(contact.says(), contact.says())
    daemon.wait_for(lambda: daemon.count("suppressed") == before + 2, "both are suppressed")
    assert _rules(daemon, contact) == ["unknown_instance"]
    assert not contact.batches_at(model)
    assert not contact.replies_at(gateway)
    assert "nobody has set this instance up" in daemon.majlis("status").stdout
    daemon.rows("INSERT INTO whatsapp_instances (instance_name) VALUES ($1)", contact.instance)
    assert daemon.majlis("reload").returncode == 0
    daemon.wait_for(lambda: contact.replies_at(gateway), "they are answered")
    assert len(contact.batches_at(model)) == 1 and len(contact.replies_at(gateway)) == 1
    assert "nobody has set this instance up" not in daemon.majlis("status").stdout


def test_the_same_words_again(daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI) -> None:
    """I2: what was written while the answer to the same text was still to come is suppressed by rule, however late its
    webhook is; written after it, it is a new question.
    """
    contact = Contact()
    daemon.burst(contact.says())
    wait_answered(daemon, gateway, contact)
    before = daemon.count("suppressed")
    again = contact.said[0].payload
    again["data"]["key"]["id"] = f"{contact.said[0].id}-again"  # type: ignore[index]
    again["data"]["messageTimestamp"] = int(time.time()) - 60  # type: ignore[index]
    assert daemon.post(again).document["status"] == "accepted"
    daemon.wait_for(lambda: daemon.count("suppressed") == before + 1, "it is suppressed")
    assert _rules(daemon, contact) == ["duplicate", ""]
    contact.check(model, gateway)


def _rules(daemon: DaemonUnderTest, contact: Contact) -> list[str]:
    turns = daemon.show(contact.instance, contact.phone)["turns"]
    assert isinstance(turns, list)
    return [turn["rule"] for turn in turns]


# Replies.


def test_arabic_text_is_unchanged_in_both_directions(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    """I4: right-to-left text, diacritics, emoji and quotes reach the model and the phone unchanged."""
    contact = Contact()
    words = ["السلام عليكم ورحمة الله", "كَيْفَ حَالُكُم؟ 🌙 «مجلس»", 'سعر ١٢٣٫٤٥ ﷼ "خصم" \\ نهاية']
    daemon.burst(*(contact.says(text) for text in words))
    wait_answered(daemon, gateway, contact)
    contact.check(model, gateway)


def test_a_long_reply_comes_in_parts(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    """I4: in order, each once, and settled before the next reply begins."""
    contact = Contact()
    daemon.burst(contact.says(LONG))
    daemon.wait_for(lambda: len(contact.replies_at(gateway)) >= 1, "the first part came")
    daemon.burst(contact.says("and then?"))
    daemon.wait_for(lambda: contact.said[1].text in contact.replies_at(gateway)[-1], "the next reply came")
    starts = [reply[: len("chapter 1")] for reply in contact.replies_at(gateway)]
    assert starts == ["chapter 1", "chapter 2", "chapter 3", "chapter 4", "Answer 0:"]


# A gateway and a model that misbehave.

FAULTS_LOOKED_UP_OR_HELD = tuple(
    fault
    for fault in get_args(SendFault)
    # A refusal for good has a story of its own, and a Retry-After of seven seconds is only a longer hold.
    if fault not in ("not_on_whatsapp", "rate_limited")
)


def test_every_gateway_fault_ends_in_one_reply(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    """I6, I9: whatever the gateway does to a send, one message arrives, and the model is not called again."""
    contacts = {fault: Contact() for fault in FAULTS_LOOKED_UP_OR_HELD}
    for fault, contact in contacts.items():
        gateway.order(fault, 1, partial(_mentions, contact.tag))
    calm = Contact()
    daemon.post_all([contact.says() for contact in (*contacts.values(), calm)])
    wait_answered(daemon, gateway, *contacts.values(), calm)
    for fault, contact in contacts.items():
        assert len(contact.replies_at(gateway)) == 1, fault
        contact.check(model, gateway)
        arrived = fault.endswith("after_send") or fault in ("garbage", "slow")
        assert sum(contact.tag in text for text in gateway.sends) == (1 if arrived else 2), fault


def _mentions(tag: str, text: str) -> bool:
    return tag in text


def test_a_connection_closed_for_a_while(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    """I2, I4: replies are held without counting attempts, and are sent in order when the gateway is back."""
    contact = Contact()
    gateway.order("connection_closed", 2, partial(_mentions, contact.tag))
    held = len(daemon.events("turn.held"))
    daemon.burst(contact.says())
    daemon.wait_for(lambda: len(daemon.events("turn.held")) > held, "the reply is held")
    daemon.burst(contact.says())
    wait_answered(daemon, gateway, contact)
    contact.check(model, gateway)
    assert not daemon.events("turn.failed")


def test_a_number_not_on_whatsapp_becomes_a_dead_letter(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    """I2: listed by the command line, and answered once it is put back."""
    contact = Contact("two")
    gateway.order("not_on_whatsapp", 1, partial(_mentions, contact.tag))
    daemon.burst(contact.says(), contact.says())
    daemon.wait_for(lambda: daemon.count("dead_letters_open") == 1, "a dead letter is there")
    assert not contact.replies_at(gateway)
    listed = daemon.majlis("dead", "list", "--json", "--reveal")
    assert listed.returncode == 0, listed.stderr
    (letter,) = json.loads(listed.stdout)["letters"]
    assert letter["contact"] == contact.phone
    assert letter["reason"] == "not_on_whatsapp"
    assert [message["text"] for message in letter["messages"]] == [said.text for said in contact.said]
    retried = daemon.majlis("dead", "retry", str(letter["id"]))
    assert retried.returncode == 0, retried.stderr
    wait_answered(daemon, gateway, contact)
    contact.check(model, gateway, spare_questions=1)
    assert daemon.count("dead_letters_open") == 0


def test_order_holds_under_load_and_faults(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    """I3, I4, I6, I9: ten conversations write at once while gateway and model fail now and then."""
    contacts = [Contact() for _ in range(10)]
    tags = [contact.tag for contact in contacts]
    ours = partial(_mentions_any, tags)
    for fault in ("slow", "reset_after_send", "timeout_after_send"):
        gateway.order(fault, 2, ours, seconds=0.5)
    # Each for others: a part that meets two sends of which nobody knows anything is a dead letter, and rightly so.
    gateway.order("connection_closed", 1, partial(_mentions_any, tags[:3]))
    gateway.order("connection_closed", 1, partial(_mentions_any, tags[3:6]))
    gateway.order("plain_503", 1, partial(_mentions_any, tags[6:]))
    model.order("slow", 3, ours, seconds=0.7)
    # Each kind for some of them: a turn with three failures has used up its attempts and rightly becomes a dead letter.
    model.order("status", 2, partial(_mentions_any, tags[:4]), status=500)
    model.order("status", 2, partial(_mentions_any, tags[4:7]), status=429, retry_after="1")
    model.order("garbage", 2, partial(_mentions_any, tags[7:]))
    with ThreadPoolExecutor(len(contacts)) as pool:
        list(pool.map(partial(_talk, daemon), contacts))
    wait_answered(daemon, gateway, *contacts)
    for contact in contacts:
        contact.check(model, gateway, spare_questions=6)


def _mentions_any(tags: list[str], text: str) -> bool:
    return any(tag in text for tag in tags)


def _talk(daemon: DaemonUnderTest, contact: Contact) -> None:
    for _ in range(6):
        daemon.burst(contact.says())
        time.sleep(0.25)  # people write with pauses: some windows close between
