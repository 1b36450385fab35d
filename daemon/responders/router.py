"""Which responder answers for which instance, and in which order several providers are tried."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import msgspec
import trio

from actors.errors import ResponderHeld, TurnFailed, TurnRefused
from actors.messages import Answer, Asked, Prompt
from actors.ports import Responder
from daemon.responders.breaker import Breaker, ProviderView
from daemon.responders.provider import Provider, Together

T = TypeVar("T")
AskProvider = Callable[[Provider], Awaitable[T]]


class RoutedResponder:
    """The instance's own responder if it has one, else the default."""

    def __init__(
        self, default: Responder, by_instance: Mapping[str, Responder], breakers: Iterable[Breaker] = ()
    ) -> None:
        self._default = default
        self._by_instance = dict(by_instance)
        self._breakers = tuple(breakers)

    async def answer(self, prompt: Prompt) -> Answer:
        return await self._by_instance.get(prompt.instance, self._default).answer(prompt)

    def views(self) -> tuple[ProviderView, ...]:
        """Every provider that is used for some instance, as it is now."""
        return tuple(breaker.view for breaker in self._breakers)


class Seat(NamedTuple):
    """One provider as one responder uses it."""

    provider: Provider
    breaker: Breaker
    weight: float = 1.0


class ProviderRouter:
    """Several providers: the first that answers wins. Each is asked at most once; the turn tries again.

    Only `TurnFailed` moves on to the next one. `TurnRefused` is a verdict on the prompt, not on the provider: asking
    another would only look for a laxer one. A provider whose breaker is open is skipped. When none answers, the last
    failure is raised, with the time until the first of them may be asked again.

    When none could even be asked, the turn is held, which does not count as an attempt: brief trouble, or the wait that
    a busy provider asked for, must not use up the attempts of turns that come meanwhile. But when every provider is
    down for longer, the attempt fails with `providers_open`: a turn must end, and its customer must get an answer. A
    turn is also held while every provider refuses its key.

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
        answer, asked = await self._first(lambda provider: provider.answer(prompt))
        return msgspec.structs.replace(answer, asked=asked)

    async def answer_together(self, prompts: Mapping[str, Prompt]) -> Together:
        """Raises: TurnFailed, TurnRefused, ResponderHeld."""
        together, asked = await self._first(lambda provider: provider.answer_together(prompts))
        each = {key: msgspec.structs.replace(one, asked=asked) for key, one in together.answers.items()}
        return msgspec.structs.replace(together, answers=each)

    async def _first(self, ask: AskProvider[T]) -> tuple[T, tuple[Asked, ...]]:
        """The answer of the first that answers, and all that were asked."""
        deadline = trio.current_time() + self._deadline_seconds
        failures: dict[Seat, TurnFailed] = {}
        asked: list[Asked] = []
        for seat in self._ordered():
            if failures and trio.current_time() >= deadline:
                break
            if not seat.breaker.admit():
                continue
            started_at = trio.current_time()
            try:
                said = await _ask(seat, ask, deadline, first=not failures)
            except TurnFailed as failure:
                failures[seat] = failure
                asked.append(_asked(seat, started_at, failure.reason))
            else:
                return said, (*asked, _asked(seat, started_at))
        raise self._failure(failures)

    def _ordered(self) -> Iterable[Seat]:
        if not self._weighted:
            return self._seats
        return (self._seats[index] for index in drawn_order(self._weights, self._draw))

    def _failure(self, failures: Mapping[Seat, TurnFailed]) -> TurnFailed | ResponderHeld:
        """The error to raise when none answered; `failures` are in the order of asking."""
        wait_seconds = min(_wait_seconds(seat, failures.get(seat)) for seat in self._seats) or None
        reasons = {
            failures[seat].reason if seat in failures else seat.breaker.last_reason for seat in self._seats
        }
        if reasons == {"bad_key"}:
            return ResponderHeld("responder_refuses_key")
        if not failures:
            return self._none_asked(wait_seconds)
        last = list(failures.values())[-1]
        return TurnFailed(last.reason, last.detail, wait_seconds)

    def _none_asked(self, wait_seconds: float | None) -> TurnFailed | ResponderHeld:
        if all(seat.breaker.is_down for seat in self._seats):
            names = ", ".join(seat.breaker.name for seat in self._seats)
            return TurnFailed("providers_open", names, wait_seconds)
        # While a trial is running, its breaker expects the worst; the trial ends sooner.
        trying = any(seat.breaker.condition == "half_open" for seat in self._seats)
        return ResponderHeld("providers_busy", None if trying else wait_seconds)


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
    with trio.move_on_at(deadline):
        try:
            answer = await ask(seat.provider)
        except TurnFailed as failure:
            seat.breaker.failed(failure)
            raise
        except TurnRefused:
            seat.breaker.succeeded()
            raise
        seat.breaker.succeeded()
        return answer
    late = TurnFailed("timed_out", f"{seat.provider.name} was late")
    if first:  # a later one had only what the others left of the time: its lateness proves nothing
        seat.breaker.failed(late)
    raise late


def _asked(seat: Seat, started_at: float, failure: str = "") -> Asked:
    return Asked(seat.provider.name, started_at, trio.current_time() - started_at, failure)


def _wait_seconds(seat: Seat, failure: TurnFailed | None) -> float:
    """How long until `seat` may be asked again; a wait that the provider asked for is kept exactly."""
    named = failure.retry_after_seconds if failure is not None else None
    return max(named or 0.0, seat.breaker.wait_seconds)
