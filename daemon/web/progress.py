"""How far one request got, as the transport's trace tells it: whether a failure proves that nothing left.

The trace is the HTTP library's; our own transport (`daemon/web/outgoing`) tells the same.

Laws of this file:
1. A request byte leaves after `http11.send_request_headers.started` and never before: that is how both are made, and
   `tests/daemon/web/test_client.py` says when one no longer is.
2. Only what the trace tells proves anything. An event of a name that is not known here counts as the sending, and so
   does silence once a connection is open. A trace that is silent altogether proves nothing.
3. What has left does not come back: no later event makes a request unsent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

NOT_ALLOWED = "not_allowed"

_Phase = Literal["pool", "connect", "tls", "open", "sending", "sent"]

_BEFORE: Mapping[str, _Phase] = {
    "connection.connect_tcp.started": "connect",
    "connection.connect_tcp.failed": "connect",
    "connection.connect_tcp.complete": "open",
    "connection.start_tls.started": "tls",
    "connection.start_tls.failed": "tls",
    "connection.start_tls.complete": "open",
}
"""All that is told before a request is sent."""

_SENDS = "http11.send_request_headers.started"
_SAYS_NOTHING = (
    "http11.send_request_headers.failed",
    "http11.response_closed.started",
    "http11.response_closed.complete",
)
"""What the library tells too when it could not write a header."""


class Telling:
    """Whether the transport tells a client what it does. Then its silence means that it does nothing.

    It is not believed before it has told something: the first request of a client does not wait for a connection, so
    its silence is no wait. It is believed no more once an answer came to a request whose sending was not told.
    """

    def __init__(self) -> None:
        self._heard = False
        self._missed = False

    @property
    def is_believed(self) -> bool:
        return self._heard and not self._missed

    def hear(self) -> None:
        """It told something."""
        self._heard = True

    def miss(self) -> None:
        """It told nothing of a request that was answered."""
        self._missed = True


class Progress:
    """Listens to the transport's trace of one request.

    Args:
      telling: what the requests of one client have heard together.
      may_send: asked before the first byte leaves; when it raises, none does.
    """

    def __init__(self, telling: Telling, may_send: Callable[[], None] | None = None) -> None:
        self._telling = telling
        self._may_send = may_send
        self._phase: _Phase = "pool"
        self._was_refused = False

    async def __call__(self, event: str, info: Mapping[str, object]) -> None:
        """The transport calls this, and waits for it, as each of its steps begins and ends."""
        self._telling.hear()
        if self._was_refused:
            return
        if event == _SENDS:
            self._ask()
        if self._may_have_left():
            self._phase = self._phase if event in _SAYS_NOTHING else "sent"
        else:
            self._phase = "sending" if event == _SENDS else _BEFORE.get(event, "sent")

    def answered(self) -> None:
        """The peer began to answer."""
        if not self._may_have_left():
            self._telling.miss()
        self._phase = "sent"

    def why_nothing_left(self, *, timed_out: bool, unwritable: bool) -> str:
        """The proof that no byte of the request left, as a reason for `NotDelivered`; empty: there is none.

        Args:
          timed_out: a limit of time ended it.
          unwritable: the transport refused to write it.
        """
        how = "timed_out" if timed_out else "failed"
        match self._phase:
            case "connect" | "tls":
                return f"{self._phase}_{how}"
            case "sending":
                return "bad_request" if unwritable else ""
            case "sent":
                return ""
        if self._was_refused:
            return NOT_ALLOWED
        if self._phase == "open" or not self._telling.is_believed:
            return ""
        return "no_connection_free" if timed_out else "connect_failed"

    def _ask(self) -> None:
        if self._may_send is not None:
            self._was_refused = True
            self._may_send()
            self._was_refused = False

    def _may_have_left(self) -> bool:
        return self._phase in ("sending", "sent")
