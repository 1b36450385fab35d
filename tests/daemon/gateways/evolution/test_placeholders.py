"""Placeholders. The real shapes are fixtures of test_evolution_payload.py; here is what is odd."""

from __future__ import annotations

import pytest

from daemon.gateways.evolution import placeholders


def test_captions_keep_their_lines() -> None:
    assert placeholders.captioned("image")({"caption": "a\nb"}) == "[image] a\nb"
    assert placeholders.captioned("image")({"caption": 7}) == "[image]"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (3, "[audio, 3 s]"),
        ("3", "[audio, 3 s]"),
        (0, "[audio]"),
        (-3, "[audio]"),
        (10**30, "[audio]"),
        ("x", "[audio]"),
    ],
)
def test_audio(seconds: object, said: str) -> None:
    assert placeholders.audio({"seconds": seconds}) == said


def test_a_voice_note_needs_a_true_ptt() -> None:
    assert placeholders.audio({"ptt": True}) == "[voice message]"
    assert placeholders.audio({"ptt": "false"}) == "[audio]"


def test_document_without_file_name() -> None:
    assert placeholders.document({"title": "Contrato"}) == "[document: Contrato]"
    assert placeholders.document({}) == "[document]"


def test_location_at_the_equator() -> None:
    assert placeholders.location({"degreesLatitude": 0, "degreesLongitude": 0.0}) == "[location: 0,0.0]"


def test_contact_card_of_many_lines() -> None:
    card = "\r\n".join(
        ["BEGIN:VCARD", "TEL;type=CELL:+1", "tel:+2", "NOTE:TEL me", "no colon TEL", *["TEL:+3"] * 99]
    )
    said = placeholders.contact({"displayName": "Ana\nB", "vcard": card})
    assert said.startswith("[contact: Ana B] +1, +2, +3")
    assert said.count(",") == 19


def test_wrong_types_everywhere() -> None:
    odd: dict[str, object] = {
        "contacts": [7, None],
        "options": [[], {"optionName": 7}],
        "product": 7,
        "vcard": [],
    }
    assert placeholders.contacts(odd) == "[contact]\n[contact]"
    assert placeholders.poll(odd) == "[poll]"
    assert placeholders.product(odd) == "[product]"
    assert placeholders.order(odd) == "[order]"
    assert placeholders.event(odd) == "[event]"
    assert placeholders.invite(odd) == "[group invite]"
