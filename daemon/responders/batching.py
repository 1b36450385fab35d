"""Several conversations of one instance in one call, when they come at the same time.

The first prompt that waits leads: its own task waits for others, makes the call and distributes the answers. There are
no tasks besides those of the turns. `daemon/responders/batched.py` decides what is asked and what is trusted.

Laws of this file:
1. A prompt waits `wait_seconds` at most, and a call takes `max_conversations` at most.
2. Whatever goes wrong with a shared call costs a prompt at most a call of its own: an answer that is missing or not
   trusted, a refusal or another verdict on the request (all of it together was too long, or another customer's words
   caused it), a leader that was cancelled. Only when the provider itself fails, all of them fail: asking it once for
   each would not help.
3. A prompt that is cancelled while it waits leaves; the others do not notice.
4. The cost of a shared call is shared by all prompts in it, to the last token: also by those that are asked again by
   themselves, and also when it failed.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import msgspec
import trio

from actors.errors import ResponderHeld, TurnFailed, TurnRefused
from actors.messages import Answer, Asked, Prompt, Spent, spent_in_all
from actors.ports import Feed, FlagSource
from daemon.responders.batched import fits, shares
from daemon.responders.breaker import VERDICTS
from daemon.responders.provider import Together

KEY_BYTES = 8
NOT_TRUSTED = "not_trusted"
"""How a shared call failed one conversation: its answer was missing, or was not what it should be."""


class TogetherResponder(Protocol):
    async def answer(self, prompt: Prompt) -> Answer: ...

    def given_up(self, prompt: Prompt, started_at: float) -> Asked | None: ...

    async def answer_together(self, prompts: Mapping[str, Prompt]) -> Together: ...


class _Share(NamedTuple):
    """One prompt's part in a shared call."""

    spent: Spent = Spent()
    asked: tuple[Asked, ...] = ()
    """Who was asked, each with what this prompt bears of it."""


@dataclass(eq=False)
class _Place:
    """One prompt in a shared call. Once `settled`, it has an answer, a failure, or neither: then it asks by itself."""

    prompt: Prompt
    settled: trio.Event = field(default_factory=trio.Event)
    left: bool = False
    answer: Answer | None = None
    failure: TurnFailed | ResponderHeld | None = None
    share: _Share = field(default_factory=_Share)


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
        if not self._may_share(prompt):
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
        return await self._alone(place)

    def given_up(self, prompt: Prompt, started_at: float) -> Asked | None:
        """None where others may wait for the same call: they would pay for it."""
        return None if self._may_share(prompt) else self._responder.given_up(prompt, started_at)

    def _may_share(self, prompt: Prompt) -> bool:
        return self._flags.of(prompt.instance).batching and fits(prompt)

    async def _alone(self, place: _Place) -> Answer:
        spent, asked = place.share
        before = tuple(msgspec.structs.replace(one, failure=one.failure or NOT_TRUSTED) for one in asked)
        try:
            answer = await self._responder.answer(place.prompt)
        except TurnFailed as failure:
            wish, asked = failure.retry_after_seconds, (*before, *failure.asked)
            raise TurnFailed(failure.reason, failure.detail, wish, spent + failure.spent, asked) from None
        except TurnRefused as refusal:
            asked = (*before, *refusal.asked)
            raise TurnRefused(refusal.reason, refusal.detail, spent + refusal.spent, asked) from None
        except ResponderHeld as held:
            wish, asked = held.retry_after_seconds, (*before, *held.asked)
            raise ResponderHeld(held.reason, wish, spent + held.spent, asked) from None
        return _with_share(answer, _Share(spent, before + answer.asked))

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
        except (TurnFailed, TurnRefused) as failure:
            for place, share in zip(places, _divided(failure.spent, failure.asked, len(places)), strict=True):
                place.share = share
            if isinstance(failure, TurnRefused) or any(one.failure in VERDICTS for one in failure.asked):
                self._emit(places, reason=failure.reason)
                return
            for place in places:  # one each: an error that is raised in several tasks mixes up their traces
                wish, (spent, asked) = failure.retry_after_seconds, place.share
                place.failure = TurnFailed(failure.reason, failure.detail, wish, spent, asked)
            return
        except ResponderHeld as held:
            for place, (spent, asked) in zip(
                places, _divided(held.spent, held.asked, len(places)), strict=True
            ):
                place.failure = ResponderHeld(held.reason, held.retry_after_seconds, spent, asked)
            return
        self._share_out(keyed, together)
        self._emit(places)

    def _share_out(self, keyed: Mapping[str, _Place], together: Together) -> None:
        whole = Spent(together.input_tokens, together.output_tokens, together.cost_micros)
        each = _divided(whole, together.asked, len(keyed))
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


def _divided(whole: Spent, asked: Sequence[Asked], among: int) -> list[_Share]:
    """What each bears: of the whole, or of each that was asked, where that is known."""
    if not asked:
        return [_Share(part) for part in _split(whole, among)]
    columns = [
        [msgspec.structs.replace(one, spent=part) for part in _split(one.spent, among)] for one in asked
    ]
    return [_Share(spent_in_all(row), row) for row in zip(*columns, strict=True)]


def _split(spent: Spent, among: int) -> list[Spent]:
    totals = (spent.input_tokens, spent.output_tokens, spent.cost_micros)
    return [Spent(*row) for row in zip(*(shares(total, among) for total in totals), strict=True)]


def _with_share(answer: Answer, share: _Share) -> Answer:
    own = Spent(answer.input_tokens, answer.output_tokens, answer.cost_micros)
    in_all = msgspec.structs.asdict(own + share.spent)
    return msgspec.structs.replace(answer, asked=share.asked, **in_all)
