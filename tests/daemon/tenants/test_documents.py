"""Trees of instances and the keys that they stand for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.config import ConfigError
from daemon.tenants.documents import flattened, nested

VALUES = {
    "prompt": "a\nb",
    "active": False,
    "flags.cache": True,
    "batching.window_seconds": 5,
    "escalation.keywords": ["manager", "مدير"],
    "contacts.ignore": ["+966500000001"],
    "responder.providers.0.model": "m",
    "responder.providers.0.api_key": "k",
    "responder.providers.1.model": "n",
    "passthrough.headers": {"X-Key": "v"},
    "ingress.token": ["a", "b"],
    "webhook_url": "http://x",
    "hours": ["sun-thu 09:00-22:00"],
}


def test_a_tree_stands_for_keys() -> None:
    tree = {
        "prompt": "a",
        "flags": {"cache": False},
        "batching": {"window_seconds": 5, "max_messages": 3},
        "responder": {"providers": [{"name": "main", "extra_headers": {"X": "y"}}, {"model": "m"}]},
        "knowledge": None,
    }
    assert flattened(tree) == {
        "prompt": "a",
        "flags.cache": False,
        "batching.window_seconds": 5,
        "batching.max_messages": 3,
        "responder.providers.0.name": "main",
        "responder.providers.0.extra_headers": {"X": "y"},
        "responder.providers.1.model": "m",
    }


@given(st.sets(st.sampled_from(sorted(VALUES))))
def test_what_is_nested_is_flattened_to_the_same(keys: set[str]) -> None:
    values = {key: VALUES[key] for key in keys}
    assert flattened(nested(values)) == values


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"no_such": 1}, "no_such: unknown key"),
        ({"no_such" * 30: 1}, "…: is longer than any key"),
        ({"batching": {"window": 1}}, "batching.window: unknown key"),
        ({"batching": 5}, "batching"),
        ({"redis": {"url": "redis://:secret@x"}}, "redis.url"),
        ({"flags": {"nothing": True}}, "flags.nothing: there is no such feature flag"),
    ],
)
def test_what_is_no_key_is_named_without_its_value(tree: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        flattened(tree)
    assert words in str(refused.value) and "secret" not in str(refused.value)


def test_a_deep_tree_is_refused() -> None:
    tree: dict[str, object] = {"x": 1}
    for _ in range(2_000):
        tree = {"x": tree}
    with pytest.raises(ConfigError, match="nested too deeply"):
        flattened(tree)


def test_short_names_are_keys_of_a_file_too() -> None:
    assert flattened({"model": "m"}) == {"responder.providers.0.model": "m"}
