"""Several conversations of one instance in one call, when they come at the same time.

The first prompt that waits leads: its own task waits for others, makes the call and distributes the answers. There are
no tasks besides those of the turns. `daemon/responders/batched.py` decides what is asked and what is trusted.

Laws of this file:
1. A prompt waits `wait_seconds` at most, and a call takes `max_conversations` at most.
2. Whatever goes wrong with a shared call costs a prompt at most a call of its own: an answer that is missing or not
   trusted, a refusal (another customer's words may have caused it), a leader that was cancelled. Only when the provider
   itself fails, all of them fail: asking it once for each would not help.
3. A prompt that is cancelled while it waits leaves; the others do not notice.
4. The cost of a shared call is shared by all prompts in it, also by those that are asked again by themselves.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
import trio

from actors.errors import ResponderHeld, TurnFailed, TurnRefused
from actors.messages import Answer, Prompt
from actors.ports import Feed, FlagSource
from daemon.responders.batched import fits, shares
from daemon.responders.provider import Together

KEY_BYTES = 8


class TogetherResponder(Protocol):
    async def answer(self, prompt: Prompt) -> Answer: ...

    async def answer_together(self, prompts: Mapping[str, Prompt]) -> Together: ...


@dataclass(eq=False)
class _Place:
    """One prompt in a shared call. Once `settled`, it has an answer, a failure, or neither: then it asks by itself."""

    prompt: Prompt
    settled: trio.Event = field(default_factory=trio.Event)
    left: bool = False
    answer: Answer | None = None
    failure: TurnFailed | ResponderHeld | None = None
    share: tuple[int, int, int] = (0, 0, 0)
    """Its share of the call: input tokens, output tokens, cost."""


@dataclass(eq=False)
class _Group:
    """The prompts that share a call."""

    places: list[_Place] = field(default_factory=list)
    full: trio.Event = field(default_factory=trio.Event)


GroupKey = tuple[str, str | None]
"""Instance, and its system prompt: it may change while prompts wait."""


class BatchingResponder:
    """Lets prompts share a call where the instance's flag is on. Otherwise, or for a single one, makes a normal call.

    Args:
      new_key: a fresh key for one conversation, not to be guessed.
    """

    def __init__(
        self,
        responder: TogetherResponder,
        flags: FlagSource,
        feed: Feed,
        *,
        wait_seconds: float,
        max_conversations: int,
        new_key: Callable[[], str] = lambda: secrets.token_hex(KEY_BYTES),
    ) -> None:
        self._responder = responder
        self._flags = flags
        self._feed = feed
        self._wait_seconds = wait_seconds
        self._max_conversations = max_conversations
        self._new_key = new_key
        self._gathering: dict[GroupKey, _Group] = {}

    async def answer(self, prompt: Prompt) -> Answer:
        """Raises: TurnFailed, TurnRefused, ResponderHeld."""
        if not self._flags.of(prompt.instance).batching or not fits(prompt):
            return await self._responder.answer(prompt)
        place, key = _Place(prompt), (prompt.instance, prompt.system_prompt)
        group = self._gathering.get(key)
        if group is None:
            await self._lead(key, place)
        else:
            await self._join(key, group, place)
        if place.failure is not None:
            raise place.failure
        if place.answer is not None:
            return place.answer
        return _with_share(await self._responder.answer(prompt), place.share)

    async def _lead(self, key: GroupKey, place: _Place) -> None:
        group = self._gathering[key] = _Group([place])
        try:
            with trio.move_on_after(self._wait_seconds):
                await group.full.wait()
            self._close(key, group)
            places = [each for each in group.places if not each.left]
            if len(places) > 1:
                await self._ask(places)
        finally:
            self._close(key, group)
            for each in group.places:
                each.settled.set()

    async def _join(self, key: GroupKey, group: _Group, place: _Place) -> None:
        group.places.append(place)
        if len(group.places) >= self._max_conversations:
            self._close(key, group)
            group.full.set()
        try:
            await place.settled.wait()
        finally:
            place.left = True

    def _close(self, key: GroupKey, group: _Group) -> None:
        """No prompt joins `group` any more."""
        if self._gathering.get(key) is group:
            del self._gathering[key]

    async def _ask(self, places: Sequence[_Place]) -> None:
        keyed = {self._new_key(): place for place in places}
        try:
            together = await self._responder.answer_together(
                {key: place.prompt for key, place in keyed.items()}
            )
        except TurnRefused as refusal:
            self._emit(places, reason=refusal.reason)
            return
        except TurnFailed as failure:
            for place in places:  # one each: an error that is raised in several tasks mixes up their traces
                place.failure = TurnFailed(failure.reason, failure.detail, failure.retry_after_seconds)
            return
        except ResponderHeld as held:
            for place in places:
                place.failure = ResponderHeld(str(held), held.retry_after_seconds)
            return
        self._share_out(keyed, together)
        self._emit(places)

    def _share_out(self, keyed: Mapping[str, _Place], together: Together) -> None:
        among = len(keyed)
        costs = (together.input_tokens, together.output_tokens, together.cost_micros)
        each = zip(*(shares(total, among) for total in costs), strict=True)
        for (key, place), share in zip(keyed.items(), each, strict=True):
            place.share = share
            answer = together.answers.get(key)
            place.answer = None if answer is None else _with_share(answer, share)

    def _emit(self, places: Sequence[_Place], **reason: str) -> None:
        alone = sum(place.answer is None for place in places)
        self._feed.emit(
            "responder.batched",
            None,
            instance=places[0].prompt.instance,
            conversations=len(places),
            alone=alone,
            **reason,
        )


def _with_share(answer: Answer, share: tuple[int, int, int]) -> Answer:
    tokens_in, tokens_out, cost_micros = share
    return msgspec.structs.replace(
        answer,
        input_tokens=answer.input_tokens + tokens_in,
        output_tokens=answer.output_tokens + tokens_out,
        cost_micros=answer.cost_micros + cost_micros,
    )
