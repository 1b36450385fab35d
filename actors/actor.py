"""One conversation's actor: performs what `actors/conversation.py` decides.

Laws of this file:
1. One actor per conversation and one turn at a time: the actor is the lock.
2. `hear`, `flush`, `nudge` and `drain` are synchronous: no checkpoint falls between finding the actor and
   changing its state.
3. `run` returns without a checkpoint after the decision to leave, so that leaving and being forgotten are one step.
4. What is awaited never holds the only copy of anything: the mirror and the ledger have it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from math import inf

import msgspec
import trio

from actors import conversation as core
from actors.backoff import backoff_seconds, hold_seconds
from actors.census import Census
from actors.counted import ActorView, Counted
from actors.crash_points import reach
from actors.errors import EarlierTurnUnfinished, Holder, StaleEpoch, TurnFailed, TurnRefused, Unavailable
from actors.identity import Conversation
from actors.messages import Batch, CloseReason, Receipt, Snapshot, TurnOutcome, Waiting, WindowPolicy
from actors.permits import TurnPermits
from actors.ports import Feed, Mirror, NewAttempt, Ownership, Policies
from actors.turn_end import HELD_TOO_LONG, MIRROR_LOST

HOLD_SPREAD = 0.1
"""How much longer than the peer wished a hold may last, by chance, as a share of it."""

ALL_IN_FLIGHT = "as many turns run as its providers take"
MUCH_AT_WORK = "waits to begin: other turns are being opened and stored"
"""Why a turn is `queued`, for people."""
GOES_FIRST = "; goes first within its instance"
HELD_OPEN = "window held open: its customer types, or the rest of an album is to come"


class TurnPolicy(msgspec.Struct, frozen=True):
    max_attempts: int = 3
    backoff_seconds: tuple[float, ...] = (1.0, 2.0, 4.0)
    max_hold_seconds: float = 21600.0


class Services(msgspec.Struct, frozen=True):
    """What every actor shares."""

    mirror: Mirror
    ownership: Ownership
    attempt: NewAttempt
    policies: Policies
    feed: Feed
    permits: TurnPermits
    policy: TurnPolicy
    draw: Callable[[], float]
    """A uniform random number in [0, 1)."""
    wall_ms: Callable[[], int]
    """Unix time, milliseconds."""
    open_turns: Callable[[Conversation], Awaitable[tuple[Batch, ...]]]
    """`Ledger.open_turns`."""
    is_sending: Callable[[Conversation], bool]
    """Whether a send of this conversation is under way: its outcome is a fact, and is waited for."""
    goes_first: Callable[[Conversation], bool] = lambda _conversation: False
    """Whether it goes before the others of its instance."""


class ConversationActor(Counted):
    def __init__(
        self, conversation: Conversation, services: Services, state: core.ConversationState, census: Census
    ) -> None:
        super().__init__(conversation, state, census)
        self.life = trio.CancelScope()
        self._services = services
        self._wake = trio.Event()
        self._sleeps_until = -inf
        self._holds = 0
        self._hold_until = -inf
        self._held_until_ms = 0
        self._parked = False
        self._held_by: Holder = ""

    # What others may do to it: synchronous, all of it.

    def hear(self, entry: Waiting, receipt: Receipt) -> bool:
        """A message of this conversation is durable in the mirror. True: there may be something to do sooner."""
        now, policy = trio.current_time(), self._policy
        self._census.clock(receipt.now_ms, now)
        self._state = core.hear(self._state, entry, receipt, now, policy)
        return self._stirs(now, policy)

    def typing(self, is_typing: bool) -> bool:
        """The customer types, or does so no more. True: there may be something to do sooner."""
        now = trio.current_time()
        self._state = core.typing(self._state, is_typing, now)
        return self._stirs(now, self._policy)

    def flush(self) -> None:
        """Answer what waits now; attempt a deferred batch again now."""
        self._change(core.ask(self._state, "flush"))

    def drain(self) -> None:
        """The daemon stops: answer what waits and leave."""
        self._change(core.ask(self._state, "drain"))

    def nudge(self, check_ledger: bool = False) -> None:
        """The mirror says something is due: believe it, unless we are at it already.

        `check_ledger`: the ledger names an unfinished turn of this conversation.
        """
        if check_ledger:
            self._change(core.doubt_ledger(self._state))
        elif self.phase in ("idle", "waiting") and not core.outlasts(self._state, trio.current_time()):
            self._change(core.doubt(self._state))

    def works_on(self, number: int) -> bool:
        """Whether the batch of this number is at work here."""
        return core.works_on(self._state, number)

    def resume(self) -> None:
        """What was away is back: do not sit out the rest of a hold, and try again what kept crashing meanwhile."""
        if self.phase not in ("holding", "parked"):
            return  # thousands may wait for their windows
        self._hold_until = -inf
        self._parked = False
        self._wake.set()

    def forget(self) -> None:
        """After a crash: trust nothing but the stores."""
        self._work_on(None)
        # What was heard meanwhile goes too: the mirror had it before we did, and the next decision is to load.
        self._state = core.doubt_ledger(msgspec.structs.replace(core.loading(self._state), unfinished=()))

    def rests_until(self) -> float | None:
        """Before `run`: until when it has nothing to do; None: it has something to do now."""
        decision = core.decide(self._state, trio.current_time(), self._policy)
        if not isinstance(decision, core.Sleep):
            return None
        self._rest(decision.until)
        return decision.until

    def cancel(self) -> None:
        """The conversation goes on elsewhere."""
        self.life.cancel()

    def view(self, now: float) -> ActorView:
        """As of `now`. Many thousands are made for one look."""
        state, batch, phase = self._known, self._batch, self._at
        holding, until = (
            phase == "holding",
            state.resume_at or (state.retry_at if state.frozen else state.deadline),
        )
        if holding:
            until = self._hold_until
        elif until is not None and phase == "waiting" and until < self._sleeps_until:
            until = self._sleeps_until  # for the rest of an album it waits longer
        left = None if until is None or phase in ("answering", "queued") else until - now
        return ActorView(
            self.conversation,
            phase,
            state.waiting,
            batch.number if batch else None,
            len(batch.entries) if batch else 0,
            batch.attempts if batch else 0,
            left if left is None or left > 0.0 else 0.0,
            self._why,
            self._held_by if holding else "",
        )

    # Its own life.

    async def park(self, why: str) -> None:
        """Stay visible and do nothing until `resume`, a flush by an operator, or the daemon stops."""
        self._enter("parked", why)
        self._parked = True
        # `frozen`: a flush is ignored where nothing waits and nothing is frozen, and it must end this.
        self._state = msgspec.structs.replace(core.loading(self._state), asked=None, frozen=True)
        while self._parked and self._state.asked is None:
            self._wake = trio.Event()
            await self._wake.wait()
        self._parked = False

    async def run(self) -> None:
        """Live until there is nothing to do. What it raises is for the supervisor."""
        self._sleeps_until = -inf
        while True:
            match core.decide(self._state, trio.current_time(), self._policy):
                case core.Load():
                    await self._do_or_hold(self._load)
                case core.AskLedger():
                    await self._do_or_hold(self._ask_ledger)
                case core.Resume(batch):
                    await self._do_or_hold(partial(self._resume, batch))
                case core.Sleep(until):
                    await self._sleep(until)
                case core.RunTurn(why):
                    await self._do_or_hold(lambda: self._answer(why))
                case core.Leave():
                    return

    @property
    def _policy(self) -> WindowPolicy:
        return self._services.policies.window(self.conversation.instance)

    def _stirs(self, now: float, policy: WindowPolicy) -> bool:
        decision = core.decide(self._state, now, policy)
        stirs = not isinstance(decision, core.Sleep) or decision.until < self._sleeps_until
        if stirs:
            self._wake.set()  # most of a burst changes nothing: waking for each would cost a burst
        return stirs

    def _change(self, state: core.ConversationState) -> None:
        self._state = state
        self._wake.set()

    def _rest(self, until: float) -> None:
        state = self._state
        if not (state.frozen or state.unfinished):
            is_held_open = state.deadline is not None and until > state.deadline
            why = HELD_OPEN if is_held_open else "window open"
            self._enter(*(("waiting", why) if state.waiting else ("idle", "")))
        self._sleeps_until = until

    async def _sleep(self, until: float) -> None:
        self._rest(until)
        self._wake = trio.Event()
        with trio.move_on_at(until):
            await self._wake.wait()
        self._sleeps_until = -inf

    async def _do_or_hold(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do it; when a store or the gateway is away, wait and come back. Waiting does not count as an attempt."""
        try:
            await work()
        except Unavailable as error:
            away = error
        else:
            self._holds = 0
            return
        if isinstance(away, EarlierTurnUnfinished):
            self._state = core.doubt_ledger(self._state)
        draw = self._services.draw()
        # Conversations that wait for the same thing do not come back in the same moment, nor later than they may wait.
        wished = (away.retry_after_seconds or 0.0) * (1 + HOLD_SPREAD * draw)
        delay = max(hold_seconds(self._holds, draw), min(wished, self._may_be_held_seconds()))
        self._holds += 1
        self._enter("holding", str(away))
        self._held_by = away.holder
        self._emit("turn.held", reason=str(away), seconds=round(delay, 1))
        await self._hold(delay)

    async def _hold(self, delay: float) -> None:
        """Wait for `delay`, or until a flush, a drain or `resume` ends the hold."""
        asked = self._state.asked
        if asked == "drain":
            # What we hold is in the mirror; a stopping daemon does not wait for it. An empty state means to leave.
            self._state = core.emptied(self._state)
            return
        self._hold_until = trio.current_time() + delay
        while trio.current_time() < self._hold_until and self._state.asked == asked:
            self._wake = trio.Event()
            with trio.move_on_at(self._hold_until):
                await self._wake.wait()
        self._held_until_ms = self._services.wall_ms()

    async def _load(self) -> None:
        self._state = core.loading(self._state)
        snapshot = await self._services.mirror.load(self.conversation)
        self._take(snapshot)

    def _take(self, snapshot: Snapshot) -> None:
        self._census.clock(snapshot.now_ms, trio.current_time())
        self._state = core.loaded(self._state, snapshot, trio.current_time(), self._policy)

    async def _ask_ledger(self) -> None:
        self._state = core.named(self._state, await self._services.open_turns(self.conversation))

    async def _resume(self, batch: Batch) -> None:
        """Bring a turn to its end that the mirror does not hold: nothing of it is written there."""
        async with self._permitted(first=True):
            self._enter("answering", "resumes an unfinished turn")
            epoch = self._services.ownership.epoch(self.conversation)
            if self._batch is None or self._batch.number != batch.number:
                self._emit("turn.resumed", batch=batch.number, messages=len(batch.entries))
            self._work_on(batch)
            if self._held_too_long(batch):
                await self._bury(batch, epoch, MIRROR_LOST, "the mirror lost it before it had ended")
            else:
                await self._run_turn(batch, epoch)

    async def _answer(self, why: CloseReason) -> None:
        # Only a window whose end an actor waited for can be late: one that ended during a turn or a stop is not.
        awaited = self.phase == "waiting"
        # What is frozen has waited before.
        async with self._permitted(first=self._state.frozen or self._services.goes_first(self.conversation)):
            if not isinstance(core.decide(self._state, trio.current_time(), self._policy), core.RunTurn):
                return  # while it was queued something came that is to be seen to first
            self._enter("answering", "turn running")
            epoch = self._services.ownership.epoch(self.conversation)
            batch = await self._services.mirror.freeze(self.conversation, epoch, why, self._policy)
            reach("frozen")
            if batch is None:  # the mirror holds nothing of what we believed to wait
                self._state = core.doubt(self._state)
                return
            extra = core.extra_seconds(self._state, self._policy)
            batch = core.measured(batch, self._policy, self._held_until_ms, extra)
            if self._batch is None or self._batch.number != batch.number:
                self._emit("window.closed", **core.closing(batch, self._state, self._policy, awaited))
            self._work_on(batch)
            self._state = core.froze(self._state, batch)
            await self._run_turn(batch, epoch)

    @asynccontextmanager
    async def _permitted(self, first: bool) -> AsyncIterator[None]:
        """Wait until a turn may begin. What comes meanwhile joins: nothing is frozen yet."""
        permits, instance, goes_first = (
            self._services.permits,
            self.conversation.instance,
            GOES_FIRST if first else "",
        )
        self._enter("queued", ALL_IN_FLIGHT + goes_first)
        async with permits.in_flight.hold(instance, first):
            self._why = MUCH_AT_WORK + goes_first
            async with permits.at_work(instance, first):
                yield

    async def _run_turn(self, batch: Batch, epoch: int) -> None:
        try:
            outcome = await self._services.attempt(batch, epoch).run()
        except (TurnFailed, TurnRefused, Unavailable) as error:
            failure: Exception = error
        except StaleEpoch:
            raise
        except Exception as error:
            # A bug, or data that the code was not written for: it counts as an attempt, so that the turn ends as a dead
            # letter that shows it, and does not crash the actor for ever.
            self._emit("turn.crashed", error=type(error).__name__, exc_info=error)
            failure = TurnFailed("internal_error", type(error).__name__)
        else:
            await self._commit(batch, epoch, outcome)
            return
        if isinstance(failure, TurnRefused):
            await self._bury(batch, epoch, failure.reason, failure.detail)
        elif isinstance(failure, TurnFailed):
            await self._fail(batch, epoch, failure)
        elif self._held_too_long(batch):
            await self._bury(batch, epoch, HELD_TOO_LONG, str(failure))
        else:
            raise failure

    async def _fail(self, batch: Batch, epoch: int, failure: TurnFailed) -> None:
        """One more attempt after a backoff, or a dead letter when they are used up."""
        services, attempts = self._services, batch.attempts + 1
        if attempts >= services.policy.max_attempts:
            await self._bury(batch, epoch, failure.reason, failure.detail)
            return
        schedule, draw = services.policy.backoff_seconds, services.draw()
        delay = backoff_seconds(batch.attempts, schedule, draw, failure.retry_after_seconds)
        if self._state.unfinished:
            self._state = core.resumes_later(self._state, trio.current_time() + delay)
        else:
            await services.mirror.defer(self.conversation, epoch, batch.number, delay, counts=True)
            self._state = core.deferred(self._state, trio.current_time() + delay)
        self._enter("retrying", f"attempt {attempts} failed: {failure.reason}")
        self._emit("turn.failed", reason=failure.reason, tries=attempts, next_try_seconds=round(delay, 2))

    def _held_too_long(self, batch: Batch) -> bool:
        """A reply that could not leave for hours is a dead letter, not a surprise for the customer."""
        return self._held_seconds(batch) > self._services.policy.max_hold_seconds

    def _may_be_held_seconds(self) -> float:
        """What is left of the time that a batch may wait."""
        held_seconds = self._held_seconds(self._batch) if self._batch else 0.0
        return max(0.0, self._services.policy.max_hold_seconds - held_seconds)

    def _held_seconds(self, batch: Batch) -> float:
        return (self._services.wall_ms() - batch.frozen_at_ms) / 1000

    async def _bury(self, batch: Batch, epoch: int, reason: str, detail: str) -> None:
        outcome = await self._services.attempt(batch, epoch).bury(reason, detail)
        await self._commit(batch, epoch, outcome)

    async def _commit(self, batch: Batch, epoch: int, outcome: TurnOutcome) -> None:
        if self._state.unfinished:  # one of these was run, and the ledger alone has it
            self._work_on(None)
            self._state = core.resumed(self._state)
            return
        # If the answer is lost, the mirror may be ahead of us: then it is asked before anything is frozen.
        self._state = core.doubt(self._state)
        snapshot = await self._services.mirror.commit(self.conversation, epoch, batch, outcome)
        reach("committed")
        self._work_on(None)
        self._take(snapshot)

    def _emit(self, event: str, **fields: object) -> None:
        self._services.feed.emit(event, self.conversation, **fields)
