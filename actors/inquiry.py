"""What is known before a turn is decided: the instance's row and the turn's, then the lookups, side by side.

opening   settings ∥ conversation (T1): all or fail, the turn cannot do without them
lookups   whatever else helps: safe with defaults, and only for a turn that is to be answered
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec
import trio

from actors import modes, triage
from actors.amendments import amended
from actors.bought import Bought
from actors.crash_points import reach
from actors.errors import LedgerUnavailable, ResponderHeld, TurnFailed, TurnRefused
from actors.instance import FeatureFlags, Terms
from actors.lookups import RESPONDER, Facts, FailedCall, Lookup, LookupOutcome, Span, facts
from actors.messages import Answer, Asked, Batch, Prompt, Spent, spent_in_all
from actors.parallel import LookupRun, LookupTimedOut, Stage, all_or_fail, safe_with_defaults, staged
from actors.permits import aside
from actors.ports import Feed, Ledger, Lookups, Question, Reply, Responder, Turn

OPENING_SECONDS = 30.0
"""Deadline of what a turn cannot do without. The ledger's own bounds are tighter; this is the last resort."""

NOT_TO_BE_GUESSED = frozenset({"takeover", "usage"})
"""Lookups without which nothing is said: a guess would speak over a person, or past a limit. The ledger is asked again
in a moment, and the attempt does not count; without the ledger the turn could not go on in any case."""


class Findings(msgspec.Struct, frozen=True):
    question: Question
    facts: Facts


