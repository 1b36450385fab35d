"""The webhook parser: every known payload as a fixture, and properties for all others."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import Message
from daemon.gateways.evolution.amendments import MAX_TARGET_CHARS
from daemon.gateways.evolution.context import MAX_CONTEXT_CHARS, MAX_ID_CHARS
from daemon.gateways.evolution.parts import MOST_IN_AN_ALBUM, READERS, SILENT
from daemon.gateways.evolution.payload import MAX_ADDRESS_CHARS, parse_webhook
from daemon.gateways.evolution.times import MAX_SENT_AT, sent_at
from daemon.ingress.inbound import (
    MAX_TEXT_CHARS,
    Amendment,
    Ignored,
    Inbound,
    LateFailure,
    Link,
    OwnMessage,
    UnreadablePayload,
)

FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("*.json"))
PHONE = "5511987651095"
LID = "168512346331@lid"
CANARY = "CANARY-APIKEY"


def envelope(**data: Any) -> dict[str, Any]:
    key = {"remoteJid": f"{PHONE}@s.whatsapp.net", "fromMe": False, "id": "AC91"}
    item = {"key": key, "message": {"conversation": "oi"}, "messageTimestamp": 1785100386, **data}
    return {"event": "messages.upsert", "instance": "demo", "data": item, "apikey": CANARY}


def encode(document: Any) -> bytes:
    """As JSON, where infinity is a number too large; Python's word for it is no JSON."""
    return json.dumps(document).replace("Infinity", "1e400").encode()


def body_of(**document: Any) -> bytes:
    return encode(document)


def parse(document: Any, instance: str | None = None, event: str | None = None) -> Inbound:
    return parse_webhook(encode(document), instance, event)


def only_message(document: Any) -> Message:
    inbound = parse(document)
    assert inbound.ignored == ()
    (message,) = inbound.messages
    return message


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_every_fixture_is_read_as_expected(path: Path) -> None:
    fixture = json.loads(path.read_text())
    where = fixture.get("path", {})
    inbound = parse(fixture["body"], where.get("instance"), where.get("event"))
    expected = {
        "own": [],
        "failures": [],
        "amendments": [],
        "typing": None,
        "connected": False,
        "probe": "",
        "named": "demo" if isinstance(fixture["body"], list) else fixture["body"].get("instance", ""),
        "own_number": inbound.own_number,
        **fixture["expect"],
    }
    expected["own"] = [{"recorded": False, **own} for own in expected["own"]]
    people = {one.contact for one in inbound.messages} | {one.contact for one in inbound.own}
    assert inbound.own_number not in people, "nobody who writes or is written to"
    assert json.loads(msgspec.json.encode(inbound)) == expected, fixture["about"]
    assert not re.search(rb"SECRET|CANARY", msgspec.json.encode(inbound))


@pytest.mark.parametrize(
    ("sender", "number"),
    [
        ("573180000737@s.whatsapp.net", "573180000737"),
        ("573180000737:4@s.whatsapp.net", "573180000737"),
        ("5511900000001@s.whatsapp.net", ""),
        ("5511900000001:2@S.WhatsApp.net", ""),
        ("168500000006331@lid", ""),
        ("999@s.whatsapp.net", ""),
        ("573180000737", ""),
        ("x@s.whatsapp.net", ""),
        (None, ""),
        ({"user": "573180000737"}, ""),
    ],
)
def test_the_accounts_number_is_never_that_of_somebody_who_writes(sender: object, number: str) -> None:
    """Some versions put the author there."""
    key = {"remoteJid": "5511900000001@s.whatsapp.net", "id": "M1"}
    document = {**envelope(message={"conversation": "hi"}, key=key), "sender": sender}
    assert parse(document).own_number == number
    nobody = {**document, "data": []}
    assert parse(nobody).own_number == ""
    connected = {"event": "connection.update", "instance": "demo", "data": {"wuid": sender, "state": "open"}}
    assert parse(connected).own_number == ("5511900000001" if "5511" in str(sender) else number)
    assert parse({**connected, "data": {"wuid": sender, "state": "close"}}).own_number == ""


