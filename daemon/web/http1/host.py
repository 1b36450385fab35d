"""What a connection needs of its server."""

from __future__ import annotations

from typing import Protocol

import trio

from daemon.web.http1.bodies import BodyBytes
from daemon.web.http1.head import ProtocolError
from daemon.web.http1.messages import Gate, Handler, Limits, Request
from daemon.web.http1.places import ConnectionPlaces


class Host(Protocol):
    handler: Handler
    gate: Gate | None
    """None: who has sent the head of a request is known."""
    limits: Limits
    bodies: BodyBytes
    places: ConnectionPlaces
    draining: trio.Event
    patient: bool
    """While draining: a connection may still ask its first question."""

    def count_request(self) -> None: ...

    def count_rejected(self, error: ProtocolError, request: Request) -> None:
        """A request broke the protocol or a limit; of `request` there is what could be read, and no body."""

    def report(self, error: BaseException) -> None:
        """Report an error to the operator. Never raises."""
