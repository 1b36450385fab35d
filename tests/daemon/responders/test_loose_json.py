"""JSON as models write it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.responders.loose_json import MAX_DEPTH, Reading, read_object, unescaped

TEXT = st.text()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
PLAIN_NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
HALVES = range(0xD800, 0xE000)
SYNTAX = st.text("{}[]\"'“”:,\\u0xU1 an\n")


@given(st.dictionaries(TEXT, VALUES), TEXT, TEXT, st.booleans())
def test_correct_json_is_read_as_json_reads_it(
    members: dict[str, object], before: str, after: str, ascii_only: bool
) -> None:
    written = json.dumps(members, ensure_ascii=ascii_only)
    reading = read_object(before + written + after, len(before))
    assert reading == Reading(members, len(before) + len(written), whole=True)


@given(st.dictionaries(PLAIN_NAMES, TEXT | st.booleans() | st.none() | st.lists(TEXT, max_size=3)))
def test_a_python_dict_is_read_too(members: dict[str, object]) -> None:
    assert read_object(repr(members), 0) == Reading(members, len(repr(members)), whole=True)


@given(st.dictionaries(PLAIN_NAMES, TEXT, min_size=1))
def test_an_extra_comma_does_no_harm(members: dict[str, str]) -> None:
    written = json.dumps(members)[:-1] + ",\n}"
    assert read_object(written, 0).members == members


@given(st.dictionaries(PLAIN_NAMES, TEXT, min_size=1), st.data())
def test_cut_off_json_is_read_as_far_as_it_goes(members: dict[str, str], data: st.DataObject) -> None:
    written = json.dumps(members)
    reading = read_object(written[: data.draw(st.integers(1, len(written) - 1))], 0)
    assert not reading.whole
    for said, (name, value) in zip(members.items(), reading.members.items(), strict=False):
        assert (name, value) == said or name == [*reading.members][-1]
        assert not isinstance(value, str) or said[1].startswith(value) or ord(value[-1]) in HALVES


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ('{"a": "say "yes", then "no"", "b": 1}', {"a": 'say "yes", then "no"', "b": 1}),
        ("{'a': 'it's so', 'b': True, 'c': None}", {"a": "it's so", "b": True, "c": None}),
        (r'{"a": "x\"}", "b": 1,}', {"a": 'x"}', "b": 1}),
        ("{a: 1, b: yes}", {"a": 1, "b": "yes"}),
        ("{“a”: “x”}", {"a": "x"}),
        ('{"a": "x" "b": "y"}', {"a": "x", "b": "y"}),
        ('{"a": ["x", "y",], "b": [1 2]}', {"a": ["x", "y"], "b": ["1 2"]}),
        ('{"a": {"b": ', {"a": {"b": None}}),
        ('{"a": 1, }}}', {"a": 1}),
        ("{", {}),
        ("{:}", {}),
    ],
)
def test_common_mistakes_are_understood(text: str, members: dict[str, object]) -> None:
    assert read_object(text, 0).members == members


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        (r"a\nb\"\\\/", 'a\nb"\\/'),
        (r"\ud83d\ude00 \U0001F600 \x41 \u0645", "😀 😀 A م"),
        ("cut \\", "cut "),
        (r"cut \u06", "cut "),
        (r"\U99999999", ""),
    ],
)
def test_escapes(text: str, meaning: str) -> None:
    assert unescaped(text) == meaning


@given(SYNTAX | st.text(st.characters(exclude_categories=())))
def test_anything_is_read_without_an_error(text: str) -> None:
    reading = read_object("{" + text, 0)
    assert 0 < reading.end <= len(text) + 1
    unescaped(text)


@pytest.mark.parametrize(
    "piece", ["{", "[", '{"a":', '{"a":[', "['", '"', "\\", ' "', '{"a":"b",', "{'a': {"]
)
def test_deep_and_long_texts_end(piece: str) -> None:
    reading = read_object('{"first": "x", "then": ' + piece * 20_000, 0)
    assert reading.members["first"] == "x"


def test_what_is_nested_too_deep_is_left_out() -> None:
    reading = read_object('{"a": 1,, "b": ' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + ', "c": 2}', 0)
    assert reading.members["a"] == 1
    assert "c" not in reading.members
