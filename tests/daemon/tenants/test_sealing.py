"""Sealed values: what opens them, and what does not."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.config.secret_keys import KEY_BYTES, BadKey, key_id, read_key
from daemon.tenants.sealing import CannotOpen, NoSealingKey, Sealed, Sealer

keys = st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES)
names = st.text(max_size=12)
values = st.text(max_size=40) | st.lists(st.text(max_size=9), max_size=2) | st.dictionaries(names, names)
places = st.tuples(names, names)
SECRET = "sk-secret-5511"


@given(keys, places, values)
def test_a_value_opens_with_its_key_in_its_place(key: bytes, place: tuple[str, str], value: object) -> None:
    sealed = Sealer([key]).seal(*place, value)
    assert Sealer([key]).open(*place, sealed) == value


@given(keys, keys, places, places)
def test_it_opens_nowhere_else_and_with_no_other_key(
    key: bytes, other: bytes, place: tuple[str, str], elsewhere: tuple[str, str]
) -> None:
    """Instance and setting are told apart, also where their letters run together."""
    sealer, sealed = Sealer([key]), Sealer([key]).seal(*place, SECRET)
    if elsewhere != place:
        with pytest.raises(CannotOpen):
            sealer.open(*elsewhere, sealed)
    if other != key:
        with pytest.raises(CannotOpen):
            Sealer([other]).open(*place, sealed)
        with pytest.raises(CannotOpen):
            Sealer([other]).open(*place, sealed._replace(key_id=key_id(other)))


def test_names_that_run_together_are_told_apart() -> None:
    sealer = Sealer([bytes(32)])
    sealed = sealer.seal("acme", "gateway.api_key", SECRET)
    with pytest.raises(CannotOpen):
        sealer.open("acmegateway", ".api_key", sealed)


@given(keys, st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_box_stays_shut(key: bytes, place: int, flip: int) -> None:
    sealer = Sealer([key])
    sealed = sealer.seal("acme", "gateway.api_key", SECRET)
    box = bytearray(sealed.box)
    box[place % len(box)] ^= flip
    for broken in (bytes(box), sealed.box[: place % len(box)], sealed.box + b"\0"):
        with pytest.raises(CannotOpen):
            sealer.open("acme", "gateway.api_key", Sealed(sealed.key_id, broken))


def test_the_first_key_seals_and_both_open() -> None:
    old, new = bytes(32), bytes([1]) * 32
    before = Sealer([old]).seal("acme", "k", SECRET)
    both = Sealer([new, old])
    assert both.open("acme", "k", before) == SECRET
    assert both.seal("acme", "k", SECRET).key_id == key_id(new) == both.first
    assert both.seal("acme", "k", SECRET) != both.seal("acme", "k", SECRET)
    with pytest.raises(NoSealingKey):
        Sealer().seal("acme", "k", SECRET)


@given(keys)
def test_a_key_is_read_as_people_write_it(key: bytes) -> None:
    plain = base64.b64encode(key).decode()
    for written in (
        plain,
        plain.rstrip("="),
        f" {plain}\n",
        base64.urlsafe_b64encode(key).decode(),
        key.hex(),
        key.hex().upper(),
    ):
        assert read_key(written) == key


@given(st.text(max_size=70))
def test_what_is_no_key_is_refused_without_a_word_of_it(written: str) -> None:
    try:
        assert len(read_key(written)) == KEY_BYTES
    except BadKey as bad:
        assert str(bad) == "must be 32 bytes in base64 or in hexadecimal; `openssl rand -base64 32` makes one"
        assert bad.__cause__ is None


def test_nothing_shows_what_is_sealed_or_the_key() -> None:
    key = b"0123456789abcdef0123456789abcdef"
    sealer = Sealer([key])
    sealed = sealer.seal("acme", "k", SECRET)
    with pytest.raises(CannotOpen) as shut:
        sealer.open("shop", "k", sealed)
    shown = f"{sealer!r} {sealed!r} {shut.value} {shut.value.__cause__}"
    for kept in (SECRET, key.decode(), base64.b64encode(key).decode(), key.hex()):
        assert kept not in shown and kept.encode() not in sealed.box
