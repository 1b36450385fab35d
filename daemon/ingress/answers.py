"""What the webhook door answers, and what it counts and reports with each answer.

The laws of this file:
1. What should come again is never answered 4xx: the gateway would drop it for good.
2. Every refusal that loses a message is counted and reported (`refusals.py`), by the names of known instances alone:
   anybody may make another one up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

import msgspec

from daemon.ingress.counters import IngressCounters, IngressObservers
from daemon.ingress.inbound import Ignored, Inbound
from daemon.ingress.known_instances import KnownInstances
from daemon.ingress.refusals import ADVICE, MAX_NAMES, OTHERS, UNKNOWN, LossReason
from daemon.web.http1 import Response, error_response, json_response

UNTOLD = frozenset({"presence"})
"""What comes so often, and means so little, that it is counted and leaves no event."""
ITEMS_AT_A_TIME = 128
"""Of a large payload, handled without a pause; then others have their turn."""
RETRY_HEADERS = {"Retry-After": "5"}


class Readiness(msgspec.Struct, frozen=True):
    """Whether the daemon may take messages, and if not, why, in stable words."""

    ready: bool
    reasons: tuple[str, ...] = ()
    draining: bool = False


class Answers:
    def __init__(
        self,
        readiness: Callable[[], Readiness],
        known: KnownInstances,
        counters: IngressCounters,
        observers: IngressObservers,
    ) -> None:
        self._readiness = readiness
        self._known = known
        self._counters = counters
        self._observers = observers

    # To be sent again

    def again(self, reason: str, details: Sequence[str] = ()) -> Response:
        """It cannot be taken now."""
        self._counters.refused[reason] += 1
        self._observers.emit("message.refused", reason=reason)
        answer = {"status": "retry", "reason": reason, "details": details}
        return json_response(503, answer, RETRY_HEADERS)

    def not_now(self, comes_again: bool = True) -> Response | None:
        """The refusal of a daemon that stops or is not ready. What does not come again is taken while it stops."""
        readiness = self._readiness()
        if readiness.draining and comes_again:
            return self.again("draining")
        if not readiness.ready:
            return self.again("not_ready", readiness.reasons)
        return None

    def ready(self) -> Response:
        """Whether the door is open."""
        readiness = self._readiness()
        if readiness.ready and not readiness.draining:
            return json_response(200, {"status": "ready"})
        reasons = (("draining",) if readiness.draining else ()) + readiness.reasons
        return json_response(503, {"status": "not_ready", "reasons": reasons}, RETRY_HEADERS)

    # Refused for good

    def lost(self, reason: LossReason, instance: str | None) -> None:
        """A webhook is refused for good. `instance` may be made up."""
        name = instance if instance is not None and instance in self._known else UNKNOWN
        self._counters.lost.add(reason, name, time.monotonic())
        self._observers.emit("webhook.refused", reason=reason, instance=name, advice=ADVICE[reason])

    def wrong_token(self, instance: str | None) -> Response:
        self._counters.unauthorized += 1
        self.lost("wrong_or_missing_token", instance)
        return error_response(401, "wrong_or_missing_token", {"WWW-Authenticate": "Bearer"})

    def not_allowed(self, instance: str) -> Response:
        self._counters.unauthorized += 1
        self.lost("instance_not_allowed", instance)
        return error_response(403, "instance_not_allowed")

    def unreadable(self, reason: str, instance: str | None) -> Response:
        self._counters.unreadable += 1
        self._observers.emit("payload.unreadable", reason=reason)
        self.lost("unreadable", instance)
        return error_response(400, reason)

    def too_large(self, instance: str | None) -> Response:
        self.lost("body_too_large", instance)
        return error_response(413, "body_too_large")

    def in_a_circle(self, instance: str | None) -> Response:
        self.lost("forwarded_in_a_circle", instance)
        return error_response(508, "forwarded_in_a_circle")

    # Taken

    def stored(self, inbound: Inbound, duplicates: int, amended: int) -> Response:
        """Everything in it is durable; `amended`: how many edits and deletions changed something.

        What is ignored of it is noted apart: see `note_ignored`.
        """
        if inbound.connected:
            self._observers.emit("gateway.connected", instance=inbound.instance)
        accepted = len(inbound.messages) - duplicates
        self._counters.acked += accepted
        self._counters.duplicates += duplicates
        status = "accepted" if accepted or amended else "duplicate" if duplicates else "ignored"
        return json_response(
            200,
            {
                "status": status,
                "accepted": accepted,
                "duplicates": duplicates,
                "ids": [message.id for message in inbound.messages],
                "ignored": [ignored.reason for ignored in inbound.ignored],
            },
        )

    def note_ignored(self, items: Iterable[Ignored]) -> None:
        for ignored in items:
            self._note_ignored(ignored.reason, ignored.type)

    def forwarded(self) -> Response:
        self._counters.forwarded += 1
        return json_response(200, {"status": "forwarded"})

    def ignored(self, reason: str) -> Response:
        """Nobody wants it."""
        self._note_ignored(reason)
        return json_response(200, {"status": "ignored", "ignored": [reason]})

    def proven(self, proof: str) -> Response:
        """To a question of Majlis itself."""
        return json_response(200, {"status": "ignored", "ignored": ["probe"], "proof": proof})

    def _note_ignored(self, reason: str, kind: str = "") -> None:
        self._counters.ignored[reason] += 1
        if reason in UNTOLD:
            return
        self._observers.emit("message.ignored", reason=reason, **({"type": kind} if kind else {}))

    # Worth knowing

    def overruled(self, path: str, payload: str) -> None:
        """The path names the instance `path`, and the payload another one that exists."""
        pair, counted = f"{path} → {payload}", self._counters.overruled
        counted[pair if pair in counted or len(counted) < MAX_NAMES else OTHERS] += 1
        self._observers.emit("webhook.mismatch", instance=payload, path=path)
