"""Names of types in words, and names fit for a log."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.gateways.evolution.type_names import MAX_TYPE_CHARS, bare_name, in_words


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("scheduledCallCreationMessage", "scheduled call creation"),
        ("viewOnceMessageV2Extension", "view once"),
        ("pollCreationMessageV9", "poll creation"),
        ("futureHSMMessage", "future hsm"),
        ("poll_creation", "poll creation"),
        ("Message", "message"),
        ("", "message of an unknown type"),
        ("\u0645", "message of an unknown type"),
    ],
)
def test_a_type_is_said_in_words(name: str, words: str) -> None:
    assert in_words(name) == words


@given(st.text())
def test_any_name_is_fit_for_a_log(name: str) -> None:
    """I11: a name out of a payload is no way to write what one likes into a log or a prompt."""
    assert re.fullmatch(r"[\w.-]*", bare_name(name), re.ASCII)
    assert len(bare_name(name)) <= MAX_TYPE_CHARS
    assert re.fullmatch(r"[a-z0-9 ]+", in_words(name))
