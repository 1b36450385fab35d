"""As `run_daemon`, and notes what is imported, and which of the installed files are opened.

Run as `python -m tests.acceptance.run_noting_reads`. Each goes as a line into the file that `MAJLIS_TEST_READS` names.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

from tests.acceptance import run_daemon

READS = "MAJLIS_TEST_READS"
_ROOT = str(Path(__file__).parents[2])
_INSTALLED = tuple({os.path.realpath(path) for path in (*sysconfig.get_paths().values(), _ROOT)})


def _note_reads(path: str) -> None:
    notes = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def hook(event: str, args: tuple[object, ...]) -> None:
        if event == "import" or (event in ("open", "os.listdir", "os.scandir") and _is_installed(args[0])):
            os.write(notes, f"{event} {args[0]}\n".encode())

    sys.addaudithook(hook)


def _is_installed(path: object) -> bool:
    return isinstance(path, str | os.PathLike) and os.path.realpath(path).startswith(_INSTALLED)


if __name__ == "__main__":
    _note_reads(os.environ.pop(READS))
    run_daemon.run(sys.argv[1:])
