"""One turn: everything done for one frozen batch, from the ledger's first row to its last.

Each step is durable before the next one starts, and each is skipped when the ledger shows it done. A crash
anywhere finds the same batch again and goes on where it stopped:

    open (settings ∥ T1) → lookups ∥ → triage → responder → answer (T2)
                         → per part: claim (T3) → send → settle (T4) → finish (T5)

`actors/triage.py` decides what is to be done with a burst; here it is done.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import msgspec

from actors import contacts, limits, modes, notices, reply, response_cache, triage
from actors.amendments import amended
from actors.crash_points import reach
from actors.errors import (
    MajlisError,
    ResponderHeld,
    StaleEpoch,
    Superseded,
    SwitchedOff,
    TakenOver,
    TurnFailed,
    TurnHeld,
    TurnRefused,
)
from actors.escalation import told_reason
from actors.identity import is_lid, is_playground
from actors.inquiry import Findings, Inquiry
from actors.limits import Reached
from actors.lookups import CacheRecord, Usage
from actors.machines import Pace
from actors.messages import Answer, Batch, Prompt, Spent, TurnOutcome
from actors.ports import Notice, Reply, Turn
from actors.turn_end import HELD_TOO_LONG, MIRROR_LOST, TurnEnd
from actors.turn_services import TurnServices

UNKNOWN_INSTANCE = "unknown_instance"
"""The rule of what came while nobody knew its instance."""


class TurnAttempt:
    """One attempt at one batch. Implements `actors.ports.Attempt`; the next attempt is an object of its own."""

    def __init__(self, services: TurnServices, batch: Batch, epoch: int) -> None:
        instance = batch.conversation.instance
        flags, terms = services.flags.of(instance), services.policies.terms(instance)
        self._is_unknown = not services.knows(instance) and any(one.message.early for one in batch.entries)
        self._came = batch = modes.with_early(batch, "shadow" if self._is_unknown else terms.mode)
        """As the mirror has it, edits and deletions not applied, nothing set aside."""
        batch = modes.as_heard(amended(batch))
        self._services = services
        self._ledger = services.ledger
        self._inquiry = Inquiry(
            services.ledger,
            services.lookups,
            services.feed,
            self._came,
            epoch,
            flags,
            terms,
            services.wall_ms,
        )
        self._batch = batch
        self._epoch = epoch
        self._conversation = batch.conversation
        self._end = TurnEnd(services, batch.conversation, epoch, terms, self._inquiry)
        self._instance = instance
        self._flags = flags
        self._terms = terms
        self._claim = ""
        """Of the first part of the reply, made as that was stored."""

    async def run(self) -> TurnOutcome:
        await self._share_link()
        found = await self._inquiry.run()
        turn = found.question.turn
        if turn.state == "started" and triage.has_backlog(turn, self._batch):
            await self._store_notices(turn, notices.too_old(self._instance, self._terms, self._now()))
        if turn.state == "started" and not (turn.rule or turn.moved_to) and self._is_unknown:
            # It is being added this very moment, its mode is not known here yet: what came early is looked at later.
            turn = msgspec.structs.replace(turn, rule=UNKNOWN_INSTANCE)
        match turn.state:
            case "done":
                return "answered"
            case "suppressed" | "dead" | "moved":
                return turn.state
            case "started" if turn.moved_to:
                return await self._end.moved(turn, self._came.without(turn.repeated))
            case "started" if turn.rule:
                return await self._end.by_rule(turn)
            case "started":
                return await self._decide(found)
            case "answered":
                return await self._deliver(turn)
            case "superseded":  # the ledger begins another one in its place
                raise MajlisError("a superseded turn was begun again")

    async def _decide(self, found: Findings) -> TurnOutcome:
        turn, pace, usage = found.question.turn, found.facts.pace, found.facts.usage
        verdict = triage.decide(found.question, found.facts)
        self._emit_reached(turn, verdict.reached, usage)
        if pace.replies:
            await self._warn_of_pace(turn, pace)
        if isinstance(verdict, triage.Wait | triage.Silence):  # no reply carries the notices
            await self._store_notices(turn, (*self._alerts(verdict.reached, usage), *self._early(usage)))
        if isinstance(verdict, triage.Wait):
            raise TurnHeld(verdict.reason, verdict.seconds)
        if isinstance(verdict, triage.Silence):
            return await self._end.silent(turn, verdict.rule, pace)
        return await self._deliver(await self._answer(found, verdict))

    def overtake(self) -> None:
        self._inquiry.overtake()

    async def bury(self, reason: str, detail: str) -> TurnOutcome:
        turn = await self._ledger.begin(self._batch, self._epoch)
        heard = modes.as_heard(amended(self._came.without(turn.repeated)), turn.shadow)
        turn = triage.ruled(turn, heard, self._terms)
        if turn.state in ("done", "suppressed", "moved"):
            return "answered" if turn.state == "done" else turn.state
        is_silent = triage.is_silent(heard) or turn.rule in (*contacts.RULES, modes.OFF)
        if turn.state == "started" and turn.rule and is_silent:
            return await self._end.by_rule(turn)  # nobody waits for an answer to these
        if turn.state == "answered":
            turn = await self._services.outbox.settle_kept(turn, self._conversation)
            if (ended := await self._ended_already(turn)) is not None:
                return ended
        if reason in (HELD_TOO_LONG, MIRROR_LOST):  # what has waited for hours waits for nothing more
            return await self._end.dead(turn, turn.dead_reason or reason, turn.dead_detail or detail)
        if turn.state == "started" and not (turn.rule or turn.moved_to):
            turn = await self._store_fallback(turn, reason, detail)
        if turn.dead_reason:
            return await self._deliver_doomed(turn)
        return await self._end.dead(turn, reason, detail)

    async def _ended_already(self, turn: Turn) -> TurnOutcome | None:
        """What is proven to have reached the customer is no dead letter, nor is what an operator switched off."""
        if turn.parts and not turn.dead_reason and all(part.state == "sent" for part in turn.parts):
            return await self._end.answered(turn)
        if self._is_off() and not turn.dead_reason:
            return await self._end.dropped(turn, modes.OFF)
        return None

    # Before the answer

    async def _share_link(self) -> None:
        """Store a LID's phone number that only this daemon has learned yet."""
        contact = self._conversation.contact
        if is_lid(contact):
            phone = self._services.identities.phone_of(self._instance, contact)
            if phone is not None:
                await self._ledger.link(self._instance, contact, phone, self._batch.is_shadow)

    def _emit_reached(self, turn: Turn, reached: tuple[Reached, ...], usage: Usage) -> None:
        for limit in reached:
            self._emit("limit.reached", turn, reason=limit.kind, policy=limit.policy)
        for near in limits.near(usage, self._terms):
            self._emit("limit.near", turn, reason=near.kind, share=near.share, instance=self._instance)

    async def _warn_of_pace(self, turn: Turn, pace: Pace) -> None:
        self._emit("conversation.busy", turn, replies=pace.replies)
        hour, label = self._now().strftime("%Y-%m-%dT%H"), self._services.label(self._conversation)
        await self._store_notices(turn, notices.busy(self._instance, label, pace, self._terms, hour))

    async def _store_notices(self, turn: Turn, found: tuple[Notice, ...]) -> None:
        if found and turn.shadow:
            self._emit("notice.withheld", turn, reason=modes.SHADOW)
        elif found:
            await self._ledger.notify(found)
            self._services.nudge()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._services.wall_ms() / 1000, UTC)

    def _alerts(self, reached: tuple[Reached, ...], usage: Usage) -> tuple[Notice, ...]:
        """Of the limits that this turn reached."""
        instance, terms, day = self._instance, self._terms, self._day()
        each = (notices.limit_reached(instance, limit, usage, terms, day) for limit in reached)
        return tuple(notice for alerts in each for notice in alerts)

    def _early(self, usage: Usage) -> tuple[Notice, ...]:
        """Of limits that are near: told in the sender's next round, for half of the turns of a day may carry them."""
        instance, terms, day = self._instance, self._terms, self._day()
        each = (notices.limit_near(instance, limit, usage, terms, day) for limit in limits.near(usage, terms))
        return tuple(notice for alerts in each for notice in alerts)

    def _day(self) -> str:
        return self._now().date().isoformat()

    # The answer

    async def _answer(self, found: Findings, verdict: triage.Say | triage.AskResponder) -> Turn:
        to_send = self._alerts(verdict.reached, found.facts.usage)
        cache: CacheRecord | None
        if isinstance(verdict, triage.AskResponder):
            said = await self._ask(found.question.turn, verdict.prompt)
            if said is None:
                return await self._supersede(found.question.turn)
            answer, rule, escalation = said, "", ""
            spans = self._inquiry.spans
            cache = response_cache.record(verdict.prompt, answer, found.question, found.facts, spans)
            if verdict.opt_out:  # not all that was asked was told, see `triage`
                cache = CacheRecord("start_word")
            to_send += notices.answer_cut(self._instance, answer, self._terms, self._day())
        else:
            answer, rule, escalation = verdict.answer, verdict.rule, verdict.escalation
            cache = response_cache.hit(answer)
            if escalation:
                to_send += notices.escalated(found.question.batch, escalation, self._terms)
        parts = reply.split(answer.text, self._terms.reply.max_chars, self._terms.reply.max_parts)
        if answer.is_silence and self._terms.reply.model_silence:
            rule, parts, cache = triage.MODEL_SILENCE, (), None
        elif not parts and not rule:
            failure = TurnFailed("garbage", "the answer is empty")
            await self._count_spent(found.question.turn, failure.reason)
            raise failure
        named = (message.server_origin for message in reversed(self._batch.messages))
        stored = Reply(
            answer,
            parts,
            rule=rule,
            escalation=told_reason(escalation, self._terms.reason_names),
            origin=reply.choose_origin(named, found.facts.webhook, self._terms.allowed_origins),
            hand_back="timeout" if found.facts.takeover.escalation_expired else "",
            opt_out=verdict.opt_out,
            notices=(*to_send, *self._early(found.facts.usage)),
            cache=cache,
            spans=self._inquiry.spans,
        )
        if found.question.turn.shadow:
            to_send, escalation, stored = (), "", self._unsaid(found.question.turn, stored)
        turn = await self._store(found.question.turn, stored)
        if turn.state == "suppressed":  # and nobody was told
            escalation = ""
        if to_send:
            self._services.nudge()
        self._tell_answered(turn, stored, escalation)
        return turn

    async def _store(self, turn: Turn, stored: Reply) -> Turn:
        """T2, and T3 of the first part where that leaves at once."""
        outbox = self._services.outbox
        leaves = bool(stored.parts) and not (turn.shadow or self._is_off())
        self._claim = outbox.claim_ahead(self._conversation, self._epoch) if leaves else ""
        try:
            turn = await self._inquiry.store(
                turn, stored, self._services.bought, self._claim, self._heeds_takeover(stored.rule)
            )
        except MajlisError:
            if self._claim:
                await outbox.disclaim(turn, 0, self._claim)  # noqa: ASYNC120  best effort, as in the outbox
            raise
        reach("answer_stored")
        return turn

    def _heeds_takeover(self, rule: str) -> bool:
        return self._flags.takeover and rule not in triage.SAID_TO_ANYBODY

    def _unsaid(self, turn: Turn, stored: Reply) -> Reply:
        """The reply of a shadow turn: the answer is kept with what it cost; nothing leaves, and of the customer nothing
        is recorded, or the instance would be silent to him once it is live, and he would not know why.
        """
        if stored.notices:
            self._emit("notice.withheld", turn, reason=modes.SHADOW)
        rule = stored.rule if stored.rule == triage.MODEL_SILENCE else modes.SHADOW
        return msgspec.structs.replace(
            stored, parts=(), rule=rule, escalation="", hand_back="", opt_out="", notices=()
        )

    def _tell_answered(self, turn: Turn, stored: Reply, escalation: str) -> None:
        answer, cache = stored.answer, stored.cache
        if stored.hand_back:
            self._emit("conversation.handed_back", turn, by=stored.hand_back)
        if escalation:
            self._emit("turn.escalated", turn, reason=escalation)
            if is_playground(self._conversation.contact):
                self._emit("notice.withheld", turn, reason="playground")
        if stored.opt_out:
            event = "contact.opted_out" if stored.opt_out == "out" else "contact.opted_in"
            self._emit(event, turn, by="customer")
        looked = {"cache": cache.looked} if cache else {}
        self._emit("turn.answered", turn, parts=len(turn.parts), **looked, **self._inquiry.spent(answer))
        if answer.cut:
            self._emit("answer.cut", turn, reason=answer.cut, provider=answer.provider)

    async def _store_fallback(self, turn: Turn, reason: str, detail: str) -> Turn:
        """The fallback message as the reply of a turn that is to become a dead letter, where there is one."""
        record = await self._services.lookups.instance(self._instance)
        answer = triage.fallback(record, self._terms)
        if answer is None or turn.shadow or self._is_off() or not await self._may_start():
            return turn
        parts = reply.split(answer.text, self._terms.reply.max_chars, self._terms.reply.max_parts)
        doomed = Reply(answer, parts, triage.FALLBACK, dead_reason=reason, dead_detail=detail)
        return await self._ledger.answer(turn, self._epoch, doomed)

    async def _may_start(self) -> bool:
        """Whether the customer may be told something that answers nothing he wrote."""
        return not self._terms.opt_out.enabled or await self._ledger.may_start(self._conversation)

    async def _supersede(self, turn: Turn) -> Turn:
        """The customer said more before the answer was there: the turn ends, and its batch is answered anew.

        Returns the turn if it has an answer all the same: that of an attempt which never heard that it was stored.
        """
        spent, is_guess = self._inquiry.paid, self._inquiry.is_guess
        turn = await self._ledger.supersede(turn, self._epoch, spent, is_guess, self._inquiry.spans)
        if turn.state != "superseded":
            return turn
        self._services.bought.forget(turn.id)
        reach("superseded")
        cost = msgspec.structs.asdict(spent) if spent != Spent() else {}
        self._emit("turn.superseded", turn, messages=len(self._came.entries), estimated=is_guess, **cost)
        raise Superseded("the customer said more")

    async def _ask(self, turn: Turn, prompt: Prompt) -> Answer | None:
        try:
            answer = await self._inquiry.ask(self._services.responder, self._services.bought, turn, prompt)
        except (TurnFailed, TurnRefused, ResponderHeld) as error:
            failure = error
        else:
            reach("responder_answered")
            if answer is not None and answer.shortened:
                self._emit("turn.shortened", turn, rounds=answer.shortened, provider=answer.provider)
            return answer
        await self._count_spent(turn, failure.reason)
        raise failure

    async def _count_spent(self, turn: Turn, reason: str) -> None:
        """Count what this attempt cost, which fails for `reason`; as well as can be: it fails for that reason alone.

        A crash before this, or a ledger that is away, loses the count. It is never counted twice.
        """
        calls, spent = self._inquiry.failed_calls(reason), self._inquiry.paid
        if spent != Spent():
            self._emit("turn.spent", turn, reason=reason, **msgspec.structs.asdict(spent))
        if not calls and spent == Spent():
            return
        try:
            await self._ledger.spend(turn, self._epoch, self._inquiry.token, spent, calls)
        except StaleEpoch:
            raise  # the turn goes on elsewhere
        except MajlisError as error:
            self._emit("turn.uncounted", turn, error=type(error).__name__)

    # After it

    async def _deliver(self, turn: Turn) -> TurnOutcome:
        if (
            turn.state == "suppressed"
        ):  # with its answer: the model chose to say nothing, or nobody is to hear it
            return self._end.suppressed_with_its_answer(turn, turn.rule)
        if turn.dead_reason:
            return await self._deliver_doomed(turn)
        if self._is_off():  # what has left is a fact first
            turn = await self._services.outbox.settle_kept(turn, self._conversation)
            if (ended := await self._ended_already(turn)) is not None:
                return ended
        try:
            heeds = self._heeds_takeover(turn.rule)
            is_done = await self._services.outbox.deliver(
                turn, self._conversation, self._epoch, heeds, self._is_off, self._claim
            )
        except TakenOver:
            return await self._end.dropped(turn, "taken_over")
        except SwitchedOff:
            return await self._end.dropped(turn, modes.OFF)
        return await self._end.answered(turn, is_done)

    def _is_off(self) -> bool:
        """Now, not when the attempt began."""
        return modes.is_off(self._conversation.contact, self._services.policies.terms(self._instance))

    async def _deliver_doomed(self, turn: Turn) -> TurnOutcome:
        """Send the fallback message if it can be sent; the turn is a dead letter either way."""
        if turn.state == "answered":
            with suppress(TakenOver, SwitchedOff, TurnFailed, TurnRefused):
                await self._services.outbox.deliver(
                    turn, self._conversation, self._epoch, self._flags.takeover, self._is_off
                )
        return await self._end.dead(turn, turn.dead_reason, turn.dead_detail)

    def _emit(self, event: str, turn: Turn, **fields: object) -> None:
        self._services.feed.emit(event, self._conversation, turn=turn.id, **fields)
