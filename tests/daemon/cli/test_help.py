"""`--help` teaches each command with an example."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import typer.main
from typer.core import TyperGroup

from daemon.cli import app, main


def commands(group: TyperGroup, above: str = "") -> Iterator[str]:
    """Every command and subcommand: `status`, `dead list`."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, f"{above}{name} ")
        else:
            yield f"{above}{name}"


ROOT = typer.main.get_command(app)
assert isinstance(ROOT, TyperGroup)


@pytest.mark.parametrize("command", ["flags", *commands(ROOT)])
def test_help_of_each_command_has_an_example_and_explains_every_argument(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit, match="0"):
        main([*command.split(), "--help"])
    out = capsys.readouterr().out
    assert f"Example: majlis {command}" in out and "--json" in out
    found: object = ROOT
    for word in command.split():
        assert isinstance(found, TyperGroup)
        found = found.commands[word]
    parameters = found.params  # type: ignore[attr-defined]
    assert [parameter.name for parameter in parameters if not getattr(parameter, "help", "")] == []
