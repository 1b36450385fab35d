"""Which secrets others on the machine can read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from daemon.config import Settings, load
from daemon.config.exposed import in_open_files, on_command_line

PROVIDERS = "[{name: main, kind: openai, base_url: 'http://b', model: m, api_key: sk-1}]"


@pytest.fixture
def config() -> Iterator[Path]:
    """In a folder that everybody may enter, which pytest's own is not."""
    with TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "config.yaml"


def loaded(config: Path, *assignments: str, text: str = "", **environment: str) -> Settings:
    config.write_text(text)
    return load(config, assignments, environment)


@pytest.mark.parametrize(
    ("assignment", "keys"),
    [
        ("gateway.api_key=abc", ("gateway.api_key",)),
        ("gateway.api_key=123", ("gateway.api_key",)),
        ("alerts.webhook=https://hooks.example/T/KEY", ("alerts.webhook",)),
        (f"responder.providers={PROVIDERS}", ("responder.providers.0.api_key",)),
        ("ingress.auth.token=[old, new]", ("ingress.auth.token.0", "ingress.auth.token.1")),
        ("instances.acme.gateway.api_key=abc", ("instances.acme.gateway.api_key",)),
        ("postgres.dsn=postgresql://u:pw@db/x", ("postgres.dsn",)),
        ("postgres.dsn=postgresql://u@db/x?password=pw", ("postgres.dsn",)),
        ("postgres.dsn=postgresql://u@db/x", ()),
        ("redis.url=redis://127.0.0.1:6379/0", ()),
        ("postgres.dsn=embedded", ()),
        ("gateway.api_key=null", ()),
        ("batching.window_seconds=8", ()),
    ],
)
def test_secrets_of_the_command_line_are_named(config: Path, assignment: str, keys: tuple[str, ...]) -> None:
    assert on_command_line(loaded(config, assignment)) == keys


def test_only_what_the_command_line_itself_said(config: Path) -> None:
    """A list in which it sets one value is a copy of the file's; the environment is nobody else's to read."""
    settings = loaded(
        config,
        "responder.providers.0.model=large",
        text=f"responder: {{providers: {PROVIDERS}}}",
        MAJLIS_GATEWAY__API_KEY="abc",
    )
    assert on_command_line(settings) == ()


def test_a_file_with_secrets_that_others_may_read(config: Path) -> None:
    text = "gateway: {api_key: abc}"
    settings = loaded(config, text=text)
    for mode, is_open in ((0o600, False), (0o640, False), (0o644, True)):
        config.chmod(mode)
        assert [file.keys for file in in_open_files(settings)] == [("gateway.api_key",)] * is_open
    config.parent.chmod(0o750)
    assert in_open_files(settings) == ()  # nobody comes that far
    config.parent.chmod(0o755)
    assert in_open_files(loaded(config, text="batching: {max_messages: 4}")) == ()
    settings = loaded(config, text=text)
    config.unlink()
    assert in_open_files(settings) == ()
