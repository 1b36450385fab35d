"""Which responder answers for which instance, and in which order several providers are tried."""

from __future__ import annotations

import itertools
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Generic, NamedTuple, TypeVar

import msgspec
import trio

from actors.errors import ResponderHeld, TurnFailed, TurnRefused
from actors.messages import Answer, Asked, Prompt, Spent, spent_in_all
from actors.ports import Responder
from daemon.responders.breaker import Breaker, ProviderView
from daemon.responders.calls import CallsUnderWay
from daemon.responders.endings import VERDICTS_ON_REQUESTS, Standing, ending
from daemon.responders.provider import Provider, Together
from daemon.responders.shorter import shorter
from daemon.schema.in_use import InUse, KeyT

T = TypeVar("T")
AskProvider = Callable[[Provider], Awaitable[T]]

FULL = "full"
FULL_SECONDS = 1.0
"""How soon a provider is asked again that had as many calls under way as it may."""
MAX_DETAIL_CHARS = 1_000
"""Of an error that tells of several providers."""


class RoutedResponder(Generic[KeyT]):
    """The responder of the prompt's settings.

    Args:
      settings_of: those by which a prompt is answered.
      responders: made of settings.
      views: every provider that is used for some instance, as it is now.
    """

    def __init__(
        self,
        settings_of: Callable[[Prompt], KeyT],
        responders: InUse[KeyT, Responder],
        views: Callable[[], tuple[ProviderView, ...]] = tuple,
    ) -> None:
        self._settings_of = settings_of
        self._responders = responders
        self.views = views

    async def answer(self, prompt: Prompt) -> Answer:
        with self._responders.call(self._settings_of(prompt)) as responder:
            return await responder.answer(prompt)

    def given_up(self, prompt: Prompt, started_at: float) -> Asked | None:
        with self._responders.call(self._settings_of(prompt)) as responder:
            return responder.given_up(prompt, started_at)


class Seat(NamedTuple):
    """One provider as one responder uses it."""

    provider: Provider
    breaker: Breaker
    weight: float = 1.0
    calls: CallsUnderWay | None = None
    """None: nobody counts them."""
    max_in_flight: int = 2_000

    @property
    def is_full(self) -> bool:
        return self.calls is not None and self.calls.count >= self.max_in_flight


