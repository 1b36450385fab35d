"""The responder slow, refusing, returning garbage, silent or gone: every message still has one visible outcome."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from tests.acceptance.harness import DaemonUnderTest, Said, Tree, daemon_under_test, evolution, openai
from tests.support import anthropic_server, gemini_server
from tests.support.anthropic_server import FakeAnthropic
from tests.support.gateway_server import FakeEvolution
from tests.support.gemini_server import FakeGemini
from tests.support.model_server import FakeModel
from tests.support.openai_server import FakeOpenAI

TIMEOUT_SECONDS = 3.0

Order = Callable[[FakeOpenAI, Callable[[str], bool]], None]

PASSING: dict[str, Order] = {
    "500_twice": lambda model, when: model.order("status", 2, when, status=500),
    "503_twice": lambda model, when: model.order("status", 2, when, status=503),
    "429_with_retry_after": lambda model, when: model.order("status", 1, when, status=429, retry_after="2"),
    "429_without": lambda model, when: model.order("status", 2, when, status=429),
    "garbage": lambda model, when: model.order("garbage", 2, when),
    "wrong_types": lambda model, when: model.order("wrong_types", 1, when),
    "empty": lambda model, when: model.order("empty", 1, when),
    "no_body": lambda model, when: model.order("no_body", 1, when),
    "controls": lambda model, when: model.order("controls", 1, when),
    "truncated": lambda model, when: model.order("truncated", 2, when),
    "reset": lambda model, when: model.order("reset", 2, when),
    "slow": lambda model, when: model.order("slow", 1, when, seconds=TIMEOUT_SECONDS / 2),
    "drip": lambda model, when: model.order("drip", 1, when, seconds=0.2),
    "hang": lambda model, when: model.order("hang", 1, when),
    "huge": lambda model, when: model.order("huge", 1, when),
    "gzip_bomb": lambda model, when: model.order("gzip_bomb", 1, when),
}
"""Faults that end before the attempts are used up."""


@pytest.fixture(scope="module")
def daemon(gateway: FakeEvolution, model: FakeOpenAI) -> Iterator[DaemonUnderTest]:
    rehearsal = {"providers": [{"name": "other", "kind": "rehearsal"}]}
    settings = {
        "turn": {"max_tries": 3, "backoff_seconds": [0.2, 0.4]},
        "responder": {"breaker_failures": 1000},  # here a single provider fails again and again
        "instances": {
            "demo": {},
            "calm": {"responder": rehearsal},
            "pair": {"batching": {"window_seconds": 600, "max_messages": 2, "supersede": {"enabled": False}}},
        },
    }
    with daemon_under_test(
        evolution(gateway), openai(model, timeout_seconds=TIMEOUT_SECONDS), settings
    ) as started:
        yield started


@pytest.fixture(autouse=True)
def no_orders_left(model: FakeOpenAI) -> Iterator[None]:
    yield
    model.clear_orders()


def answered(gateway: FakeEvolution, phone: str, text: str) -> list[str]:
    """The replies that answer `text`."""
    return [reply for reply in gateway.texts(phone) if reply.endswith(f": {text}")]


def open_letters(daemon: DaemonUnderTest) -> int:
    return daemon.count("dead_letters_open")


def test_faults_within_the_attempts_are_answered_without_an_operator(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    """I2, I6, I8: all of these at once; each contact gets one answer, nothing becomes a dead letter."""
    letters, phones = open_letters(daemon), {}
    for number, (name, order) in enumerate(PASSING.items()):
        phones[name] = f"55118{number:08d}"
        order(model, lambda text, name=name: text == f"fault {name}")  # type: ignore[misc]
    daemon.post_all(Said("demo", phone, f"fault {name}", f"FAULT-{name}") for name, phone in phones.items())
    daemon.wait_settled()
    counts = {name: len(answered(gateway, phone, f"fault {name}")) for name, phone in phones.items()}
    assert counts == dict.fromkeys(PASSING, 1)
    assert sum(len(gateway.texts(phone)) for phone in phones.values()) == len(phones)
    assert open_letters(daemon) == letters


def test_retry_after_is_honoured(daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI) -> None:
    """I2: the next attempt waits as long as the responder asks, not only for the shorter backoff."""
    model.order("status", 1, lambda text: text == "polite", status=429, retry_after="2")
    daemon.burst(Said("demo", "5511700000001", "polite", "POLITE-1"))
    daemon.wait_for(lambda: answered(gateway, "5511700000001", "polite"), "it is answered")
    waits = [event["next_try_seconds"] for event in daemon.events("turn.failed") if _polite(daemon, event)]
    assert waits == [2]


def test_a_long_outage_leaves_dead_letters_that_one_command_answers(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    """I2: after all attempts, every message is a visible dead letter; `dead retry --all` answers each once."""
    before = open_letters(daemon)
    phones = [f"55117100{number:05d}" for number in range(6)]
    model.down()
    try:
        daemon.post_all(Said("demo", phone, f"outage {phone}", f"OUT-{phone}") for phone in phones)
        daemon.wait_for(lambda: open_letters(daemon) == before + len(phones), "all are dead letters")
        listed = json.loads(daemon.majlis("dead", "list", "--json", "--reveal").stdout)
        assert {letter["contact"] for letter in listed["letters"]} >= set(phones)
        assert {letter["reason"] for letter in listed["letters"]} == {"unreachable"}
        assert daemon.wait_settled()["dead"]
        assert not any(gateway.texts(phone) for phone in phones)
    finally:
        model.up()
    retried = json.loads(daemon.majlis("dead", "retry", "--all", "--json").stdout)
    assert retried["retried"] == before + len(phones)
    daemon.wait_for(lambda: all(map(gateway.texts, phones)), "all are answered")
    daemon.wait_settled()
    assert [len(answered(gateway, phone, f"outage {phone}")) for phone in phones] == [1] * len(phones)
    assert open_letters(daemon) == 0
    again = daemon.majlis("dead", "retry", str(listed["letters"][0]["id"]))
    assert again.returncode == 1 and "was already retried at" in again.stderr, again


def test_a_short_outage_is_survived(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    """I2, I10: down when the turn starts and back before its attempts are used up: answered without an operator."""
    letters = open_letters(daemon)
    model.down()
    try:
        daemon.burst(Said("demo", "5511700000002", "shortly", "SHORT-1"))
        daemon.wait_for(lambda: _failed(daemon, "unreachable"), "the first attempt failed")
    finally:
        model.up()
    daemon.wait_for(lambda: answered(gateway, "5511700000002", "shortly"), "it is answered")
    assert open_letters(daemon) == letters


def test_order_is_kept_while_attempts_fail(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    """I3, I4: messages that arrive while a batch is retried wait for it and are answered after it."""
    phone = "5511700000003"
    model.order("status", 2, lambda text: text == "first", status=500)
    daemon.burst(Said("pair", phone, "first", "ORDER-1"))
    daemon.flush("pair", phone)
    daemon.wait_for(lambda: "first" in model.asked(), "the first try runs")
    daemon.burst(Said("pair", phone, "second", "ORDER-2"), Said("pair", phone, "third", "ORDER-3"))
    daemon.wait_for(lambda: len(gateway.texts(phone)) == 2, "both batches are answered")
    asked = [text for text in model.asked() if text in ("first", "second\nthird")]
    assert asked == ["first"] * 3 + ["second\nthird"]
    assert [text.partition(": ")[2] for text in gateway.texts(phone)] == ["first", "second\nthird"]


def test_a_hanging_responder_delays_no_other_instance(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    """I9, I2: while every turn of one instance hangs, another instance is answered; later the first one as well."""
    hung = [f"55117200{number:05d}" for number in range(20)]
    model.order("hang", len(hung), lambda text: text.startswith("hung"))
    asked = len(model.questions)
    daemon.post_all(Said("demo", phone, f"hung {phone}", f"HUNG-{phone}") for phone in hung)
    model.wait_for_questions(asked + len(hung))
    calm = [Said("calm", f"55117300{number:05d}", "calm", f"CALM-{number}") for number in range(5)]
    daemon.post_all(calm)
    daemon.wait_for(lambda: all(gateway.texts(said.phone) for said in calm), "the calm instance is answered")
    daemon.wait_for(lambda: all(map(gateway.texts, hung)), "the hung ones are answered by their second try")
    daemon.wait_settled()
    assert [len(gateway.texts(phone)) for phone in hung] == [1] * len(hung)


def test_a_policy_refusal_is_a_dead_letter_at_once(
    daemon: DaemonUnderTest, gateway: FakeEvolution, model: FakeOpenAI
) -> None:
    """I2, I14: a failure that no retry can fix is not retried; the conversation goes on after it."""
    phone, letters = "5511700000004", open_letters(daemon)
    model.order("filtered", 1, lambda text: text == "improper")
    daemon.burst(Said("demo", phone, "improper", "POLICY-1"))
    daemon.wait_for(lambda: open_letters(daemon) == letters + 1, "it is a dead letter")
    assert model.asked().count("improper") == 1
    daemon.burst(Said("demo", phone, "proper", "POLICY-2"))
    daemon.wait_for(lambda: answered(gateway, phone, "proper"), "the next burst is answered")
    assert len(gateway.texts(phone)) == 1


def test_three_providers_of_which_the_third_answers(gateway: FakeEvolution, model: FakeOpenAI) -> None:
    """I2: the first answers 500, the second refuses its key: the third answers every contact once. That does not count
    as an attempt, and the two that fail are soon not called any more."""
    phones = [f"55117400{number:05d}" for number in range(8)]
    with FakeAnthropic().running() as second, FakeGemini().running() as third:
        providers = [
            _provider("first", "openai", model, "test"),
            {**_provider("second", "anthropic", second, anthropic_server.MODEL), "api_key": "wrong"},
            _provider("third", "gemini", third, gemini_server.MODEL),
        ]
        settings = {"responder": {"providers": providers, "breaker_failures": 3, "breaker_seconds": 120}}
        model.order("status", 1000, status=500)
        asked = len(model.questions)
        with daemon_under_test(evolution(gateway), settings) as daemon:
            for phone in phones:  # one after another: calls that are under way as a breaker opens still end
                daemon.burst(Said("demo", phone, f"three {phone}", f"THREE-{phone}"))
                daemon.wait_for(lambda phone=phone: gateway.texts(phone), "it is answered")  # type: ignore[misc]
            daemon.wait_settled()
            opened = [event["provider"] for event in daemon.events("provider.opened")]
            failed = {event["provider"]: event["reason"] for event in daemon.events("provider.failed")}
            assert not daemon.events("turn.failed") and open_letters(daemon) == 0
    assert [len(answered(gateway, phone, f"three {phone}")) for phone in phones] == [1] * len(phones)
    assert (opened, failed) == (["first", "second"], {"first": "server_error", "second": "bad_key"})
    assert (len(model.questions) - asked, third.answered) == (3, len(phones))


def _provider(name: str, kind: str, server: FakeModel, model: str) -> Tree:
    at = {"base_url": server.base_url, "api_key": server.api_key, "timeout_seconds": TIMEOUT_SECONDS}
    return {"name": name, "kind": kind, "model": model, **at}


def _failed(daemon: DaemonUnderTest, reason: str) -> bool:
    return any(event["reason"] == reason for event in daemon.events("turn.failed"))


def _polite(daemon: DaemonUnderTest, event: dict[str, object]) -> bool:
    return event["conversation"] == daemon.show("demo", "5511700000001")["conversation"]