def test_fixtures_are_there() -> None:
    assert len(FIXTURES) >= 180
    assert {f"{number:02}" for number in range(1, 16)} <= {path.stem[:2] for path in FIXTURES}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b"hello", "not_json"),
        (b'{"instance":"demo"', "not_json"),
        (b'{"instance":NaN}', "not_json"),
        (b'{"instance":"demo","n":' + b"9" * 5000 + b"}", "not_json"),
        (b"\xff{}", "not_utf8"),
        (b'{"instance":"\xed\xa0\x80"}', "not_utf8"),
        ('{"instance":"demo"}'.encode("utf-16"), "not_utf8"),
        (b'{"instance":"demo","data":' + b"[" * 10_000 + b"]" * 10_000 + b"}", "too_deep"),
        (b'{"instance":"demo","data":' + b'{"a":' * 100_000, "too_deep"),
        (b"null", "not_an_object"),
        (b'[{"instance":"demo"},{"instance":"demo"}]', "not_an_object"),
        (b'[[[{"instance":"demo"}]]]', "not_an_object"),
        (b'{"instance":"demo","body":"{"}', "not_json"),
        (b'{"instance":"demo","body":7}', "not_an_object"),
        (b"{}", "no_instance"),
        (b'{"instance":7}', "no_instance"),
        (b'{"instance":"  "}', "no_instance"),
        (b'{"instance":"a\\u0000b"}', "bad_instance"),
        (b'{"instance":"\\ud800"}', "bad_instance"),
        (
            b'{"instance":"demo","event":"messages.upsert","data":[' + b"{}," * 1000 + b"{}]}",
            "too_many_items",
        ),
        (b'{"instance":"' + b"a" * 257 + b'"}', "bad_instance"),
    ],
)
def test_an_unreadable_payload_has_a_stable_reason(body: bytes, reason: str) -> None:
    """The error has a stable reason."""
    with pytest.raises(UnreadablePayload) as raised:
        parse_webhook(body, None, None)
    assert raised.value.reason == str(raised.value) == reason


def test_the_error_for_an_unreadable_payload_holds_none_of_it() -> None:
    """I11: neither the message nor a chained exception holds the payload, where numbers and tokens are."""
    with pytest.raises(UnreadablePayload) as raised:
        parse_webhook(f'{{"apikey":"{CANARY}",'.encode(), "demo", None)
    assert raised.value.__context__ is None
    assert raised.value.__cause__ is None


def test_a_byte_order_mark_is_accepted() -> None:
    assert parse_webhook(b"\xef\xbb\xbf" + json.dumps(envelope()).encode(), None, None).messages


def test_a_number_out_of_range_elsewhere_does_no_harm() -> None:
    body = json.dumps(envelope()).replace("1785100386", "1e400").encode()
    (message,) = parse_webhook(body, None, None).messages
    assert message.sent_at == 0


def test_the_last_of_duplicate_keys_counts() -> None:
    body = json.dumps(envelope()).replace('"conversation": "oi"', '"conversation": "a", "conversation": "b"')
    (message,) = parse_webhook(body.encode(), None, None).messages
    assert message.text == "b"


def test_an_emoji_cut_in_two_is_read() -> None:
    """JavaScript writes a lone surrogate as an escape: the message is still read."""
    message = only_message(envelope(message={"conversation": "ok \ud83d"}, pushName="\udc00x"))
    assert message.text == "ok \ufffd"
    assert message.push_name == "\ufffdx"


def test_long_values_are_cut() -> None:
    quoted = {"quotedMessage": {"conversation": "q" * MAX_TEXT_CHARS}}
    message = only_message(
        envelope(message={"conversation": "é" * 200_000}, pushName="n" * 9999, contextInfo=quoted)
    )
    assert (len(message.text), len(message.push_name), len(message.context[0].text)) == (
        MAX_TEXT_CHARS,
        256,
        MAX_CONTEXT_CHARS,
    )


