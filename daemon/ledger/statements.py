"""The SQL that operators' questions are made of: one file, each statement under a line `-- name --`."""

from __future__ import annotations

import re
from importlib import resources


def statements(file: str) -> dict[str, str]:
    """The statements of `sql/<file>`, by name."""
    text = resources.files(__package__).joinpath("sql", file).read_text(encoding="utf-8")
    pieces = re.split(r"^-- (\w+) --$", text, flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))
