"""Numbers as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import Missing
from daemon.operate.numbers import contact_of

NUMBER = "966551110007"


@pytest.mark.parametrize(
    ("written", "country"),
    [
        ("+966 55 111 0007", ""),
        ("+966-55-111-0007", "EG"),
        ("00966 55 111 0007", ""),
        ("+966 055 111 0007", ""),
        ("٠٠٩٦٦٥٥١١١٠٠٠٧", ""),
        ("\u202a+966 55 111 0007\u202c", ""),  # copied out of a chat, with its marks of direction
        (NUMBER, ""),
        (NUMBER, "SA"),
        (f"{NUMBER}:12@s.whatsapp.net", ""),
        ("055 111 0007", "SA"),
        ("(055) 111-0007", "SA"),
        ("٠٥٥١١١٠٠٠٧", "SA"),
        ("551110007", "SA"),
    ],
)
def test_one_person_in_many_spellings(written: str, country: str) -> None:
    assert contact_of(written, country) == NUMBER


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("anna", "is no phone number"),
        ("12", "is no phone number"),
        ("", "is no phone number"),
        ("+0551110007", "is no phone number"),
        ("055 111 0007", "has no country code"),
        ("anna@lid", "write its digits before the @"),
    ],
)
def test_nobody_is_refused_with_what_to_write(written: str, words: str) -> None:
    with pytest.raises(Missing, match=words):
        contact_of(written)


@pytest.mark.parametrize("contact", ["8476123456789@lid", "999123456789012", "15550001111", "5215512345678"])
def test_what_a_gateway_calls_a_contact_stays(contact: str) -> None:
    assert contact_of(contact) == contact


@given(
    st.text(max_size=200) | st.from_regex(r"[+0-9 ()٠-٩-]{0,30}", fullmatch=True),
    st.sampled_from(["", "SA", "BR", "EG"]),
)
def test_what_was_read_is_read_again_as_it_is(written: str, country: str) -> None:
    """And anything else is a refusal, whatever was typed."""
    try:
        contact = contact_of(written, country)
    except Missing:
        return
    assert contact_of(contact, country) == contact