def test_endless_wrappers_are_bounded() -> None:
    message: dict[str, Any] = {"conversation": "oi"}
    for _ in range(50):
        message = {"ephemeralMessage": {"message": message}}
    assert only_message(envelope(message=message)).text == "[ephemeral; it cannot be read here]"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ["fileSha256", "sha256", "data", "stanzaId", "participant", "remoteJid", "externalAdReply",
          "sourceUrl", "adReply", "entryPointConversionSource", "messageAssociation", "associationType",
          "parentMessageKey", "expectedImageCount", "product_items", "priceAmount1000", "totalAmount1000",
          "amount", "amount1000", "noteMessage", "currencyCode", "editedMessage", "timestampMs",
          "secretEncType", "targetMessageKey", "original_message_id", "sections", "buttons",
          "hydratedTemplate", "interactiveMessageTemplate", "carouselMessage", "referred_product", "text",
          "caption", "ptt", "seconds", "contextInfo", "quotedMessage", "message", "type", "key", "vote",
          "selectedOptions", "body", "nativeFlowResponseMessage", "paramsJson", "vcard", "contacts",
          "options", "degreesLatitude", "degreesLongitude", "fileName", "product", "singleSelectReply",
          "title"]  # fmt: skip
PART = st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6) | JSON
MESSAGE = (
    st.dictionaries(
        st.sampled_from(
            [
                *READERS,
                *SILENT,
                "speechToText",
                "wrapper",
                "editMessage",
                "revoke",
                "messageContextInfo",
                "contextInfo",
                "editedMessage",
                "holoMessage",
                "\x00Message",
                "x" * 99,
            ]
        ),
        PART,
        max_size=4,
    )
    | JSON
)
JID = st.sampled_from([f"{PHONE}@s.whatsapp.net", LID, "1@g.us", "status@broadcast", ""]) | JSON
KEY = st.fixed_dictionaries(
    {"remoteJid": JID},
    optional={
        "remoteJidAlt": JID,
        "senderPn": JID,
        "fromMe": JSON | st.just(False),
        "id": st.just("AC91") | JSON,
    },
)
ITEM = st.fixed_dictionaries(
    {"key": KEY},
    optional={"message": MESSAGE, "type": st.sampled_from([0, 14, "REVOKE", "MESSAGE_EDIT"]) | JSON,
              "editedMessage": MESSAGE, "keyId": st.just("AC91") | JSON, "update": PART, "referral": PART,
              "id": st.just("AC91") | JSON, "remoteJid": JID, "fromMe": JSON,
              "messageType": st.sampled_from([*READERS]) | JSON, "pushName": JSON, "contextInfo": PART,
              "messageTimestamp": JSON, "messageStubType": JSON},
)  # fmt: skip
DATA = ITEM | st.lists(ITEM | JSON, max_size=4) | st.fixed_dictionaries({"messages": ITEM | JSON}) | JSON
BODY = st.fixed_dictionaries(
    {
        "instance": st.just("demo"),
        "apikey": st.just(CANARY),
        "server_url": st.just(f"https://evolution.example.com/{CANARY}") | st.text() | JSON,
        "event": st.sampled_from(
            ["messages.upsert", "messages.edited", "messages.update", "messages.delete", "send.message"]
        )
        | JSON,
        "sender": JID,
        "data": DATA,
    }
)


