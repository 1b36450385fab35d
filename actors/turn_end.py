"""How a turn ends: the ledger's last step of it, and then the event that reports it."""

from __future__ import annotations

import msgspec

from actors import notices, triage
from actors.crash_points import reach
from actors.errors import Overloaded, Unavailable
from actors.identity import Conversation
from actors.inquiry import Inquiry
from actors.instance import Terms
from actors.machines import Pace
from actors.messages import Batch, Message, TurnOutcome
from actors.ports import Turn
from actors.turn_services import TurnServices

MIRROR_LOST = "mirror_lost"
"""The reason of a dead letter that the mirror had lost for too long."""

HELD_TOO_LONG = "held_too_long"
"""The reason of a dead letter that waited for a gateway or store until its time was up."""

TOO_OLD = "too_old"
"""The reason of a dead letter whose messages were old when they arrived."""


class TurnEnd:
    """Of one attempt; each method is one end, and returns its outcome."""

    def __init__(
        self, services: TurnServices, conversation: Conversation, epoch: int, terms: Terms, inquiry: Inquiry
    ) -> None:
        self._services = services
        self._ledger = services.ledger
        self._conversation = conversation
        self._epoch = epoch
        self._terms = terms
        self._inquiry = inquiry

    async def answered(self, turn: Turn, is_done: bool = False) -> TurnOutcome:
        """All of its reply has left. `is_done`: the ledger has ended it with that."""
        if not is_done:
            await self._ledger.finish(turn, self._epoch)
        reach("finished")
        # A rule: it was said by Majlis itself (escalated, a limit, a stop word).
        by = {"rule": turn.rule} if turn.rule else {}
        self._emit("turn.done", turn, parts=len(turn.parts), **by, took_ms=self._inquiry.took_ms())
        return "answered"

    async def dropped(self, turn: Turn, rule: str) -> TurnOutcome:
        """What has not left never will."""
        turn = await self._ledger.drop_rest(turn, self._epoch, rule)
        self._emit("turn.suppressed", turn, rule=rule)
        return "answered" if turn.state == "done" else "suppressed"

    async def dead(self, turn: Turn, reason: str, detail: str) -> TurnOutcome:
        await self._ledger.bury(turn, self._epoch, reason, detail)
        self._emit("turn.dead", turn, reason=reason)
        return "dead"

    async def by_rule(self, turn: Turn) -> TurnOutcome:
        """By the rule that it has from its first step."""
        if turn.rule == triage.BACKLOG:  # somebody should see that nobody answered
            detail = "when it arrived it was older than ingress.max_age_seconds"
            return await self.dead(turn, TOO_OLD, detail)
        return await self.suppressed(turn, turn.rule)

    async def suppressed(self, turn: Turn, rule: str) -> TurnOutcome:
        await self._ledger.suppress(turn, self._epoch, rule, self._inquiry.spans)
        return self.suppressed_with_its_answer(turn, rule)

    def suppressed_with_its_answer(self, turn: Turn, rule: str) -> TurnOutcome:
        """The ledger ended it when the answer was stored, or another attempt did."""
        self._emit("turn.suppressed", turn, rule=rule)
        return "suppressed"

    async def silent(self, turn: Turn, rule: str, pace: Pace) -> TurnOutcome:
        """As `suppressed`; where another machine was recognized just now, the silence begins with it."""
        if rule != triage.MACHINE or not pace.silence_seconds or turn.shadow:
            return await self.suppressed(turn, rule)
        instance, label = self._conversation.instance, self._services.label(self._conversation)
        to_send = notices.machine(instance, label, turn.id, pace, self._terms)
        await self._ledger.silence_machine(turn, self._epoch, pace, to_send, self._inquiry.spans)
        if to_send:
            self._services.nudge()
        self._emit("conversation.machine", turn, signs=list(pace.signs), seconds=round(pace.silence_seconds))
        self._emit("turn.suppressed", turn, rule=rule)
        return "suppressed"

    async def moved(self, turn: Turn, batch: Batch) -> TurnOutcome:
        """The contact's phone number is known by now: its messages join that conversation, as they came.

        Appending is deduplicated by message id, so a crash before the batch is settled only repeats it.
        """
        policy = self._services.policies.window(self._conversation.instance)
        for entry in batch.entries:
            try:
                await self._services.append(_with_phone(entry.message, turn.moved_to), policy, entry.at_ms)
            except Overloaded as error:
                raise Unavailable(str(error)) from error
        await self._ledger.suppress(turn, self._epoch, "moved")
        self._emit("turn.moved", turn, messages=len(batch.entries))
        return "moved"

    def _emit(self, event: str, turn: Turn, **fields: object) -> None:
        self._services.feed.emit(event, self._conversation, turn=turn.id, **fields)


def _with_phone(message: Message, phone: str) -> Message:
    return msgspec.structs.replace(message, contact=phone, lid=message.contact)
