"""The built-in responder."""

from __future__ import annotations

import pytest

from actors.messages import Prompt
from daemon.responders.rehearsal import RehearsalResponder


@pytest.mark.parametrize(
    ("messages", "heard"),
    [
        (("hello",), "Heard 1: hello"),
        (("مرحبا", "how much", "is it?"), "Heard 3: مرحبا\nhow much\nis it?"),
        (("two\nlines", ""), "Heard 2: two\nlines\n"),
        (('[came from the ad: "Abaya"]\nhi',), 'Heard 1: [came from the ad: "Abaya"]\nhi'),
    ],
)
async def test_rehearsal_repeats_the_messages_and_their_number(messages: tuple[str, ...], heard: str) -> None:
    """I4: the order of the batch is the order of the answer."""
    answer = await RehearsalResponder().answer(Prompt("demo", messages, situation="It is Monday."))
    assert (answer.text, answer.provider) == (heard, "rehearsal")