def check_storable(inbound: Inbound) -> None:
    encoded = msgspec.json.encode(inbound)
    assert msgspec.json.decode(encoded, type=Inbound) == inbound
    assert CANARY.encode() not in encoded
    assert inbound.messages or inbound.ignored or inbound.amendments
    assert len(inbound.own) <= sum(ignored.reason == "own_message" for ignored in inbound.ignored)
    for ignored in inbound.ignored:
        assert re.fullmatch(r"[a-z_]{1,32}", ignored.reason)
        assert re.fullmatch(r"[\w.-]{0,64}", ignored.type, re.ASCII)
    said: list[Message | OwnMessage] = [*inbound.messages, *inbound.own]
    for amendment in inbound.amendments:
        assert 0 < len(amendment.target) <= MAX_TARGET_CHARS
        assert len(amendment.id) <= MAX_ID_CHARS and amendment.id.startswith(amendment.target)
        assert len(amendment.text) <= MAX_TEXT_CHARS and "\x00" not in amendment.target + amendment.text
        assert not (amendment.deleted and amendment.text)
        assert 0 <= amendment.sent_at <= MAX_SENT_AT and "@" not in amendment.contact
    for heard in inbound.messages:
        assert all(len(context.text) <= MAX_CONTEXT_CHARS for context in heard.context)
        assert all(len(context.id) <= MAX_ID_CHARS for context in heard.context)
        assert len(heard.album) <= MAX_ID_CHARS and 0 <= heard.album_size <= MOST_IN_AN_ALBUM
        assert len(heard.media_hash) in (0, 44)
        assert (heard.kind == "reaction") == (heard.aside == "reaction")
    for message in said:
        written = "".join(str(value) for value in msgspec.structs.astuple(message))
        assert "\x00" not in written
        written.encode()
        assert message.text.strip()
        assert message.id and len(message.id) <= MAX_ID_CHARS
        assert len(message.text) <= MAX_TEXT_CHARS
        assert 0 <= message.sent_at <= MAX_SENT_AT
        assert not re.search(r"[{}:/\s]", message.contact)
    assert all(len(message.server_origin) <= 2 * MAX_ADDRESS_CHARS for message in inbound.messages)


@given(BODY)
def test_any_payload_is_read(body: dict[str, Any]) -> None:
    """Whatever is in the envelope: no exception, one visible end for each item, everything storable."""
    check_storable(parse(body))


@given(
    st.binary() | JSON.map(encode),
    st.none() | st.text(),
    st.none() | st.text(),
)
def test_any_bytes_are_read_or_unreadable(body: bytes, instance: str | None, event: str | None) -> None:
    try:
        inbound = parse_webhook(body, instance, event)
    except UnreadablePayload as error:
        assert error.__context__ is None
    else:
        check_storable(inbound)


@given(st.data())
def test_any_damage_to_a_real_payload_is_survived(data: st.DataObject) -> None:
    body = bytearray(json.dumps(envelope(pushName="João"), ensure_ascii=False).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        inbound = parse_webhook(bytes(body), None, None)
    except UnreadablePayload:
        return
    assert inbound.messages or inbound.ignored or inbound.amendments


PHONES = st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True)


@given(PHONES, st.from_regex(r"[1-9][0-9]{6,17}", fullmatch=True))
def test_a_person_is_the_same_contact_in_every_version(phone: str, digits: str) -> None:
    """If the phone number is given, the form of every gateway version yields the same contact."""
    jid, lid = f"{phone}@s.whatsapp.net", f"{digits}@lid"
    keys: list[dict[str, str]] = [
        {"remoteJid": lid, "senderPn": jid},
        {"remoteJid": jid, "senderPn": jid, "previousRemoteJid": lid},
        {"remoteJid": lid, "remoteJidAlt": jid, "participant": "", "addressingMode": "lid"},
        {"remoteJid": jid, "remoteJidAlt": jid, "participant": "", "addressingMode": "lid"},
        {"remoteJid": jid, "remoteJidAlt": lid, "participant": "", "addressingMode": "pn"},
        {"remoteJid": f"{phone}:7@s.whatsapp.net"},
        {"remoteJid": f"{phone}@c.us"},
        {"remoteJid": phone},
        {"remoteJid": f"+{phone}"},
    ]
    for key in keys:
        inbound = parse(envelope(key={**key, "id": "AC91"}))
        (message,) = inbound.messages
        assert message.contact == phone
        told = lid in key.values()
        assert message.lid == (lid if told else "")
        assert inbound.links == ((Link("demo", lid, phone),) if told else ())


