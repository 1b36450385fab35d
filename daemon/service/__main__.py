"""`python -m daemon.service DIR` writes the unit files for the standard paths, for reading and packaging."""

from __future__ import annotations

import sys
from pathlib import Path

from daemon.service.render import STANDARD, render

if __name__ == "__main__":
    directory = Path(sys.argv[1])
    directory.mkdir(exist_ok=True)
    for where, content in render(STANDARD).items():
        kind, name = Path(where).parts[1], Path(where).name
        (directory / (name if kind == "systemd" else f"{kind}-{name}")).write_text(content, encoding="utf-8")
