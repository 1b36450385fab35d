"""Settings from files named by their keys, as a service manager passes secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.config import ConfigError, Settings, load
from daemon.gateways.evolution.kind import EvolutionSettings


def passed(tmp_path: Path, files: dict[str, bytes], text: str = "", **more: str) -> Settings:
    directory = tmp_path / "passed"
    directory.mkdir()
    for name, content in files.items():
        (directory / name).write_bytes(content)
    config = tmp_path / "config.yaml"
    config.write_text(text)
    return load(config, environment={"CREDENTIALS_DIRECTORY": str(directory), **more})


def test_a_credential_wins_over_the_file_and_the_environment_over_it(tmp_path: Path) -> None:
    text = "postgres: {dsn: 'postgresql://in-file/x'}\nredis: {url: 'redis://in-file'}"
    settings = passed(
        tmp_path,
        {"postgres.dsn": b"postgresql://passed/x\n", "redis.url": b"redis://passed"},
        text,
        MAJLIS_REDIS__URL="redis://environment",
    )
    assert settings.postgres.dsn.get_secret_value() == "postgresql://passed/x"
    assert settings.redis.url.get_secret_value() == "redis://environment"


def test_a_provider_of_the_list_gets_its_key(tmp_path: Path) -> None:
    text = "responder: {providers: [{name: a, kind: openai, base_url: 'http://b', model: m}]}"
    settings = passed(tmp_path, {"responder.providers.0.api_key": b"sk-0123\n"}, text)
    [provider] = settings.responder.providers
    assert provider.api_key is not None and provider.api_key.get_secret_value() == "sk-0123"
    assert provider.model == "m"


def test_the_prefix_of_a_passed_directory_is_removed(tmp_path: Path) -> None:
    settings = passed(tmp_path, {"majlis_ingress.auth.token": b"0123\r\n"})
    assert settings.ingress.auth.tokens == ("0123",)


def test_credentials_may_hold_two_tokens_during_a_rotation(tmp_path: Path) -> None:
    settings = passed(tmp_path, {"ingress.auth.token": b'["old", "new"]\n'})
    assert settings.ingress.auth.tokens == ("old", "new")


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"postgres.dns": b"x"}, r"postgres\.dns: unknown key.*passed/postgres\.dns"),
        ({"postgres.": b"x"}, "must be named by a key"),
        ({"postgres.dsn": b"\xff"}, "is not UTF-8 text"),
        ({"postgres.dsn": b"x" * 70_000}, "is larger than"),
    ],
)
def test_an_unreadable_credential_is_reported_without_its_content(
    tmp_path: Path, files: dict[str, bytes], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        passed(tmp_path, files)


def test_a_wrong_secret_is_reported_only_by_its_key_and_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        passed(tmp_path, {"ingress.auth.token": b"[canary-one, canary-two, canary-three]"})
    assert "ingress.auth.token" in str(caught.value) and "credential" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_missing_directory_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"CREDENTIALS_DIRECTORY .*nowhere: cannot be read"):
        load(environment={"CREDENTIALS_DIRECTORY": str(tmp_path / "nowhere")})


def test_an_administrator_sees_what_the_service_sees(tmp_path: Path) -> None:
    """Without a manager's directory, `credentials` beside the given file is read; one that is named wins."""
    config = tmp_path / "config.yaml"
    config.write_text("gateway: {kind: evolution, base_url: 'http://gateway'}")
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "gateway.api_key").write_text("beside\n")
    gateway = load(config, environment={}).gateway
    assert isinstance(gateway, EvolutionSettings)
    key = gateway.api_key
    assert key is not None and key.get_secret_value() == "beside"
    (tmp_path / "named").mkdir()
    with pytest.raises(ConfigError, match=r"gateway\.api_key"):
        load(config, environment={"CREDENTIALS_DIRECTORY": str(tmp_path / "named")})