@given(PHONES, st.from_regex(r"[1-9][0-9]{6,17}", fullmatch=True), PHONES)
def test_an_own_message_names_the_other_side(phone: str, digits: str, account: str) -> None:
    """If the customer's number or LID is given, it is the chat; the account's own number never is."""
    jid, lid, own = f"{phone}@s.whatsapp.net", f"{digits}@lid", f"{account}@s.whatsapp.net"
    keys: list[tuple[dict[str, str], str, str]] = [
        ({"remoteJid": lid}, lid, ""),
        ({"remoteJid": lid, "senderPn": own, "participant": own}, lid, ""),
        ({"remoteJid": jid, "remoteJidAlt": jid}, phone, ""),
        ({"remoteJid": lid, "remoteJidAlt": jid}, phone, lid),
        ({"remoteJid": jid, "remoteJidAlt": lid, "participantPn": own}, phone, lid),
    ]
    for key, contact, told in keys:
        inbound = parse(envelope(key={**key, "fromMe": True, "id": "AC91"}))
        (message,) = inbound.own
        assert (message.contact, message.lid, message.text) == (contact, told, "oi")
        assert (inbound.messages, inbound.links) == ((), ())
        assert inbound.ignored == (Ignored("own_message"),)


@given(JSON)
def test_any_timestamp_is_read(value: Any) -> None:
    assert 0 <= sent_at(value) <= MAX_SENT_AT


META = {"code": 131047, "title": "Re-engagement message", "message": "x"}


@pytest.mark.parametrize(
    ("data", "failures"),
    [
        ({"keyId": "A", "fromMe": False, "status": "FAILED", "messageId": "cm1"}, [(("A",), "failed")]),
        ({"key": {"id": "A", "fromMe": True}, "status": "error"}, [(("A",), "error")]),
        ({"id": "A", "update": {"status": 0}}, [(("A",), "error")]),
        ({"keyId": "A", "id": "B", "status": "ERROR"}, [(("A", "B"), "error")]),
        ({"keyId": "A", "status": "FAILED", "errors": [META]}, [(("A",), "window_closed")]),
        (
            [{"keyId": "A", "status": "FAILED"}, {"keyId": "B", "status": "READ"}, 7],
            [(("A",), "failed")],
        ),
        ({"keyId": "A", "status": "READ"}, []),
        ({"keyId": "A", "status": False}, []),
        ({"keyId": "A"}, []),
        ({"keyId": "x" * 300, "status": "FAILED"}, []),
        ({"status": "FAILED"}, []),
        ({}, []),
        (None, []),
    ],
)
def test_an_update_may_say_that_a_message_failed(
    data: object, failures: list[tuple[tuple[str, ...], str]]
) -> None:
    """I9: the versions name the id in three ways. Other updates bring nothing."""
    found = parse_webhook(body_of(event="messages.update", data=data), "demo", None)
    assert found.failures == tuple(LateFailure("demo", *failure) for failure in failures)
    assert found.ignored == (Ignored("status_update", "messages.update"),)


def test_a_failed_status_in_another_event_is_none() -> None:
    found = parse_webhook(
        body_of(event="send.message", data={"keyId": "A", "status": "FAILED"}), "demo", None
    )
    assert found.failures == ()


def test_an_update_with_too_many_failures_is_unreadable() -> None:
    """Each costs a question to the ledger."""
    many = [{"keyId": f"{number}", "status": "FAILED"} for number in range(1_001)]
    with pytest.raises(UnreadablePayload, match="too_many_items"):
        parse_webhook(body_of(event="messages.update", data=many), "demo", None)


