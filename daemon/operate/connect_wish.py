"""How an instance is to be connected, what was found, and how giving it back ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from daemon.gateways.webhook_setup import PhoneStanding, Webhook
from daemon.ledger.connections import ConnectedInstance
from daemon.operate.checks import Check
from daemon.operate.way import WayFound

ConnectEnd = Literal["looked", "not_set", "not_taken", "set", "proven"]
"""Nothing was to be changed | something is missing, and nothing was | the gateway does not show what was set | it does,
and whether that leads here is not proven | it does, and it is."""
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
    """What was found, what would be set, and how it ended."""

    checks: Sequence[Check]
    standing: PhoneStanding
    now: Webhook | None
    shall: Webhook
    connection: ConnectedInstance | None
    former: Webhook | None
    """What would be given back: as remembered, else what stands there now."""
    can_read: bool
    way: WayFound
    is_answered: bool = True
    """Somebody would answer."""
    is_shut: bool = False
    """What is remembered cannot be opened."""
    ended: ConnectEnd = "looked"

    @property
    def proven(self) -> bool:
        """The address leads here, and the token, if there is one already, arrives with it."""
        return self.way.check.state != "problem"

    @property
    def is_complete(self) -> bool:
        """Nothing is missing, so far as it can be known before."""
        return self.can_read and self.proven and self.is_answered

    def may_go_on(self, wish: ConnectWish) -> bool:
        """The webhook may be set."""
        return self.is_complete or (self.can_read and wish.force)

    @property
    def is_ours(self) -> bool:
        """What stands at the gateway now is an address of ours."""
        ours = (self.shall.url, *(self.connection.ours if self.connection else ()))
        return self.now is not None and self.now.url in ours

    @property
    def words(self) -> str:
        """What came of it, why, and what to do: sentences. No end is without them."""
        missing = " ".join(
            f"{check.name}: {check.detail.rstrip('.')}. {check.advice}".strip()
            for check in self.checks
            if check.state == "problem"
        )
        missing = missing or "What stands at the gateway could not be read. Repeat the command."
        match self.ended:
            case "looked":
                ready = "Nothing is missing, and nothing was changed yet."
                return ready if self.is_complete else f"Nothing was changed. {missing}"
            case "not_set":
                return f"Nothing was changed at the gateway. {missing}"
            case "not_taken":
                return missing
            case "set":
                return (
                    "The gateway posts to Majlis now. That it arrives could not be proven from here: the next event "
                    "proves it. If none comes, give the webhook back (`majlis instance rollback NAME`)."
                )
            case "proven":
                return "The gateway posts to Majlis now, and what is posted there arrives."


class GivenBack(NamedTuple):
    ended: Ended
    words: str
    """A sentence."""
    now: Webhook | None = None
    former: Webhook | None = None
