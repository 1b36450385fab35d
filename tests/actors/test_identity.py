"""The key, the partition and the label of a conversation, and the canonical form of a contact."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.identity import Conversation, canonical_contact, is_lid, number_forms

NAMES = st.text(min_size=1)
CONVERSATIONS = st.builds(Conversation, NAMES, NAMES)
PHONES = st.from_regex(r"[1-9][0-9]{4,14}", fullmatch=True)


@given(CONVERSATIONS)
def test_a_key_can_be_read_back(conversation: Conversation) -> None:
    assert Conversation.from_key(conversation.key) == conversation


@given(CONVERSATIONS)
def test_key_cannot_inject(conversation: Conversation) -> None:
    """No hash tag, no key separator, no line break: only unreserved characters, percent signs and one slash."""
    assert re.fullmatch(r"[A-Za-z0-9_.~%-]+/[A-Za-z0-9_.~%-]+", conversation.key)


@given(CONVERSATIONS, CONVERSATIONS)
def test_keys_differ_where_conversations_do(one: Conversation, other: Conversation) -> None:
    assert (one.key == other.key) == (one == other)


def test_slashes_do_not_confuse() -> None:
    assert Conversation("a/b", "c").key != Conversation("a", "b/c").key


@pytest.mark.parametrize("key", ["", "demo", "demo/", "/5511", "/"])
def test_text_that_is_not_a_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="instance/contact"):
        Conversation.from_key(key)


@pytest.mark.parametrize(
    ("instance", "contact", "partition"),
    [
        ("demo", "5511987651095", 185),
        ("demo", "168512346331@lid", 252),
        ("متجر", "201001234567", 86),
        ("{p000}:x", "1", 119),
    ],
)
def test_partition_is_pinned(instance: str, contact: str, partition: int) -> None:
    """I5: stored data and other daemons rely on these numbers. They never change."""
    assert Conversation(instance, contact).partition(256) == partition


@given(CONVERSATIONS, st.integers(1, 4096))
def test_partition_is_in_range(conversation: Conversation, partitions: int) -> None:
    assert 0 <= conversation.partition(partitions) < partitions


def test_partitions_are_even() -> None:
    counts = [0] * 16
    for number in range(16_000):
        counts[Conversation("demo", str(5511900000000 + number)).partition(16)] += 1
    assert 800 < min(counts) <= max(counts) < 1200


@given(CONVERSATIONS)
def test_a_label_says_nothing_outside_the_install(conversation: Conversation) -> None:
    """I11: the same within an install, another one elsewhere, and nothing of the number in it."""
    label = conversation.label("install-1")
    assert label == conversation.label("install-1") != conversation.label("install-2")
    assert re.fullmatch(r"[0-9a-f]{10}", label)


def test_labels_differ() -> None:
    labels = {Conversation("demo", str(5511900000000 + number)).label("install-1") for number in range(2000)}
    assert len(labels) == 2000


@given(PHONES)
def test_one_phone_in_every_form(phone: str) -> None:
    forms = ["{}@s.whatsapp.net", "{}:12@s.whatsapp.net", "{}@S.WhatsApp.net", "{}@c.us", "+{}", " {} ", "{}"]
    assert {canonical_contact(form.format(phone)) for form in forms} == {phone}


@given(st.from_regex(r"[1-9][0-9]{4,17}", fullmatch=True))
def test_lid_in_every_form(digits: str) -> None:
    for form in (f"{digits}@lid", f"{digits}:3@lid", f"{digits}@LID"):
        contact = canonical_contact(form)
        assert contact == f"{digits}@lid"
        assert is_lid(contact)
    assert not is_lid(digits)


def test_jids_of_other_servers_stay_unchanged() -> None:
    assert canonical_contact("1203@g.us") == "1203@g.us"


WORDS = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="+"))


@given(
    st.sampled_from(["", "+"]),
    WORDS,
    st.sampled_from(["", ":12"]),
    st.sampled_from(["", "@lid", "@c.us", "@"]),
    WORDS,
)
def test_canonical_contact_is_total_and_idempotent(
    plus: str, user: str, device: str, at: str, rest: str
) -> None:
    """For words without a space or plus inside, as the gateway's parser asserts before it asks."""
    contact = canonical_contact(f" {plus}{user}{device}{at}{rest} ")
    assert canonical_contact(contact) == contact


@given(st.text())
def test_canonical_contact_is_total(jid: str) -> None:
    assert isinstance(canonical_contact(jid), str)


IN_TWO_FORMS = [
    ("5531996348800", "553196348800"),  # Brazil, as reported for Baileys and Evolution
    ("5511961234567", "551161234567"),
    ("5584988887777", "558488887777"),
    ("5215512345678", "525512345678"),  # Mexico
    ("5219841056553", "529841056553"),
    ("5491154933738", "541154933738"),  # Argentina
    ("5492644472542", "542644472542"),
]
"""Addresses of one number: with the digit that is not always there, and without."""
ALONE = [
    "5511900000001",  # no mobile number of old began with 0
    "551133334444",  # a landline
    "5511933334444",  # a 9 before what looks like one: no old number
    "550196348800",  # there is no such area code
    "55319963488001",  # too long
    "55319634880",  # too short
    "521551234567",
    "5255123456789",
    "5210512345678",
    "549415493373",
    "5495154933738",
    "966500000001",
    "34655123456",
    "168500000006331@lid",
    "+5531996348800",
    "5531996348800\n",
    "٥٥٣١٩٩٦٣٤٨٨٠٠",
    "",
]


@pytest.mark.parametrize(("long", "short"), IN_TWO_FORMS)
def test_a_number_in_two_forms_is_found_from_either(long: str, short: str) -> None:
    assert number_forms(long) == (long, short)
    assert number_forms(short) == (short, long)


@pytest.mark.parametrize("contact", ALONE)
def test_any_other_contact_has_one_form(contact: str) -> None:
    assert number_forms(contact) == (contact,)
