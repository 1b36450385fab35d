"""Settings that are changed at run time, laid over those of the start: which they are, which wins, what is left out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from daemon.config import InstanceSettings, Settings, load
from daemon.config.in_force import in_force_for
from daemon.config.run_time import (
    KEYS,
    ForInstance,
    RunTimeValue,
    all_together,
    for_daemon,
    for_instance,
    full_key,
    is_secret,
    why_not,
)
from daemon.config.schema import FLAG_OF, InstanceOverrides
from daemon.config.sources import Layer

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


def leaves(section: BaseModel, above: str = "") -> list[str]:
    found = []
    for name, value in section:
        if isinstance(value, BaseModel):
            found += leaves(value, f"{above}{name}.")
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            found += leaves(value[0], f"{above}{name}.0.")
        else:
            found.append(f"{above}{name}")
    return found


def test_every_key_of_an_instance_may_be_set_or_says_why_not() -> None:
    """All but flags; secrets where they are kept sealed."""
    every = leaves(InstanceOverrides())
    assert {key for key in every if not why_not(key, sealed=True)} == set(KEYS)
    flags = {key for key in every if f"`majlis flags set {FLAG_OF.get(key)} on|off`" in (why_not(key) or "")}
    assert flags == {key for key in FLAG_OF if key != "turn.parallel"} == set(every) - set(KEYS)
    secret = {
        key for key in KEYS if f"`majlis instance set NAME {key}=-` keeps it sealed" in (why_not(key) or "")
    }
    assert secret == {key for key in KEYS if why_not(key)} == {key for key in KEYS if is_secret(key)}
    assert secret >= {
        "responder.providers.0.api_key",
        "responder.providers.0.extra_headers",
        "gateway.api_key",
        "alerts.webhook",
        "escalation.notify_webhook",
        "ingress.token",
        "passthrough.url",
    }
    assert {"responder.providers.0.model", "gateway.base_url", "gateway.feed"} <= set(KEYS) - secret
    assert full_key("model") in KEYS and full_key("hours") == "hours"


EMPTY_IS_NONE = {
    "responder.providers.0.system_prompt",
    "responder.fallback_message",
    "escalation.message",
    "opt_out.message",
    "opt_out.back_message",
}
"""What is said or asked: without it nothing is."""


def test_nothing_but_a_message_may_be_empty_or_blank(configured: Settings) -> None:
    """A new setting that is a text is `Visible`, `Name`, `Secret`, or a message and stands above."""
    for written in ("", "  ", [""], ["  "]):
        taken = {
            key
            for key in KEYS
            if not for_instance(
                configured, Layer(), "acme", [RunTimeValue(key, written, "x", is_secret(key))]
            ).left_out
        }
        said = EMPTY_IS_NONE if isinstance(written, str) else set[str]()
        assert taken - said == ({"country"} if written == "" else set())
        assert isinstance(written, list) or taken >= EMPTY_IS_NONE
    blank = laid(configured, {}, dict.fromkeys(EMPTY_IS_NONE - {"responder.providers.0.system_prompt"}, "  "))
    assert blank.settings.terms().escalated_message == blank.settings.terms().opt_out.message == ""


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
        ("responder.providers", "is a section; set one of its keys: responder.providers.0.name, "),
        ("responder.providers.3", "is a section; set one of its keys: responder.providers.0.name, "),
        ("responder.providers.0.modle", "did you mean responder.providers.0.model"),
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


def test_an_instance_hears_by_its_own_policy(configured: Settings) -> None:
    own = laid(
        configured,
        {"batching.max_seconds": 90},
        {"batching.policy": "quiet", "batching.typing.enabled": False},
    )
    window = own.settings.batching.window
    assert (window.kind, window.lasts_seconds, window.max_seconds) == ("quiet", 10.0, 90.0)
    assert (window.typing_seconds, configured.batching.window.typing_seconds) == (0.0, 60.0)


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
        ({"batching.policy": "loud"}, "batching.policy", "must be 'rule' or 'quiet'"),
        ({"batching.quiet_seconds": 61}, "batching.quiet_seconds", "must be at most max_seconds (60)"),
        ({"batching.typing.max_seconds": 0}, "batching.typing.max_seconds", "must be greater than 0"),
        ({"of.a.newer.version": 1}, "of.a.newer.version", "unknown key"),
        ({"gateway.timeout_seconds": 0}, "gateway.timeout_seconds", "must be greater than 0"),
        ({"gateway.kind": "owl"}, "gateway.kind", "must be 'console', 'evolution' or 'realtime'"),
        ({"gateway.kind": "realtime"}, "gateway.kind", "needs realtime.listen to be set"),
        ({"gateway.api_key": "k"}, "gateway.api_key", "is a secret"),
        (
            {"responder.providers.0.kind": "openai"},
            "responder.providers.0.kind",
            "must be set for kind openai",
        ),
        ({"responder.providers.1.kind": "rehearsal"}, "responder.providers.1.kind", "must be set"),
        ({"responder.providers.2.kind": "rehearsal"}, "responder.providers.2.kind", "beyond the end"),
        (
            {"responder.providers.99.kind": "rehearsal"},
            "responder.providers.99.kind",
            "places of a list are 0 to 19",
        ),
        ({"responder.providers.01.name": "x"}, "responder.providers.01.name", "places of a list are 0 to 19"),
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


def asked(settings: InstanceSettings) -> list[tuple[str, str, str | None, str | None]]:
    """Name, kind, model and prompt of each provider."""
    return [(one.name, one.kind, one.model, one.system_prompt) for one in settings.responder.providers]


MAIN = {"name": "main", "kind": "openai", "base_url": "https://x/v1", "api_key": "k", "model": "m"}
SPARE = {"name": "spare", "kind": "rehearsal"}


@pytest.fixture(scope="module")
def with_providers() -> Settings:
    assignments = [
        f"responder.providers=[{json.dumps(MAIN)}]",
        f"instances.acme.responder.providers=[{json.dumps(SPARE)}]",
    ]
    return load(None, [*assignments, "instances.shop={}"], {})


def test_a_key_within_a_list_is_set_in_a_copy_of_the_list_below(with_providers: Settings) -> None:
    model, prompt = "responder.providers.0.model", "responder.providers.0.system_prompt"
    own = laid(with_providers, {}, {model: "larger"}, "demo")
    assert asked(own.settings) == [("main", "openai", "larger", None)], "the rest is as for all"
    assert own.settings.responder.providers[0].api_key == with_providers.responder.providers[0].api_key
    own = laid(with_providers, {model: "of all", prompt: "Sing."}, {model: "larger"}, "demo")
    assert asked(own.settings) == [("main", "openai", "larger", "Sing.")]
    own = laid(with_providers, {model: "of all"}, {prompt: "Sing."}, "acme")
    assert asked(own.settings) == [("spare", "rehearsal", None, "Sing.")], (
        "whoever has a list of his own keeps it"
    )
    assert asked(laid(with_providers, {}, {}, "shop").settings) == [("main", "openai", "m", None)]
    assert asked(with_providers.for_instance("demo")) == [("main", "openai", "m", None)]


def test_the_first_place_behind_the_end_adds_an_entry_in_whatever_order_its_keys_were_set(
    with_providers: Settings,
) -> None:
    third = {"responder.providers.2.kind": "rehearsal", "responder.providers.2.name": "third"}
    second = {"responder.providers.1.name": "second", "responder.providers.1.kind": "rehearsal"}
    own = laid(with_providers, {}, {**third, **second}, "demo")
    assert [name for name, *_ in asked(own.settings)] == ["main", "second", "third"] and not own.left_out
    own = laid(with_providers, {}, {**third, "cache.similarity": 0.5}, "demo")
    assert {left.key for left in own.left_out} == set(third) and own.settings.cache.similarity == 0.5


def test_where_nobody_configured_a_list_the_default_one_is_copied() -> None:
    own = laid(load(None, (), {}), {}, {"responder.providers.0.system_prompt": "Sing."}, "demo")
    assert asked(own.settings) == [("rehearsal", "rehearsal", None, "Sing.")]


def test_a_secret_is_taken_only_where_it_is_kept_sealed(with_providers: Settings) -> None:
    layer = for_daemon(with_providers, ()).layer
    gateway = {"gateway.kind": "evolution", "gateway.base_url": "https://evo"}
    in_clear = values(gateway)
    key = RunTimeValue("gateway.api_key", "canary-secret", "instance set", sealed=True)
    own = for_instance(with_providers, layer, "demo", [*in_clear, key])
    assert own.has_gateway and own.settings.gateway.kind == "evolution" and not own.left_out
    without = for_instance(with_providers, layer, "demo", in_clear)
    assert not without.has_gateway, "its replies would leave through the gateway of all"
    assert laid(with_providers, {}, {"gateway.of_a_newer_version": 1}, "demo").has_gateway
    wrong = for_instance(with_providers, layer, "demo", [key._replace(value=["canary-secret"])])
    assert len(wrong.left_out) == 1 and "canary-secret" not in repr(wrong.left_out)


def test_what_stands_in_a_copied_list_comes_from_where_it_was_set(with_providers: Settings) -> None:
    for_all = for_daemon(with_providers, ())
    own = laid(with_providers, {}, {"responder.providers.0.model": "larger"}, "demo")
    rows = in_force_for(all_together(with_providers, (own.layer, for_all.layer)), "demo")
    origins = {
        row.key.rpartition(".")[2]: row.origin for row in rows if row.key.startswith("responder.providers")
    }
    assert (origins["model"], origins["base_url"], origins["temperature"]) == (
        "majlis set",
        "--set",
        "default",
    )
