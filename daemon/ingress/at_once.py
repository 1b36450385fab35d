"""Webhooks without a task for each: how the server that reads many connections in one task takes them.

What a webhook means, and what is answered, is said where it always is (`Ingress.begin`). A webhook that brings a few
messages and nothing else is handed to the group commit and answered when that has stored them; anything that has to
wait for something else goes on in a task.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from actors.messages import Message
from daemon.ingress.begun import Outcomes
from daemon.ingress.webhooks import Ingress
from daemon.web.http1 import Finish, Request, Respond, Response, error_response

Post = Callable[[Sequence[Message], Callable[[Outcomes], None]], None]


class WebhooksAtOnce:
    """Implements `daemon.web.http1.AtOnce`.

    Args:
      post: makes a few messages durable and then hands on their outcomes; see `DurableInbox.post`.
      report: an error that nobody expected.
    """

    def __init__(self, ingress: Ingress, post: Post, report: Callable[[Exception], None]) -> None:
        self._ingress = ingress
        self._post = post
        self._report = report

    def __call__(self, request: Request, respond: Respond) -> Finish | None:
        begun = self._ingress.begin(request)
        if isinstance(begun, Response):
            respond(begun)
            return None
        if begun.answer is None:
            return begun.rest
        self._post(begun.messages, partial(self._settled, begun.answer, respond))
        return None

    def _settled(self, answer: Callable[[Outcomes], Response], respond: Respond, outcomes: Outcomes) -> None:
        # In a task of the group commit, which no message may end: not one that can never be stored either.
        try:
            response = answer(outcomes)
        except Exception as error:
            self._report(error)
            response = error_response(500, "internal")
        respond(response)
