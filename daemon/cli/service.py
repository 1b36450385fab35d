"""The command that makes Majlis a service of the system."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from daemon.cli.failure import Failure
from daemon.cli.options import JsonOption
from daemon.cli.render import cell, display, print_json
from daemon.config import Settings, load
from daemon.service import Installation, check, installation, render, write

CONFIG = Path("/etc/majlis/config.yaml")
ROOT = Path("/")


def install_service(
    config: Annotated[
        Path,
        typer.Option("--config", "-c", metavar="FILE", readable=False, help="The service's settings file."),
    ] = CONFIG,
    user: Annotated[str, typer.Option("--user", metavar="NAME", help="Whom it runs as.")] = "majlis",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Write below DIR instead of the system's root."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the files and write nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """Write the systemd units of this installation, check them, and say which commands to run.

    Nothing is started, and no user is made: the commands that do so are printed. An existing settings file is
    heeded and never changed.

    Example: majlis install-service --dry-run
    """
    place = installation(Settings() if _is_missing(config) else load(config), config, user)
    files = render(place)
    faults = _faults(files)
    if faults:
        raise Failure("systemd finds the units unfit:\n" + "\n".join(faults))
    if not dry_run:
        _write(files, output or ROOT)
    _tell(place, files, output or ROOT, dry_run, json, checked=faults is not None)


def _is_missing(config: Path) -> bool:
    """One that may not be looked at is there, for all we know: whoever reads it says what is wrong."""
    try:
        config.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False


def _faults(files: Mapping[str, str]) -> list[str] | None:
    with tempfile.TemporaryDirectory(prefix="majlis-units-") as scratch:
        write(files, Path(scratch))
        return check(Path(scratch) / "etc/systemd/system")


def _write(files: Mapping[str, str], root: Path) -> None:
    try:
        write(files, root)
    except PermissionError as error:
        raise Failure(
            f"{error.filename} may not be written by this user: run it with sudo, or write the files elsewhere with "
            "--output DIR."
        ) from error
    except OSError as error:
        raise Failure(
            f"{error.filename} cannot be written: {error.strerror}. Name another folder with --output DIR."
        ) from error


def _tell(
    place: Installation, files: Mapping[str, str], root: Path, dry_run: bool, json: bool, checked: bool
) -> None:
    commands = _commands(place, root, dry_run)
    if json:
        print_json(
            {
                "files": files,
                "written": not dry_run,
                "root": str(root),
                "checked": checked,
                "commands": commands,
            }
        )
        return
    if dry_run:
        for where, content in files.items():
            sys.stdout.write(f"# --- {root / where}\n{content}\n")
        sys.stdout.flush()
    else:
        display(cell("\n".join(f"wrote {root / where}" for where in files)))
    if not checked:
        sys.stderr.write("systemd-analyze is not installed here, so the units were not checked\n")
    if not place.data_dir_is_configured:
        sys.stderr.write(
            f"The service keeps its data in {place.data_dir}: write `data_dir: {place.data_dir}` into {place.config}, "
            "so that `majlis status` finds it there.\n"
        )
    sys.stderr.write("Then, as root:\n" + "".join(f"  {command}\n" for command in commands))


def _commands(place: Installation, root: Path, dry_run: bool) -> Sequence[str]:
    """What makes a running service of the files."""
    copied = [f"cp -rT {root}/etc /etc"] if root != ROOT and not dry_run else []
    written = ["majlis install-service"] if dry_run else copied
    missing = [] if place.config.exists() else [f"install -m 0640 -g {place.user} config.yaml {place.config}"]
    return [
        *written,
        "systemd-sysusers",
        "systemd-tmpfiles --create",
        *missing,
        "systemctl daemon-reload",
        "systemctl enable --now majlis.socket majlis.service",
        "systemctl status majlis",
    ]
