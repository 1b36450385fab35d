"""Records the turns of this daemon: one recording for each that is under way, from its first attempt to its end.

Laws of this file:
1. It only observes. What fails here is counted and emitted, and never reaches a turn.
2. A turn's trace has the same id wherever and however often it is attempted: a daemon that goes on after a restart or
   with a lost lease goes on in the same trace, and every daemon makes the same choice where only a share is sampled.
3. A turn that is found at its end, as after a restart, was exported by the daemon that brought it there.
4. There are never more recordings than actors in memory: an actor that leaves ends its recording.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial

import trio

from actors.identity import Conversation
from actors.messages import Batch, TurnOutcome
from actors.ports import Attempt, NewAttempt
from daemon.observe.feed import EventFeed
from daemon.observe.tracing.recording import EVENTS, Fields, Model, Recording
from daemon.observe.tracing.spans import Trace

_WATCHED: ContextVar[Recording | None] = ContextVar("watched turn", default=None)
"""The turn in whose tasks an event is emitted: some events name a provider and no conversation."""


class Recorder:
    """
    Args:
      export: takes a finished trace; never waits.
      sample: the share of turns that are exported, 0 to 1.
      model_of: the model behind a provider's name, by instance and name.
    """

    def __init__(
        self,
        feed: EventFeed,
        export: Callable[[Trace], None],
        sample: float,
        model_of: Callable[[str, str], Model],
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._feed = feed
        self._export = export
        self._below = round(sample * 2**64)
        self._model_of = model_of
        self._wall_ns = wall_ns
        self._recordings: dict[Conversation, Recording] = {}
        for event, step in EVENTS.items():
            feed.observe(event, partial(self._saw, step))
        feed.observe("actor.left", self._left)

    @property
    def under_way(self) -> int:
        """How many turns are being recorded."""
        return len(self._recordings)

    def recorded(self, attempt: NewAttempt) -> NewAttempt:
        """The same attempts, recorded."""
        return lambda batch, epoch: RecordedAttempt(attempt(batch, epoch), batch, self)

    async def watch(self, batch: Batch, work: Callable[[], Awaitable[TurnOutcome]]) -> TurnOutcome:
        """Do `work`, an attempt at this batch, with everything in it recorded."""
        recording: Recording | None = None
        with self._contained():
            recording = self._begin(batch)
        if recording is None:
            return await work()
        before = _WATCHED.set(recording)
        try:
            outcome = await work()
        except BaseException as error:
            with self._contained():
                recording.failed(trio.current_time(), error)
            raise
        finally:
            _WATCHED.reset(before)
        self._end(batch.conversation, recording, outcome)
        return outcome

    def _begin(self, batch: Batch) -> Recording | None:
        """The batch's recording, new or gone on with; None: it is not among the sampled."""
        now, known = trio.current_time(), self._recordings.get(batch.conversation)
        if known is not None:
            if known.batch == batch.number:
                known.begin(now, batch)
                return known
            self._left(batch.conversation, {})  # its batch was ended elsewhere
        label = self._feed.label(batch.conversation)
        trace_id = hashlib.blake2b(f"{label}/{batch.number}".encode(), digest_size=16).digest()
        if int.from_bytes(trace_id[8:], "big") >= self._below:
            return None
        model_of = partial(self._model_of, batch.conversation.instance)
        recording = Recording(trace_id, batch, label, model_of, now, self._wall_ns())
        self._recordings[batch.conversation] = recording
        return recording

    def _end(self, conversation: Conversation, recording: Recording, outcome: TurnOutcome) -> None:
        with self._contained():
            self._recordings.pop(conversation, None)
            if not recording.found_ended:
                self._export(recording.close(trio.current_time(), outcome))

    def _saw(
        self, step: Callable[[Recording, float, Fields], None], _: Conversation | None, fields: Fields
    ) -> None:
        recording = _WATCHED.get()
        if recording is not None:
            step(recording, trio.current_time(), fields)

    def _left(self, conversation: Conversation | None, _: Fields) -> None:
        recording = self._recordings.pop(conversation, None) if conversation is not None else None
        if recording is not None:
            self._export(recording.close(trio.current_time(), "left"))

    @contextmanager
    def _contained(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # law 1; the class alone, for its text may quote a value
            self._feed.emit("daemon.problem", part="tracing", error=type(error).__name__)


class RecordedAttempt:
    """An attempt with everything in it recorded. Implements `actors.ports.Attempt`."""

    def __init__(self, attempt: Attempt, batch: Batch, recorder: Recorder) -> None:
        self._attempt = attempt
        self._batch = batch
        self._recorder = recorder

    async def run(self) -> TurnOutcome:
        return await self._recorder.watch(self._batch, self._attempt.run)

    def overtake(self) -> None:
        self._attempt.overtake()

    async def bury(self, reason: str, detail: str) -> TurnOutcome:
        return await self._recorder.watch(self._batch, lambda: self._attempt.bury(reason, detail))
