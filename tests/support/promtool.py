"""Prometheus' own checker, if installed. The tests also have rules of their own, which apply everywhere."""

from __future__ import annotations

import shutil
import subprocess


def complaints(*arguments: str, text: str = "") -> str:
    """The findings of `promtool`; nothing if it is not installed."""
    program = shutil.which("promtool")
    if program is None:
        return ""
    command = [program, *arguments]
    ended = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    return ended.stdout + ended.stderr if ended.returncode else ""
