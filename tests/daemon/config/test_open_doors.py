"""Which doors stand open to the world, and the words that say what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.config import ConfigError, Settings, load
from daemon.config.open_doors import Listening, OpenDoor, open_doors
from daemon.config.run_time import for_daemon
from daemon.controls.live_settings import LiveSettings
from daemon.operate.door_check import door_checks
from daemon.operate.door_credentials import credential_checks, for_all, for_instance

CLIENT = "realtime.clients=[{name: a, token: 0123456789abcdef, instances: all, may_push: true}]"
EVERYWHERE = (
    "ingress.listen=0.0.0.0:8080",
    "dashboard.listen='[::]:8089'",
    "realtime.listen=10.0.0.4:8081",
    CLIENT,
)


SIGNING = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def settings(*sets: str) -> Settings:
    return load(None, sets, {})


def names(found: tuple[OpenDoor, ...]) -> list[str]:
    return [door.door for door in found]


@pytest.mark.parametrize(
    ("address", "is_open"),
    [
        ("127.0.0.1:8080", False),
        ("127.8.0.1:8080", False),
        ("[::1]:8080", False),
        ("[::ffff:127.0.0.1]:8080", False),
        ("localhost:8080", False),
        ("unix:/run/majlis/web.sock", False),
        ("0.0.0.0:8080", True),
        ("*:8080", True),
        ("[::]:8080", True),
        ("10.0.0.4:8080", True),  # everything else in that network reaches it
        ("[fd00::4]:8080", True),
        ("169.254.1.1:8080", True),
        ("[fe80::1%eth0]:8080", True),
        ("203.0.113.7:8080", True),
        ("[::ffff:10.0.0.4]:8080", True),
        ("majlis.internal:8080", True),
    ],
)
def test_a_door_is_open_where_other_machines_reach_it(address: str, is_open: bool) -> None:
    found = open_doors(Settings(), Listening((address,), (address,), (address,)))
    assert names(found) == (["ingress", "metrics", "dashboard", "realtime"] if is_open else [])
    assert all(address in door.sentence for door in found)


def test_as_shipped_no_door_is_open() -> None:
    assert open_doors(settings()) == ()
    assert [check.state for check in door_checks(())] == ["ok"]


def test_each_sentence_says_what_to_write() -> None:
    """Following all of them leaves no door open."""
    found = open_doors(settings(*EVERYWHERE))
    words = {door.door: door.sentence for door in found}
    assert list(words) == ["ingress", "metrics", "dashboard", "realtime"]
    assert "Set ingress.auth.token" in words["ingress"] and "Set metrics.token" in words["metrics"]
    assert (
        "dashboard.listen to 127.0.0.1" in words["dashboard"]
        and "realtime.listen to 127.0.0.1" in words["realtime"]
    )
    mended = (
        "ingress.auth.token=0123456789abcdef",
        "metrics.token=fedcba9876543210",
        "dashboard.listen=127.0.0.1:8089",
        "realtime.listen=127.0.0.1:8081",
    )
    assert open_doors(settings(*EVERYWHERE, *mended)) == ()
    assert names(open_doors(settings("ingress.listen=0.0.0.0:80", "metrics.enabled=false"))) == ["ingress"]
    checks = list(door_checks(found))
    assert {check.state for check in checks} == {"warning"}
    assert [(check.detail, check.advice[1:]) for check in checks] == [
        (door.danger, f"{door.advice[1:]}.") for door in found
    ]


def test_what_is_really_listened_on_counts() -> None:
    """A service manager passed other sockets than the settings name."""
    public = settings("ingress.listen=0.0.0.0:8080")
    assert open_doors(public, Listening(("unix:/run/majlis.sock", "127.0.0.1:8080"))) == ()
    found = open_doors(settings(), Listening(("127.0.0.1:8080", "192.0.2.1:80")))
    assert names(found) == ["ingress", "metrics"]
    assert "192.0.2.1:80" in found[0].sentence and "127.0.0.1:8080" not in found[0].danger


@pytest.mark.parametrize(
    ("sets", "mode", "warned"),
    [
        ([], "none", False),
        (["ingress.auth.mode=none"], "none", False),
        (["ingress.auth.token=0123456789abcdef"], "token", False),
        (["ingress.auth.mode=token", "ingress.auth.token=0123456789abcdef"], "token", False),
        (["ingress.auth.mode=none", "ingress.auth.token=0123456789abcdef"], "token", True),
        (["ingress.auth.jwt_key=0123456789abcdef"], "token", False),
        ([f"ingress.auth.signing_secret={SIGNING}"], "token", False),
        (["ingress.auth.mode=token", f"instances.a.ingress.tokens_sha256={'0a' * 32}"], "token", False),
    ],
)
def test_a_token_that_is_set_is_asked_for(sets: list[str], mode: str, warned: bool) -> None:
    """I11: whatever the mode says; where it says otherwise, a warning says what to write."""
    given = settings(*sets)
    assert given.ingress.auth.mode_in_force == mode
    sentences = [door.sentence for door in open_doors(given)]
    assert sentences == [sentence for sentence in sentences if "Write ingress.auth.mode: token" in sentence]
    assert len(sentences) == warned


def test_a_token_that_can_be_guessed_is_named_and_the_daemon_starts() -> None:
    """Every setting whose type says that it opens a door; a weaker source that is overridden does not count."""
    short = {
        "ingress.auth.token": "[0123456789abcdef, short]",
        "metrics.token": "0123456789abcde",
        "instances.a.ingress.token": "x",
        "instances.a.ingress.jwt_key": "x",
        "realtime.clients": "[{name: a, token: t}]",
    }
    given = load(None, [f"{key}={value}" for key, value in short.items()], {})
    (found,) = open_doors(given)
    assert found.door == "tokens" and found.danger.endswith(
        "ingress.auth.token, metrics.token, instances.a.ingress.token, instances.a.ingress.jwt_key, "
        "realtime.clients.0.token"
    )
    over = load(None, ["metrics.token=0123456789abcdef"], {"MAJLIS_METRICS__TOKEN": "short"})
    assert open_doors(over) == ()


def test_the_mode_token_needs_a_token(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ingress\.auth\.token: must be set"):
        settings("ingress.auth.mode=token")


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        ([], "webhooks for all instances: none, anyone may post"),
        (
            [
                "ingress.auth.token=[0123456789abcdef, 1123456789abcdef]",
                f"ingress.auth.signing_secret={SIGNING}",
                "instances.a.ingress.jwt_key=[2123456789abcdef, 3123456789abcdef]",
                "instances.b.ingress.token=4123456789abcdef",
                f"instances.b.ingress.tokens_sha256={'5' * 64}",
                "instances.c.ingress.token=6123456789abcdef",
            ],
            "webhooks for all instances: ingress.auth.token (2), ingress.auth.signing_secret; of their own: "
            "1 with ingress.jwt_key, 2 with ingress.token, 1 with ingress.tokens_sha256; "
            "two at once, until one is removed: a",
        ),
        (
            ["ingress.auth.mode=token", "instances.a.ingress.token=0123456789abcdef"],
            "webhooks for all instances: none, nobody may post; of their own: 1 with ingress.token",
        ),
    ],
)
def test_what_a_webhook_may_show_is_told_without_a_secret(sets: list[str], words: str) -> None:
    given = settings(*sets)
    (found,) = credential_checks(given)
    assert found.detail == words == for_all(LiveSettings(given)) and found.state == "ok"
    own = for_instance(given.ingress.auth, given.for_instance("b").ingress)
    assert own == (
        ["ingress.token", "ingress.tokens_sha256", "ingress.auth.token (2)", "ingress.auth.signing_secret"]
        if "b" in given.instances
        else []
    )


def test_a_credential_that_is_not_known_is_told_with_what_to_do() -> None:
    live = LiveSettings(settings())
    live.put(for_daemon(live.configured, ()), {}, {"acme": {"ingress.jwt_key"}, "demo": {"gateway.api_key"}})
    (told,) = credential_checks(live)
    assert told.state == "warning" and told.detail.endswith("one does not open or fit: acme") and told.advice
