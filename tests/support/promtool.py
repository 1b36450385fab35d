"""Prometheus' own checker, where the machine has it. The tests have rules of their own, which hold everywhere."""

from __future__ import annotations

import shutil
import subprocess


def complaints(*arguments: str, text: str = "") -> str:
    """What `promtool` finds wrong; nothing where there is none."""
    program = shutil.which("promtool")
    if program is None:
        return ""
    command = [program, *arguments]
    ended = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    return ended.stdout + ended.stderr if ended.returncode else ""
