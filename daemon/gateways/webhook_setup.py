"""How a gateway is told where its webhooks go: what stands there, what shall stand there, and pairing a phone.

Each kind of gateway speaks its own API; these are the words in which the operators' side talks to all of them.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

import msgspec

from actors.errors import MajlisError
from daemon.web.finding import Finding

Phone = Literal["open", "connecting", "close", "refused", "unknown"]
"""What the gateway says of an instance's phone; `open`: it is paired and connected."""


class SetupFailed(MajlisError):
    """The gateway did not do it, or did not say so. The text is a sentence for the operator, without its secrets."""


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """Where a gateway posts an instance's events, and how."""

    url: str
    enabled: bool = True
    events: tuple[str, ...] = ()
    by_events: bool = False
    """The name of the event is appended to the address."""
    base64: bool = False
    """Media come with the events."""
    headers: dict[str, Any] = {}
    """They carry tokens: never shown."""

    def is_as(self, other: Webhook | None) -> bool:
        """Whether the gateway does the same by both. One that is switched off keeps no events."""
        return other is not None and _settled(self) == _settled(other)


def _settled(webhook: Webhook) -> tuple[object, ...]:
    events = frozenset(webhook.events if webhook.enabled else ())
    return (
        webhook.url,
        webhook.enabled,
        events,
        webhook.by_events,
        webhook.base64,
        webhook.headers,
    )


class PhoneStanding(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway says of an instance."""

    finding: Finding
    """In a sentence."""
    is_known: bool = False
    """It can be reached, takes the key, and has this instance at hand: its webhook can be read and set."""
    phone: Phone = "unknown"
    number: str = ""
    """The phone's number, where the gateway tells it."""
    can_pair: bool = False
    """Its phone is paired by a QR code."""


class Pairing(msgspec.Struct, frozen=True, kw_only=True):
    """How a phone is paired now. A code is worth an account of WhatsApp: never logged, never stored."""

    phone: Phone
    code: str = ""
    """What the QR code says; empty: there is none now."""
    pairing_code: str = ""
    """What may be typed on the phone instead, where a number was given."""
    count: int = 0
    """The gateway makes a new one from time to time, and counts them."""


class WebhookSetup(Protocol):
    """Sets up the webhooks of one gateway. Every call is bounded in time."""

    async def examine(self, instance: str) -> PhoneStanding:
        """Whether the instance is there, and its phone. A failure raises nothing."""

    async def read(self, instance: str) -> Webhook | None:
        """Where its webhooks go; None: nowhere, and nothing stands there. Raises `SetupFailed`."""

    async def write(self, instance: str, webhook: Webhook | None) -> None:
        """Have its webhooks go there, or nowhere. May be repeated. Raises `SetupFailed`."""

    def wanted(self, url: str, headers: dict[str, str], base64: bool, typing: bool) -> Webhook:
        """With the events that Majlis reads; `typing`: those that tell when a customer types as well."""

    def question(self, instance: str, nonce: str) -> dict[str, object]:
        """The body of a webhook by which Majlis asks where an address leads; `Inbound.probe` is the number in it."""

    async def pair(self, instance: str, number: str = "") -> Pairing:
        """The code of now; an instance that is not paired begins to. Raises `SetupFailed`.

        Args:
          number: of the phone, in digits; it gets a code to type as well.
        """

    async def write_to_itself(self, instance: str, number: str, text: str) -> None:
        """Send a message from the instance to its own number. Raises `SetupFailed`."""
