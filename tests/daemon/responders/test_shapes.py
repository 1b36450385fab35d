"""JSON of another shape than the one asked for."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.responders.extraction import extract
from daemon.responders.shapes import said_in

A = "We open at 9."

SHAPES: dict[str, object] = {
    "message": {"message": A},
    "text": {"text": A},
    "output": {"output": A},
    "answer": {"answer": A},
    "reply": {"reply": A, "confidence": 0.9},
    "content": {"content": A},
    "final answer": {"final_answer": A},
    "finalAnswer": {"finalAnswer": A, "reasoning": "hm"},
    "result": {"result": A},
    "generated text": [{"generated_text": A}],
    "n8n": [{"output": A}],
    "n8n item": [{"json": {"output": A}}],
    "langchain": {"input": "when", "output": A},
    "langchain action": {"action": "Final Answer", "action_input": A},
    "a part": {"type": "text", "text": A},
    "parts": [{"type": "text", "text": A}],
    "parts of a message": {"role": "assistant", "content": [{"type": "text", "text": A}]},
    "a message": {"role": "assistant", "content": A},
    "messages": {"messages": [{"role": "user", "content": "when"}, {"role": "assistant", "content": A}]},
    "openai": {
        "choices": [{"message": {"role": "assistant", "content": A}}, {"message": {"content": "or so"}}]
    },
    "gemini": {"candidates": [{"content": {"parts": [{"text": A}]}}]},
    "data": {"data": {"answer": A}},
    "no error": {"error": None, "output": A},
    "success": {"success": True, "message": A},
    "code": {"code": 200, "message": A},
    "our names without ours": {"confidence": 0.9, "message": A},
    "a name misspelt": {"reponse": A, "confidence": 0.9},
    "a name in Arabic": {"الرد": A},
    "a name in Spanish": {"respuesta": A},
    "an object as the response": {"response": {"text": A}},
    "parts as the response": {"response": [{"type": "text", "text": A}]},
    "a list of messages": {"messages": [A]},
    "a list of sentences": [A],
    "the surest name": {"text": "x", "answer": A},
    "the envelope in it": {"output": json.dumps({"response": A, "confidence": 1})},
    "two deep": {"message": json.dumps({"reply": A})},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("write", ["{}", "```json\n{}\n```", "Answer: {}", "<think>x</think>\n{}"])
def test_the_words_are_found_where_the_object_is_the_whole_answer(shape: object, write: str) -> None:
    assert extract(write.replace("{}", json.dumps(shape))).text == A


@pytest.mark.parametrize(
    "said",
    [
        json.dumps(json.dumps({"message": A})),
        "{'message': 'We open at 9.'}",
        '{"message": "We open at 9.',
        '[{"output": "We open at 9."',
        '{message: "We open at 9."}',
    ],
)
def test_it_may_be_malformed_or_cut(said: str) -> None:
    assert extract(said).text == A


@pytest.mark.parametrize(
    "shape",
    [
        {"error": "overloaded", "message": A},
        {"error": {"message": A}},
        {"status": "error", "message": A},
        {"type": "error", "text": A},
        {"success": False, "message": A},
        {"code": 500, "message": A},
        {"detail": "Not Found"},
        {"message": ""},
        {"output": None},
        {"name": "get_price", "arguments": {"text": A}},
        {"name": "get_price", "parameters": {}},
        [{"name": "get_price", "arguments": {}}],
        {"function": "get_price", "args": {}},
        {"tool": "get_price", "tool_input": "x"},
        {"action": "search", "action_input": A},
        {"type": "function", "function": {"name": "get_price"}},
        {"tool_calls": [{"id": "1"}]},
        {"role": "user", "content": A},
    ],
)
def test_errors_and_calls_say_nothing(shape: object) -> None:
    found = extract(json.dumps(shape))
    assert (found.text, found.is_silence) == ("", False)


@pytest.mark.parametrize(
    "said",
    [
        'functools[{"name": "get_price"}]',
        "[get_price(item='x')]",
        "get_price(item='x')",
        "print(default_api.get_price(item='x'))",
        "```tool_code\nprint(get_price())\n```",
        "Action: search\nAction Input: prices",
    ],
)
def test_calls_in_words_say_nothing(said: str) -> None:
    assert extract(said).text == ""


@pytest.mark.parametrize(
    "text",
    [
        '{"price": 5, "currency": "SAR"}',
        "[1, 2, 3]",
        '["a", "b"]',
        "{not json}",
        '{"result": true}',
        'It says {"message": "hi"} there.',
        '{"message": "hi"} is what it says.',
        '[{"output": "x"}] see [1]',
        '[{"price": 5}, {"output": "x"}]',
        "Call us (now)",
        "Open(9)",
    ],
)
def test_other_json_and_json_in_prose_stay(text: str) -> None:
    assert extract(text).text == text


def test_what_is_nested_deep_is_left() -> None:
    shape: object = A
    for _ in range(20):
        shape = {"message": shape}
    assert said_in(json.dumps(shape)) is None


@given(st.text('{}[]":, amessagoutpr10\\', max_size=60))
def test_anything_is_read_without_an_error(text: str) -> None:
    said_in(text)
    said_in('{"message": ' + text)
