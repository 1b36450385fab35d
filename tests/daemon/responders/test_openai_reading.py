"""Reading completions in all the shapes that servers give, from an answer to nonsense."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import TurnFailed, TurnRefused
from actors.messages import Answer
from daemon.responders.openai import read_completion


def completion(**changes: object) -> dict[str, object]:
    return {"choices": [{"message": {"content": "Yes."}, "finish_reason": "stop"}], **changes}


def read(payload: object) -> Answer:
    return read_completion(payload, provider="main", model="asked")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Yes.", "Yes."),
        ("  Yes.\n", "Yes."),
        ([{"type": "text", "text": "Ye"}, {"type": "text", "text": "s."}], "Yes."),
        ([{"type": "image"}, "loose", {"text": "Yes."}], "Yes."),
    ],
)
def test_content_as_text_and_as_parts(content: object, text: str) -> None:
    assert read({"choices": [{"message": {"content": content}}]}).text == text


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 4}, (3, 4)),
        ({"prompt_tokens": "3", "completion_tokens": None}, (0, 0)),
        ({"prompt_tokens": True, "completion_tokens": 2**40}, (0, 0)),
        ({"prompt_tokens": -1, "completion_tokens": 1.5}, (0, 0)),
        ([], (0, 0)),
        (None, (0, 0)),
    ],
)
def test_token_counts_are_read_with_distrust(usage: object, tokens: tuple[int, int]) -> None:
    answer = read(completion(usage=usage))
    assert (answer.input_tokens, answer.output_tokens) == tokens


@pytest.mark.parametrize(
    ("told", "model"), [("served", "served"), ("", "asked"), (7, "asked"), (None, "asked")]
)
def test_the_model_that_answered_else_the_one_asked(told: object, model: str) -> None:
    assert read(completion(model=told)).model == model


def test_a_spoken_refusal_is_a_refusal() -> None:
    with pytest.raises(TurnRefused):
        read({"choices": [{"message": {"content": None, "refusal": "I cannot help with that."}}]})


NAMES = st.sampled_from(
    ["choices", "message", "content", "text", "usage", "model", "refusal", "finish_reason"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)


@given(JSON)
def test_any_json_is_an_answer_a_failure_or_a_refusal(payload: object) -> None:
    """I14."""
    try:
        answer = read(payload)
    except (TurnFailed, TurnRefused):
        return
    assert answer.text.strip()
    json.dumps([answer.text, answer.model], ensure_ascii=False).encode()
