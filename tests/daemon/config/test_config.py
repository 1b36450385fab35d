"""Settings: where they come from, which layer wins, and how errors are reported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, SecretStr, ValidationError

from actors.messages import WindowPolicy
from actors.notices import ALERT_WEBHOOK, ESCALATION_WEBHOOK
from daemon.config import ConfigError, Settings, load
from daemon.config.credentials import plain
from daemon.config.sources import read_document
from daemon.controls.feature_flags import FLAGS
from daemon.gateways.evolution.kind import EvolutionSettings

ROOT = Path(__file__).parents[3]


def given(
    tmp_path: Path, text: str = "", sets: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> Settings:
    path = tmp_path / "given.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, sets, env or {})


def refusal(
    tmp_path: Path, text: str = "", sets: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> str:
    with pytest.raises(ConfigError) as caught:
        given(tmp_path, text, sets, env)
    return str(caught.value)


def _keys(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from (f"{name}.{inner}" for inner in _keys(field.annotation))


def test_shipped_file_equals_the_defaults() -> None:
    assert load(ROOT / "config.yaml", environment={}) == Settings()


def test_shipped_file_names_every_key() -> None:
    document = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))

    def at(dotted: str) -> bool:
        here = document
        for step in dotted.split("."):
            if not isinstance(here, dict) or step not in here:
                return False
            here = here[step]
        return True

    assert [key for key in _keys(Settings) if not at(key)] == []


def test_shipped_file_explains_every_field_of_a_provider() -> None:
    text = (ROOT / "config.yaml").read_text(encoding="utf-8")
    for name in ("name", "kind", "base_url", "api_key", "model", "timeout_seconds", "system_prompt"):
        assert f"{name}:" in text


def test_shipped_file_lists_the_flags_that_can_be_switched_at_run_time() -> None:
    text = (ROOT / "config.yaml").read_text(encoding="utf-8")
    assert [flag for flag in FLAGS if f"[flag {flag}]" not in text] == []
    assert "majlis flags set" in text


def test_set_wins_over_environment_over_file_over_default(tmp_path: Path) -> None:
    text = "batching: {window_seconds: 2, max_messages: 2, max_batch_messages: 20}"
    env = {"MAJLIS_BATCHING__WINDOW_SECONDS": "3", "MAJLIS_BATCHING__MAX_MESSAGES": "3"}
    batching = given(tmp_path, text, ["batching.window_seconds=4"], env).batching
    assert batching.window == WindowPolicy(4.0, 3, 20, 1000)


def test_without_a_path_config_yaml_is_read_if_it_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(environment={}) == Settings()
    (tmp_path / "config.yaml").write_text("drain_seconds: 3")
    assert load(environment={}).drain_seconds == 3


def test_a_given_path_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read"):
        load(tmp_path / "nowhere.yaml", environment={})


def test_values_of_environment_and_set_are_yaml(tmp_path: Path) -> None:
    env = {"MAJLIS_TURN__BACKOFF_SECONDS": "[0.5, 3]", "MAJLIS_NODE_ID": "null"}
    settings = given(tmp_path, "node_id: a", ["instances={acme: {batching: {max_messages: 2}}}"], env)
    assert settings.turn.backoff_seconds == (0.5, 3.0)
    assert settings.node_id is None
    assert set(settings.instances) == {"acme"}


@pytest.mark.parametrize("typed", ["0123", "1e5", "12345", "yes", "a: b", "x # y", "1:30"])
def test_a_secret_from_the_environment_stays_as_typed(tmp_path: Path, typed: str) -> None:
    settings = given(tmp_path, env={"MAJLIS_INGRESS__AUTH__TOKEN": typed})
    assert settings.ingress.auth.tokens == (typed,)


def test_two_tokens_open_the_door_during_rotation(tmp_path: Path) -> None:
    settings = given(tmp_path, "ingress: {auth: {mode: token, token: [old, new]}}")
    assert settings.ingress.auth.tokens == ("old", "new")


def test_two_of_each_credential_hold_during_a_change_from_the_environment_too(tmp_path: Path) -> None:
    secrets = [f"whsec_{letter * 32}" for letter in "ab"]
    env = {
        "MAJLIS_INGRESS__AUTH__JWT_KEY": "[old, new]",
        "MAJLIS_INGRESS__AUTH__SIGNING_SECRET": f"[{', '.join(secrets)}]",
        "MAJLIS_INSTANCES__ACME__INGRESS__TOKENS_SHA256": f"[{'0a' * 32}, {'1a' * 32}]",
        "MAJLIS_INSTANCES__ACME__INGRESS__JWT_KEY": "only",
        "MAJLIS_ALERTS__SIGNING_SECRET": f"[{', '.join(secrets)}]",
        "MAJLIS_ALERTS__WEBHOOK": "https://alerts.example",
    }
    settings = given(tmp_path, env=env)
    assert settings.ingress.auth.jwt_keys == (b"old", b"new")
    assert len(set(settings.ingress.auth.signing_keys)) == 2
    acme = settings.for_instance("acme").ingress
    assert acme.tokens_sha256 == ("0a" * 32, "1a" * 32) and plain(acme.jwt_key) == ("only",)
    alerts = settings.for_instance("acme").webhook(ALERT_WEBHOOK)
    assert alerts is not None and alerts.signing_keys == settings.ingress.auth.signing_keys


def test_one_provider_of_a_list_can_be_completed_from_the_environment(tmp_path: Path) -> None:
    second = "{name: b, kind: openai, base_url: 'http://b', model: m}"
    text = f"responder: {{providers: [{{name: a, kind: rehearsal}}, {second}]}}"
    settings = given(tmp_path, text, env={"MAJLIS_RESPONDER__PROVIDERS__1__API_KEY": "sk-1"})
    keys = [provider.api_key for provider in settings.responder.providers]
    assert keys == [None, SecretStr("sk-1")]


def test_a_notice_finds_the_address_of_its_own_webhook(tmp_path: Path) -> None:
    text = """
    alerts: {webhook: "https://all/?key=1"}
    instances:
      acme: {escalation: {notify_webhook: "https://acme/?key=2"}}
      other: {alerts: {webhook: null}}
    """
    settings = given(tmp_path, text)
    assert settings.for_instance("acme").webhook(ESCALATION_WEBHOOK) == ("https://acme/?key=2", ())
    for instance in ("", "acme", "from the database"):  # "": the daemon's own
        assert settings.for_instance(instance).webhook(ALERT_WEBHOOK) == ("https://all/?key=1", ())
    assert (
        settings.for_instance("other").webhook(ALERT_WEBHOOK) is None
        and not settings.terms("other").has_alert_webhook
    )
    assert settings.for_instance("other").webhook(ESCALATION_WEBHOOK) is None
    assert settings.for_instance("acme").webhook("config:of.a.later.version") is None


def test_instance_overrides_merge_key_by_key_and_providers_replace(tmp_path: Path) -> None:
    text = """
    gateway: {kind: evolution, base_url: "https://main", api_key: k}
    instances:
      acme: {gateway: {base_url: "https://acme"}, batching: {max_messages: 2}}
      other: {responder: {providers: [{name: own, kind: rehearsal}]}}
    """
    settings = given(tmp_path, text)
    acme, other = settings.for_instance("acme"), settings.for_instance("other")
    own, default = acme.gateway, settings.gateway
    assert isinstance(own, EvolutionSettings) and isinstance(default, EvolutionSettings)
    assert own.base_url == "https://acme"
    assert own.kind == "evolution" and own.api_key == default.api_key
    assert (acme.batching.max_messages, acme.batching.window_seconds) == (2, 8.0)
    assert [provider.name for provider in other.responder.providers] == ["own"]
    assert other.gateway == settings.gateway
    assert settings.for_instance("from the database").batching == settings.batching
    assert settings.window("acme").max_messages == 2


def test_an_instance_is_reached_from_the_environment_without_regard_to_case(tmp_path: Path) -> None:
    env = {"MAJLIS_INSTANCES__ACME__BATCHING__MAX_MESSAGES": "3"}
    assert given(tmp_path, "instances: {Acme: {}}", env=env).window("Acme").max_messages == 3


def test_empty_sections_and_number_like_instance_names_are_fine(tmp_path: Path) -> None:
    settings = given(tmp_path, "batching:\ninstances:\n  5511:\n  on: {}\n")
    assert settings.batching == Settings().batching
    assert set(settings.instances) == {"5511", "on"}


@pytest.mark.parametrize(
    ("sets", "env", "words"),
    [
        (["batching.window_second=8"], {}, ["batching.window_seconds?", "it is 8", "--set", "max_messages"]),
        ([], {"MAJLIS_DRAIN": "1"}, ["drain: unknown key", "did you mean drain_seconds", "environment MAJLIS_DRAIN"]),
        (["batching.window_seconds=-1"], {}, ["batching.window_seconds: must be greater than 0", "it is -1"]),
        (["batching.window_seconds=.inf"], {}, ["must be a finite number"]),
        (["batching.window_seconds=true"], {}, ["must be a number"]),
        (["turn.max_tries=2.5"], {}, ["turn.max_tries: must be a whole number", "2.5"]),
        (["turn.backoff_seconds=[]"], {}, ["turn.backoff_seconds: must hold at least one entry"]),
        (["log.format=pretty"], {}, ["log.format: must be 'auto', 'console' or 'json'", "'pretty'"]),
        (["ingress.listen=8080"], {}, ["ingress.listen: must be host:port", "8080"]),
        (["ingress.max_media_bytes=9"], {}, ["ingress.max_media_bytes: must be at least ingress.max_body_bytes"]),
        (["ingress.auth.mode=token"], {}, ["ingress.auth.token: must be set when ingress.auth.mode is token"]),
        (["batching.max_messages=60"], {}, ["batching.max_messages: must be at most max_batch_messages (50)", "60"]),
        (["gateway.kind=evolution"], {}, ["gateway.base_url: must be set for kind evolution", "gateway.api_key"]),
        (["instances={'': {}}"], {}, ["instances", "at least 1 character"]),
        ([f"instances={{{'x' * 129}: {{}}}}"], {}, ["instances", "at most 128 characters"]),
        (["redis.url=http://x"], {}, ["redis.url: must be embedded, or redis://"]),
        (["redis.program=./redis-server"], {}, ["redis.program: must be a whole path"]),
        (
            ["redis.program=/usr/bin/redis-server", "redis.url=redis://a"],
            {},
            ["redis.program: runs the embedded Redis alone"],
        ),
        (["redis.url=redis://:word@a:6379,b:6379/0"], {}, ["redis.url: must name one server"]),
        (["responder.providers=[{name: a, kind: openai}]"], {}, ["providers.0.base_url", "providers.0.model"]),
        (["instances.a.batching.max_messages=99"], {}, ["instances.a.batching.max_messages: must be at most"]),
        (["timezone=Asia/Riyad"], {}, ["timezone: must be a zone of the IANA database, e.g. Asia/Riyadh"]),
        (["hours=['sun-thu 9-17']"], {}, ["hours.0: must have times like 09:00-22:00", "sun-thu 9-17"]),
        (["mode=passthrough"], {}, ["mode: needs passthrough.url"]),
        (["instances.a.mode=passthrough"], {}, ["instances.a.mode: needs passthrough.url"]),
        (["passthrough.url=nowhere"], {}, ["passthrough.url: must be an http:// or https:// address"]),
        (["country=Saudi Arabia"], {}, ["country: must be the two letters of a country, e.g. SA"]),
        (["instances.a.timezone=cairo"], {}, ["instances.a.timezone: must be", "e.g. Africa/Cairo"]),
        (["instances.a.hours=['fri']"], {}, ["instances.a.hours.0: must be days and then times", "fri closed"]),
        (["opt_out.stop_words=[STOP, '?!']"], {}, ["opt_out.stop_words.1: must have a letter or a digit"]),
        (["opt_out.stop_words=[STOP, start]"], {}, ["opt_out.stop_words.1: must not be one of start_words too"]),
        (["instances.a.opt_out.start_words=[]"], {}, ["instances.a.opt_out.start_words: must have a word"]),
        (["takeover.commands.resume=' #HUMAN'"], {}, ["takeover.commands.pause: must differ from commands.resume"]),
        (["instances.a.takeover.commands.pause='#bot'"], {}, ["instances.a.takeover.commands.pause: must differ"]),
        (["takeover.commands.pause=' '"], {}, ["takeover.commands.pause: must be a text that can be seen, or null"]),
        (["takeover.automatic_texts=['Hi*', ' *']"], {}, ["takeover.automatic_texts.1: must have words"]),
        (["batching"], {}, ["--set batching: must be written section.key=value"]),
        (["responder.providers.2.name=x"], {}, ["responder.providers"]),
    ],
)  # fmt: skip
def test_an_error_names_key_value_origin_and_what_is_allowed(
    tmp_path: Path, sets: list[str], env: dict[str, str], words: list[str]
) -> None:
    said = refusal(tmp_path, "", sets, env)
    assert [word for word in words if word not in said] == []


def test_an_error_names_its_file_and_every_error_is_listed(tmp_path: Path) -> None:
    said = refusal(tmp_path, "batching: {window_seconds: x, max_message: 3}\nturn: 4\n")
    assert len(said.splitlines()) == 3
    assert said.count("given.yaml") == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("drain_seconds: 1\ndrain_seconds: 2", "line 2: the key drain_seconds appears twice"),
        ("turn:\n  max_tries: 1\n  max_tries: 2", "line 3: the key max_tries appears twice"),
        ("turn: [", "is not valid YAML"),
        ("- turn", "must hold sections"),
        ("? [x]\n: 1", "a key must be a plain word"),
    ],
)
def test_a_file_without_sections_or_with_a_repeated_key_is_refused(
    tmp_path: Path, text: str, words: str
) -> None:
    said = refusal(tmp_path, text)
    assert "given.yaml" in said and words in said


@pytest.mark.parametrize(
    ("text", "env"),
    [
        ("gateway: {apikey: canary-secret}", {}),
        ("gateway: {api_key: [canary-secret]}", {}),
        ("gateway: {kind: canary, api_key: canary-secret}\ngatewayy: {api_key: canary-secret}", {}),
        ("redis: {url: 'ftp://user:canary-secret@host'}", {}),
        ("gateway: {kind: evolution, api_key: k, base_url: 'http://user:canary-secret@host'}", {}),
        ("embeddings: {model: m, base_url: 'http://host/v1?key=canary-secret'}", {}),
        (
            "responder: {providers: [{name: p, kind: openai, model: m, base_url: 'http://h/v1?key=canary-secret'}]}",
            {},
        ),
        ("ingress: {auth: {token: [canary-secret, canary-secret, canary-secret]}}", {}),
        ("gateway: {api_key: 'canary-secret", {}),
        ("", {"MAJLIS_INGRESS__AUTH__TOKN": "canary-secret"}),
        ("", {"MAJLIS_INGRESS__AUTH__TOKEN": '"canary-secret'}),
    ],
)
def test_no_error_shows_a_secret(tmp_path: Path, text: str, env: dict[str, str]) -> None:
    """I11."""
    assert "canary-secret" not in refusal(tmp_path, text, env=env)


def test_a_list_is_not_called_empty_for_what_is_wrong_with_its_entry(tmp_path: Path) -> None:
    entry = "{name: p, kind: openai, model: m, base_url: 'http://h/v1', temperature: 7}"
    said = refusal(tmp_path, f"responder: {{providers: [{entry}]}}")
    assert "providers.0.temperature: must be less than or equal to 2; it is 7" in said
    assert "at least one entry" not in said
    assert "at least one entry" in refusal(tmp_path, "responder: {providers: []}")


def test_no_repr_shows_a_secret_and_settings_are_frozen(tmp_path: Path) -> None:
    """I11."""
    text = """
    redis: {url: "redis://:canary-secret@host"}
    postgres: {dsn: "postgresql://u:canary-secret@host/db"}
    ingress: {auth: {mode: token, token: canary-secret}}
    gateway: {kind: evolution, base_url: "http://g", api_key: canary-secret}
    """
    settings = given(tmp_path, text)
    assert "canary-secret" not in f"{settings!r} {settings} {settings.for_instance('demo')!r}"
    assert not settings.redis.is_embedded and not settings.postgres.is_embedded
    with pytest.raises(ValidationError):
        settings.drain_seconds = 3


def test_addresses_and_the_admin_socket(tmp_path: Path) -> None:
    settings = given(tmp_path, "ingress: {listen: '[::1]:0'}\ndata_dir: /srv/majlis")
    assert settings.ingress.socket_file is None
    unix = given(tmp_path, "ingress: {listen: 'unix:/run/m/in.sock', trusted_proxies: [unix, 10.0.0.0/8]}")
    assert unix.ingress.socket_file == Path("/run/m/in.sock")
    for wrong in ("unix:in.sock", f"unix:/{'x' * 100}", "/run/in.sock"):
        assert "must be host:port" in refusal(tmp_path, f"ingress: {{listen: '{wrong}'}}")
    assert "trusted_proxies.1: must be an address" in refusal(
        tmp_path, "ingress: {trusted_proxies: [unix, a.example]}"
    )
    assert settings.admin_socket == Path("/srv/majlis/run/admin.sock")
    assert given(tmp_path, "admin: {socket: /run/m.sock}").admin_socket == Path("/run/m.sock")


def test_a_part_of_a_file_of_declarations_may_be_used_again_within_bounds() -> None:
    """What stands beside a merge is stronger. A file that grows without end is refused in a sentence, and at once."""
    found = read_document("a: &a {x: 1, y: [2]}\nb: {<<: *a, x: 3}\nc: *a\nd: {<<: [*a, {z: 4}]}")
    assert found["b"] == {"x": 3, "y": [2]} and found["c"] == {"x": 1, "y": [2]}
    assert found["d"] == {"x": 1, "y": [2], "z": 4}
    doubling = "\n".join(f"k{n}: &k{n} [{', '.join([f'*k{n - 1}'] * 9)}]" for n in range(1, 30))
    merging = "\n".join(f"k{n}: &k{n} {{<<: [*k{n - 1}, *k{n - 1}], x{n}: 1}}" for n in range(1, 900))
    for text, words in (
        (f"k0: &k0 [x, x]\n{doubling}", "write the parts out"),
        (f"k0: &k0 {{x: 1}}\n{merging}", "write the parts out"),
        (
            f"k0: &k0 {'x' * 100_000}\n" + "\n".join(f"k{n}: *k0" for n in range(1, 400)),
            "write the parts out",
        ),
        ("a: 1\nb: &b {c: [*b]}", "line 2: refers to itself"),
        ("a: &a {<<: *a}", "line 1: refers to itself"),
        ("a: {<<: 3}", "line 1: is not valid YAML"),
        ("a: {x: 1, <<: {x: 2}, x: 3}", "line 1: the key x appears twice"),
        ("a: {<<: {[1]: 2}}", "a key must be a plain word"),
    ):
        with pytest.raises(ConfigError, match=words):
            read_document(text)
    with pytest.raises(ConfigError, match="but is not valid YAML"):
        load(None, ["instances={a: &a {}, b: *a}"], {})
