"""The quick reader of plain texts: it gives what the reader of everything gives, or nothing."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.traffic import webhooks
from daemon.gateways.evolution.payload import read_webhook
from daemon.gateways.evolution.plain import read_plain
from daemon.ingress.inbound import UnreadablePayload
from daemon.ingress.inline_media import SHORT_BYTES
from tests.support.payloads import upsert

PLAIN = {
    "01_text_2_3_7",
    "02_text_lid_with_sender_pn",
    "id_2_3_1_overwritten",
    "id_2_4_swapped",
    "id_device_suffix",
    "04_lid_with_alt",
}
"""What gateways send all day must be read quickly, or nothing is gained."""


def _fixtures() -> dict[str, dict[str, Any]]:
    places = (Path(__file__).parent / "fixtures").glob("*.json")
    return {place.stem: json.loads(place.read_text()) for place in sorted(places)}


FIXTURES = _fixtures()
BODIES = [json.dumps(fixture["body"]).encode() for fixture in FIXTURES.values()]
BODIES.append(next(webhooks(1, 1, 1785100386, run=1)).partition(b"\r\n\r\n")[2])
BODIES.append(
    json.dumps(upsert("demo", "5511987651095", "oi", "AC91", 1785100386, lid="168512346331")).encode()
)
RICH = (FIXTURES["02_text_lid_with_sender_pn"]["body"], json.loads(BODIES[-1]))
QUICK = [body for body in BODIES if read_plain(body, None) is not None]

ODD: tuple[object, ...] = (
    *(None, True, False, 0, -1, 7, 1e300, 1785100386.0, 1785100386000, 1 << 64, "1785100386"),
    *(
        "",
        " ",
        " oi ",
        "\u200b",
        "a\0b",
        "\ud800",
        "x" * 300,
        "é" * 129,
        "{x}",
        "messages.upsert",
        "MESSAGES_UPSERT",
    ),
    *(
        "5511987651095@s.whatsapp.net",
        "+5511987651095:4@S.WhatsApp.net",
        "168512346331@lid",
        "1@g.us",
        "0@c.us",
    ),
    *(
        "status@broadcast",
        "x" * 200 + "@lid",
        "conversation",
        "imageMessage",
        "http://user@gate.example:8080/x",
    ),
    *([], [{}], {}, {"low": 1785100386, "high": 0}, {"message": {"conversation": "no"}}),
    {"contextInfo": {"stanzaId": "AC90", "quotedMessage": {"conversation": "no"}}},
)
ADDED = (
    "contextInfo",
    "body",
    "speechToText",
    "protocolMessage",
    "messageStubType",
    "participant",
    "senderPn",
    "x",
)


def agrees(body: bytes, instance: str | None, event: str | None = None) -> bool:
    """Whether it was read quickly; what it gave is what it should have given."""
    quick = read_plain(body, instance)
    if quick is not None:
        try:
            assert quick == read_webhook(body, instance, event), body
        except UnreadablePayload as error:
            raise AssertionError(body) from error
    return quick is not None


def _changed(document: Any) -> Iterator[Any]:
    """The document with one value after the other left out, replaced by each odd one, or with a neighbour."""
    for path in list(_paths(document)):
        for value in ODD:
            yield _with(document, path, lambda holder, name, value=value: holder.__setitem__(name, value))
        yield _with(document, path, lambda holder, name: holder.pop(name))
        for name in ADDED:
            yield _with(document, path, lambda holder, _, name=name: holder.setdefault(name, dict(ODD[-1])))  # type: ignore[call-overload]


def _paths(document: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in document.items():
        yield (*before, name)
        if isinstance(value, dict):
            yield from _paths(value, (*before, name))


def _with(document: Any, path: tuple[str, ...], change: Any) -> Any:
    changed = copy.deepcopy(document)
    holder = changed
    for name in path[:-1]:
        holder = holder[name]
    change(holder, path[-1])
    return changed


def test_what_gateways_send_all_day_is_read_quickly() -> None:
    for name in PLAIN:
        assert read_plain(json.dumps(FIXTURES[name]["body"]).encode(), None) is not None, name
    assert all(read_plain(body, None) for body in BODIES[-2:])


@pytest.mark.parametrize("instance", [None, "demo", "bench-00", "other", "messages-upsert"])
def test_every_fixture_is_read_as_ever(instance: str | None) -> None:
    for body in BODIES:
        agrees(body, instance)
        agrees(body, instance, "send-message")


def test_whatever_one_value_is_it_is_read_as_ever() -> None:
    read = [agrees(json.dumps(changed).encode(), None) for body in RICH for changed in _changed(body)]
    assert 0 < sum(read) < len(read), "some of both"


def test_a_long_one_is_left_to_the_other_reader() -> None:
    document = json.loads(QUICK[0])
    document["data"]["message"]["conversation"] = "x" * SHORT_BYTES
    assert not agrees(json.dumps(document).encode(), None)


@given(st.sampled_from(QUICK), st.data())
def test_whatever_the_bytes_are_they_are_read_as_ever(body: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, min(len(body), start + 8)))
    # Escapes, names that stand twice, bytes that are no UTF-8.
    piece = data.draw(
        st.binary(max_size=4) | st.sampled_from((b"\\ud800", b"\\u0000", b'"', b'","id":"B', b"\xff", b" "))
    )
    agrees(body[:start] + piece + body[end:], data.draw(st.sampled_from((None, "demo"))))
