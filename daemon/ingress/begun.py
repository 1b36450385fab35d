"""How far a webhook got without waiting, and what remains to be done for its answer.

One code says what becomes of a webhook. It goes as far as it can without waiting; what then remains is either to make
a few messages durable, or anything else. So a door may do the first for many webhooks together, without a task for
each, and leave the rest to a task of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from actors.messages import Message, Receipt
from daemon.web.http1 import Response

MAX_POSTED = 8
"""Of the messages of one webhook, stored without a task that waits. Nearly always it is one."""

Outcomes = Sequence[Receipt | Exception]


class Unfinished(msgspec.Struct, frozen=True):
    """What remains to be done. Do it once: by `rest`, or by making `messages` durable and asking `answer`."""

    rest: Callable[[], Awaitable[Response]]
    """All of it, whatever it is."""
    messages: Sequence[Message] = ()
    """Not empty: nothing remains but to make these durable, together and in their order."""
    answer: Callable[[Outcomes], Response] | None = None
    """The answer, by their outcomes."""


WebhookBegun = Response | Unfinished


async def finished(begun: WebhookBegun) -> Response:
    return begun if isinstance(begun, Response) else await begun.rest()
