"""`python -m daemon.operate docs/openapi.json` writes the admin interface's OpenAPI document."""

from __future__ import annotations

import sys
from pathlib import Path

from daemon.operate.openapi import rendered
from daemon.operate.routes import ROUTES

Path(sys.argv[1]).write_text(rendered(ROUTES), encoding="utf-8")
