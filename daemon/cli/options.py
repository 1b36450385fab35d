"""The options that every command has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daemon.cli.client import AdminClient
from daemon.config import Settings, load

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        readable=False,  # what cannot be read is told by whoever reads it
        help="Settings file. Default: ./config.yaml if there is one.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", "-s", metavar="KEY=VALUE", help="One setting, e.g. batching.window_seconds=5. Repeatable."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
RevealOption = Annotated[
    bool, typer.Option("--reveal", help="Show phone numbers and texts. The daemon records who asked.")
]


def settings_of(config: Path | None, assignments: list[str] | None) -> Settings:
    """Raises: ConfigError."""
    return load(config, assignments or ())


def client_of(config: Path | None, assignments: list[str] | None) -> AdminClient:
    """The way to the running daemon. Raises: ConfigError."""
    return AdminClient(settings_of(config, assignments).admin_socket)
