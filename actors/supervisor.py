"""Keeps one actor per active conversation, restarts what crashes, parks what keeps crashing.

Laws of this file:
1. A failure stays in its conversation: nothing that an actor raises reaches the nursery.
2. An actor is in the registry until its task ends; finding it and handing it something is one synchronous step, and so
   are its last decision to leave and its removal.
3. A crashed actor comes back from the mirror after a backoff; more than `MAX_RESTARTS` in
   `RESTART_WINDOW_SECONDS` parks it: visible, and the daemon stays up. It tries again, with its restarts unspent,
   when an operator flushes it, or a store is back: what a store said while it was ill is no proof against the work.
4. Nothing here is the only copy: what is dropped when a lease is lost or the daemon drains is in the mirror.
5. The task of an actor begins when there is something to do. One that only waits for its first window has none: its
   alarm stands for it, and whatever is handed to it is looked at in the same step. Each actor has an alarm or a task.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Literal

import trio

from actors import conversation as core
from actors.actor import ConversationActor, Services
from actors.alarms import Alarms
from actors.census import Census
from actors.counted import ActorView
from actors.errors import StaleEpoch
from actors.identity import Conversation
from actors.messages import Message, Receipt, Snapshot, Waiting

MAX_RESTARTS = 5
RESTART_WINDOW_SECONDS = 30.0
RESTART_BACKOFF_SECONDS = (0.1, 0.5, 1.0, 2.0, 4.0)
STALE_SECONDS = 1.0


class Supervisor:
    """Runs in one nursery for the life of the daemon: `await nursery.start(supervisor.run)`."""

    def __init__(self, services: Services, owns: Callable[[Conversation], bool]) -> None:
        self._services = services
        self._owns = owns
        self._actors: dict[Conversation, ConversationActor] = {}
        self._alarms = Alarms()
        self._census = Census()
        self._nursery: trio.Nursery | None = None
        self._draining = False
        self._empty = trio.Event()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Hold the actors' nursery until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._alarms.run, self._ring, name="alarms")
            task_status.started()
            await trio.sleep_forever()

    def deliver(self, message: Message, receipt: Receipt) -> None:
        """Record a durable message and hand it to its conversation, starting the actor if needed.

        Synchronous on purpose: no checkpoint may fall between finding the actor and filling its buffer.
        A message of a partition that is not ours stays in the mirror; its owner polls.
        """
        conversation = message.conversation
        event = "message.duplicate" if receipt.duplicate else "message.accepted"
        self._services.feed.emit(event, conversation)
        if message.media_inline_dropped and not receipt.duplicate:
            self._services.feed.emit("message.media_dropped", conversation)
        if message.aside and not receipt.duplicate:
            self._services.feed.emit("message.aside", conversation, reason=message.aside)
        if receipt.duplicate or not self._owns(conversation):
            return
        actor, entry = self._actors.get(conversation), Waiting(receipt.seq, receipt.at_ms, message)
        if actor is None:
            if self._draining:
                return
            now = trio.current_time()
            alone = receipt.waiting == 1 and not receipt.frozen
            actor = self._make(conversation, core.fresh(now) if alone else core.unknown(now))
            actor.hear(entry, receipt)
            self._see_to(actor)
        elif actor.hear(entry, receipt):
            self._stirred(actor)

    def typing(self, conversation: Conversation, is_typing: bool) -> None:
        """The gateway says that a customer types, or does so no more: a window that is open may last longer.

        Where nothing of the conversation is active, or it is another daemon's, this is nothing.
        """
        actor = self._actors.get(conversation)
        if actor is not None and actor.typing(is_typing):
            self._stirred(actor)

    def nudge(self, conversation: Conversation, check_ledger: bool = False) -> bool:
        """The mirror says that something of this conversation is due. True: it had no actor, and has one now.

        `check_ledger`: the ledger names an unfinished turn of it.
        """
        actor = self._actors.get(conversation)
        if actor is not None:
            actor.nudge(check_ledger)
            self._stirred(actor)
        elif not self._draining and self._owns(conversation):
            state = core.unknown(trio.current_time())
            self._start(conversation, core.doubt_ledger(state) if check_ledger else state)
            return True
        return False

    def works_on(self, conversation: Conversation, number: int) -> bool:
        """Whether an actor has the batch of this number: frozen, or resumed."""
        actor = self._actors.get(conversation)
        return actor is not None and actor.works_on(number)

    def recover(self, snapshots: Iterable[Snapshot], unread: Iterable[Conversation] = ()) -> int:
        """Start the actors of conversations with anything pending; returns how many.

        Of those in `unread` only the name is known: their actors ask the mirror themselves. What was held goes on: it
        may have been held because its partition was not ours to act for.
        """
        count = 0
        for conversation in unread:
            if conversation not in self._actors:
                self._start(conversation, core.unknown(trio.current_time()))
                count += 1
        for snapshot in snapshots:
            if snapshot.conversation not in self._actors:
                now = trio.current_time()
                policy = self._services.policies.window(snapshot.conversation.instance)
                self._start(snapshot.conversation, core.loaded(core.fresh(now), snapshot, now, policy))
                count += 1
        self.resume_held()
        return count

    def flush(self, conversation: Conversation) -> bool:
        """Answer what waits now; wakes a parked conversation as well. False when nothing of it is active here."""
        actor = self._actors.get(conversation)
        if actor is None:
            return False
        actor.flush()
        self._stirred(actor)
        return True

    def hurry(self, conversation: Conversation) -> str:
        """Wake an actor that is parked or held; returns how it rested, empty if it did not. A pause is not ended so."""
        actor = self._actors.get(conversation)
        view = self.view(conversation)
        if (
            actor is None
            or view is None
            or view.phase not in ("parked", "holding")
            or view.held_by == "pause"
        ):
            return ""
        actor.flush()
        return view.phase

    def drop_lost(self) -> None:
        """Leases were lost: their conversations go on elsewhere.

        A send that is under way ends first, within its own time limit: what became of it is a fact that the new owner
        needs. Nothing more follows it, for every further step is refused to us.
        """
        for conversation, actor in tuple(self._actors.items()):
            if not self._owns(conversation) and not self._services.is_sending(conversation):
                if conversation in self._alarms:
                    self._forget(actor)
                else:
                    actor.cancel()

    def resume_held(self) -> None:
        """A store is back, or a pause is over: no actor waits for the rest of its hold, and none stays parked."""
        for actor in self._actors.values():
            actor.resume()

    async def drain(self) -> None:
        """Answer what waits, start nothing new, and return when every actor has left. Bound it from outside."""
        self._draining = True
        for actor in self._actors.values():
            actor.drain()
            self._stirred(actor)
        if self._actors:
            await self._empty.wait()

    def stop(self) -> tuple[Conversation, ...]:
        """Cancel whatever still runs; returns the conversations that were left to the mirror."""
        left = tuple(self._actors)
        self._draining = True
        for conversation in left:
            if conversation in self._alarms:
                self._forget(self._actors[conversation])
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()
        return left

    def views(self) -> list[ActorView]:
        now = trio.current_time()
        return [actor.view(now) for actor in self._actors.values()]

    def view(self, conversation: Conversation) -> ActorView | None:
        actor = self._actors.get(conversation)
        return None if actor is None else actor.view(trio.current_time())

    def phases(self) -> Counter[str]:
        """How many actors are in each phase."""
        return self._census.phases()

    def open_windows(self) -> int:
        """Conversations in which messages wait to be answered, whatever else goes on there."""
        return self._census.open_windows

    def waiting_messages(self) -> int:
        """Messages that wait, or are being answered."""
        return self._census.messages

    def oldest_seconds(self) -> float | None:
        """Age of the oldest of them; None: there is none."""
        return self._census.oldest_seconds(trio.current_time())

    def _start(self, conversation: Conversation, state: core.ConversationState) -> None:
        self._see_to(self._make(conversation, state))

    def _make(self, conversation: Conversation, state: core.ConversationState) -> ConversationActor:
        """`_see_to` it in the same step."""
        if self._nursery is None:
            raise RuntimeError("the supervisor is not running")
        actor = ConversationActor(conversation, self._services, state, self._census)
        self._actors[conversation] = actor
        self._services.feed.emit("actor.started", conversation)
        return actor

    def _see_to(self, actor: ConversationActor) -> None:
        """Of an actor without a task: begin it, or set its alarm."""
        try:
            until = actor.rests_until()
        except Exception:
            until = None  # its task meets it too, and there it stays in its conversation
        if until is None:
            self._begin(actor)
        else:
            self._alarms.set(actor.conversation, until)

    def _stirred(self, actor: ConversationActor) -> None:
        """It was told something; its task looks by itself."""
        if actor.conversation in self._alarms:
            self._see_to(actor)

    def _ring(self, conversation: Conversation) -> None:
        self._see_to(self._actors[conversation])

    def _begin(self, actor: ConversationActor) -> None:
        assert self._nursery is not None
        self._alarms.drop(actor.conversation)
        self._nursery.start_soon(self._supervise, actor, name=f"conversation/{actor.conversation.key}")

    def _forget(self, actor: ConversationActor) -> None:
        self._alarms.drop(actor.conversation)
        del self._actors[actor.conversation]
        actor.leave()
        if self._draining and not self._actors:
            self._empty.set()
        self._services.feed.emit("actor.left", actor.conversation)

    async def _supervise(self, actor: ConversationActor) -> None:
        """One actor's life from its first work on, restarts included."""
        crashes: deque[float] = deque()
        try:
            with actor.life:
                # A draining daemon restarts nothing: what the actor had is in the mirror.
                while (end := await self._live(actor)) != "left" and not self._draining:
                    if end == "crashed":
                        await self._wait_out(actor, crashes)
                    elif self._owns(actor.conversation):
                        await trio.sleep(STALE_SECONDS)  # until the partition is fenced under our epoch
                    else:
                        break
                    actor.forget()
        finally:
            # No checkpoint between the actor's decision to leave and this line: a message that comes now finds either
            # the living actor or none, and starts another.
            self._forget(actor)

    async def _live(self, actor: ConversationActor) -> Literal["left", "stale", "crashed"]:
        """Run the actor; returns how it ended."""
        end: Literal["left", "stale", "crashed"] = "left"
        try:
            await actor.run()
        except* StaleEpoch:
            end = "stale"
            self._services.feed.emit("actor.stale", actor.conversation)
        except* Exception as group:
            end = "crashed"
            kinds = sorted({type(error).__name__ for error in _leaves(group)})
            self._services.feed.emit("actor.crashed", actor.conversation, errors=kinds, exc_info=group)
        return end

    async def _wait_out(self, actor: ConversationActor, crashes: deque[float]) -> None:
        """Wait after a crash; after too many of them, until a store is back or an operator resumes it."""
        now = trio.current_time()
        crashes.append(now)
        while crashes[0] < now - RESTART_WINDOW_SECONDS:
            crashes.popleft()
        if len(crashes) > MAX_RESTARTS:
            self._services.feed.emit("actor.parked", actor.conversation, crashes=len(crashes))
            crashes.clear()
            await actor.park(f"crashed more than {MAX_RESTARTS} times in {RESTART_WINDOW_SECONDS:.0f} s")
        else:
            await trio.sleep(RESTART_BACKOFF_SECONDS[len(crashes) - 1])
        self._services.feed.emit("actor.restarted", actor.conversation, crashes=len(crashes))


def _leaves(group: BaseExceptionGroup[Exception]) -> Iterable[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
