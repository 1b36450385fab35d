"""Which part of a message is read. The shapes themselves are fixtures of test_payload.py."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.gateways.evolution.parts import READERS, SILENT, protocol_reason
from daemon.gateways.evolution.text import Content, read_content


def test_no_type_is_both_read_and_known_to_say_nothing() -> None:
    assert not READERS.keys() & SILENT.keys()


def test_the_announced_part_is_read_first() -> None:
    message: dict[str, Any] = {"conversation": "a", "imageMessage": {"caption": "b"}}
    assert read_content(message, "imageMessage", {}) == Content("image", "[image] b")
    assert read_content(message, "", {}) == Content("text", "a")


def test_an_empty_part_is_skipped() -> None:
    message: dict[str, Any] = {"conversation": "", "imageMessage": {}}
    assert read_content(message, "conversation", {}) == Content("image", "[image]")


def test_a_transcript_next_to_a_wrapper_is_read() -> None:
    message: dict[str, Any] = {
        "viewOnceMessageV2": {"message": {"audioMessage": {"ptt": True}}},
        "speechToText": "[audio] oi",
    }
    assert read_content(message, "viewOnceMessageV2", {}) == Content("voice", "oi")


def test_a_wrapped_reaction_is_a_reaction() -> None:
    message: dict[str, Any] = {"ephemeralMessage": {"message": {"reactionMessage": {"text": "x"}}}}
    assert read_content(message, "ephemeralMessage", {}) == "reaction"


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
