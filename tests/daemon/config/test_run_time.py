"""Settings that are changed at run time, laid over those of the start: which they are, which wins, what is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from daemon.config import InstanceSettings, Settings, load
from daemon.config.run_time import (
    INSTANCE_KEYS,
    KEYS,
    ForInstance,
    RunTimeValue,
    for_daemon,
    for_instance,
    is_secret,
    value_in,
    why_not,
)
from daemon.config.schema import FLAG_OF, InstanceOverrides

AT_THE_START = "cannot be changed while the daemon runs; change config.yaml and restart"
WRITTEN = (
    "batching.window_seconds=6",
    "takeover.commands.pause='#halt'",
    "instances.acme.batching.window_seconds=3",
    "instances.acme.takeover.commands.resume='#go'",
    "instances.shop.hours=['mon-fri 09:00-17:00']",
)


@pytest.fixture(scope="module")
def configured() -> Settings:
    return load(None, WRITTEN, {})


def values(made: Mapping[str, Any]) -> list[RunTimeValue]:
    return [RunTimeValue(key, value, "majlis set") for key, value in made.items()]


def laid(
    configured: Settings, daemon: Mapping[str, Any], own: Mapping[str, Any], name: str = "acme"
) -> ForInstance:
    return for_instance(configured, for_daemon(configured, values(daemon)).layer, name, values(own))


def leaves(model: type[BaseModel], above: str = "") -> list[str]:
    found = []
    for name, value in model():
        inner = type(value)
        found += leaves(inner, f"{above}{name}.") if issubclass(inner, BaseModel) else [f"{above}{name}"]
    return found


def test_every_key_of_an_instance_may_be_set_or_says_why_not() -> None:
    """A new key is one that may be set, unless somebody decides otherwise."""
    refused = {key: why for key in leaves(InstanceOverrides) if (why := why_not(key))}
    assert set(KEYS) == set(leaves(InstanceOverrides)) - set(refused)
    flags = {key for key, why in refused.items() if f"`majlis flags set {FLAG_OF.get(key)} on|off`" in why}
    wired = {key for key, why in refused.items() if AT_THE_START in why}
    assert flags == {key for key in FLAG_OF if key != "turn.parallel"}
    assert wired == refused.keys() - flags
    assert {key.partition(".")[0] for key in wired} == {
        "responder",
        "gateway",
        "alerts",
        "escalation",
        "ingress",
        "passthrough",
    }
    assert [key for key in wired if key.startswith("ingress.")] == ["ingress.token"]
    assert [key for key in wired if key.startswith("escalation.")] == ["escalation.notify_webhook"]


@pytest.mark.parametrize("key", FLAG_OF)
def test_a_key_that_is_a_flag_switches_this_flag_alone(key: str) -> None:
    before, after = load(None, (), {}), load(None, [f"{key}=false"], {})
    if key == "responder.batching.enabled":
        before, after = load(None, [f"{key}=true"], {}), before
    flags = [one.for_instance("x").flags(one.turn.parallel) for one in (before, after)]
    names = flags[0].__struct_fields__
    assert [name for name in names if getattr(flags[0], name) != getattr(flags[1], name)] == [FLAG_OF[key]]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("window_seconds", "unknown key; did you mean batching.window_seconds?"),
        ("takover.comands.resume", "did you mean takeover.commands.resume"),
        ("nonsense", "unknown key; `majlis config` lists all"),
        ("takeover.commands", "is a section; set one of its keys: takeover.commands.resume, "),
        ("instances.acme.hours", "write the key alone, hours, and --instance acme"),
        ("turn.max_tries", AT_THE_START),
        ("redis.url", AT_THE_START),
    ],
)
def test_a_key_that_may_not_be_set_says_what_to_do(key: str, words: str) -> None:
    assert words in (why_not(key) or "")


def test_the_narrower_scope_wins(configured: Settings) -> None:
    """Instance before daemon before what the configuration says, even of one instance."""
    key, other = "batching.window_seconds", "batching.max_messages"
    assert laid(configured, {}, {other: 2}).settings.batching.window_seconds == 3
    assert laid(configured, {key: 4}, {other: 2}).settings.batching.window_seconds == 4
    assert laid(configured, {key: 4}, {key: 5}).settings.batching.window_seconds == 5
    general = for_daemon(configured, values({key: 4})).settings
    windows = [general.for_instance(name).batching.window_seconds for name in ("acme", "shop", "any other")]
    assert windows == [4, 4, 4]


def test_a_key_within_a_section_within_a_section_changes_nothing_beside_it(configured: Settings) -> None:
    assert configured.for_instance("acme").takeover.commands.model_dump() == {
        "resume": "#go",
        "pause": "#halt",
    }
    own = laid(configured, {"takeover.commands.pause": None}, {"takeover.commands.resume": "#back"})
    assert own.settings.takeover.commands.model_dump() == {"resume": "#back", "pause": None}
    assert own.settings.takeover.pause_seconds == configured.takeover.pause_seconds


def test_an_instance_may_differ_in_one_value_of_a_provider_or_have_one_more() -> None:
    first = "{name: a, kind: openai, base_url: 'http://x', model: m, api_key: s3}"
    configured = load(None, [f"responder.providers=[{first}]", "instances.acme={}"], {})
    own = laid(configured, {}, {"responder.providers.0.model": "big", "gateway.timeout_seconds": 9})
    (provider,) = own.settings.responder.providers
    key = provider.api_key
    assert (provider.name, provider.model, key and key.get_secret_value()) == ("a", "big", "s3")
    assert (value_in(own, "responder.providers.0.model"), own.settings.gateway.timeout_seconds) == ("big", 9)
    assert configured.for_instance("acme").responder.providers[0].model == "m"
    more = {f"responder.providers.1.{key}": value for key, value in (("name", "b"), ("kind", "rehearsal"))}
    own = laid(configured, {}, more)
    assert [one.name for one in own.settings.responder.providers] == ["a", "b"]
    assert "responder.providers.0.model" in INSTANCE_KEYS and set(KEYS) < set(INSTANCE_KEYS)


@pytest.mark.parametrize(
    ("key", "secret"),
    [
        ("gateway.api_key", True),
        ("responder.providers.1.api_key", True),
        ("passthrough.headers.x-key", True),
        ("ingress.token", True),
        ("escalation.notify_webhook", True),
        ("gateway.base_url", False),
        ("responder.providers.0.model", False),
        ("no.such.key", False),
    ],
)
def test_what_is_secret_is_so_by_its_type(key: str, secret: bool) -> None:
    assert is_secret(key) is secret


def test_null_lets_an_instance_have_what_all_have(configured: Settings) -> None:
    hours = ["sun-thu 10:00-22:00"]
    own = laid(configured, {"hours": hours}, {"hours": None}, "shop")
    assert own.settings.hours == tuple(hours)


@pytest.mark.parametrize(
    ("own", "left_out", "why"),
    [
        ({"batching.window_seconds": "soon"}, "batching.window_seconds", "must be a number"),
        ({"batching.window_seconds": 0}, "batching.window_seconds", "must be greater than 0"),
        ({"limits.on_rate": "wait"}, "limits.on_rate", "must be 'alert', 'fallback', 'hold' or 'suppress'"),
        ({"takeover.automatic_texts": "one"}, "takeover.automatic_texts", "must be a list"),
        ({"escalation.notify_numbers": ["12"]}, "escalation.notify_numbers", "must be a phone number"),
        ({"escalation.reason_names": {"no_reason": "x"}}, "escalation.reason_names", "one of the reasons"),
        ({"batching.max_messages": 51}, "batching.max_messages", "must be at most max_batch_messages (50)"),
        ({"of.a.newer.version": 1}, "of.a.newer.version", "unknown key"),
        ({"turn.max_tries": 1}, "turn.max_tries", AT_THE_START),
        ({"gateway.timeout_seconds": 0}, "gateway.timeout_seconds", "must be greater than 0"),
        ({"responder.providers.1.model": "m"}, "responder.providers.1.model", "must be set"),
    ],
)
def test_what_does_not_fit_is_left_out_and_the_others_hold(
    configured: Settings, own: dict[str, Any], left_out: str, why: str
) -> None:
    laid_over = laid(configured, {}, {"batching.album_seconds": 7, **own, "cache.similarity": 0.5})
    (left,) = laid_over.left_out
    assert (left.instance, left.key) == ("acme", left_out) and why in left.why
    assert (laid_over.settings.batching.album_seconds, laid_over.settings.cache.similarity) == (7, 0.5)
    assert isinstance(laid_over.settings, InstanceSettings)


def test_of_values_that_only_do_not_fit_together_the_last_is_left_out(configured: Settings) -> None:
    """The fault names a key that was not set; the one that broke the rule has to go."""
    made = {"batching.album_seconds": 7, "batching.max_batch_messages": 4}
    for_all = for_daemon(configured, values(made))
    assert [left.key for left in for_all.left_out] == ["batching.max_batch_messages"]
    assert for_all.settings.batching.album_seconds == 7
    assert "must be at most max_batch_messages (4)" in for_all.left_out[0].sentence