class ProviderRouter:
    """Several providers: the first that answers wins. Each is asked at most once; the turn tries again.

    `TurnFailed` moves on to the next one. `TurnRefused` is a verdict on the prompt, not on the provider: asking
    another would only look for a laxer one. A provider whose breaker is open is skipped, and so is one that has as many
    calls under way as it may; where that was all, the turn is held for a moment. When none answers,
    `endings.py` says what that means; the error says of each that was asked how it failed, and what it cost.

    Where all of it was too long for some and none answered, those are asked again, told less (`shorter.py`), within
    the same deadline. So a conversation that has grown too long is answered all the same.

    When none could even be asked, the turn is held, which does not count as an attempt: brief trouble, or the wait that
    a busy provider asked for, must not use up the attempts of turns that come meanwhile. But when every provider is
    down for longer, the attempt fails with `providers_open`: a turn must end, and its customer must get an answer. A
    turn is also held while every provider that could answer it refuses its key.

    Args:
      weighted: the order is drawn for each call, by weight; else it is the order of `seats`.
      deadline_seconds: for one call, over all providers.
      draw: returns uniform random numbers in [0, 1).
    """

    def __init__(
        self, seats: Sequence[Seat], *, weighted: bool, deadline_seconds: float, draw: Callable[[], float]
    ) -> None:
        if not seats:
            raise ValueError("at least one provider is needed")
        self._seats = tuple(seats)
        self._weights = tuple(seat.weight for seat in seats)
        self._weighted = weighted
        self._deadline_seconds = deadline_seconds
        self._draw = draw

    async def answer(self, prompt: Prompt) -> Answer:
        """Raises: TurnFailed, TurnRefused, ResponderHeld."""
        call = _Call(self._ordered(), trio.current_time() + self._deadline_seconds)
        seats = call.seats
        for rounds, told in enumerate(itertools.chain((prompt,), shorter(prompt))):
            answer = await call.first(seats, _answering(told))
            if answer is not None:
                spent = msgspec.structs.asdict(spent_in_all(call.asked))
                return msgspec.structs.replace(answer, asked=tuple(call.asked), shortened=rounds, **spent)
            seats = call.too_long
            if not seats or call.is_late:
                break
        raise call.error()

    def given_up(self, prompt: Prompt, started_at: float) -> Asked:
        """As far as can be guessed: the first that may be asked now is the one that was."""
        seat = next((seat for seat in self._seats if not seat.breaker.wait_seconds), self._seats[0])
        return seat.provider.given_up(prompt, started_at)

    async def answer_together(self, prompts: Mapping[str, Prompt]) -> Together:
        """Raises: TurnFailed, TurnRefused, ResponderHeld."""
        call = _Call(self._ordered(), trio.current_time() + self._deadline_seconds)
        together = await call.first(call.seats, lambda provider: provider.answer_together(prompts))
        if together is None:
            raise call.error()
        asked = tuple(call.asked)
        each = {key: msgspec.structs.replace(one, asked=asked) for key, one in together.answers.items()}
        spent = msgspec.structs.asdict(spent_in_all(asked))
        return msgspec.structs.replace(together, answers=each, asked=asked, **spent)

    def _ordered(self) -> tuple[Seat, ...]:
        if not self._weighted:
            return self._seats
        return tuple(self._seats[index] for index in drawn_order(self._weights, self._draw))


class _Call:
    """One question: who was asked, how each failed, and what it cost."""

    def __init__(self, seats: tuple[Seat, ...], deadline: float) -> None:
        self.seats = seats
        self._deadline = deadline
        self._full: set[Seat] = set()
        """Passed over for it."""
        self._failures: dict[Seat, TurnFailed | TurnRefused] = {}
        """The last one of each."""
        self.asked: list[Asked] = []

    @property
    def is_late(self) -> bool:
        return trio.current_time() >= self._deadline

    @property
    def too_long(self) -> tuple[Seat, ...]:
        """Those that would answer less."""
        return tuple(
            seat
            for seat in self.seats
            if seat in self._failures and self._failures[seat].reason == "too_long"
        )

    async def first(self, seats: Iterable[Seat], ask: AskProvider[T]) -> T | None:
        """The answer of the first that answers; None: nobody did.

        Raises:
          TurnRefused: one of them refused the prompt.
        """
        for seat in seats:
            if self.asked and self.is_late:
                break
            if seat.is_full:
                self._full.add(seat)
                continue
            if not seat.breaker.admit():
                continue
            started_at = trio.current_time()
            try:
                said = await _ask(seat, ask, self._deadline, first=not self.asked)
            except TurnFailed as failure:
                self._note(seat, started_at, failure)
            except TurnRefused as refusal:
                self._note(seat, started_at, refusal)
                if refusal.reason not in VERDICTS_ON_REQUESTS:
                    raise TurnRefused(
                        refusal.reason, self._detail(), spent_in_all(self.asked), tuple(self.asked)
                    ) from None
            except trio.Cancelled:
                seat.breaker.given_up()
                raise
            else:
                self.asked.append(_asked(seat, started_at, spent=_spent(said)))
                return said
        return None

    def error(self) -> TurnFailed | TurnRefused | ResponderHeld:
        """What to raise when nobody answered."""
        end = ending([self._standing(seat) for seat in self.seats])
        asked, spent = tuple(self.asked), spent_in_all(self.asked)
        if (
            end.kind == "held"
        ):  # a turn may be held for hours: what cost nothing is shown by the provider's state alone
            return ResponderHeld(end.reason, end.wait_seconds, spent, asked if spent != Spent() else ())
        if end.kind == "refused":
            return TurnRefused(end.reason, self._detail(), spent, asked)
        names = ", ".join(seat.breaker.name for seat in self.seats)
        detail = self._detail() or names
        return TurnFailed(end.reason, detail, end.wait_seconds, spent, asked)

    def _standing(self, seat: Seat) -> Standing:
        """A wait that the provider asked for is kept exactly."""
        breaker, failure = seat.breaker, self._failures.get(seat)
        if failure is not None:
            named = failure.retry_after_seconds if isinstance(failure, TurnFailed) else None
            return Standing(failure.reason, True, max(named or 0.0, breaker.wait_seconds))
        if seat in self._full:
            return Standing(FULL, False, max(FULL_SECONDS, breaker.wait_seconds))
        reason = breaker.last_reason if breaker.wait_seconds else ""
        is_tried = breaker.condition == "half_open"
        return Standing(reason, False, breaker.wait_seconds, breaker.is_down, is_tried)

    def _note(self, seat: Seat, started_at: float, failure: TurnFailed | TurnRefused) -> None:
        self._failures[seat] = failure
        self.asked.append(_asked(seat, started_at, failure.reason, failure.spent))

    def _detail(self) -> str:
        """Of each that was asked, how it failed last: `first: overloaded (first answered 503); second: …`."""
        if len(self._failures) == 1:
            [(seat, failure)] = self._failures.items()
            return failure.detail or seat.breaker.name
        told = (f"{seat.breaker.name}: {_told(seat, failure)}" for seat, failure in self._failures.items())
        return "; ".join(told)[:MAX_DETAIL_CHARS]


