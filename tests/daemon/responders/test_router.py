"""Which responder answers, and the order in which several are tried."""

from __future__ import annotations

import pytest

from actors.errors import ResponderHeld, TurnFailed, TurnRefused
from actors.messages import Answer, Prompt
from actors.ports import Responder
from daemon.responders.router import FallbackResponder, RoutedResponder

PROMPT = Prompt("demo", ("hello",))


class Scripted:
    """Answers under its name, or fails as told; counts how often it was asked."""

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.name = name
        self.error = error
        self.asked = 0

    async def answer(self, prompt: Prompt) -> Answer:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return Answer(prompt.text, self.name)


async def test_an_instances_own_responder_answers_else_the_default() -> None:
    router: Responder = RoutedResponder(Scripted("default"), {"demo": Scripted("own")})
    assert (await router.answer(PROMPT)).provider == "own"
    assert (await router.answer(Prompt("other", ("hello",)))).provider == "default"


async def test_the_first_that_answers_wins() -> None:
    first, second = Scripted("first"), Scripted("second")
    assert (await FallbackResponder([first, second]).answer(PROMPT)).provider == "first"
    assert second.asked == 0


async def test_a_failure_moves_on_to_the_next() -> None:
    first, second = Scripted("first", TurnFailed("overloaded")), Scripted("second")
    assert (await FallbackResponder([first, second]).answer(PROMPT)).provider == "second"
    assert first.asked == 1


async def test_a_refusal_is_not_asked_elsewhere() -> None:
    first, second = Scripted("first", TurnRefused("refused_by_policy")), Scripted("second")
    with pytest.raises(TurnRefused):
        await FallbackResponder([first, second]).answer(PROMPT)
    assert second.asked == 0


@pytest.mark.parametrize(
    ("waits", "longest"), [((None, None), None), ((9.0, None), 9.0), ((None, 3.0), 3.0), ((9.0, 3.0), 9.0)]
)
async def test_when_all_fail_the_last_failure_and_the_longest_wait_count(
    waits: tuple[float | None, float | None], longest: float | None
) -> None:
    first = Scripted("first", TurnFailed("rate_limited", "first", waits[0]))
    last = Scripted("last", TurnFailed("overloaded", "last", waits[1]))
    with pytest.raises(TurnFailed) as failure:
        await FallbackResponder([first, last]).answer(PROMPT)
    assert (failure.value.reason, failure.value.detail) == ("overloaded", "last")
    assert failure.value.retry_after_seconds == longest


def test_no_responder_at_all_is_an_error_at_once() -> None:
    with pytest.raises(ValueError, match="at least one"):
        FallbackResponder([])


async def test_a_key_that_everybody_refuses_holds_the_turn_and_burns_nothing() -> None:
    """I2: an operator's mistake must not dead-letter every conversation."""
    refusing = [Scripted("a", TurnFailed("bad_key")), Scripted("b", TurnFailed("bad_key"))]
    with pytest.raises(ResponderHeld):
        await FallbackResponder(refusing).answer(PROMPT)
    with pytest.raises(TurnFailed):
        await FallbackResponder([*refusing, Scripted("c", TurnFailed("overloaded"))]).answer(PROMPT)
