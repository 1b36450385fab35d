"""The script of a rehearsal: reproducible by seed, human in pace, and with the requested shares."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.escalation import EscalationInput, reason
from daemon.simulate import words
from daemon.simulate.script import SERIALS_PER_BURST, Burst, Script, ScriptLine, Shares

SEEDS = st.integers(-(2**40), 2**40)
CUSTOMERS = st.integers(0, 99_999)
NUMBERS = st.integers(0, 10_000)
RATES = st.floats(0.01, 10_000)
EVERYTHING = Shares(duplicates=1, late=1, media=1, during_answer=1)
NOTHING = Shares(duplicates=0, late=0, media=0, during_answer=0)


def lines_of(burst: Burst) -> tuple[ScriptLine, ...]:
    return burst.lines if burst.interjection is None else (*burst.lines, burst.interjection)


@given(SEEDS, CUSTOMERS, NUMBERS, RATES)
def test_a_burst_is_reproducible(seed: int, customer: int, number: int, rate: float) -> None:
    """It depends only on seed, customer and number, not on earlier calls."""
    once, again = Script(seed, 100, rate), Script(seed, 100, rate)
    again.burst(customer + 1, number)
    assert once.burst(customer, number) == again.burst(customer, number)
    assert once.begins_after_seconds(customer) == again.begins_after_seconds(customer)


@given(SEEDS, CUSTOMERS, NUMBERS, RATES)
def test_a_burst_is_in_order_and_ends(seed: int, customer: int, number: int, rate: float) -> None:
    """Its messages follow one another, and the next burst follows all of them."""
    burst = Script(seed, 100, rate).burst(customer, number)
    moments = [line.after_seconds for line in burst.lines]
    assert moments == sorted(moments)
    assert moments[0] == 0
    assert burst.next_after_seconds >= moments[-1]


@given(SEEDS, CUSTOMERS, NUMBERS)
def test_serial_numbers_are_never_given_twice(seed: int, customer: int, number: int) -> None:
    script = Script(seed, 100, 10, EVERYTHING)
    serials = [line.serial for n in (number, number + 1) for line in lines_of(script.burst(customer, n))]
    assert len(set(serials)) == len(serials)
    assert {serial // SERIALS_PER_BURST for serial in serials} == {number, number + 1}


@given(SEEDS, CUSTOMERS, NUMBERS)
def test_shares_of_zero_and_one(seed: int, customer: int, number: int) -> None:
    """A share of 0 never happens, a share of 1 always."""
    plain = Script(seed, 100, 10, NOTHING).burst(customer, number)
    assert plain.interjection is None
    for line in plain.lines:
        assert (line.kind, line.repeat_after_seconds, line.first_delivery_lost) == ("text", None, False)
    full = Script(seed, 100, 10, EVERYTHING).burst(customer, number)
    assert full.interjection is not None
    for line in full.lines:
        assert line.kind != "text"
        assert line.repeat_after_seconds is not None
        assert line.first_delivery_lost


@pytest.mark.parametrize("rate", [2.0, 40.0, 2_000.0])
def test_the_rate_is_the_requested_one(rate: float) -> None:
    """Over many bursts the mean is right within a tenth, also when typing must be sped up."""
    customers = 200
    script = Script(1, customers, rate, Shares(during_answer=0.3))
    bursts = [script.burst(customer, number) for customer in range(customers) for number in range(10)]
    messages = sum(len(lines_of(burst)) for burst in bursts)
    seconds = sum(burst.next_after_seconds for burst in bursts) / customers
    assert messages / seconds == pytest.approx(rate, rel=0.1)


def test_customers_do_not_begin_at_the_same_time() -> None:
    script = Script(1, 1000, 100)
    moments = sorted(script.begins_after_seconds(customer) for customer in range(1000))
    assert moments[0] >= 0
    assert max(later - earlier for earlier, later in itertools.pairwise(moments)) < moments[-1] / 50


def test_customers_write_arabic_and_latin() -> None:
    texts = [line.text for customer in range(50) for line in Script(3, 50, 10).burst(customer, 0).lines]
    arabic = [text for text in texts if any("\u0600" <= letter <= "\u06ff" for letter in text)]
    assert 0.2 < len(arabic) / len(texts) < 0.8


def test_no_customer_asks_for_a_person() -> None:
    """An escalated conversation is silent, which the rehearsal would count as a loss."""
    said = (*words.GREETINGS, *words.QUESTIONS, *words.REMARKS, *words.INTERJECTIONS, *words.CAPTIONS)
    for text in (*said, *words.FILES):
        assert not reason(EscalationInput(text=text, interactions=(), keywords=(), threshold=3)), text
