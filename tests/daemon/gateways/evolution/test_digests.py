"""The digest of a media file is one, however it is written."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.gateways.evolution.digests import media_hash


@given(st.binary(min_size=32, max_size=32))
def test_every_spelling_of_a_digest_is_the_same(digest: bytes) -> None:
    numbers = list(digest)
    plain = base64.b64encode(digest).decode()
    spellings: list[object] = [
        plain,
        plain.rstrip("="),
        base64.urlsafe_b64encode(digest).decode(),
        digest.hex(),
        numbers,
        {str(place): number for place, number in enumerate(numbers)},
        {"type": "Buffer", "data": numbers},
    ]
    assert {media_hash({"fileSha256": spelling}) for spelling in spellings} == {plain}
    assert media_hash({"sha256": plain}) == plain


@pytest.mark.parametrize(
    "value",
    [None, 7, "", "x", "é" * 44, "A" * 10_000, [], [1] * 31, [1] * 33, [256] * 32, [True] * 32, {"0": 1}],
)
def test_what_is_no_digest_is_none(value: Any) -> None:
    assert media_hash({"fileSha256": value}) == ""
