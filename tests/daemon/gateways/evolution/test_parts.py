"""Each type of message as text. The real shapes are fixtures of test_payload.py; here is what is odd."""

from __future__ import annotations

import json

import pytest

from daemon.gateways.evolution import offers, parts, trade
from daemon.gateways.evolution.choices import button_reply, flow_reply, list_reply, poll_vote, template_reply


def test_captions_keep_their_lines() -> None:
    assert parts.captioned("image")({"caption": "a\nb"}) == "[image; it cannot be seen here] a\nb"
    assert parts.captioned("image")({"caption": 7}) == "[image; it cannot be seen here]"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (3, "[audio, 3 s; it cannot be heard here]"),
        ("3", "[audio, 3 s; it cannot be heard here]"),
        (0, "[audio; it cannot be heard here]"),
        (-3, "[audio; it cannot be heard here]"),
        (10**30, "[audio; it cannot be heard here]"),
        ("x", "[audio; it cannot be heard here]"),
    ],
)
def test_audio_says_its_seconds(seconds: object, said: str) -> None:
    assert parts.audio({"seconds": seconds}) == said


def test_a_voice_note_needs_a_true_ptt() -> None:
    assert parts.audio({"ptt": True}) == "[voice message; it cannot be heard here]"
    assert parts.audio({"ptt": "false"}) == "[audio; it cannot be heard here]"


def test_a_document_without_a_file_name_is_shown() -> None:
    assert parts.document({"title": "Contrato"}) == "[document: Contrato; it cannot be read here]"
    assert parts.document({}) == "[document; it cannot be read here]"


def test_a_location_at_the_equator_is_shown() -> None:
    assert parts.location({"degreesLatitude": 0, "degreesLongitude": 0.0}) == "[location: 0,0.0]"


def test_a_contact_card_of_many_lines_is_shortened() -> None:
    card = "\r\n".join(
        ["BEGIN:VCARD", "TEL;type=CELL:+1", "tel:+2", "NOTE:TEL me", "no colon TEL", *["TEL:+3"] * 99]
    )
    said = parts.contact({"displayName": "Ana\nB", "vcard": card})
    assert said.startswith("[contact: Ana B] +1, +2, +3")
    assert said.count(",") == 19


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"degreesLatitude": "24.7", "degreesLongitude": "46.6"}, "[location: 24.7,46.6]"),
        ({"degreesLatitude": "24.7", "degreesLongitude": "x"}, "[location]"),
        ({"degreesLatitude": "nan", "degreesLongitude": 1e400}, "[location]"),
        ({"degreesLatitude": True, "degreesLongitude": "9" * 40, "comment": "gate 2"}, "[location] gate 2"),
    ],
)
def test_a_location_is_where_its_numbers_say(part: dict[str, object], said: str) -> None:
    assert parts.location(part) == said


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (
            {"vcard": "BEGIN:VCARD\nFN;CHARSET=UTF-8:Sami: driver\nitem1.TEL:+966 5\nEND:VCARD"},
            "[contact: Sami: driver] +966 5",
        ),
        ({"vcard": "fn:Sami\nTEL;VALUE=uri:tel:+9665", "displayName": "S."}, "[contact: S.] +9665"),
    ],
)
def test_a_contact_without_a_name_beside_its_card_has_the_cards(part: dict[str, object], said: str) -> None:
    assert parts.contact(part) == said


