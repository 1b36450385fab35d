"""`majlis install-service`: systemd units for this installation."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from daemon.cli.client import Failure, JsonOption
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
    user: Annotated[
        str, typer.Option("--user", metavar="NAME", help="The user that the service runs as.")
    ] = "majlis",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Write the files below DIR instead of /."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the files instead of writing them.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Write systemd units for this installation, and print the commands to start it.

    The units are checked with systemd-analyze. No service is started and no user is created: the printed commands do
    that. An existing settings file is read and never changed.

    Example: majlis install-service --dry-run
    """
    place = installation(Settings() if _is_missing(config) else load(config), config, user)
    files = render(place)
    faults = _faults(files)
    if faults:
        raise Failure("systemd-analyze rejects the units:\n" + "\n".join(faults))
    if not dry_run:
        _write(files, output or ROOT)
    _report(place, files, output or ROOT, dry_run, json, checked=faults is not None)


def _is_missing(config: Path) -> bool:
    """A file that we may not access counts as existing: load() reports the error."""
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
            f"{error.filename} cannot be written by this user: run this with sudo, or write the files elsewhere with "
            "--output DIR"
        ) from error
    except OSError as error:
        raise Failure(
            f"{error.filename} cannot be written: {error.strerror}; choose another directory with --output DIR"
        ) from error


def _report(
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
        sys.stderr.write("systemd-analyze is not installed, so the units were not checked\n")
    if not place.data_dir_is_configured:
        sys.stderr.write(
            f"The service stores its data in {place.data_dir}: put `data_dir: {place.data_dir}` into {place.config}, "
            "so that commands such as `majlis status` find it.\n"
        )
    sys.stderr.write("Next, run as root:\n" + "".join(f"  {command}\n" for command in commands))


def _commands(place: Installation, root: Path, dry_run: bool) -> Sequence[str]:
    """The commands that turn the files into a running service."""
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
