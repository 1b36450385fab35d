"""How a command ends badly: one sentence on standard error that says what to do, and an exit status.

0 done | 1 the daemon or a check said no | 2 the settings or the command line are wrong | 3 no daemon is running |
130 interrupted
"""

from __future__ import annotations

FAILED = 1
BAD_CONFIG = 2
NOT_RUNNING = 3
INTERRUPTED = 130


class Failure(Exception):
    """The command cannot be done; the text is the sentence for the person who typed it."""

    def __init__(self, sentence: str, exit_status: int = FAILED) -> None:
        super().__init__(sentence)
        self.exit_status = exit_status