def test_newer_buttons_and_how_to_pay_are_said() -> None:
    def button(**params: object) -> dict[str, object]:
        return {"name": "x", "buttonParamsJson": json.dumps(params)}

    key = {"merchant_name": "Loja Ana", "key": "ana@ex.org", "key_type": "EMAIL"}
    pay = button(
        currency="BRL",
        total_amount={"value": 12050, "offset": 100},
        payment_settings=[{"type": "pix_static_code", "pix_static_code": key}, 7],
    )
    rows = button(title="Sizes", sections=[{"rows": [{"title": "S"}, {"title": "M"}]}])
    assert offers.interactive({"nativeFlowMessage": {"buttons": [pay]}}) == (
        "[payment of 120.5 BRL: Loja Ana, key ana@ex.org (EMAIL)]"
    )
    flow = {"buttons": [button(display_text="Yes", id="y"), rows, {"buttonParamsJson": "{"}, 7]}
    assert (
        offers.interactive({"body": {"text": "Well?"}, "nativeFlowMessage": flow})
        == "Well?\nYes / Sizes / S / M"
    )
    card = {"body": {"text": "90 SAR"}, "nativeFlowMessage": {"buttons": [button(display_text="Take it")]}}
    assert offers.interactive({"carouselMessage": {"cards": [card]}}) == "90 SAR\nTake it"


def test_wrong_types_are_read_as_absent() -> None:
    odd: dict[str, object] = {
        "contacts": [7, None],
        "options": [[], {"optionName": 7}],
        "product": 7,
        "vcard": [],
    }
    assert parts.contacts(odd) == "[contact]\n[contact]"
    assert parts.poll(odd) == "[poll]"
    assert trade.product(odd) == "[product]"
    assert trade.order(odd) == "[order]"
    assert parts.event(odd) == "[event]"
    assert parts.invite(odd) == "[group invite]"


def test_words_are_preferred_to_ids() -> None:
    assert button_reply({"selectedButtonId": "b-1"}) == "b-1"
    assert template_reply({"selectedId": "t-1", "selectedDisplayText": ""}) == "t-1"
    assert list_reply({"title": "", "description": "d", "singleSelectReply": {"selectedRowId": "r"}}) == "d"
    assert list_reply({"singleSelectReply": "r"}) == ""


def test_a_withdrawn_poll_vote_is_said() -> None:
    assert poll_vote({"vote": {"selectedOptions": []}}) == "[poll vote taken back]"


@pytest.mark.parametrize(
    ("counts", "said", "size"),
    [
        ({"expectedImageCount": 5, "expectedVideoCount": 3}, "[album: 5 pictures, 3 videos]", 8),
        ({"expectedImageCount": -1, "expectedVideoCount": "x"}, "[album]", 0),
        (
            {"expectedImageCount": 10**9, "expectedVideoCount": 10**9},
            "[album: 100 pictures, 100 videos]",
            100,
        ),
    ],
)
def test_an_album_says_how_many_follow(counts: dict[str, object], said: str, size: int) -> None:
    assert (parts.album(counts), parts.album_size(counts)) == (said, size)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"id": "yes"}, "yes"),
        ({"id": "yes", "display_text": "Yes"}, "Yes"),
        (
            {"display_text": "Yes", "size": 1.5, "gift": False, "note": "a\nb"},
            "Yes\nsize: 1.5\ngift: no\nnote: a b",
        ),
        ({"nested": {"a": {"b": [{"c": 1}]}}, "nothing": None}, ""),
        # A range of days, an address, a list of guests: forms within the form.
        ({"when": {"from": "1.12.", "to": "5.12."}}, "when: from 1.12., to 5.12."),
        (
            {"guests": [{"name": "Ali"}, {"name": "Omar"}], "tags": ["a", 2, None]},
            "guests: name Ali, name Omar\ntags: a, 2",
        ),
        ({"wide": [["x"] * 99] * 99}, "wide: " + ", ".join(["x"] * 1366)),
        ([1], ""),
        ({f"f{number}": 1 for number in range(99)}, "\n".join(f"f{number}: 1" for number in range(50))),
    ],
)
def test_the_fields_of_a_form_are_read(params: object, said: str) -> None:
    assert flow_reply({"nativeFlowResponseMessage": {"paramsJson": json.dumps(params)}}) == said


@pytest.mark.parametrize("params", ["", "{", "[" * 9999, "\ud800", json.dumps({"a": "x" * 70_000}), 7])
def test_an_unreadable_form_shows_its_body_only(params: object) -> None:
    assert flow_reply({"body": {"text": "ok"}, "nativeFlowResponseMessage": {"paramsJson": params}}) == "ok"
