"""Webhooks that were refused for good: their messages are lost, so they are counted by reason and by instance. Pure.

The laws of this file:
1. Counted is what the gateway does not send again, or sends again in vain: Evolution gives up at once at 400, 401, 403
   and 404, and after ten attempts at 413, 431 and the like (each attempt counts). 503 and 408 come again, and a request
   that was cut short too: its sender did not hear our answer.
2. Only what may be a webhook: a POST to `/webhook`, or, at another path, a POST of a JSON object by somebody who may
   post. A scanner's `GET /wp-login.php` loses nobody's message.
3. Anyone may write a name into a path: only those of known instances are shown, and of them a bounded number.
4. Who sent it is not kept: an address may be a person's.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal

import msgspec

LossReason = Literal[
    "wrong_or_missing_token",
    "instance_not_allowed",
    "no_such_route",
    "body_too_large",
    "unreadable",
    "malformed_request",
    "forwarded_in_a_circle",
]

ADVICE: dict[LossReason, str] = {
    "wrong_or_missing_token": (
        "the gateway sends no token, a wrong one, or one that has expired: set "
        '"headers": {"apikey": "<ingress.auth.token>"} in its webhook (POST /webhook/set/<instance>); '
        "its global webhook sends no headers"
    ),
    "instance_not_allowed": (
        "a gateway shows the ingress.token of another instance, or none for an instance that has one: mend the headers "
        "of its webhook; or a client of the realtime door pushed for an instance that is not its own: add it to the "
        "client's instances in realtime.clients, or mend the client"
    ),
    "no_such_route": "the address in the gateway's webhook is wrong: it must end in /webhook/<instance>",
    "body_too_large": (
        "raise ingress.max_body_bytes and restart, or set base64: false in the gateway's webhook, so that it does "
        "not send media along"
    ),
    "unreadable": (
        "look at the copies in data_dir/quarantine; is gateway.kind of this instance what really posts there?"
    ),
    "malformed_request": (
        "what is between the gateway and Majlis does not speak HTTP/1.1 as it should, or the address in the gateway's "
        "webhook has a stray %: majlis_http_rejected_total has the reasons"
    ),
    "forwarded_in_a_circle": (
        "passthrough.url of this instance leads back to Majlis itself: it must be the address that had the webhooks "
        "before"
    ),
}
"""What to do, by reason."""

UNKNOWN = "(unknown)"
"""In place of an instance's name: none was given, or nobody knows it."""
OTHERS = "(others)"
MAX_NAMES = 100

_REJECTED_FOR_GOOD = frozenset((400, 413, 417, 431, 501, 505))


class RefusedView(msgspec.Struct, frozen=True, kw_only=True):
    """What was refused for one reason since the start."""

    reason: str
    count: int
    seconds_ago: float
    """Since the last of them."""
    instances: dict[str, int]
    """By the name of a known instance; `(unknown)`: there was none. Beyond a number of names, the rest are counted
    together."""
    advice: str
    """What to do."""


def refusal_of(status: int, reason: str) -> LossReason | None:
    """Why a request that broke HTTP or a limit is lost; None: it will come again."""
    if status not in _REJECTED_FOR_GOOD or reason == "request_cut_short":
        return None
    return "body_too_large" if status == 413 else "malformed_request"


def looks_like_a_payload(body: bytes) -> bool:
    """Whether it may be a JSON object, by its first character."""
    return body[:16].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{"


class Refusals:
    """Counts since the start. Its times are seconds of one clock of the caller's."""

    def __init__(self) -> None:
        self.by_reason: Counter[str] = Counter()
        self._by_instance: dict[LossReason, Counter[str]] = {}
        self._last_at: dict[LossReason, float] = {}

    def add(self, reason: LossReason, instance: str, now: float) -> None:
        """`instance` is a known one, or `UNKNOWN`."""
        counted = self._by_instance.setdefault(reason, Counter())
        counted[instance if instance in counted or len(counted) < MAX_NAMES else OTHERS] += 1
        self.by_reason[reason] += 1
        self._last_at[reason] = now

    def views(self, now: float) -> list[RefusedView]:
        """The latest first."""
        return [
            RefusedView(
                reason=reason,
                count=self.by_reason[reason],
                seconds_ago=max(0.0, now - at),
                instances=dict(self._by_instance[reason].most_common()),
                advice=ADVICE[reason],
            )
            for reason, at in sorted(self._last_at.items(), key=lambda item: -item[1])
        ]
