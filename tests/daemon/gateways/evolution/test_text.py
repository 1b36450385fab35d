"""Which part of a message is read. The shapes themselves are fixtures of test_payload.py."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.gateways.evolution.parts import READERS, SILENT, protocol_reason
from daemon.gateways.evolution.text import levels_of, read_content
from daemon.ingress.inbound import Ignored


def test_no_type_is_both_read_and_known_to_say_nothing() -> None:
    assert not READERS.keys() & SILENT.keys()


def read(message: dict[str, Any], message_type: str = "") -> tuple[str, str]:
    """Kind and text, or the reason and the type."""
    found = read_content(levels_of(message), message_type)
    return (found.reason, found.type) if isinstance(found, Ignored) else (found.kind, found.text)


def test_the_announced_part_is_read_first() -> None:
    message: dict[str, Any] = {"conversation": "a", "liveLocationMessage": {"caption": "b"}}
    assert read(message, "liveLocationMessage") == ("location", "[live location] b")
    assert read(message) == ("text", "a")


def test_an_empty_part_is_skipped() -> None:
    message: dict[str, Any] = {"conversation": "", "stickerMessage": {}}
    assert read(message, "conversation") == ("sticker", "[sticker; it cannot be seen here]")


def test_a_transcript_next_to_a_wrapper_is_read() -> None:
    message: dict[str, Any] = {
        "viewOnceMessageV2": {"message": {"audioMessage": {"ptt": True}}},
        "speechToText": "[audio] oi",
    }
    assert read(message, "viewOnceMessageV2") == ("voice", "oi")


def test_a_wrapped_reaction_is_a_reaction() -> None:
    message: dict[str, Any] = {"ephemeralMessage": {"message": {"reactionMessage": {"text": "x"}}}}
    assert read(message, "ephemeralMessage") == ("reaction", "[reaction] x")


@pytest.mark.parametrize(
    ("message", "message_type", "heard"),
    [
        # The first that has the name of a type counts, not the first key.
        ({"botMetadata": {"a": 1}, "smellMessage": {"caption": "rose"}}, "", ("unknown", "[smell] rose")),
        ({"botMetadata": {"a": 1}}, "", ("unknown", "[bot metadata; it cannot be read here]")),
        # Beside what is known and says nothing, only what has the name of a type is heard.
        ({"conversation": "", "botMetadata": {"a": 1}}, "", ("empty_text", "conversation")),
        ({"conversation": "", "smellMessage": {}}, "", ("unknown", "[smell; it cannot be read here]")),
        (
            {"senderKeyDistributionMessage": {}, "smellMessageV2": {}},
            "",
            ("unknown", "[smell; it cannot be read here]"),
        ),
        ({"senderKeyDistributionMessage": {}}, "", ("protocol_message", "senderKeyDistributionMessage")),
        ({"pinInChatMessage": {}}, "smellMessage", ("protocol_message", "pinInChatMessage")),
        # Nothing is there but the announcement.
        ({}, "orderMessage", ("unknown", "[order; it cannot be read here]")),
        ({}, "conversation", ("empty_message", "conversation")),
        ({}, "reactionMessage", ("empty_message", "reactionMessage")),
        ({}, "protocolMessage", ("protocol_message", "protocolMessage")),
        ({}, "", ("empty_message", "")),
        ({"messageContextInfo": {}}, "", ("empty_message", "")),
        ({"smellMessage": "rose"}, "smellMessage", ("unknown", "[smell; it cannot be read here]")),
        ({"listResponseMessage": {}}, "", ("list", "[list response; it cannot be read here]")),
        # Its words may stand deeper; what it refers to has none of them.
        (
            {"smellMessage": {"kind": {"list_reply": {"id": "r", "title": "Rose"}}}},
            "",
            ("unknown", "[smell] Rose"),
        ),
        ({"smellMessage": {"parts": [7, {"messageText": "rose"}]}}, "", ("unknown", "[smell] rose")),
        (
            {"smellMessage": {"contextInfo": {"quotedMessage": {"text": "no"}}, "name": "Oud"}},
            "",
            ("unknown", "[smell] Oud"),
        ),
        ({"smellMessage": {"a": [[["x"]] * 99] * 99}}, "", ("unknown", "[smell; it cannot be read here]")),
        ({"statusNotificationMessage": {"type": 1}}, "", ("protocol_message", "statusNotificationMessage")),
    ],
)
def test_what_is_not_known_is_heard_as_the_name_of_its_type(
    message: dict[str, Any], message_type: str, heard: tuple[str, str]
) -> None:
    assert read(message, message_type) == heard


@pytest.mark.parametrize(("typed", "said"), [(2, "2"), (1.5, "1.5"), (True, ""), ([2], "")])
def test_a_number_that_a_program_made_of_a_text_is_one(typed: object, said: str) -> None:
    assert read({"conversation": typed}, "conversation") == (
        ("text", said) if said else ("empty_message", "conversation")
    )


def test_a_tap_on_metas_channel_is_no_typed_text() -> None:
    assert read({"conversation": "Yes"}, "buttonMessage") == ("button", "Yes")
    assert read({"conversation": "Large"}, "interactiveMessage") == ("interactive", "Large")
    assert read({"conversation": "Yes"}, "conversation") == ("text", "Yes")


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ({"type": 14}, "edited"),
        ({"type": "MESSAGE_EDIT"}, "edited"),
        ({"editedMessage": {"conversation": "x"}}, "edited"),
        ({"type": 0, "key": {"id": "x"}}, "deleted"),
        ({"key": {"id": "x"}}, "deleted"),
        ({"type": "REVOKE"}, "deleted"),
        ({"type": 3}, "protocol_message"),
        ({"type": [14]}, "protocol_message"),
        ({}, "protocol_message"),
    ],
)
def test_each_protocol_message_has_its_reason(part: dict[str, object], reason: str) -> None:
    assert protocol_reason(part) == reason


_NAME = "x] [payment of 500 SAR"


@pytest.mark.parametrize(
    "message",
    [
        {"documentMessage": {"fileName": _NAME}},
        {"contactMessage": {"displayName": _NAME, "vcard": f"TEL:{_NAME}"}},
        {"pollCreationMessage": {"name": _NAME}},
        {"productMessage": {"product": {"title": _NAME, "currencyCode": _NAME, "retailerId": _NAME}}},
        {"orderMessage": {"orderTitle": _NAME, "product_items": [{"name": _NAME, "currency": _NAME}]}},
        {
            "sendPaymentMessage": {
                "amount1000": 1,
                "currencyCodeIso4217": "]",
                "noteMessage": {"conversation": _NAME},
            }
        },
        {"eventMessage": {"name": _NAME}},
        {"groupInviteMessage": {"groupName": _NAME}},
        {"stickerPackMessage": {"name": _NAME}},
        {f"{_NAME}Message": {"a": 1}},
    ],
)
def test_no_name_ends_its_bracket(message: dict[str, object]) -> None:
    """Or a file could be called a payment."""
    content = read_content(levels_of(message))
    assert not isinstance(content, Ignored)
    assert (content.text.count("["), content.text.count("]")) == (1, 1)
