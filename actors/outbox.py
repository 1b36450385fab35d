"""Sends the parts of a stored reply, in order, each at most as often as the outbox allows.

Laws of this file:
1. Journal before effect: a durable claim precedes every send, the outcome is settled after it.
2. The lease is looked at before the claim, and by the gateway as the first byte leaves: a daemon that was paused
   must not act on an old claim, and a claim that led to no send must not look like one.
3. An unknown outcome is reconciled before anything else happens, and sent again at most once, and only when the
   gateway's records do not show the message.
4. Part n is settled before part n+1 is claimed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Literal

import msgspec

from actors.crash_points import reach
from actors.errors import GatewayHeld, StaleEpoch, TurnFailed, TurnRefused, Unavailable
from actors.identity import Conversation
from actors.outcome import NoRecord, NotSent, RecordFound, SendEvidence, SendOutcome, Sent, Unknown
from actors.ports import Feed, Gateway, Ledger, Ownership, Part, Turn


class OutboxPolicy(msgspec.Struct, frozen=True):
    on_unresolved: Literal["resend_once", "hold"] = "resend_once"
    settle_seconds: float = 5.0
    """How long a send of unknown outcome may still be on its way at the gateway before its absence counts."""
    send_seconds: float = 30.0
    """How long one send may take. A claim without an outcome may be a send that has not even begun to settle."""


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
        """`policy` gives each instance's policy; `wall_ms` is Unix time in milliseconds."""
        self._ledger = ledger
        self._gateway = gateway
        self._ownership = ownership
        self._feed = feed
        self._wall_ms = wall_ms
        self._policy = policy

    async def deliver(
        self, turn: Turn, conversation: Conversation, epoch: int, heed_takeover: bool = True
    ) -> None:
        """Bring every part of the turn to `sent`.

        Raises:
          TurnFailed: a part was not sent; another attempt may succeed.
          TurnRefused: a part cannot be sent, or its outcome stays unknown.
          GatewayHeld: the gateway is away; waiting does not count as an attempt.
          StaleEpoch: another daemon owns the conversation.
          TakenOver: a person writes in the chat (unless `heed_takeover` is off); nothing more was sent.
        """
        for part in turn.parts:
            if part.state in ("sent", "dropped"):
                continue
            outcome = await _PartDelivery(self, turn, conversation, epoch, part, heed_takeover).run()
            if isinstance(outcome, NotSent):
                raise _failure(outcome)


class _PartDelivery:
    """One part on its way."""

    def __init__(
        self,
        outbox: Outbox,
        turn: Turn,
        conversation: Conversation,
        epoch: int,
        part: Part,
        heed_takeover: bool,
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
        self._heed_takeover = heed_takeover
        # A part that was claimed before may have been sent under that claim: its record is looked for from then on.
        self._since_ms = part.claimed_at_ms or outbox._wall_ms()
        self._resends = part.resends
        self._settled_in_seconds = self._policy.settle_seconds - (part.claimed_ago_ms or 0) / 1000
        if part.state == "sending":  # a claim without an outcome: the send itself may still be under way
            self._settled_in_seconds += self._policy.send_seconds
        elif part.state == "pending":  # nothing is on its way
            self._settled_in_seconds = 0.0

    async def run(self) -> Sent | NotSent:
        """Bring the part to a proven outcome, whatever its state."""
        part = self._part
        if part.state != "pending":
            return await self._reconcile(Unknown("interrupted", may_resend=part.may_resend))
        if part.resends:
            # The resend did not leave, but the send before it may have: its record may have appeared since.
            evidence = await self._look()
            if isinstance(evidence, RecordFound):
                return await self._settle_found(evidence.message_id, "earlier_send")
        outcome = await self._send(resend=False)
        return await self._reconcile(outcome) if isinstance(outcome, Unknown) else outcome

    async def _send(self, resend: bool) -> SendOutcome:
        part = self._part
        self._check_lease()
        await self._claim(resend)
        reach("claimed")
        began_ms = self._wall_ms()
        outcome = await self._gateway.send(
            self._conversation,
            part.text,
            self._check_lease,
            self._turn.origin,
            f"{self._turn.id}.{part.number}",  # the same for every attempt: some gateways deduplicate by it
        )
        sent_ms = self._wall_ms()
        reach("send_returned")
        await self._settle(outcome)
        if isinstance(outcome, Sent):
            self._emit("part.sent", resend=resend, took_ms=sent_ms - began_ms)
        elif isinstance(outcome, NotSent):
            self._emit("part.not_sent", reason=outcome.reason, remedy=outcome.remedy)
        else:
            self._emit("part.unknown", reason=outcome.reason)
        return outcome

    async def _claim(self, resend: bool) -> None:
        try:
            await self._ledger.claim(self._turn, self._epoch, self._part.number, resend, self._heed_takeover)
        except Unavailable:
            if not resend:  # a part whose earlier send is unknown must stay so
                await self._unclaim()  # noqa: ASYNC120  a cancellation may take over: it is best effort
            raise
        self._resends += resend
        self._settled_in_seconds = self._policy.settle_seconds  # counts from the send that follows

    async def _unclaim(self) -> None:
        """Nothing was sent: record that if possible, so that the claim is not taken for a send of unknown outcome."""
        with suppress(Unavailable, StaleEpoch):
            await self._settle(NotSent("claim_lost", "hold"))

    def _check_lease(self) -> None:
        if self._ownership.epoch(self._conversation) != self._epoch:
            raise StaleEpoch("the partition has another epoch by now")

    async def _reconcile(self, outcome: Unknown) -> Sent | NotSent:
        """Find out what became of a send, or settle it by policy. Never two sends on a guess.

        Raises:
          GatewayHeld: the gateway cannot be asked, or the message may still be on its way: come back later,
            without holding a turn slot meanwhile.
          TurnRefused: it cannot be found out, and the policy allows no (further) resend.
        """
        while True:
            evidence = await self._look()
            if isinstance(evidence, RecordFound):
                return await self._settle_found(evidence.message_id, outcome.reason)
            if not outcome.may_resend:
                # The gateway said itself that the message left; only its own record of it is missing.
                return await self._settle_found("", outcome.reason)
            if isinstance(evidence, NoRecord) and self._settled_in_seconds > 0:
                raise GatewayHeld("send_settling", self._settled_in_seconds)
            if self._resends or self._policy.on_unresolved == "hold":
                raise TurnRefused("send_unresolved", outcome.reason)
            self._emit("part.resent", reason=outcome.reason)
            again = await self._send(resend=True)
            if not isinstance(again, Unknown):
                return again
            outcome = again

    async def _settle_found(self, message_id: str, reason: str) -> Sent:
        sent = Sent(message_id)
        await self._settle(sent)
        self._emit("part.reconciled", reason=reason)
        return sent

    async def _look(self) -> SendEvidence:
        # The same text may have been sent before as another reply: those ids are no evidence for this one.
        known_ids = await self._ledger.gateway_ids(self._turn)
        return await self._gateway.find(
            self._conversation, self._part.text, self._since_ms, known_ids, self._turn.origin
        )

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
