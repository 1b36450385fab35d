"""`--help` teaches each command with an example."""

from __future__ import annotations

import pytest

from tests.daemon.cli.conftest import Typed

COMMANDS = (
    "run",
    "migrate",
    "doctor",
    "status",
    "actors",
    "silent",
    "show",
    "cost",
    "flags",
    "tail",
    "flush",
    "pause",
    "resume",
    "reload",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_has_an_example(
    majlis: Typed, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    out = majlis(command, "--help").out
    assert f"Example: majlis {command}" in out and "--json" in out and "--config" in out and "--set" in out


@pytest.mark.parametrize("command", ["dead list", "dead show", "dead retry", "flags set", "flags clear"])
def test_help_of_each_subcommand_has_an_example(majlis: Typed, command: str) -> None:
    out = majlis(*command.split(), "--help").out
    assert f"Example: majlis {command}" in out and "--json" in out
