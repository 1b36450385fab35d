"""`majlis`, also as `python -m daemon`: where its modules are read, so that a Ctrl-C meanwhile ends in silence."""

from __future__ import annotations

import os
import signal

INTERRUPTED = 130
"""As `daemon.cli.failure` has it, which would take its time to be read."""


def main() -> None:
    """Read the command line's modules, then run it. Nothing has begun before: an interrupt has nothing to clean up."""
    awaited = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if awaited:
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    from daemon.cli import main as command_line

    if awaited:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    command_line()


if __name__ == "__main__":
    main()
