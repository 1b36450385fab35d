"""The `majlis` command, also `python -m daemon`. A Ctrl-C while modules are imported ends it without a traceback."""

from __future__ import annotations

import os
import signal

INTERRUPTED = 130
"""The same as in `daemon.cli.client`, which takes time to import."""


def main() -> None:
    """Import the command line, then run it. Until then an interrupt has nothing to clean up."""
    awaited = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if awaited:
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    from daemon.cli import main as command_line

    if awaited:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    command_line()


if __name__ == "__main__":
    main()
