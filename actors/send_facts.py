"""The parts of a reply and what is known of their sends, the ledger's word and what it does not know yet."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from actors.identity import Conversation
from actors.outcome import NotSent, Sent

PartState = Literal["pending", "sending", "unknown", "sent", "dropped", "failed_later"]
"""`dropped`: a person took the conversation over before it left. `failed_later`: the gateway had confirmed it."""


class Part(msgspec.Struct, frozen=True):
    """One outgoing message of a reply, as the outbox holds it."""

    number: int
    text: str
    state: PartState
    claimed_at_ms: int | None = None
    """First claim, Unix ms: evidence of the send is looked for from here on."""
    first_claim_ago_ms: int | None = None
    """Age of the first claim when the ledger was asked, by the ledger's own clock."""
    open_ago_ms: int | None = None
    """Age of what is waited for, by the same clock: of the claim while `sending`, of the outcome once `unknown`."""
    resends: int = 0
    may_resend: bool = True
    token: str = ""
    """Of the latest claim; empty before the first one."""
    first_token: str = ""
    """Of the first claim; it differs from `token` after a resend."""


class Proof(msgspec.Struct, frozen=True):
    """A fact about one send: what became of it. True whoever says it, under whatever epoch."""

    turn_id: int
    part: int
    token: str
    """Of the claim under which it was sent, or did not leave."""
    outcome: Sent | NotSent


class SendFacts(Protocol):
    """What this daemon knows of its sends that the ledger may not know yet. It survives the daemon where it can."""

    def claiming(self, token: str) -> None:
        """A claim under `token` follows; nothing of its send has left yet. Never raises."""

    def starting(self, token: str) -> None:
        """The first byte of the send under `token` is about to leave.

        Raises:
          LeaseUncertain: it must not: that it left could not be noted, or it is on record that it never will.
        """

    def remember(self, proof: Proof) -> None:
        """Know this fact from now on, in memory: before anything is awaited that may fail."""

    async def keep(self, conversation: Conversation, proof: Proof) -> None:
        """The ledger cannot take the fact now: put it where it survives this daemon. Never raises for a store."""

    async def recall(self, conversation: Conversation, turn_id: int, part: Part) -> Proof | None:
        """The fact about a part whose latest send has no outcome in the ledger, if there is one.

        Raises:
          MirrorUnavailable: the place where another daemon may have kept one cannot be read.
        """

    async def forget(self, conversation: Conversation, proof: Proof) -> None:
        """The ledger has it. Never raises for a store."""
