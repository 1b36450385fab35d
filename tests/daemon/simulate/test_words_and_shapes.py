"""Tokens survive a round trip, and the gateway's parser reads every form of message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import Message
from daemon.gateways.evolution.payload import parse_webhook
from daemon.simulate.payloads import message_id, webhook
from daemon.simulate.play import MAX_ATTEMPTS, REFUSED_FOR_GOOD, Retries
from daemon.simulate.script import MessageKind, Script, ScriptLine, Shares
from daemon.simulate.tokens import Token, contact_of, customer_of, mark_of, token, tokens_in

MARKS = st.integers(0, 2**50).map(mark_of)
NUMBERS = st.integers(0, 999_999_999)


@given(MARKS, NUMBERS, NUMBERS, st.text(), st.text())
def test_a_token_is_found_in_any_text(mark: str, customer: int, serial: int, before: str, after: str) -> None:
    text = f"{before} {token(mark, customer, serial)} {after}"
    assert Token(mark, customer, serial) in tokens_in(text)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=20))
def test_tokens_keep_their_order(numbers: list[tuple[int, int]]) -> None:
    text = "\n".join(f"تمام {token('m', *pair)}" for pair in numbers)
    assert [(found.customer, found.serial) for found in tokens_in(text)] == numbers


@given(NUMBERS)
def test_a_contact_is_a_customer(customer: int) -> None:
    assert customer_of(contact_of(customer)) == customer
    assert customer_of(f"{contact_of(customer)}@s.whatsapp.net") == customer


@pytest.mark.parametrize("number", ["5511999990000", "999", "9990000000001", "", "999abcdefghi"])
def test_other_numbers_are_no_customers(number: str) -> None:
    assert customer_of(number) is None


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("text", ("text", "مرحبا #m-7-31")),
        ("image", ("image", "[image; it cannot be seen here] مرحبا #m-7-31")),
        ("voice", ("voice", "مرحبا #m-7-31")),
        ("document", ("document", "[document: plan.pdf; it cannot be read here] مرحبا #m-7-31")),
    ],
)
def test_each_form_of_message_is_read_with_its_token(kind: MessageKind, expected: tuple[str, str]) -> None:
    message = parsed(ScriptLine(7, 31, 0.0, kind, "مرحبا", "plan.pdf" if kind == "document" else ""))
    assert (message.kind, message.text) == expected
    assert (message.contact, message.sent_at) == ("999000000007", 1785100386)


@given(st.integers(0, 10_000), st.integers(0, 100))
def test_every_line_of_a_script_is_readable(customer: int, number: int) -> None:
    """The gateway's parser reads it as one message of this customer, with one token."""
    burst = Script(1, 10_001, 10, Shares(media=0.5, during_answer=1)).burst(customer, number)
    assert burst.interjection is not None
    for line in (*burst.lines, burst.interjection):
        message = parsed(line)
        assert message.contact == contact_of(customer)
        assert tokens_in(message.text) == [Token("m", customer, line.serial)]


def test_ids_distinguish_messages_and_runs() -> None:
    """A second delivery has the id of the first; no other message has."""
    lines = [ScriptLine(customer, serial, 0.0, "text", "x") for customer in range(20) for serial in range(20)]
    ids = [message_id(mark, line) for mark in ("a", "b") for line in lines]
    assert len(set(ids)) == len(ids)
    assert ids == [message_id(mark, line) for mark in ("a", "b") for line in lines]


@given(
    st.integers(1, MAX_ATTEMPTS - 1),
    st.floats(0.001, 10),
    st.integers(),
    st.sampled_from([None, 500, 503, 429]),
)
def test_retries_are_the_gateways(attempt: int, scale: float, seed: int, status: int | None) -> None:
    """5 s, doubling, at most 300 s, give or take a fifth; times the scale."""
    delay_seconds = Retries(scale, seed).delay_seconds(attempt, status)
    assert delay_seconds is not None
    nominal = min(5 * 2 ** (attempt - 1), 300) * scale
    assert 0.79 * nominal <= delay_seconds <= 1.21 * nominal


@pytest.mark.parametrize("status", [*sorted(REFUSED_FOR_GOOD), None, 503])
def test_retries_end(status: int | None) -> None:
    retries = Retries(1.0, 1)
    assert (retries.delay_seconds(1, status) is None) == (status in REFUSED_FOR_GOOD)
    assert retries.delay_seconds(MAX_ATTEMPTS, status) is None


def parsed(line: ScriptLine) -> Message:
    body = webhook("demo", "m", line, 1785100386, "http://127.0.0.1:8085")
    inbound = parse_webhook(body, "demo", None)
    assert inbound.ignored == ()
    (message,) = inbound.messages
    assert message.id == message_id("m", line)
    return message
