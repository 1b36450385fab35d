"""What is known of one send, after the gateway spoke or fell silent. Pure.

Three outcomes, never a guess: `Sent` and `NotSent` are proven, `Unknown` is not and must be reconciled before
anything is sent again.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Remedy = Literal["retry", "hold", "refuse"]
"""After `NotSent`: try again, which counts as an attempt | wait, which does not (the gateway is down) | dead-letter."""


class Sent(msgspec.Struct, frozen=True):
    message_id: str
    """The gateway's id of the message; empty when the gateway gives none (console)."""


class NotSent(msgspec.Struct, frozen=True):
    reason: str
    """A stable word for logs and dead letters, e.g. `connection_closed`, `not_on_whatsapp`."""
    remedy: Remedy
    retry_after_seconds: float | None = None


class Unknown(msgspec.Struct, frozen=True):
    reason: str
    may_resend: bool = True
    """False when the gateway's own words show that the message left (its database failed after the send)."""


SendOutcome = Sent | NotSent | Unknown


class RecordFound(msgspec.Struct, frozen=True):
    """The gateway's records show the message: it was sent."""

    message_id: str


class NoRecord(msgspec.Struct, frozen=True):
    """The gateway's records do not show the message."""


class CannotTell(msgspec.Struct, frozen=True):
    """This gateway keeps no records to look in (console). Contrast a lookup that fails: `GatewayHeld` is raised."""


SendEvidence = RecordFound | NoRecord | CannotTell
