"""Named points at which a test may kill the process. Production never sets the hook: a point costs one comparison.

The names are those of the fault tests: a crash at each of them must lose nothing and double nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

CrashPoint = Literal[
    "request_read",
    "appended",
    "frozen",
    "begun",
    "superseded",
    "widened",
    "responder_answered",
    "answer_stored",
    "claimed",
    "send_returned",
    "part_settled",
    "finished",
    "committed",
    "recovering",
    "forward_stored",
    "forward_posted",
    "former_remembered",
    "webhook_set",
    "webhook_restored",
]

hook: Callable[[str], None] | None = None


def reach(point: CrashPoint) -> None:
    """Call the hook, if a test has set one: `point` is reached."""
    if hook is not None:
        hook(point)
