"""Choices as text. The real shapes are fixtures of test_evolution_payload.py; here is what is odd."""

from __future__ import annotations

import json

import pytest

from daemon.gateways.evolution.replies import button_reply, flow_reply, list_reply, poll_vote, template_reply


def test_words_before_ids() -> None:
    assert button_reply({"selectedButtonId": "b-1"}) == "b-1"
    assert template_reply({"selectedId": "t-1", "selectedDisplayText": ""}) == "t-1"
    assert list_reply({"title": "", "description": "d", "singleSelectReply": {"selectedRowId": "r"}}) == "d"
    assert list_reply({"singleSelectReply": "r"}) == ""


def test_poll_vote_withdrawn() -> None:
    assert poll_vote({"vote": {"selectedOptions": []}}) == ""


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"id": "yes"}, "yes"),
        ({"id": "yes", "display_text": "Yes"}, "Yes"),
        (
            {"display_text": "Yes", "size": 1.5, "gift": False, "note": "a\nb"},
            "Yes\nsize: 1.5\ngift: no\nnote: a b",
        ),
        ({"nested": {"a": 1}, "nothing": None}, ""),
        ([1], ""),
        ({f"f{number}": 1 for number in range(99)}, "\n".join(f"f{number}: 1" for number in range(50))),
    ],
)
def test_flow_params(params: object, said: str) -> None:
    assert flow_reply({"nativeFlowResponseMessage": {"paramsJson": json.dumps(params)}}) == said


@pytest.mark.parametrize("params", ["", "{", "[" * 9999, "\ud800", json.dumps({"a": "x" * 70_000}), 7])
def test_flow_params_unreadable(params: object) -> None:
    assert flow_reply({"body": {"text": "ok"}, "nativeFlowResponseMessage": {"paramsJson": params}}) == "ok"