EDIT = {
    "type": "MESSAGE_EDIT",
    "key": {"id": "AC91", "fromMe": True},
    "editedMessage": {"conversation": "novo"},
}
SHAPES: list[tuple[str, dict[str, Any]]] = [
    ("messages.edited", EDIT),
    ("messages.edited", {**EDIT, "type": 14, "timestampMs": "1785100386123"}),
    ("messages.edited", {"key": {"id": "X"}, "message": {"protocolMessage": EDIT}}),
    ("messages.upsert", envelope(message={"protocolMessage": EDIT})["data"]),
    ("messages.upsert", envelope(message={"editedMessage": {"message": {"protocolMessage": EDIT}}})["data"]),
    (
        "messages.update",
        {"keyId": "AC91", "message": {"editedMessage": {"message": {"conversation": "novo"}}}},
    ),
]


@pytest.mark.parametrize(("event", "data"), SHAPES)
def test_the_same_edit_has_the_same_id_in_every_shape(event: str, data: dict[str, Any]) -> None:
    """2.4 tells of one edit twice, as `messages.edited` and as `messages.update`."""
    (amendment,) = parse({"event": event, "instance": "demo", "data": data}).amendments
    plain = Amendment("demo", amendment.id, "AC91", text="novo")
    assert msgspec.structs.replace(amendment, contact="", sent_at=0, made_at=0) == plain
    (first,) = parse({"event": "messages.edited", "instance": "demo", "data": EDIT}).amendments
    assert amendment.id == first.id


def test_another_text_is_another_edit() -> None:
    ids = set()
    for words in ("a", "b"):
        data = {**EDIT, "editedMessage": {"conversation": words}}
        (amendment,) = parse({"event": "messages.edited", "instance": "demo", "data": data}).amendments
        ids.add(amendment.id)
    assert len(ids) == 2


def test_two_edits_that_nobody_can_read_are_two() -> None:
    secret = {"secretEncryptedMessage": {"secretEncType": 2, "targetMessageKey": {"id": "AC91"}}}
    found = [
        parse(envelope(message=secret, key={"remoteJid": PHONE, "id": name})).amendments
        for name in ("B", "C")
    ]
    assert len({amendment.id for (amendment,) in found}) == 2


def test_an_edit_names_no_conversation_by_a_lid_alone() -> None:
    key = {"remoteJid": LID, "id": "X"}
    (amendment,) = parse(envelope(message={"protocolMessage": EDIT}, key=key)).amendments
    assert amendment.contact == ""


def test_a_text_within_a_text_is_read_twice_and_no_more() -> None:
    body: Any = envelope()
    for _ in range(3):
        body = {"body": json.dumps(body)}
    with pytest.raises(UnreadablePayload, match="no_instance"):
        parse(body)


def test_the_payload_within_names_its_instance_and_event() -> None:
    outer = {"event": "call", "instance": "other", "body": envelope()}
    inbound = parse(outer)
    assert (inbound.instance, inbound.event, len(inbound.messages)) == ("demo", "messages.upsert", 1)


def test_data_may_be_json_as_text_or_a_word() -> None:
    inner = envelope()
    text = parse({**inner, "data": json.dumps(inner["data"])})
    assert [message.text for message in text.messages] == ["oi"]
    assert [one.reason for one in parse({**inner, "data": "{"}).ignored] == ["no_data"]


@pytest.mark.parametrize(
    ("kind", "heard"), [("HD_IMAGE_DUAL_UPLOAD", 0), (10, 0), ("12", 0), (1, 1), (99, 1), ([], 1)]
)
def test_the_same_picture_in_another_quality_is_no_message(kind: object, heard: int) -> None:
    info = {"messageAssociation": {"associationType": kind, "parentMessageKey": {"id": "3A01"}}}
    picture = {"associatedChildMessage": {"message": {"imageMessage": {}}}, "messageContextInfo": info}
    inbound = parse(envelope(message=picture))
    assert len(inbound.messages) == heard
    assert [one.reason for one in inbound.ignored] == ["second_copy"] * (1 - heard)
