"""Sends the parts of a stored reply, in order, each at most as often as the outbox allows.

Laws of this file:
1. Journal before effect: a durable claim precedes every send, the outcome is settled after it.
2. The lease is looked at before the claim, and by the gateway as the first byte leaves: a daemon that was paused
   must not act on an old claim, and a claim that led to no send must not look like one.
3. An unknown outcome is reconciled before anything else happens, and sent again at most once, and only when the
   gateway's records do not show the message.
4. Part n is settled before part n+1 is claimed.
5. A proven outcome is a fact. No fence refuses it, and it is kept until the ledger has it; what is kept is settled
   before anything else happens with the turn.
6. What is not known is waited for in full, from the outcome on: neither a flush nor a restart nor another owner cuts
   that short, and no step of a clock makes it longer.
7. A claim names the gateway that it was made for. Where the instance has another one by now, that one is asked too (it
   may be the same server at a new address), and what it shows counts; that it shows nothing proves nothing, so the
   message is never sent again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Literal

import msgspec

from actors.crash_points import reach
from actors.errors import (
    GatewayHeld,
    LeaseUncertain,
    MajlisError,
    StaleEpoch,
    SwitchedOff,
    TurnRefused,
    Unavailable,
)
from actors.identity import Conversation
from actors.outcome import NotSent, RecordFound, SendEvidence, SendOutcome, Sent, Unknown
from actors.ports import Feed, Gateway, Ledger, Ownership, Turn
from actors.send_facts import Part, Proof, SendFacts
from actors.send_waits import SendWaits, evidence_since_ms, failure

_MADE_FOR = "@"
"""In the token of a claim, before the gateway's name."""


class OutboxPolicy(msgspec.Struct, frozen=True):
    on_unresolved: Literal["resend_once", "hold"] = "resend_once"
    settle_seconds: float = 5.0
    """How long a send of unknown outcome may still be on its way at the gateway before its absence counts."""
    send_seconds: float = 30.0
    """How long one send may take. A claim without an outcome may be a send that has not even begun to settle."""
    gateway: str = ""
    """Names the gateway in force, in letters and digits; empty: there is only one."""


