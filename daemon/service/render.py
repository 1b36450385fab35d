"""Renders the unit files of an installation from the templates in `units/`. Pure, apart from reading the templates.

The files for the standard paths (`STANDARD`) are kept in `systemd/` for reading; a test compares them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from actors.errors import MajlisError
from daemon.config import Settings

UNITS = ("majlis.service", "majlis.socket", "majlis@.service", "majlis@.socket")
PLACES = {
    **{unit: f"etc/systemd/system/{unit}" for unit in UNITS},
    "sysusers.conf": "etc/sysusers.d/majlis.conf",
    "tmpfiles.conf": "etc/tmpfiles.d/majlis.conf",
}
"""Template → its path below the root of the file system."""

STATE = Path("/var/lib")
DATA_DIR = STATE / "majlis"
_HIDDEN = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))
"""Directories hidden from a hardened service by `ProtectHome=` and `PrivateTmp=`."""
_SLOT = re.compile(r"@([A-Z_]+)@")
_PLAIN_PATH = re.compile(r"/[\w./@+=,-]*")
_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
_ADDRESS = re.compile(r"[0-9.]+|\[[0-9a-fA-F:.]+\]")


class UnfitInstallation(MajlisError):
    """No unit files can be written for this installation; the message says what to change."""


@dataclass(frozen=True)
class Installation:
    """The paths and names of an installation. All paths are absolute.

    Attributes:
      program: the `majlis` command.
      needed: directories it must read: the environment, the interpreter, the source of an editable install.
      config: the settings file; secrets are in the directory `credentials` beside it.
      user: the user the daemon runs as, and its group.
      data_dir: the directory it writes to.
      data_dir_is_configured: whether the settings name it.
      listen: `host:port` of the socket, with a numeric host.
    """

    program: Path
    needed: tuple[Path, ...]
    config: Path
    user: str
    data_dir: Path
    data_dir_is_configured: bool
    listen: str


STANDARD = Installation(
    program=Path("/opt/majlis/.venv/bin/majlis"),
    needed=(Path("/opt/majlis"),),
    config=Path("/etc/majlis/config.yaml"),
    user="majlis",
    data_dir=DATA_DIR,
    data_dir_is_configured=False,
    listen="127.0.0.1:8080",
)


def installation(settings: Settings, config: Path, user: str) -> Installation:
    """The running installation, with these settings.

    Raises:
      UnfitInstallation: a path or name cannot be written to a unit file.
    """
    program = Path(sys.executable).with_name("majlis")
    if not program.exists():
        raise UnfitInstallation(
            f"{program} is missing: install Majlis into an environment with `pip install`."
        )
    configured = settings.data_dir.is_absolute()
    found = Installation(
        program=program,
        needed=(Path(sys.prefix), Path(sys.base_prefix).resolve(), Path(__file__).resolve().parents[2]),
        config=config.absolute(),
        user=user,
        data_dir=settings.data_dir if configured else DATA_DIR,
        data_dir_is_configured=configured,
        listen=settings.ingress.listen,
    )
    _check(found)
    return found


def render(place: Installation) -> Mapping[str, str]:
    """Path below the root of the file system → content, for every file."""
    return {where: _fill(_template(f"{name}.in"), _slots(place)) for name, where in PLACES.items()}


def _check(place: Installation) -> None:
    for path in (place.program, place.config, place.data_dir, *place.needed):
        if not _PLAIN_PATH.fullmatch(str(path)):
            raise UnfitInstallation(
                f"{path} has characters that unit files do not allow: use a simpler path."
            )
    if not _NAME.fullmatch(place.user):
        raise UnfitInstallation(
            f"{place.user} is not a valid user name: use lower-case letters, digits, - and _."
        )
    if any(place.data_dir.is_relative_to(hidden) for hidden in _HIDDEN):
        raise UnfitInstallation(
            f"data_dir is {place.data_dir}, which is hidden from a hardened service or removed when it stops: "
            f"set data_dir to another directory, such as {DATA_DIR}."
        )
    host, _, port = place.listen.rpartition(":")
    if not (_ADDRESS.fullmatch(host) or host == "*") or port == "0":
        raise UnfitInstallation(
            f"ingress.listen is {place.listen}, and a socket unit needs a numeric address and a port: "
            "e.g. 127.0.0.1:8080, or 0.0.0.0:8080 for every address."
        )


def _slots(place: Installation) -> Mapping[str, str]:
    host = place.listen.rpartition(":")[0]
    host = "[::]" if host == "*" else host
    port = place.listen.rpartition(":")[2]
    return {
        "PROCESS": _template("process.in").strip(),
        "HARDENING": _template("hardening.in").strip(),
        "HOME": _home((*place.needed, place.config.parent)),
        "DATA": _data(place, one=""),
        "DATA_OF_ONE": _data(place, one="/%i"),
        "DATA_DIR": str(place.data_dir),
        "MAJLIS": str(place.program),
        "CONFIG": str(place.config),
        "CONFIG_DIR": str(place.config.parent),
        "CREDENTIALS": str(place.config.parent / "credentials"),
        "USER": place.user,
        "GROUP": place.user,
        "LISTEN": f"{host}:{port}",
        "HOST": host,
    }


def _home(needed: Iterable[Path]) -> str:
    """Hide home directories; of them and of temporary directories, show only what the program needs."""
    shown = [path for path in dict.fromkeys(needed) if any(path.is_relative_to(hidden) for hidden in _HIDDEN)]
    tops = [path for path in shown if not any(path != top and path.is_relative_to(top) for top in shown)]
    if not tops:
        return "ProtectHome=yes"
    return "\n".join(["ProtectHome=tmpfs", *(f"BindReadOnlyPaths={path}" for path in tops)])


def _data(place: Installation, one: str) -> str:
    """The lines for the data directory; `one` is the subdirectory of one of several daemons, or empty."""
    directory = f"{place.data_dir}{one}"
    lines = [] if place.data_dir_is_configured and not one else [f"Environment=MAJLIS_DATA_DIR={directory}"]
    if place.data_dir.is_relative_to(STATE) and place.data_dir != STATE:
        lines += [f"StateDirectory={place.data_dir.relative_to(STATE)}{one}", "StateDirectoryMode=0700"]
    else:
        lines += [f"ReadWritePaths={place.data_dir}"]
    return "\n".join([*lines, f"WorkingDirectory={directory}"])


def _template(name: str) -> str:
    return (files("daemon.service") / "units" / name).read_text(encoding="utf-8")


def _fill(template: str, slots: Mapping[str, str]) -> str:
    """Fill the slots, also those in the values filled in."""
    filled = _SLOT.sub(lambda found: slots.get(found[1], found[0]), template)
    return filled if filled == template else _fill(filled, slots)
