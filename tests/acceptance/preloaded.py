"""What the process has done before daemons and commands are forked from it (`forked.py`).

All that a daemon with the usual settings imports before it is ready is imported, and the tree of commands is made.
None of this depends on what the command is.
"""

from __future__ import annotations

import encodings.idna
import gc
from functools import cache
from unittest import mock

import httpcore2
import structlog
import typer.main

import daemon.gateways.evolution.payload
import daemon.run
from daemon.cli import app
from tests.acceptance import forked

__all__ = ["daemon", "encodings", "forked", "httpcore2", "structlog"]

mock.patch.object(typer.main, "get_command", cache(typer.main.get_command)).start()
typer.main.get_command(app)
gc.collect()
gc.freeze()  # a process looks for garbage among its own things
