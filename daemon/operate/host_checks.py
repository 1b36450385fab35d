"""What `majlis doctor` says about this machine and this process: folders, files, core files, whom TLS believes."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

from daemon.config import Settings
from daemon.config.exposed import in_open_files, on_command_line
from daemon.operate.checks import Check
from daemon.web.tls import problem, sources

LOW_DISK_BYTES = 1024**3
SAFER = "the environment (MAJLIS_…), or a file in the credentials directory (docs/systemd.md)"
CORE_PATTERN = Path("/proc/sys/kernel/core_pattern")
CORE_FILTER = Path("/proc/self/coredump_filter")


def host_checks(settings: Settings, in_daemon: bool) -> Iterator[Check]:
    """Those that say nothing when all is well leave out their line.

    Args:
      in_daemon: this process is the daemon.
    """
    yield _data_dir(settings.data_dir)
    yield _tls(settings.tls.ca_file)
    if in_daemon:
        yield _core_files()
    if keys := on_command_line(settings):
        detail = f"every user of this machine can read the secrets in it: {', '.join(keys)}"
        yield Check(
            name="command line",
            state="warning",
            detail=detail,
            advice=f"Give them by {SAFER}; change those keys.",
        )
    for file in in_open_files(settings):
        detail = f"every user of this machine can read {file.path}, which holds {', '.join(file.keys)}"
        advice = f"Run `chmod o= {file.path}`, or give the secrets by {SAFER}."
        yield Check(name="settings file", state="warning", detail=detail, advice=advice)


def _data_dir(data_dir: Path) -> Check:
    name = "data_dir"
    place = next(parent for parent in (data_dir.absolute(), *data_dir.absolute().parents) if parent.exists())
    if not os.access(place, os.W_OK | os.X_OK):
        advice = f"Give the user that runs Majlis write access to {place}, or set data_dir elsewhere."
        return Check(name=name, state="problem", detail=f"{data_dir} cannot be written.", advice=advice)
    free = shutil.disk_usage(place).free
    if free < LOW_DISK_BYTES:
        advice = "Free some space: a store on a full disk refuses messages."
        detail = f"{free // 1024**2} MiB are free at {place}."
        return Check(name=name, state="warning", detail=detail, advice=advice)
    if place == data_dir.absolute() and place.stat().st_mode & 0o077:
        detail = f"Other users of this machine may enter {data_dir}, which holds messages and phone numbers."
        return Check(name=name, state="warning", detail=detail, advice=f"Run `chmod 700 {data_dir}`.")
    return Check(name=name, state="ok", detail=f"{data_dir}, {free // 1024**3} GiB free")


def _tls(ca_file: Path | None) -> Check:
    """Whose certificates outgoing connections believe, as a start now would find them."""
    if broken := problem(ca_file):
        advice = "Correct it: a daemon that runs has read it before, and the next start would be refused."
        return Check(name="tls", state="problem", detail=broken, advice=advice)
    return Check(name="tls", state="ok", detail=f"believes the certificates of {sources(ca_file)}")


def _core_files() -> Check:
    """A crash would write the memory, with messages and keys, to a file or into a program.

    The limit holds for files; a program that takes core files gets them all the same, and then the filter says of what.
    """
    name, limit = "core files", resource.getrlimit(resource.RLIMIT_CORE)[0]
    taker = _read(CORE_PATTERN).startswith("|")
    if not taker and limit == 0:
        return Check(name=name, state="ok", detail="a crash leaves none")
    if not _read(CORE_FILTER).strip().strip("0"):
        return Check(name=name, state="ok", detail="a crash leaves none with messages or keys in it")
    detail = "a crash hands the whole memory, with messages and keys, to "
    detail += "the program in kernel.core_pattern" if taker else "a core file"
    advice = "Set LimitCORE=0 in the unit, and have that program keep no core files (Storage=none in coredump.conf)."
    return Check(name=name, state="warning", detail=detail, advice=advice)


def _read(path: Path) -> str:
    """Where there is none, as outside Linux, something that is not well."""
    try:
        return path.read_text()
    except OSError:
        return "?"
