"""An instance's connection as operators see it: without headers' values, and without users or queries of addresses."""

from __future__ import annotations

import msgspec

from daemon.gateways.webhook_setup import Phone, Webhook
from daemon.operate.checks import Check
from daemon.operate.connect_checks import shown_address
from daemon.operate.connect_wish import ConnectEnd, Ended

_MAX_HEADERS = 50


class WebhookView(msgspec.Struct, frozen=True, kw_only=True):
    """Of addresses neither user nor query, of headers the names alone: their values are tokens."""

    url: str
    enabled: bool
    events: list[str]
    by_events: bool
    base64: bool
    headers: list[str]


class ConnectView(msgspec.Struct, frozen=True, kw_only=True):
    instance: str
    done: bool
    """The gateway posts to Majlis now, and showed it when it was read back."""
    may_connect: bool
    """Nothing is missing, so far as it can be known before."""
    ended: ConnectEnd
    """`looked`: without `confirm`; `not_set`: something is missing, and nothing was changed at the gateway;
    `not_taken`: it does not show what was set; `set`: it posts to Majlis now, and the next event proves that it
    arrives; `proven`: it posts to Majlis now, and what is posted there arrives."""
    words: str
    """What came of it, why, and what to do."""
    checks: list[Check]
    phone: Phone
    can_pair: bool
    """`GET …/qr` gives the code to scan."""
    now: WebhookView | None
    """What stands at the gateway."""
    shall: WebhookView
    """What is set."""
    former: WebhookView | None
    """What `disconnect` gives back."""
    seen: str
    """To be sent with `confirm`: nothing else than this is replaced."""


class ConnectionView(msgspec.Struct, frozen=True, kw_only=True):
    instance: str
    connected: bool
    """Majlis has set its webhook at the gateway."""
    url: str = ""
    set_at: str = ""
    set_by: str = ""
    events: int = 0
    """That came through this daemon's door since its start; other daemons have their own."""
    last_event: str = ""
    last_event_seconds: float | None = None
    """How long ago; None: none came."""
    pending: int | None = None
    """Conversations in which Majlis has something to answer, on any daemon; None: Redis is away."""
    forwards: int | None = None
    """Webhooks that wait to be forwarded; None: it is not known now."""


class ConnectionPage(msgspec.Struct, frozen=True, kw_only=True):
    connections: list[ConnectionView]
    """Only the instances that are connected."""


class DisconnectView(msgspec.Struct, frozen=True, kw_only=True):
    instance: str
    ended: Ended
    """`given_back`; `would_be`: without `confirm`; `changed`: not ours any more, nothing was done; `failed`."""
    words: str
    now: WebhookView | None
    former: WebhookView | None
    pending: int | None
    """Conversations in which Majlis still has something to answer. It does, without being told to. None: Redis is
    away."""
    forwards: int | None
    """Webhooks that still wait to be forwarded. They are; None: it is not known now."""


class DisconnectPage(msgspec.Struct, frozen=True, kw_only=True):
    instances: list[DisconnectView]
    left: list[str]
    """Those that this request did not come to: ask for them in the next one."""


class QrView(msgspec.Struct, frozen=True, kw_only=True):
    instance: str
    phone: Phone
    code: str
    """What the QR code says; empty: there is none now. Worth an account of WhatsApp."""
    svg: str
    pairing_code: str
    count: int
    """Of the codes that the gateway made since it began to pair."""


class ConnectBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: str = ""
    gateway: str = ""
    api_key: str = ""
    force: bool = False
    test_message: bool = False
    passthrough: bool = False
    """Puts the instance into that mode first: whoever had its messages goes on answering."""
    confirm: bool = False
    """Without it nothing is changed."""
    seen: str = ""
    """Of the answer without `confirm`."""


class DisconnectBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    confirm: bool = False
    force: bool = False
    """Also where somebody else has changed the webhook since."""
    instances: list[str] = []
    """Only these, for the route of all; empty: all that are connected."""


def webhook_view(webhook: Webhook | None) -> WebhookView | None:
    return None if webhook is None else shown_webhook(webhook)


def shown_webhook(webhook: Webhook) -> WebhookView:
    return WebhookView(
        url=shown_address(webhook.url),
        enabled=webhook.enabled,
        events=list(webhook.events),
        by_events=webhook.by_events,
        base64=webhook.base64,
        headers=sorted(webhook.headers)[:_MAX_HEADERS],
    )