def _told(seat: Seat, failure: TurnFailed | TurnRefused) -> str:
    name = seat.breaker.name
    detail = "" if failure.detail == name else failure.detail.removeprefix(f"{name}: ")
    return f"{failure.reason} ({detail})" if detail else failure.reason


def drawn_order(weights: Sequence[float], draw: Callable[[], float]) -> tuple[int, ...]:
    """The indices of `weights` in random order: each next one is drawn in proportion to the weights that are left.

    Those with no weight (0, or nothing that is a positive number) come after all others, in the order of the list.

    Args:
      draw: returns uniform random numbers in [0, 1).
    """
    # A race: each runner arrives after an exponentially distributed time, at a rate that is its weight. The first to
    # arrive is then distributed as wanted, and so is the first among the rest.
    arrivals = [(0, -math.log1p(-draw()) / w, i) if w > 0 else (1, 0.0, i) for i, w in enumerate(weights)]
    return tuple(i for _, _, i in sorted(arrivals))


async def _ask(seat: Seat, ask: AskProvider[T], deadline: float, first: bool) -> T:
    """One call, cut at `deadline`; the breaker learns how it went."""
    with trio.move_on_at(deadline), seat.calls.one() if seat.calls else nullcontext():
        try:
            answer = await ask(seat.provider)
        except TurnFailed as failure:
            seat.breaker.failed(failure)
            raise
        except TurnRefused as refusal:
            seat.breaker.judged(refusal.reason, refusal.spent)
            raise
        seat.breaker.succeeded()
        return answer
    late = TurnFailed("timed_out", f"{seat.provider.name} was late")
    if first:  # a later one had only what the others left of the time: its lateness proves nothing
        seat.breaker.failed(late)
    raise late


def _answering(prompt: Prompt) -> AskProvider[Answer]:
    return lambda provider: provider.answer(prompt)


def _asked(seat: Seat, started_at: float, failure: str = "", spent: Spent | None = None) -> Asked:
    took_seconds = trio.current_time() - started_at
    return Asked(seat.provider.name, started_at, took_seconds, failure, spent or Spent())


def _spent(said: object) -> Spent:
    if not isinstance(said, Answer | Together):
        return Spent()
    return Spent(said.input_tokens, said.output_tokens, said.cost_micros)
