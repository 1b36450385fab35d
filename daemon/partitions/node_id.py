"""This daemon's name among those on the same stores. It survives a restart, so that its leases come back at once."""

from __future__ import annotations

import secrets
from pathlib import Path


def node_id_in(data_dir: Path) -> str:
    """The name kept in `data_dir`; made at the first start."""
    path = data_dir / "node_id"
    if not path.exists():
        beside = path.with_suffix(".new")
        beside.write_text(secrets.token_hex(8))
        beside.replace(path)  # whole or not at all: half a name would be another daemon's at the next start
    return path.read_text().strip()
