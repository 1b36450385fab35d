"""The token in a webhook, cut out and put in again."""

from __future__ import annotations

import random

import pytest

from daemon.forwarding.token import MAX_PLACES, TokenCut, own_place, with_values

DOCUMENTS = [
    b'{"event":"x","data":{"t":"say \\"apikey\\":\\"k\\" ok"},"apikey":"SECRET"}',
    b'{"a":"x\\"apikey","apikey" :\n "SEC\\"RET\\\\","z":{"apikey":"SECRET"}}',
    b'{"apikey":null,"b":[1,{"apikey":"SECRET"}]}',
    b'{"apikey":"SECRET \\',
    b'"apikey"',
    b"",
]


def cut(document: bytes, piece: int = 1 << 20) -> tuple[bytes, list[int]]:
    made = TokenCut()
    stored = b"".join(made.feed(document[at : at + piece]) for at in range(0, len(document), piece))
    stored += made.end()
    assert made.size == len(stored)
    return stored, made.places


@pytest.mark.parametrize("document", DOCUMENTS)
def test_how_a_document_is_divided_does_not_matter(document: bytes) -> None:
    whole = cut(document)
    assert b"SECRET" not in whole[0]
    assert all(cut(document, piece) == whole for piece in (*range(1, 12), random.Random(1).randint(12, 60)))


def test_no_words_and_no_longer_name_are_the_key() -> None:
    said = b'{"data":{"text":"{\\"apikey\\":\\"mine\\"}","the \\"apikey":"mine","apikeys":"mine"}}'
    assert cut(said) == (said, [])


@pytest.mark.parametrize(
    ("document", "place"),
    [
        (b'{"data":{"apikey":"A"},"apikey":"B"}', 1),
        (b'{"apikey":"B","data":{"apikey":"A"}}', 0),
        (b'{"data":{"apikey":"A"},"apikey":null}', -1),
        (b'[{"headers":{"apikey":"A"},"body":{"data":{},"apikey":"B"}}]', 1),
        (b'{"data":{},"body":{"apikey":"A"}}', -1),
        (b'{"apikey":"A"', -1),
        (b"[" * 5_000 + b'{"apikey":"A"}', -1),
    ],
)
def test_only_the_gateways_own_place_is_filled_again(document: bytes, place: int) -> None:
    assert own_place(document) == place


def test_beyond_so_many_places_null_is_written_at_once() -> None:
    document = b"[" + b",".join([b'{"apikey":"A"}'] * (MAX_PLACES + 2)) + b"]"
    stored, places = cut(document)
    assert len(places) == MAX_PLACES
    values = [b"null"] * MAX_PLACES
    filled = b"".join(with_values(stored, places, values, is_last=True))
    assert filled == document.replace(b'"A"', b"null")


def test_pieces_are_filled_like_the_whole() -> None:
    stored, places = cut(b'{"apikey":"A","b":{"apikey":"A"},"apikey":"A"}')
    values = [b"1", b"22", b"333"]
    whole = b"".join(with_values(stored, places, values, is_last=True))
    for size in range(1, len(stored)):
        starts = range(0, len(stored), size)
        parts = (
            with_values(stored[at : at + size], places, values, at, is_last=at == starts[-1]) for at in starts
        )
        assert b"".join(piece for part in parts for piece in part) == whole
