"""The key, the partition and the label of a conversation, and the canonical form of a contact."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.identity import Conversation, canonical_contact, is_lid

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
