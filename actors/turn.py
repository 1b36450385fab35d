"""One turn: everything done for one frozen batch, from the ledger's first row to its last.

Each step is durable before the next one starts, and each is skipped when the ledger shows it done. A crash
anywhere finds the same batch again and goes on where it stopped:

    begin (T1) → lookups ∥ → responder → answer (T2) → per part: claim (T3) → send → settle (T4) → finish (T5)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from actors import reply
from actors.crash_points import reach
from actors.errors import Overloaded, TurnFailed, Unavailable
from actors.identity import is_lid
from actors.messages import Answer, Batch, Fate, HistoryEntry, Message, Prompt, WindowPolicy
from actors.outbox import Outbox
from actors.parallel import Lookup, safe_with_defaults
from actors.ports import Feed, Identities, Ledger, Lookups, Policies, Responder, Turn

Append = Callable[[Message, WindowPolicy, int], Awaitable[object]]
"""Stores a message in the mirror under its earlier arrival and tells its conversation."""

LOOKUP_SECONDS = 3.0
"""Deadline of one optional lookup; later its default is used."""


class TurnRunner:
    def __init__(
        self,
        append: Append,
        ledger: Ledger,
        lookups: Lookups,
        responder: Responder,
        outbox: Outbox,
        identities: Identities,
        policies: Policies,
        feed: Feed,
    ) -> None:
        self._append = append
        self._ledger = ledger
        self._lookups = lookups
        self._responder = responder
        self._outbox = outbox
        self._identities = identities
        self._policies = policies
        self._feed = feed

    async def run(self, batch: Batch, epoch: int) -> Fate:
        """Bring the batch to its end in the ledger; the caller commits it in the mirror.

        Raises:
          TurnFailed: this try failed.
          TurnRefused: no try can succeed.
          Unavailable: a store or the gateway is away; wait.
          StaleEpoch: somebody else owns the conversation.
        """
        await self._share_link(batch)
        turn = await self._ledger.begin(batch, epoch)
        reach("begun")
        self._feed.emit(
            "turn.started", batch.conversation, turn=turn.id, messages=len(batch.entries), tries=batch.tries
        )
        match turn.state:
            case "done":
                return "answered"
            case "suppressed" | "dead" | "moved":
                return turn.state
            case "started":
                if turn.moved_to:
                    return await self._move(turn, batch, epoch)
                rule, answer = await self._consider(turn, batch)
                if rule:
                    return await self._suppress(turn, batch, epoch, rule)
                assert answer is not None
                turn = await self._record(turn, batch, epoch, answer)
            case "answered":
                pass
        await self._outbox.deliver(turn, batch.conversation, epoch)
        await self._ledger.finish(turn, epoch)
        reach("finished")
        self._feed.emit("turn.done", batch.conversation, turn=turn.id, parts=len(turn.parts))
        return "answered"

    async def bury(self, batch: Batch, epoch: int, reason: str, detail: str) -> Fate:
        """End the batch as a dead letter, unless the ledger shows that it has ended already."""
        turn = await self._ledger.begin(batch, epoch)
        if turn.state == "done":
            return "answered"
        if turn.state in ("suppressed", "moved"):
            return turn.state
        await self._ledger.bury(turn, epoch, reason, detail)
        self._feed.emit("turn.dead", batch.conversation, turn=turn.id, reason=reason)
        return "dead"

    async def _share_link(self, batch: Batch) -> None:
        """Tell the ledger a LID's phone number that only this daemon has learned yet."""
        instance, contact = batch.conversation
        if is_lid(contact):
            phone = self._identities.phone_of(instance, contact)
            if phone is not None:
                await self._ledger.link(instance, contact, phone)

    async def _consider(self, turn: Turn, batch: Batch) -> tuple[str, Answer | None]:
        """The rule that ends the turn in silence, or the answer."""
        if turn.rule:
            return turn.rule, None
        duplicate, history = await self._look_up(turn, batch)
        if duplicate:
            return "duplicate", None
        texts = tuple(message.text for message in batch.messages)
        answer = await self._responder.answer(Prompt(batch.conversation.instance, texts, history))
        reach("responder_answered")
        return "", answer

    async def _look_up(self, turn: Turn, batch: Batch) -> tuple[bool, tuple[HistoryEntry, ...]]:
        results = await safe_with_defaults(
            {
                "duplicate": Lookup(lambda: self._lookups.is_duplicate(turn, batch), False, LOOKUP_SECONDS),
                "history": Lookup(lambda: self._lookups.history(turn, batch), (), LOOKUP_SECONDS),
            }
        )
        for name, result in results.items():
            if result.outcome != "ok":
                self._feed.emit(
                    "lookup.failed",
                    batch.conversation,
                    turn=turn.id,
                    lookup=name,
                    outcome=result.outcome,
                    error=result.error,
                    took_ms=round(result.took_ms, 1),
                )
        return results["duplicate"].value, results["history"].value

    async def _record(self, turn: Turn, batch: Batch, epoch: int, answer: Answer) -> Turn:
        parts = reply.split(answer.text)
        if not parts:
            raise TurnFailed("garbage", "the answer is empty")
        turn = await self._ledger.answer(turn, epoch, answer, parts)
        reach("answer_stored")
        self._feed.emit(
            "turn.answered", batch.conversation, turn=turn.id, provider=answer.provider, parts=len(turn.parts)
        )
        return turn

    async def _suppress(self, turn: Turn, batch: Batch, epoch: int, rule: str) -> Fate:
        await self._ledger.suppress(turn, epoch, rule)
        self._feed.emit("turn.suppressed", batch.conversation, turn=turn.id, rule=rule)
        return "suppressed"

    async def _move(self, turn: Turn, batch: Batch, epoch: int) -> Fate:
        """The contact's phone number is known by now: its messages join that conversation.

        Appending is deduplicated by message id, so a crash before the batch is settled only repeats it.
        """
        policy = self._policies.window(batch.conversation.instance)
        for entry in batch.entries:
            try:
                await self._append(_with_phone(entry.message, turn.moved_to), policy, entry.at_ms)
            except Overloaded as error:
                raise Unavailable(str(error)) from error
        await self._ledger.suppress(turn, epoch, "moved")
        self._feed.emit("turn.moved", batch.conversation, turn=turn.id, messages=len(batch.entries))
        return "moved"


def _with_phone(message: Message, phone: str) -> Message:
    return msgspec.structs.replace(message, contact=phone, lid=message.contact)
