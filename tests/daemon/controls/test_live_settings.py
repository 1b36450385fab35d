"""The settings in force: what every message and every turn asks for."""

from __future__ import annotations

import base64

import pytest

from actors.notices import ESCALATION_WEBHOOK
from daemon.config import load
from daemon.config.run_time import ForInstance, RunTimeValue, for_daemon, for_instance, is_secret
from daemon.controls.live_settings import LiveSettings

CONFIGURED = load(None, ["batching.window_seconds=6", "instances.acme.batching.window_seconds=3"], {})


def window(seconds: float) -> list[RunTimeValue]:
    return [RunTimeValue("batching.window_seconds", seconds, "majlis set")]


def put(live: LiveSettings, daemon: list[RunTimeValue], own: dict[str, list[RunTimeValue]]) -> None:
    for_all = for_daemon(CONFIGURED, daemon)
    apart: dict[str, ForInstance] = {
        name: for_instance(CONFIGURED, for_all.layer, name, values) for name, values in own.items()
    }
    live.put(for_all, apart)


def test_without_changes_the_configuration_applies() -> None:
    live = LiveSettings(CONFIGURED)
    for name in ("acme", "demo", "a stranger"):
        assert live.window(name) == CONFIGURED.window(name)
        assert live.terms(name) == CONFIGURED.terms(name)
        assert live.for_instance(name) == CONFIGURED.for_instance(name)


def test_a_change_is_in_every_answer_and_goes_again() -> None:
    live = LiveSettings(CONFIGURED)
    put(live, [RunTimeValue("turn.duplicate_seconds", 9, "x")], {"shop": window(2), "acme": window(1)})
    assert [live.window(name).window_seconds for name in ("acme", "shop", "other")] == [1, 2, 6]
    assert {live.terms(name).duplicate_seconds for name in ("acme", "shop", "other")} == {9}
    assert live.for_instance("shop").batching.window_seconds == 2
    assert max(own.batching.window_seconds for own in live.every()) == 6
    origins = live.with_origins("shop")
    assert origins.for_instance("shop").batching.window_seconds == 2
    put(live, [], {})
    assert live.window("acme") == CONFIGURED.window("acme") and live.terms("shop").duplicate_seconds == 300


def test_made_up_names_take_no_room_and_answers_are_made_once() -> None:
    live = LiveSettings(CONFIGURED)
    assert live.terms("made up") is live.terms("made up too") and live.window("made up") is live.window("x")
    assert live.terms("acme") is live.terms("acme")
    assert live.names == {"acme", *CONFIGURED.instances}


def test_who_follows_hears_of_every_change_after_it_is_in_force() -> None:
    live = LiveSettings(CONFIGURED)
    heard: list[float] = []
    live.follow(lambda: heard.append(live.window("shop").window_seconds))
    put(live, [], {"shop": window(2)})
    put(live, window(9), {})
    assert heard == [6, 2, 9]


def test_the_address_of_a_webhook_is_that_in_force() -> None:
    live = LiveSettings(load(None, ["escalation.notify_webhook=https://all/?key=1"], {}))
    own = RunTimeValue("escalation.notify_webhook", "https://own/?key=2", "x", sealed=True)
    live.put(
        for_all := for_daemon(live.configured, ()),
        {"a": for_instance(live.configured, for_all.layer, "a", [own])},
    )
    assert [live.webhook(name, ESCALATION_WEBHOOK) for name in "ab"] == [
        ("https://own/?key=2", ()),
        ("https://all/?key=1", ()),
    ]
    assert live.webhook("a", "config:of.a.later.version") is None
    assert live.terms("a").has_notify_webhook


def test_a_gateway_whose_key_stays_shut_is_nobodys() -> None:
    """What is in force there is another one's key, and must not go to its address."""
    live = LiveSettings(CONFIGURED)
    live.put(for_daemon(CONFIGURED, ()), {}, {"acme": {"gateway.api_key"}, "demo": {"ingress.token"}})
    assert live.gateway("acme") is None and live.gateway("demo") is not None
    assert live.lacks_secret("demo", "ingress") and not live.lacks_secret("acme", "responder")


def test_what_opens_the_door_for_one_instance() -> None:
    """Of each kind one or two, from the configuration and from what is set while the daemon runs."""
    secrets = [f"whsec_{base64.b64encode(letter * 24).decode()}" for letter in (b"a", b"b")]
    configured = load(
        None,
        [f"instances.acme.ingress.jwt_key={'k' * 16}", f"instances.acme.ingress.signing_secret={secrets[0]}"],
        {},
    )
    live = LiveSettings(configured)
    for_all = for_daemon(configured, ())
    own = [
        RunTimeValue("ingress.tokens_sha256", ["0" * 64, "1" * 64], "SQL"),
        RunTimeValue("ingress.signing_secret", secrets, "x", sealed=True),
    ]
    live.put(for_all, {"acme": for_instance(configured, for_all.layer, "acme", own)})
    found = live.own_credentials()
    assert found.holders == {"acme"} and found.are_read and not found.shut
    assert found.token_hashes == {"acme": ("0" * 64, "1" * 64)} and found.tokens == {"acme": ()}
    assert found.jwt_keys == {"acme": (b"k" * 16,)}
    assert found.signing_keys == {"acme": (b"a" * 24, b"b" * 24)}
    assert live.own_credentials() is found


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ingress.tokens_sha256", "not a digest"),
        ("ingress.tokens_sha256", 7),
        ("ingress.token", 7),
        ("ingress.signing_secret", "whsec_c2hvcnQ="),
    ],
)
def test_a_credential_that_does_not_fit_leaves_no_door_open(key: str, value: object) -> None:
    """As one that cannot be opened: whoever posts for the instance is told to come again."""
    live, for_all = LiveSettings(CONFIGURED), for_daemon(CONFIGURED, ())
    own = for_instance(CONFIGURED, for_all.layer, "acme", [RunTimeValue(key, value, "SQL", is_secret(key))])
    live.put(for_all, {"acme": own})
    assert [left.key for left in own.left_out] == [key] and str(value) not in own.left_out[0].why
    assert live.own_credentials().shut == {"acme"}
