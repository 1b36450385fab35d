"""The answer, from what the model said."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.text import plain_text
from daemon.responders.extraction import MAX_FIELD_CHARS, MAX_FIELDS, Extracted, extract
from daemon.responders.shapes import is_nothing

ANY_TEXT = st.text(st.characters(exclude_categories=()))
SYNTAX = st.text("{}[]\"'`:,\\ \nresponseconfidence01")
PIECES = st.lists(
    st.sampled_from(
        [
            '{"response": ',
            '"hi"',
            ', "needsDataCollection": true',
            "}",
            "{",
            "[",
            "]",
            '\\"',
            "```json\n",
            "'",
            " text ",
        ]
    )
).map("".join)
REST: dict[str, object] = {"needsDataCollection": True, "requestedFields": ["email"], "confidence": 0.8}
TOLD = (True, ("email",), 0.8)


def _json(response: object, **how: bool | int) -> str:
    return json.dumps({"response": response, **REST}, **how)  # type: ignore[arg-type]


def _raw_lines(text: str) -> str:
    """An object with the line ends as they are, and a comma too many."""
    inner = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'{{"response": "{inner}", {json.dumps(REST)[1:-1]},}}'


def _snake(text: str) -> str:
    names = {
        "Response": text,
        "needs_data_collection": True,
        "REQUESTED_FIELDS": ["email"],
        "Confidence": "80%",
    }
    return json.dumps(names)


WRAPPINGS: dict[str, Callable[[str], str]] = {
    "alone": _json,
    "unescaped": lambda r: _json(r, ensure_ascii=False),
    "on lines": lambda r: _json(r, indent=2),
    "last": lambda r: json.dumps({**REST, "response": r}),
    "stranger first": lambda r: json.dumps({"thought": "hm", "response": r, **REST}),
    "snake case": _snake,
    "fenced": lambda r: f"```json\n{_json(r, indent=2)}\n```",
    "in prose": lambda r: f"Sure, here it is:\n\n```\n{_json(r)}\n```\nAnything else?",
    "after the same text": lambda r: f"{r}\n\n{_json(r)}",
    "twice": lambda r: f"{_json(r)}\n{_json(r)}",
    "array": lambda r: f"[{_json(r)}]",
    "nested": lambda r: json.dumps({"response": {"response": r, **REST}}),
    "data": lambda r: json.dumps({"data": {"response": r, **REST}}),
    "json in json": lambda r: json.dumps({"response": _json(r)}),
    "fenced json in json": lambda r: json.dumps({"response": f"```json\n{_json(r)}\n```"}),
    "json string": lambda r: json.dumps(_json(r, indent=2)),
    "python": lambda r: repr({"response": r, **REST}),
    "raw lines": _raw_lines,
    "no braces": lambda r: _json(r)[1:-1],
    "no last brace": lambda r: _json(r)[:-1],
}


def _wanted(text: str) -> str:
    """The words of `text`; where there are quotation marks or escapes to take off, those of the plainest envelope."""
    plain = plain_text(text).strip()
    if is_nothing(plain):
        return ""
    return extract(_json(text)).text if set(plain) & set("\"'\\“”„«»‹›‘’「」『』_:：") else plain


@pytest.mark.parametrize("wrap", WRAPPINGS.values(), ids=WRAPPINGS.keys())
@given(text=st.text() | st.text("\"'\\{}[],: \n\rنعم😀nu"))
def test_the_answer_is_found_in_whatever_it_is_wrapped(wrap: Callable[[str], str], text: str) -> None:
    found = extract(wrap(text))
    assert found.text == _wanted(text)
    assert (found.needs_data_collection, found.requested_fields, found.confidence) == TOLD


CUT = ["alone", "on lines", "fenced", "array", "nested", "json in json", "json string", "python", "last"]


@pytest.mark.parametrize("name", CUT)
@given(text=st.text("abc نعم\n😀é.,!?"), data=st.data())
def test_a_cut_off_envelope_gives_the_beginning_of_the_answer(
    name: str, text: str, data: st.DataObject
) -> None:
    said = WRAPPINGS[name](text)
    found = extract(said[: data.draw(st.integers(0, len(said) - 1))]).text
    assert plain_text(text).strip().startswith(found)


@given(
    text=st.text("abc نعم\n😀é.,!?").filter(lambda said: said.strip() and extract(said).text == said.strip()),
    data=st.data(),
)
def test_the_same_text_before_a_cut_off_envelope_is_the_answer(text: str, data: st.DataObject) -> None:
    said = f"{text}\n{_json(text)}"
    cut = data.draw(st.integers(len(text), len(said)))
    assert extract(said[:cut]).text == text.strip()


@pytest.mark.parametrize("wrap", WRAPPINGS.values(), ids=WRAPPINGS.keys())
def test_no_cut_shows_the_envelope(wrap: Callable[[str], str]) -> None:
    said = wrap('He said "yes", {then} left.\nنعم 😀')
    for cut in range(len(said)):
        assert not re.search(
            r"needs_?data|requested_?f|confid|\{\W*response", extract(said[:cut]).text, re.IGNORECASE
        ), said[:cut]


@pytest.mark.parametrize(
    "text",
    [
        "Hello!",
        "use {name} as a placeholder",
        "the set {1,2} and {}",
        'say "hi" and {"name": "x"}',
        '```python\nd = {"a": [1, 2]}\nprint(d)\n```',
        "function f() {\n  return {};\n}",
        "We open at nine. Confidence: high",
        "f'{confidence:.2f}'",
        'It answers {"response": {"status": 200}} then.',
        '{"status": 200, "response": "ok"} is what it answers.',
        "[1, 2, 3]",
        "{not json}",
        "نعم، {الاسم}",
    ],
)
def test_plain_text_stays_unchanged(text: str) -> None:
    assert extract(text) == Extracted(text)


@given(
    st.text(
        st.characters(
            exclude_characters="{[`\"'“”„«»‹›‘’「」『』\\<&◁【:：_\ue200\ue201\ue202\ue203\ue204\ue205\ue206"
        )
    ).filter(lambda text: not text.lstrip().startswith("thought\n"))
)
def test_any_plain_text_stays_unchanged(text: str) -> None:
    assert extract(text) == Extracted(plain_text(text).strip())


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ('{"response": "He said "hello", and left", "confidence": 0.8}', 'He said "hello", and left'),
        ('{response: "js", confidence: 0.9}', "js"),
        ("{“response”: “curly”, “confidence”: 1}", "curly"),
        ('{"response": "a" "confidence": 0.3}', "a"),
        ('{"response": ["a", "b"]}', "a\nb"),
        ('{"response": 42}', "42"),
        ('{"response": "half \\ud83d', "half"),
        ('Your e-mail? {"needsDataCollection": true}', "Your e-mail?"),
        ('[{"needsDataCollection": true}]\n```\nYour e-mail?', "Your e-mail?"),
        ('Here is the JSON: {"needsDataCollection": true}', ""),
        ('Fine. "needsDataCollection": true, "requestedFields": []', "Fine."),
        ('Hi {"response": {"respo', "Hi"),
        ('{"response": null}', ""),
        ('{"response": ""}', ""),
        ('{"response": {"status": 200}}', ""),
        ('{"response": NaN}', ""),
        ('{"response": ' + "9" * 400 + ', "confidence": ' + "9" * 400 + "}", ""),
        ("```json\n", ""),
        ("", ""),
    ],
)
def test_a_malformed_or_missing_response_is_handled(said: str, text: str) -> None:
    assert extract(said).text == text


def test_nested_envelopes_are_opened_up_to_a_bound() -> None:
    said = "hi"
    for _ in range(4):
        said = json.dumps({"response": said})
    assert extract(said).text == "hi"
    for _ in range(9):
        said = json.dumps({"response": said})
    assert extract(said).text == ""


@pytest.mark.parametrize(
    ("value", "confidence"),
    [
        ("0.8", 0.8),
        ('"0.8"', 0.8),
        ("0", 0.0),
        ("1", 1.0),
        ("85", 0.85),
        ('"85%"', 0.85),
        ('"5 %"', 0.05),
        ("5", None),
        ("1.5", None),
        ("101", None),
        ("-0.1", None),
        ("NaN", None),
        ("Infinity", None),
        ("1e999", None),
        ("true", None),
        ("null", None),
        ('"high"', None),
        ("[0.8]", None),
        ('"nan%"', None),
    ],
)
def test_confidence_is_a_share_or_unknown(value: str, confidence: float | None) -> None:
    assert extract(f'{{"response": "x", "confidence": {value}}}') == Extracted("x", confidence=confidence)


@pytest.mark.parametrize(
    ("value", "fields"),
    [
        ('["email", " phone\\nnumber ", "email", "", 3, null, ["x"]]', ("email", "phone number")),
        ('"email"', ("email",)),
        ("null", ()),
        ("{}", ()),
        ('["' + "x" * 999 + '"]', ("x" * MAX_FIELD_CHARS,)),
        (json.dumps([f"field {i}" for i in range(99)]), tuple(f"field {i}" for i in range(MAX_FIELDS))),
    ],
)
def test_requested_fields_are_few_short_and_different(value: str, fields: tuple[str, ...]) -> None:
    assert extract(f'{{"response": "x", "requestedFields": {value}}}').requested_fields == fields


@pytest.mark.parametrize(
    ("value", "needed"), [("true", True), ('"True"', True), ("1", False), ("false", False)]
)
def test_data_is_needed_when_it_says_so(value: str, needed: bool) -> None:
    assert extract(f'{{"response": "x", "needsDataCollection": {value}}}').needs_data_collection is needed


@given(ANY_TEXT | SYNTAX | PIECES, st.integers(1, 50))
def test_any_text_gives_an_answer_that_can_be_sent(said: str, max_chars: int) -> None:
    found = extract(said, max_chars)
    assert len(found.text) <= max_chars
    assert found.text == plain_text(found.text).strip()
    assert not re.search(r'"needsDataCollection":', found.text)


@pytest.mark.parametrize(
    "piece",
    [
        *("[", "{", "{ ", "`", "\\", '{"response":', '{"response":[', '{"response":{', '{"response":{"a":'),
        *(
            '{"confidence":1}',
            '{"a":1}',
            '{"a":"response":',
            '{\\"response\\": ',
            "{'",
            '"response": "',
            '" "',
        ),
    ],
)
@pytest.mark.parametrize("head", ["", "x ", '{"response": "', '{"a": "', "response: "])
def test_long_and_deep_texts_take_linear_time(head: str, piece: str) -> None:
    """Were the work to grow with the square of the length, this would not end."""
    extract(head + piece * (400_000 // len(piece)))


def test_a_long_answer_is_cut() -> None:
    assert extract(_json("م" * 50_000)).text == "م" * 12_000
    assert extract("a b" * 10, max_chars=2).text == "a"


@pytest.mark.parametrize(
    "said",
    [
        '{"response": "", "needsDataCollection": false, "requestedFields": [], "confidence": 1}',
        '{"response": " \\n "}',
        '{"response": null, "confidence": 1}',
        '```json\n{"response": ""}\n```',
        'Nothing is asked.\n{"response": "", "confidence": 1}',
        '<think>He only says thanks.</think>\n{"response": ""}',
        '{"response": {"response": "", "confidence": 1}}',
        '{"response": "{\\"response\\": \\"\\"}"}',
        "NO_REPLY",
        " NO_REPLY.\n",
        "`NO_REPLY`",
        '"NO_REPLY"',
        "**NO_REPLY**",
        "[NO_REPLY]",
        "no_reply",
        "```\nNO_REPLY\n```",
        "```text\nNO_REPLY\n```",
        "NO_REPLY - he only says thanks",
        "<think>He says {thanks}.\n\nNothing to do.</think>\n\nNO_REPLY",
        "<thinking>Thanks</thinking>NO_REPLY",
        '{"response": "NO_REPLY", "confidence": 0.9}',
        '{"response": "`NO_REPLY`"}',
        '{"response": "<think>so</think> NO_REPLY"}',
    ],
)
def test_the_model_may_say_that_it_says_nothing(said: str) -> None:
    found = extract(said)
    assert (found.text, found.is_silence) == ("", True)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("", ""),
        (" \n ", ""),
        *(
            (nothing, "")
            for nothing in ("{}", "[]", "null", "None", "undefined", "N/A", "[object Object]", "…", "...")
        ),
        *((word, word) for word in ("None.", "No", "0", "NULL and void", "?", ":)", "👍")),
        ('{"response": "', ""),
        ('{"response": ""', ""),
        ('{"confidence": 1}', ""),
        ('{"response": "", "needsDataCollection": true, "requestedFields": ["name"]}', ""),
        ("Write to NO_REPLY@shop.example", "Write to NO_REPLY@shop.example"),
        ("The word is NO_REPLY there", "The word is NO_REPLY there"),
        ("No reply came yet.", "No reply came yet."),
        ("You are welcome!\n\nNO_REPLY", "You are welcome!"),
        ('{"response": "You are welcome!\\nNO_REPLY"}', "You are welcome!"),
        ('{"response": "Hello", "confidence": 1}', "Hello"),
    ],
)
def test_nothing_said_is_no_choice_and_the_word_reaches_nobody(said: str, text: str) -> None:
    found = extract(said)
    assert (found.text, found.is_silence) == (text, False)


@pytest.mark.parametrize(
    "said",
    [
        "response: We open at 9.\nneedsDataCollection: false\nrequestedFields: []\nconfidence: 0.9",
        "**response**: We open at 9.\n\n**Confidence**: 90%",
        "needs_data_collection: no\nconfidence: 0.9\nresponse: We open at 9.",
        "We open at 9.\n\n(Confidence score: 0.9)",
        "We open at 9. needsDataCollection: false, confidence: 0.9",
    ],
)
def test_an_envelope_in_words_is_one(said: str) -> None:
    assert extract(said).text == "We open at 9."


def test_what_an_envelope_in_words_says_is_read() -> None:
    found = extract(
        "Who are you?\nneedsDataCollection: true\nrequestedFields: [name, phone]\nconfidence: 0.4"
    )
    assert found == Extracted("Who are you?", True, ("name", "phone"), 0.4)


@pytest.mark.parametrize(
    "text",
    [
        "Confidence: our strength",
        "You need:\nConfidence: high",
        "We give:\nConfidence: 100%",
        "A\n\nA",
        "Yes!\nYes!",
    ],
)
def test_words_like_those_of_the_envelope_stay(text: str) -> None:
    assert extract(text).text == text


def test_an_answer_that_is_said_twice_is_sent_once() -> None:
    assert (
        extract("We open at 9 and close at 22.\n\nWe open at 9 and close at 22.").text
        == "We open at 9 and close at 22."
    )


def test_nothing_in_an_envelope_is_silence() -> None:
    assert all(extract(json.dumps({"response": said})).is_silence for said in ("null", "None", "", None))


def test_what_stands_beside_a_misspelt_response_is_not_said() -> None:
    assert extract('{"reasoning": "Margin is 40 %.", "confidence": 0.9}').text == ""
    assert extract('{"thought": "Margin is 40 %."}').text == ""
    assert extract('{"intent": "price", "reponse": "It costs 12.", "confidence": 0.9}').text == "It costs 12."