class Outbox:
    def __init__(
        self,
        ledger: Ledger,
        gateway: Gateway,
        ownership: Ownership,
        feed: Feed,
        facts: SendFacts,
        wall_ms: Callable[[], int],
        policy: Callable[[str], OutboxPolicy],
        new_token: Callable[[], str],
    ) -> None:
        """`policy` gives an instance's policy of now; `wall_ms` is Unix time in ms; `new_token` names a claim."""
        self._ledger = ledger
        self._gateway = gateway
        self._ownership = ownership
        self._feed = feed
        self._facts = facts
        self._wall_ms = wall_ms
        self._policy = policy
        self._new_token = new_token
        self._sending: set[Conversation] = set()
        self._closed: set[str] = set()
        """Instances whose gateway did not take the latest send."""
        self._waits = SendWaits()

    async def deliver(
        self,
        turn: Turn,
        conversation: Conversation,
        epoch: int,
        heed_takeover: bool = True,
        is_off: Callable[[], bool] = lambda: False,
        claim: str = "",
    ) -> bool:
        """Bring every part of the turn to `sent`; returns whether the turn has ended with the last of them.

        `is_off` is asked before each of them begins. `claim` was made ahead, for the first part.

        Raises:
          TurnFailed: a part was not sent; another attempt may succeed.
          TurnRefused: a part cannot be sent, or its outcome stays unknown.
          GatewayHeld: the gateway is away; waiting does not count as an attempt.
          StaleEpoch: another daemon owns the conversation.
          TakenOver: a person writes in the chat (unless `heed_takeover` is off); nothing more was sent.
          SwitchedOff: `is_off` said so; nothing more was sent.
        """
        if not _is_claimed(turn, claim):
            turn, claim = await self.settle_kept(turn, conversation), ""
        ended = False
        for part in turn.parts:
            if part.state in ("sent", "dropped"):
                continue
            if part.state == "pending" and is_off():
                raise SwitchedOff("the instance is off")
            is_claimed = part.number == 0 and claim != ""
            delivery = _PartDelivery(self, turn, conversation, epoch, part, heed_takeover, is_claimed)
            outcome = await delivery.run()
            if isinstance(outcome, NotSent):
                raise failure(outcome)
            ended = delivery.ended
        return ended

    def claim_ahead(self, conversation: Conversation, epoch: int) -> str:
        """Names a claim of a reply's first part, to be made as the reply is stored; empty: it may not leave at once.

        A claim that leads to no send looks like one to whoever comes after a crash. So there is none without a certain
        lease, nor where the gateway did not take the send before.
        """
        if conversation.instance in self._closed:
            return ""
        try:
            self._check_lease(conversation, epoch)
        except (LeaseUncertain, StaleEpoch):
            return ""
        return self._new_claim(conversation)

    async def disclaim(self, turn: Turn, part: int, token: str) -> None:
        """A claim was refused, or its answer was lost: it may stand all the same, and nothing was sent under it.

        That is a fact, and says nothing about an earlier send. If the ledger cannot take it, `recall` finds it.
        """
        with suppress(Unavailable):
            await self._ledger.prove(Proof(turn.id, part, token, NotSent("claim_lost", "hold")))

    def _new_claim(self, conversation: Conversation) -> str:
        gateway = self._policy(conversation.instance).gateway
        token = f"{self._new_token()}{_MADE_FOR}{gateway}" if gateway else self._new_token()
        self._facts.claiming(token)
        return token

    def _note_gateway(self, instance: str, outcome: SendOutcome) -> None:
        is_open = isinstance(outcome, Sent) or (isinstance(outcome, NotSent) and outcome.remedy == "refuse")
        (self._closed.discard if is_open else self._closed.add)(instance)

    def _check_lease(self, conversation: Conversation, epoch: int) -> None:
        if self._ownership.epoch(conversation) != epoch:
            raise StaleEpoch("the partition has another epoch by now")

    async def settle_kept(self, turn: Turn, conversation: Conversation) -> Turn:
        """Give the ledger what is known of the turn's sends and it does not know; returns the turn as it is then.

        Raises:
          Unavailable: the ledger is away, or a place where a fact may be kept.
        """
        parts = [await self._settle_kept(turn, conversation, part) for part in turn.parts]
        return msgspec.structs.replace(turn, parts=tuple(parts))

    def is_sending(self, conversation: Conversation) -> bool:
        """Whether a send is under way. Its outcome is a fact to wait for, even when the conversation is lost."""
        return conversation in self._sending

    async def _settle_kept(self, turn: Turn, conversation: Conversation, part: Part) -> Part:
        if part.state not in ("sending", "unknown") or not part.token:
            return part
        proof = await self._facts.recall(conversation, turn.id, part)
        if proof is None:
            return part
        recorded = await self._ledger.prove(proof)
        await self._facts.forget(conversation, proof)
        if not recorded:
            return part
        if isinstance(proof.outcome, Sent):
            self._feed.emit(
                "part.reconciled", conversation, turn=turn.id, part=part.number, reason="kept_proof"
            )
            return msgspec.structs.replace(part, state="sent")
        return msgspec.structs.replace(part, state="pending")


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
        is_claimed: bool,
    ) -> None:
        """`is_claimed`: it was claimed as it was stored, and nothing of it has left."""
        self._outbox = outbox
        self._ledger = outbox._ledger
        self._gateway = outbox._gateway
        self._facts = outbox._facts
        self._wall_ms = outbox._wall_ms
        self._turn = turn
        self._conversation = conversation
        self._epoch = epoch
        self._part = part
        self._token = part.token
        self._heed_takeover = heed_takeover
        self._is_claimed = is_claimed
        self._since_ms = evidence_since_ms(part, outbox._wall_ms())
        self._resends = part.resends
        self.ended = False  # the turn, with this part

    async def run(self) -> Sent | NotSent:
        """Bring the part to a proven outcome, whatever its state."""
        part = self._part
        if part.state != "pending" and not self._is_claimed:
            return await self._reconcile(Unknown("interrupted", may_resend=part.may_resend))
        if part.resends:
            # The resend did not leave, but the send before it may have: its record may have appeared since.
            evidence = await self._look()
            if isinstance(evidence, RecordFound):
                return await self._settle_found(evidence.message_id, "earlier_send")
        outcome = await self._send(resend=False)
        return await self._reconcile(outcome) if isinstance(outcome, Unknown) else outcome

    async def _send(self, resend: bool) -> SendOutcome:
        if not self._is_claimed:
            self._check_lease()
            self._token = self._outbox._new_claim(self._conversation)
        self._outbox._sending.add(self._conversation)
        try:
            if not self._is_claimed:
                await self._claim(resend)
            return await self._send_claimed(resend)
        finally:
            self._outbox._sending.discard(self._conversation)

    async def _send_claimed(self, resend: bool) -> SendOutcome:
        part, self._is_claimed = self._part, False
        reach("claimed")
        began_ms = self._wall_ms()
        outcome = await self._gateway.send(
            self._conversation,
            part.text,
            self._may_send,
            self._turn.origin,
            f"{self._turn.id}.{part.number}",  # the same for every attempt: some gateways deduplicate by it
        )
        sent_ms = self._wall_ms()
        reach("send_returned")
        self._outbox._note_gateway(self._conversation.instance, outcome)
        await self._settle(outcome)
        if isinstance(outcome, Sent):
            self._emit("part.sent", resend=resend, took_ms=sent_ms - began_ms)
        elif isinstance(outcome, NotSent):
            self._emit("part.not_sent", reason=outcome.reason, remedy=outcome.remedy)
        else:
            self._emit("part.unknown", reason=outcome.reason)
        return outcome

    async def _claim(self, resend: bool) -> None:
        turn, number = self._turn, self._part.number
        try:
            await self._ledger.claim(turn, self._epoch, number, resend, self._token, self._heed_takeover)
        except MajlisError:
            await self._outbox.disclaim(turn, number, self._token)  # noqa: ASYNC120  a cancellation may take over: it is best effort
            raise
        self._resends += resend

    def _may_send(self) -> None:
        self._facts.starting(self._token)
        self._check_lease()  # last: to note the start may take time, on a disk that stalls

    def _check_lease(self) -> None:
        self._outbox._check_lease(self._conversation, self._epoch)

    async def _reconcile(self, outcome: Unknown) -> Sent | NotSent:
        """Find out what became of a send, or settle it by policy. Never two sends on a guess.

        Raises:
          GatewayHeld: the gateway cannot be asked, or the message may still be on its way: come back later,
            without holding a turn slot meanwhile.
          TurnRefused: it cannot be found out, and the policy allows no (further) resend.
        """
        while True:
            # How long is left is asked before the records are: what they show is no older than that.
            settling_seconds = self._settling_seconds()
            evidence = await self._look()
            if isinstance(evidence, RecordFound):
                return await self._settle_found(evidence.message_id, outcome.reason)
            if not outcome.may_resend:
                # The gateway said itself that the message left; only its own record of it is missing.
                return await self._settle_found("", outcome.reason)
            if settling_seconds > 0:  # also where records cannot tell now: a later look may find it
                raise GatewayHeld("send_settling", settling_seconds)
            if self._resends or self._policy.on_unresolved == "hold":
                raise TurnRefused("send_unresolved", outcome.reason)
            if self._is_of_another_gateway():
                raise TurnRefused("send_unresolved", "gateway_changed")
            self._emit("part.resent", reason=outcome.reason)
            again = await self._send(resend=True)
            if not isinstance(again, Unknown):
                return again
            outcome = again

    def _settling_seconds(self) -> float:
        """How long the latest send may still be on its way.

        Its end is fixed once in this process, by our own clock that only goes forward. Where another process sent, the
        ledger's age gives it, and never more than the policy.
        """
        policy, part = self._policy, self._part
        whole = policy.settle_seconds + (policy.send_seconds if part.state == "sending" else 0.0)
        left = whole - (part.open_ago_ms or 0) / 1000
        return self._outbox._waits.left(self._wait_key, min(whole, left))

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
        proof, unknown = self._proof_of(outcome), isinstance(outcome, Unknown)
        if unknown:
            self._outbox._waits.begin(self._wait_key, self._policy.settle_seconds)
        if proof is None:
            await self._ledger.settle(self._turn, self._epoch, self._part.number, outcome)
        else:
            self._facts.remember(proof)
            await self._settle_proven(outcome, proof)
        if not unknown:
            self._outbox._waits.end(self._wait_key)
        reach("part_settled")

    async def _settle_proven(self, outcome: SendOutcome, proof: Proof) -> None:
        refused: Unavailable | StaleEpoch
        is_last = self._part is self._turn.parts[-1] and not self._turn.dead_reason
        try:
            if is_last and isinstance(outcome, Sent):
                self.ended = await self._ledger.settle_last(self._turn, self._epoch, proof)
            else:
                await self._ledger.settle(self._turn, self._epoch, self._part.number, outcome)
        except (Unavailable, StaleEpoch) as error:
            refused = error
        else:
            await self._facts.forget(self._conversation, proof)
            return
        proven = False
        with suppress(Unavailable):
            await self._ledger.prove(proof)
            proven = True
        if not proven:
            await self._facts.keep(self._conversation, proof)
            raise refused
        await self._facts.forget(self._conversation, proof)
        if isinstance(refused, StaleEpoch):
            raise refused

    def _proof_of(self, outcome: SendOutcome) -> Proof | None:
        if isinstance(outcome, Unknown):
            if outcome.may_resend:
                return None
            outcome = Sent("")  # the gateway's own words show that it left
        # Claims of older versions have no token that a fact could name.
        return Proof(self._turn.id, self._part.number, self._token, outcome) if self._token else None

    @property
    def _policy(self) -> OutboxPolicy:
        return self._outbox._policy(self._conversation.instance)

    def _is_of_another_gateway(self) -> bool:
        """Whether the latest claim was made for another gateway than that of now; not where either has no name."""
        claimed_for, now = self._token.partition(_MADE_FOR)[2], self._policy.gateway
        return "" not in (claimed_for, now) and claimed_for != now

    @property
    def _wait_key(self) -> str:
        return f"{self._turn.id}.{self._part.number}.{self._token}"

    def _emit(self, event: str, **fields: object) -> None:
        self._outbox._feed.emit(
            event, self._conversation, turn=self._turn.id, part=self._part.number, **fields
        )


def _is_claimed(turn: Turn, claim: str) -> bool:
    """Whether the first part is claimed by this very claim, and not by an earlier one, or not at all."""
    return bool(claim and turn.parts) and (turn.parts[0].state, turn.parts[0].token) == ("sending", claim)
