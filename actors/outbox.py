"""Sends the parts of a stored reply, in order, each at most as often as the outbox allows.

Laws of this file:
1. Journal before effect: a durable claim precedes every send, the outcome is settled after it.
2. The lease is looked at between claim and send: a daemon that was paused must not act on an old claim.
3. An unknown outcome is reconciled before anything else happens, and sent again at most once, and only when the
   gateway's records do not show the message.
4. Part n is settled before part n+1 is claimed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from actors.crash_points import reach
from actors.errors import GatewayHeld, StaleEpoch, TurnFailed, TurnRefused
from actors.identity import Conversation
from actors.outcome import Evidence, Found, NotFound, NotSent, SendOutcome, Sent, Unknown
from actors.ports import Feed, Gateway, Ledger, Ownership, Part, Turn


class OutboxPolicy(msgspec.Struct, frozen=True):
    on_unresolved: Literal["resend_once", "hold"] = "resend_once"
    settle_seconds: float = 5.0
    """How long a send of unknown outcome may still be on its way at the gateway before its absence counts."""


class Outbox:
    def __init__(
        self,
        ledger: Ledger,
        gateway: Gateway,
        ownership: Ownership,
        feed: Feed,
        wall_ms: Callable[[], int],
        policy: Callable[[str], OutboxPolicy],
    ) -> None:
        """`policy` tells each instance's policy; `wall_ms` is Unix time in milliseconds."""
        self._ledger = ledger
        self._gateway = gateway
        self._ownership = ownership
        self._feed = feed
        self._wall_ms = wall_ms
        self._policy = policy

    async def deliver(self, turn: Turn, conversation: Conversation, epoch: int) -> None:
        """Bring every part of the turn to `sent`.

        Raises:
          TurnFailed: a part was not sent; another try may succeed.
          TurnRefused: a part cannot be sent, or its outcome stays unknown.
          GatewayHeld: the gateway is away; nothing is burnt by waiting.
          StaleEpoch: somebody else owns the conversation.
        """
        for part in turn.parts:
            if part.state == "sent":
                continue
            delivery = _Delivery(self, turn, conversation, epoch, part)
            if part.state == "pending":
                outcome = await delivery.send(resend=False)
            else:
                outcome = Unknown("interrupted", may_resend=part.may_resend)
            if isinstance(outcome, Unknown):
                outcome = await delivery.reconcile(outcome)
            if isinstance(outcome, NotSent):
                raise _failure(outcome)


class _Delivery:
    """One part on its way."""

    def __init__(
        self, outbox: Outbox, turn: Turn, conversation: Conversation, epoch: int, part: Part
    ) -> None:
        self._ledger = outbox._ledger
        self._gateway = outbox._gateway
        self._ownership = outbox._ownership
        self._feed = outbox._feed
        self._wall_ms = outbox._wall_ms
        self._policy = outbox._policy(conversation.instance)
        self._turn = turn
        self._conversation = conversation
        self._epoch = epoch
        self._part = part
        self._since_ms = part.claimed_at_ms or outbox._wall_ms()
        self._claimed_ago_ms = part.claimed_ago_ms or 0
        self._resends = part.resends

    async def send(self, resend: bool) -> SendOutcome:
        part = self._part
        await self._ledger.claim(self._turn, self._epoch, part.number, resend)
        self._resends += resend
        self._claimed_ago_ms = 0
        reach("claimed")
        if self._ownership.epoch(self._conversation) != self._epoch:
            raise StaleEpoch("the lease ended between claim and send")
        outcome = await self._gateway.send(self._conversation, part.text)
        reach("send_returned")
        await self._settle(outcome)
        if isinstance(outcome, Sent):
            self._emit("part.sent", resend=resend)
        elif isinstance(outcome, NotSent):
            self._emit("part.not_sent", reason=outcome.reason, remedy=outcome.remedy)
        else:
            self._emit("part.unknown", reason=outcome.reason)
        return outcome

    async def reconcile(self, outcome: Unknown) -> Sent | NotSent:
        """Find out what became of a send, or settle it by policy. Never two sends on a guess.

        Raises:
          GatewayHeld: the gateway cannot be asked, or the message may still be on its way: come back later,
            without holding a turn slot meanwhile.
          TurnRefused: nobody knows, and the policy allows no (further) resend.
        """
        while True:
            evidence = await self._look()
            if isinstance(evidence, Found) or not outcome.may_resend:
                # Without a resend allowed, the gateway said itself that the message left; only its record is missing.
                sent = Sent(evidence.message_id if isinstance(evidence, Found) else "")
                await self._settle(sent)
                self._emit("part.reconciled", reason=outcome.reason)
                return sent
            self._wait_until_settled(evidence)
            if self._resends or self._policy.on_unresolved == "hold":
                raise TurnRefused("send_unresolved", outcome.reason)
            self._emit("part.resent", reason=outcome.reason)
            again = await self.send(resend=True)
            if not isinstance(again, Unknown):
                return again
            outcome = again

    async def _look(self) -> Evidence:
        known_ids = await self._ledger.gateway_ids(self._turn)
        return await self._gateway.find(self._conversation, self._part.text, self._since_ms, known_ids)

    def _wait_until_settled(self, evidence: Evidence) -> None:
        """Absence counts only when the message had time to appear in the gateway's records."""
        left_seconds = self._policy.settle_seconds - self._claimed_ago_ms / 1000
        if isinstance(evidence, NotFound) and left_seconds > 0:
            raise GatewayHeld("send_settling", left_seconds)

    async def _settle(self, outcome: SendOutcome) -> None:
        await self._ledger.settle(self._turn, self._epoch, self._part.number, outcome)
        reach("part_settled")

    def _emit(self, event: str, **fields: object) -> None:
        self._feed.emit(event, self._conversation, turn=self._turn.id, part=self._part.number, **fields)


def _failure(outcome: NotSent) -> GatewayHeld | TurnFailed | TurnRefused:
    if outcome.remedy == "hold":
        return GatewayHeld(outcome.reason, outcome.retry_after_seconds)
    if outcome.remedy == "refuse":
        return TurnRefused(outcome.reason)
    return TurnFailed(outcome.reason, retry_after_seconds=outcome.retry_after_seconds)
