"""What an actor is at and holds, counted in the census as it changes. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from actors.census import Census
from actors.conversation import ConversationState, emptied
from actors.errors import Holder
from actors.identity import Conversation
from actors.messages import Batch, Waiting

Phase = Literal["waiting", "queued", "answering", "retrying", "holding", "idle", "parked"]


class ActorView(msgspec.Struct, frozen=True, gc=False):
    """What an operator sees of one actor. `why` is for people; `held_by` says what one that is `holding` waits for."""

    conversation: Conversation
    phase: Phase
    waiting: tuple[Waiting, ...]
    batch_number: int | None
    batch_messages: int
    attempts: int
    seconds_left: float | None
    """Until the window closes, or until the next attempt."""
    why: str
    held_by: Holder = ""


class Counted:
    """The base of an actor. Its state is set as a whole, its batch by `_work_on`, its phase by `_enter`."""

    def __init__(self, conversation: Conversation, state: ConversationState, census: Census) -> None:
        self.conversation = conversation
        self._census = census
        self._at: Phase = "idle"
        self._why = ""
        self._known = emptied(state)
        self._batch: Batch | None = None
        census.came(self._at)
        self._state = state

    def leave(self) -> None:
        """It is not counted any more."""
        self._work_on(None)
        self._state = emptied(self._state)
        self._census.left(self._at)

    @property
    def phase(self) -> Phase:
        return self._at

    def _enter(self, phase: Phase, why: str) -> None:
        if phase != self._at:
            self._census.left(self._at)
            self._census.came(phase)
            self._at = phase
        self._why = why

    @property
    def _state(self) -> ConversationState:
        return self._known

    @_state.setter
    def _state(self, state: ConversationState) -> None:
        before, self._known = self._known.waiting, state
        self._census.messages += len(state.waiting) - len(before)
        self._census.open_windows += bool(state.waiting) - bool(before)
        self._note_oldest()

    def _work_on(self, batch: Batch | None) -> None:
        self._census.messages += _size(batch) - _size(self._batch)
        self._batch = batch
        self._note_oldest()

    def _note_oldest(self) -> None:
        state, batch = self._known, self._batch
        times = [entries[0].at_ms for entries in (batch.entries if batch else (), state.waiting) if entries]
        if batch is None and state.frozen and state.batch_number is not None:
            times.append(state.batch_number)  # not read yet: its number is the time when it was frozen
        if times or not (state.stale or state.frozen or state.unfinished):  # else what was known last stands
            self._census.note_oldest(self.conversation, min(times, default=None))


def _size(batch: Batch | None) -> int:
    return len(batch.entries) if batch else 0