class Inquiry:
    """Runs the lookups of one attempt, and keeps its trace."""

    def __init__(
        self,
        ledger: Ledger,
        lookups: Lookups,
        feed: Feed,
        came: Batch,
        epoch: int,
        flags: FeatureFlags,
        terms: Terms,
        wall_ms: Callable[[], int],
    ) -> None:
        """`came`: the batch as the mirror has it, edits and deletions not applied."""
        self._ledger = ledger
        self._lookups = lookups
        self._feed = feed
        self._came = came
        self._batch = modes.as_heard(amended(came))
        self._epoch = epoch
        self._flags = flags
        self._terms = terms
        self._wall_ms = wall_ms
        self._now_ms = 0
        self._started_at = trio.current_time()
        self._answering_ms = 0.0
        self.spans: tuple[Span, ...] = ()
        self.paid = Spent()
        """For all that was asked."""
        self._calls: tuple[Asked, ...] = ()
        self.is_guess = False
        """What was paid is known by guessing alone."""
        self._is_overtaken = False
        self._call: trio.CancelScope | None = None
        """The call under way."""
        self._cost_so_far: Callable[[], Asked | None] = lambda: None
        self._asks: Question | None = None
        """Made once: what the response cache reads of its texts is kept with it."""
        self._prompt: Prompt | None = None

    async def run(self) -> Findings:
        """Raises what `Ledger.begin` and `Lookups.instance` raise."""
        self._now_ms = self._wall_ms()
        stages = (
            Stage("opening", self._opening, all_or_fail),
            Stage("lookups", self._about, safe_with_defaults),
        )
        try:
            run = await staged(stages, self._log, parallel=self._flags.parallel)
        except LookupTimedOut as error:
            raise LedgerUnavailable(f"{error} timed out") from None
        for span in run.failures:
            if span.name in NOT_TO_BE_GUESSED:
                raise LedgerUnavailable(f"{span.name} {span.outcome}")
        found = Findings(self._question(run.values), facts(run.values))
        if lifted := found.facts.takeover.lifted:
            self._feed.emit("conversation.take_over_lifted", self._batch.conversation, by=lifted)
        return found

    def overtake(self) -> None:
        """The customer has said more: what is asked of the responder is given up, if it may be."""
        self._is_overtaken = True
        if self._call is not None and self._given_up() is not None:
            self._call.cancel()

    async def ask(self, responder: Responder, bought: Bought, turn: Turn, prompt: Prompt) -> Answer | None:
        """Ask the responder; each provider that was asked becomes a span. Raises what `Responder.answer` raises.

        None: it was overtaken before the call, in it, or before this returns. What it returns stands; so does an answer
        that an earlier attempt has paid for.
        """
        started_at = trio.current_time()
        self._prompt = prompt
        self._cost_so_far = partial(responder.given_up, prompt, started_at)
        answer = bought.find(turn.id, prompt, started_at)
        is_kept = answer is not None
        if answer is None:
            if self._given_up() is not None:
                return None
            try:
                async with aside():
                    answer = await self._call_responder(responder, prompt)
                if answer is None:
                    return None
                answer = bought.with_earlier(turn.id, answer)
                answer = msgspec.structs.replace(answer, scope=self._terms.cache_scope)
            except (TurnFailed, TurnRefused, ResponderHeld) as failure:
                self._note_asked(failure.asked, failure.spent)
                raise
        took_seconds = trio.current_time() - started_at
        self._answering_ms = took_seconds * 1000
        paid = Spent(answer.input_tokens, answer.output_tokens, answer.cost_micros)
        self._note_asked(
            answer.asked or (Asked(answer.provider, started_at, took_seconds, spent=paid),), paid
        )
        if not is_kept and self._given_up() is not None:
            return None
        return msgspec.structs.replace(answer, asked=())

    async def _call_responder(self, responder: Responder, prompt: Prompt) -> Answer | None:
        """None: it was given up, which no other step of a turn ever is. What that costs, nobody tells."""
        answer = None
        try:
            with trio.CancelScope() as self._call:
                answer = await responder.answer(prompt)
        finally:
            self._call = None
        if answer is None and (asked := self._given_up()) is not None:
            self.is_guess = asked.spent != Spent()
            self._note_asked((asked,), asked.spent)
        return answer

    async def store(self, turn: Turn, reply: Reply, bought: Bought, claim: str, heed_takeover: bool) -> Turn:
        """T2. An answer that was paid for and cannot be stored now is kept for the next attempt."""
        try:
            stored = await self._ledger.answer(turn, self._epoch, reply, claim, heed_takeover)
        except LedgerUnavailable:
            if self._prompt is not None:
                bought.keep(turn.id, self._prompt, reply.answer, trio.current_time())
            raise
        bought.forget(turn.id)
        return stored

    def _given_up(self) -> Asked | None:
        """What was asked and is to be given up; None: nothing is."""
        return self._cost_so_far() if self._is_overtaken else None

    def _note_asked(self, asked: tuple[Asked, ...], paid: Spent) -> None:
        self.paid += paid
        self._calls = (*self._calls, *asked)
        self.spans = (*self.spans, *map(self._asked, asked))

    def failed_calls(self, reason: str) -> tuple[FailedCall, ...]:
        """The providers that this attempt asked; it failed for `reason`, also where one of them answered."""
        now, now_ms = trio.current_time(), self._wall_ms()
        return tuple(
            FailedCall(
                provider=call.provider,
                reason=call.failure or reason,
                attempt=self._batch.attempts + 1,
                at_ms=now_ms - round((now - call.started_at) * 1000),
                took_ms=round(call.took_seconds * 1000, 1),
                spent=call.spent,
            )
            for call in self._calls
        )

    @property
    def token(self) -> str:
        """Names this attempt among those of its turn."""
        return f"{self._batch.attempts}-{self._now_ms}"

    def took_ms(self) -> float:
        """How long this attempt has gone on."""
        return round((trio.current_time() - self._started_at) * 1000, 1)

    def spent(self, answer: Answer) -> dict[str, object]:
        """What the event of an answer says: who gave it, in what time, at what price."""
        in_vain = spent_in_all(call for call in self._calls if call.failure)
        said: dict[str, object] = {
            "provider": answer.provider,
            "took_ms": round(self._answering_ms, 1),
            "input_tokens": answer.input_tokens,
            "output_tokens": answer.output_tokens,
            "cost_micros": answer.cost_micros,
        }
        if in_vain != Spent():
            said["in_vain"] = msgspec.structs.asdict(in_vain)
        if answer.cut:
            said["cut"] = answer.cut
        return said

    def _opening(self, _found: Mapping[str, Any]) -> Mapping[str, Lookup]:
        instance = self._batch.conversation.instance
        return {
            "settings": Lookup(
                partial(self._lookups.instance, instance),
                deadline_seconds=OPENING_SECONDS,
                known=self._lookups.known_instance(instance),
            ),
            "conversation": Lookup(self._begin, deadline_seconds=OPENING_SECONDS),
        }

    def _about(self, found: Mapping[str, Any]) -> Mapping[str, Lookup]:
        turn: Turn = found["conversation"]
        ended = turn.state != "started" or turn.moved_to or turn.rule
        return {} if ended else self._lookups.about(self._question(found))

    async def _begin(self) -> Turn:
        turn = await self._ledger.begin(self._batch, self._epoch)
        reach("begun")
        if turn.repeated:
            # An edit of what is left out was not heard by the turn that answered it: it is a message.
            self._batch = modes.as_heard(amended(self._came.without(turn.repeated)), turn.shadow)
        turn = triage.ruled(turn, self._batch, self._terms)
        messages, attempts = len(self._batch.entries), self._batch.attempts
        self._feed.emit(
            "turn.started", self._batch.conversation, turn=turn.id, messages=messages, tries=attempts
        )
        return turn

    def _asked(self, asked: Asked) -> Span:
        failed: LookupOutcome = "timed_out" if asked.failure == "timed_out" else "failed"
        return Span(
            asked.provider,
            RESPONDER,
            (asked.started_at - self._started_at) * 1000,
            asked.took_seconds * 1000,
            failed if asked.failure else "ok",
            asked.failure if failed == "failed" else "",
            msgspec.UNSET if asked.spent == Spent() else asked.spent,
        )

    def _question(self, found: Mapping[str, Any]) -> Question:
        turn: Turn = found["conversation"]
        if self._asks is None:
            # An answer is about what asks for one.
            asked, settings = self._batch.asked, found["settings"]
            self._asks = Question(turn, asked, settings, self._flags, self._terms, self._now_ms)
        return self._asks

    def _log(self, run: LookupRun) -> None:
        """One line for the whole run, and a warning for each lookup whose default has to do."""
        self.spans = run.spans
        conversation = self._batch.conversation
        for span in run.failures:
            self._feed.emit(
                "lookup.failed",
                conversation,
                lookup=span.name,
                outcome=span.outcome,
                error=span.error,
                took_ms=round(span.took_ms, 1),
            )
        self._feed.emit(
            "turn.lookups",
            conversation,
            batch=self._batch.number,
            count=len(run.spans),
            total_ms=round(run.total_ms, 1),
            failures=[span.name for span in run.failures],
            parallel=self._flags.parallel,
            waterfall={span.name: _line(span) for span in run.spans},
        )


def _line(span: Span) -> list[float | str]:
    return [round(span.started_ms, 1), round(span.took_ms, 1), span.outcome]
