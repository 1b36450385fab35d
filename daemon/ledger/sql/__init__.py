"""The SQL behind the operators' queries, and its loader. Each statement in a file follows a line `-- name --`."""

from __future__ import annotations

import re
from importlib import resources


def statements(file: str) -> dict[str, str]:
    """The statements in `file`, by name."""
    text = resources.files(__package__).joinpath(file).read_text(encoding="utf-8")
    pieces = re.split(r"^-- (\w+) --$", text, flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))
