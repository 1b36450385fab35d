"""How an instance is to be connected, what was found, and how giving it back ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from daemon.gateways.webhook_setup import PhoneStanding, Webhook
from daemon.ledger.connections import ConnectedInstance
from daemon.operate.checks import Check

Ended = Literal["given_back", "would_be", "changed", "not_connected", "failed"]


class ConnectWish(msgspec.Struct, frozen=True, kw_only=True):
    """How an instance is to be connected."""

    url: str = ""
    """Where the gateway reaches Majlis; empty: as last time."""
    gateway: str = ""
    """The gateway's address, where it is to be another one than that of the settings."""
    api_key: str = ""
    """And its key."""
    force: bool = False
    """Although the address could not be proven from here."""
    test_message: bool = False
    """The phone sends a message to its own number: an event that disturbs nobody."""
    passthrough: bool = False
    """The instance is put into that mode, and whoever had its messages goes on answering."""


class Looked(NamedTuple):
    """What was found, and what would be set."""

    checks: Sequence[Check]
    standing: PhoneStanding
    now: Webhook | None
    shall: Webhook
    connection: ConnectedInstance | None
    former: Webhook | None
    """What would be given back: as remembered, else what stands there now."""
    can_read: bool
    proven: bool
    """The address leads here."""
    lacks_token: bool
    """The address refuses the token and nothing else is known to be wrong with it."""
    is_answered: bool = True
    """Somebody would answer."""
    is_shut: bool = False
    """What is remembered cannot be opened."""

    def may_go_on(self, wish: ConnectWish) -> bool:
        """Nothing is missing to set the webhook."""
        return self.can_read and ((self.proven and self.is_answered) or wish.force)

    @property
    def is_ours(self) -> bool:
        """What stands at the gateway now is an address of ours."""
        ours = (self.shall.url, *(self.connection.ours if self.connection else ()))
        return self.now is not None and self.now.url in ours


class GivenBack(NamedTuple):
    ended: Ended
    words: str
    """A sentence."""
    now: Webhook | None = None
    former: Webhook | None = None
