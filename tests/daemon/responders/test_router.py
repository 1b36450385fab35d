"""Which responder answers, the order in which providers are tried, and what it means when none answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from random import Random

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.errors import ResponderHeld, TurnFailed, TurnRefused
from actors.messages import Answer, Asked, HistoryEntry, Passage, Prompt, Spent
from actors.ports import Responder
from daemon.responders.breaker import Breaker, BreakerPolicy
from daemon.responders.calls import CallsUnderWay
from daemon.responders.router import ProviderRouter, RoutedResponder, Seat, drawn_order
from daemon.schema.in_use import InUse
from tests.support.providers import RecordedFeed, Scripted

PROMPT = Prompt("demo", ("hello",))
POLICY = BreakerPolicy(failures=3, open_seconds=30)


@pytest.fixture
def feed() -> RecordedFeed:
    return RecordedFeed()


def router(
    providers: Sequence[Scripted],
    feed: RecordedFeed | None = None,
    *,
    weights: Sequence[float] | None = None,
    seconds: float = 60.0,
    draw: Random | None = None,
    most: Sequence[int] = (),
) -> ProviderRouter:
    """`most`: how many calls of each may be under way."""
    feed = feed or RecordedFeed()
    heavy = weights or [1.0] * len(providers)
    seats = [
        Seat(each, Breaker(each.name, POLICY, feed, now=trio.current_time), w, CallsUnderWay(), limit)
        for each, w, limit in zip(providers, heavy, most or [100] * len(providers), strict=True)
    ]
    draws = draw or Random(1)
    return ProviderRouter(seats, weighted=weights is not None, deadline_seconds=seconds, draw=draws.random)


async def failure_of(responder: Responder) -> TurnFailed:
    with pytest.raises(TurnFailed) as failure:
        await responder.answer(PROMPT)
    return failure.value


async def test_an_instances_own_responder_answers_else_the_default(autojump_clock: MockClock) -> None:
    own, default = Scripted("own"), Scripted("default")
    routed: Responder = RoutedResponder(
        lambda prompt: own if prompt.instance == "demo" else default, InUse(lambda made: made)
    )
    assert (await routed.answer(PROMPT)).provider == "own"
    assert (await routed.answer(Prompt("other", ("hello",)))).provider == "default"


async def test_the_first_that_answers_wins(autojump_clock: MockClock) -> None:
    first, second = Scripted("first"), Scripted("second")
    assert (await router([first, second]).answer(PROMPT)).provider == "first"
    assert second.asked == 0


async def test_a_provider_with_as_many_calls_as_it_takes_is_passed_over(
    autojump_clock: MockClock, feed: RecordedFeed
) -> None:
    """I8: and where all are full, the turn is held for a moment: no attempt is burnt, and no breaker learns of it."""
    first, second = Scripted("first"), Scripted("second")
    first.before = second.before = partial(trio.sleep, 10)
    asked, said = router([first, second], feed, most=[2, 1]), list[str]()

    async def ask() -> None:
        said.append((await asked.answer(PROMPT)).provider)

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        assert (first.asked, second.asked) == (2, 1)
        with pytest.raises(ResponderHeld) as held:
            await asked.answer(PROMPT)
        assert (held.value.reason, held.value.retry_after_seconds) == ("providers_busy", 1.0)
    with trio.move_on_after(1):  # one that is cancelled leaves its place
        await asked.answer(PROMPT)
    assert sorted(said) == ["first", "first", "second"] and feed.events == []
    assert (await asked.answer(PROMPT)).provider == "first"


async def test_a_failure_moves_on_to_the_next(autojump_clock: MockClock, feed: RecordedFeed) -> None:
    first, second = Scripted("first", TurnFailed("overloaded")), Scripted("second")
    assert (await router([first, second], feed).answer(PROMPT)).provider == "second"
    assert first.asked == 1
    assert feed.events == [("provider.failed", {"provider": "first", "reason": "overloaded"})]


async def test_a_refused_prompt_is_asked_nowhere_else_and_is_not_a_failure(
    autojump_clock: MockClock, feed: RecordedFeed
) -> None:
    first, second = Scripted("first", TurnRefused("refused_by_policy")), Scripted("second")
    asked = router([first, second], feed)
    for _ in range(POLICY.failures + 1):
        with pytest.raises(TurnRefused):
            await asked.answer(PROMPT)
    assert (first.asked, second.asked, feed.events) == (POLICY.failures + 1, 0, [])


async def test_a_refused_trial_shows_that_the_provider_works(
    autojump_clock: MockClock, feed: RecordedFeed
) -> None:
    only = Scripted("only", TurnFailed("overloaded"))
    asked = router([only], feed)
    for _ in range(POLICY.failures):
        await failure_of(asked)
    only.error = TurnRefused("bad_request")
    await trio.sleep(30)
    with pytest.raises(TurnRefused):
        await asked.answer(PROMPT)
    assert feed.names()[-3:] == ["provider.opened", "provider.failed", "provider.closed"]


@pytest.mark.parametrize(
    ("waits", "shortest"),
    [((None, None), None), ((9.0, None), None), ((None, 3.0), None), ((9.0, 3.0), 3.0)],
)
async def test_when_all_fail_the_last_failure_is_raised_with_the_shortest_wait(
    autojump_clock: MockClock, waits: tuple[float | None, float | None], shortest: float | None
) -> None:
    first = Scripted("first", TurnFailed("rate_limited", "first", waits[0]))
    last = Scripted("last", TurnFailed("overloaded", "last", waits[1]))
    failure = await failure_of(router([first, last]))
    told = "first: rate_limited; last: overloaded"
    assert (failure.reason, failure.detail, failure.retry_after_seconds) == ("overloaded", told, shortest)


def test_a_router_without_providers_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        router([])


async def test_a_key_that_every_provider_refuses_holds_the_turn(
    autojump_clock: MockClock,
) -> None:
    """I2: an operator's mistake must not dead-letter every conversation, also when the breakers have opened."""
    refusing = [Scripted("a", TurnFailed("bad_key")), Scripted("b", TurnFailed("bad_key"))]
    asked = router(refusing)
    for _ in range(POLICY.failures + 2):
        with pytest.raises(ResponderHeld):
            await asked.answer(PROMPT)
    assert [each.asked for each in refusing] == [POLICY.failures] * 2
    assert (
        await failure_of(router([*refusing, Scripted("c", TurnFailed("overloaded"))]))
    ).reason == "overloaded"


async def test_a_failing_provider_is_left_alone_and_comes_back(
    autojump_clock: MockClock, feed: RecordedFeed
) -> None:
    first, second = Scripted("first", TurnFailed("overloaded")), Scripted("second")
    asked = router([first, second], feed)
    for _ in range(POLICY.failures + 2):
        assert (await asked.answer(PROMPT)).provider == "second"
    assert first.asked == POLICY.failures
    first.error = None
    await trio.sleep(30)
    assert (await asked.answer(PROMPT)).provider == "first"
    assert feed.names() == ["provider.failed"] * 3 + ["provider.opened", "provider.closed"]


async def test_brief_trouble_costs_later_turns_no_attempt(
    autojump_clock: MockClock,
) -> None:
    """I2: they are held until the first provider may be asked again."""
    first, second = Scripted("first", TurnFailed("overloaded")), Scripted("second", TurnFailed("garbage"))
    asked = router([first, second])
    for _ in range(POLICY.failures):
        await failure_of(asked)
    await trio.sleep(10)
    with pytest.raises(ResponderHeld, match="providers_busy") as held:
        await asked.answer(PROMPT)
    assert held.value.retry_after_seconds == 20
    assert (first.asked, second.asked) == (3, 3)


async def test_when_all_are_down_for_longer_the_turn_fails_and_ends(
    autojump_clock: MockClock,
) -> None:
    """I2: after a second failed trial, a turn that finds no provider uses up an attempt, and waits for a trial."""
    first, second = Scripted("first", TurnFailed("overloaded")), Scripted("second", TurnFailed("garbage"))
    asked = router([first, second])
    for _ in range(POLICY.failures):
        await failure_of(asked)
    await trio.sleep(30)
    assert (await failure_of(asked)).reason == "garbage"
    await trio.sleep(10)
    failure = await failure_of(asked)
    assert (failure.reason, failure.detail) == ("providers_open", "first, second")
    assert failure.retry_after_seconds == 50
    assert (first.asked, second.asked) == (4, 4)
    first.error = None
    await trio.sleep(50)
    assert (await asked.answer(PROMPT)).provider == "first"


async def test_a_wait_that_a_provider_asks_for_costs_turns_no_attempt(
    autojump_clock: MockClock,
) -> None:
    """I2: one 429 holds every turn of that provider for the time it named; none of them fails for that."""
    only = Scripted("only", TurnFailed("rate_limited", "", 7.0))
    asked = router([only])
    assert (await failure_of(asked)).retry_after_seconds == 7
    await trio.sleep(2)
    with pytest.raises(ResponderHeld, match="providers_busy") as held:
        await asked.answer(PROMPT)
    assert (held.value.retry_after_seconds, only.asked) == (5, 1)


async def test_while_a_trial_runs_other_turns_try_again_soon(autojump_clock: MockClock) -> None:
    """I2: coming at the same time costs them no attempt; when it went well, they are answered."""
    only = Scripted("only", TurnFailed("overloaded"))
    asked = router([only])
    for _ in range(POLICY.failures):
        await failure_of(asked)
    await trio.sleep(30)
    only.error, only.before = None, partial(trio.sleep, 5)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(asked.answer, PROMPT)
        await wait_all_tasks_blocked()
        with pytest.raises(ResponderHeld, match="providers_busy") as held:
            await asked.answer(PROMPT)
    assert held.value.retry_after_seconds is None
    assert (await asked.answer(PROMPT)).provider == "only"


async def test_the_deadline_spans_all_providers(autojump_clock: MockClock, feed: RecordedFeed) -> None:
    """A hanging provider is cut where the time ends, and none is asked after that."""
    first, second, third = Scripted("first"), Scripted("second"), Scripted("third")
    first.error = TurnFailed("timed_out", "first: no answer")
    first.before = partial(trio.sleep, 7)
    second.before = trio.sleep_forever
    started = trio.current_time()
    failure = await failure_of(router([first, second, third], feed, seconds=10))
    assert trio.current_time() - started == 10
    assert (failure.reason, failure.detail) == (
        "timed_out",
        "first: timed_out (no answer); second: timed_out (second was late)",
    )
    assert third.asked == 0
    assert feed.events == [("provider.failed", {"provider": "first", "reason": "timed_out"})]


async def test_a_first_provider_that_hangs_until_the_deadline_has_failed(
    autojump_clock: MockClock, feed: RecordedFeed
) -> None:
    hanging = Scripted("first")
    hanging.before = trio.sleep_forever
    asked = router([hanging], feed, seconds=10)
    for _ in range(POLICY.failures):
        assert (await failure_of(asked)).reason == "timed_out"
    assert feed.names()[-1] == "provider.opened"


async def test_cancelling_the_turn_cancels_the_call_without_a_failure(
    autojump_clock: MockClock, feed: RecordedFeed
) -> None:
    hanging, second = Scripted("first"), Scripted("second")
    hanging.before = trio.sleep_forever
    with trio.move_on_after(1) as scope:
        await router([hanging, second], feed).answer(PROMPT)
    assert scope.cancelled_caught
    assert (second.asked, feed.events) == (0, [])


async def test_weights_share_the_turns_and_the_others_are_the_fallback(autojump_clock: MockClock) -> None:
    providers = [Scripted("a"), Scripted("b"), Scripted("spare")]
    asked = router(providers, weights=[3, 1, 0], draw=Random(7))
    shares = Counter([(await asked.answer(PROMPT)).provider for _ in range(800)])
    assert set(shares) == {"a", "b"}
    assert 540 < shares["a"] < 660
    providers[0].error = providers[1].error = TurnFailed("overloaded")
    assert (await asked.answer(PROMPT)).provider == "spare"


async def test_an_answer_lists_the_providers_asked_and_their_times(
    autojump_clock: MockClock,
) -> None:
    """Also when several conversations went in one call."""
    first, second = Scripted("first", TurnFailed("overloaded")), Scripted("second")
    first.before, second.before = partial(trio.sleep, 7), partial(trio.sleep, 2)
    asked = router([first, second])
    await trio.sleep(1)
    expected = (Asked("first", 1, 7, "overloaded"), Asked("second", 8, 2, "", Spent(10, 5, 100)))
    assert (await asked.answer(PROMPT)).asked == expected
    together = await asked.answer_together({"k": PROMPT})
    assert [(each.provider, each.took_seconds) for each in together.answers["k"].asked] == [
        ("first", 7),
        ("second", 2),
    ]


async def test_a_shared_call_tries_providers_in_the_same_order(autojump_clock: MockClock) -> None:
    first, second = Scripted("first", TurnFailed("overloaded")), Scripted("second")
    together = await router([first, second]).answer_together({"k": PROMPT})
    assert together.answers["k"].provider == "second"
    assert (len(first.calls), len(second.calls)) == (1, 1)


# What is said of the prompt

LONG = Prompt(
    "demo",
    ("hello",),
    tuple(HistoryEntry("user", "x" * size) for size in (40, 30, 20, 10)),
    tuple(Passage("prices.pdf", f"passage {number}", 0.9) for number in range(4)),
)


class Narrow(Scripted):
    """Has room for so many entries of history and passages together."""

    def __init__(self, name: str, room: int) -> None:
        super().__init__(name)
        self.room = room

    async def answer(self, prompt: Prompt) -> Answer:
        told = len(prompt.history) + len(prompt.knowledge)
        self.error = TurnFailed("too_long", f"{self.name} answered 400") if told > self.room else None
        return await super().answer(prompt)


@pytest.mark.parametrize(
    ("room", "told"),
    [
        (8, [(4, 4)]),
        (6, [(4, 4), (2, 4)]),
        (4, [(4, 4), (2, 4), (0, 4)]),
        (2, [(4, 4), (2, 4), (0, 4), (0, 2)]),
    ],
)
async def test_what_is_too_long_is_asked_again_with_less_until_it_fits(
    autojump_clock: MockClock, feed: RecordedFeed, room: int, told: list[tuple[int, int]]
) -> None:
    """I2: a conversation that has grown too long is answered all the same."""
    only = Narrow("only", room)
    answer = await router([only], feed).answer(LONG)
    assert [(len(prompt.history), len(prompt.knowledge)) for prompt in only.prompts] == told
    assert answer.shortened == len(told) - 1
    assert only.prompts[-1].messages == LONG.messages
    assert [each.failure for each in answer.asked] == ["too_long"] * (len(told) - 1) + [""]
    assert "provider.opened" not in feed.names()


async def test_a_larger_provider_comes_before_a_shorter_history(autojump_clock: MockClock) -> None:
    small, large = Narrow("small", 2), Narrow("large", 100)
    answer = await router([small, large]).answer(LONG)
    assert (answer.provider, answer.shortened, len(large.prompts[0].history)) == ("large", 0, 4)


async def test_only_those_that_said_so_are_asked_for_less(autojump_clock: MockClock) -> None:
    narrow, away = Narrow("narrow", 4), Scripted("away", TurnFailed("unreachable"))
    assert (await router([narrow, away]).answer(LONG)).provider == "narrow"
    assert (narrow.asked, away.asked) == (3, 1)


async def test_what_no_provider_has_room_for_is_refused_and_nobody_else_waits(
    autojump_clock: MockClock, feed: RecordedFeed
) -> None:
    none, asked = Narrow("none", -1), 0
    answering = router([none], feed)
    for _ in range(POLICY.failures):
        with pytest.raises(TurnRefused) as refusal:
            await answering.answer(LONG)
        asked += 4
    assert (refusal.value.reason, refusal.value.detail, none.asked) == (
        "too_long",
        "none answered 400",
        asked,
    )
    none.room = 100
    assert (await answering.answer(PROMPT)).provider == "none"


async def test_less_is_asked_for_within_the_same_deadline(autojump_clock: MockClock) -> None:
    slow = Narrow("slow", -1)
    slow.before = partial(trio.sleep, 4)
    with pytest.raises((TurnFailed, TurnRefused)):
        await router([slow], seconds=10).answer(LONG)
    assert (trio.current_time(), slow.asked) == (10, 3)


async def test_an_invalid_request_goes_to_the_next_and_is_refused_when_all_say_so(
    autojump_clock: MockClock, feed: RecordedFeed
) -> None:
    first, second = (
        Scripted("first", TurnFailed("bad_request", "first answered 400")),
        Scripted("second"),
    )
    asked = router([first, second], feed)
    for _ in range(POLICY.failures + 1):
        assert (await asked.answer(PROMPT)).provider == "second"
    assert first.asked == POLICY.failures + 1
    second.error = TurnFailed("bad_request", "second answered 422")
    with pytest.raises(TurnRefused) as refusal:
        await asked.answer(PROMPT)
    assert refusal.value.detail == (
        "first: bad_request (first answered 400); second: bad_request (second answered 422)"
    )


async def test_a_refusal_says_who_refused_and_who_was_asked_before(autojump_clock: MockClock) -> None:
    first, second = Scripted("first", TurnFailed("overloaded")), Scripted("second")
    second.error = TurnRefused("refused_by_policy", "second", Spent(8, 1, 9))
    third = Scripted("third")
    with pytest.raises(TurnRefused) as refusal:
        await router([first, second, third]).answer(PROMPT)
    assert refusal.value.detail == "first: overloaded; second: refused_by_policy"
    assert (refusal.value.spent, third.asked) == (Spent(8, 1, 9), 0)
    assert [(each.provider, each.failure) for each in refusal.value.asked] == [
        ("first", "overloaded"),
        ("second", "refused_by_policy"),
    ]


async def test_the_tokens_of_answers_in_vain_count(autojump_clock: MockClock) -> None:
    """What was paid for is counted, whoever's answer was used; also in an error, and in a shared call."""
    garbled = Scripted("garbled", TurnFailed("garbage", "", None, Spent(20, 30, 400)))
    second = Scripted("second")
    asked = router([garbled, second])
    answer = await asked.answer(PROMPT)
    assert (answer.input_tokens, answer.output_tokens, answer.cost_micros) == (30, 35, 500)
    assert [each.spent for each in answer.asked] == [Spent(20, 30, 400), Spent(10, 5, 100)]
    together = await asked.answer_together({"k": PROMPT})
    assert (together.input_tokens, together.output_tokens, together.cost_micros) == (51, 41, 701)
    second.error = TurnFailed("garbage", "", None, Spent(1, 2, 3))
    assert (await failure_of(asked)).spent == Spent(21, 32, 403)


OUTCOMES = st.sampled_from(
    [
        "",
        "too_long",
        "bad_request",
        "blocked",
        "bad_key",
        "not_found",
        "overloaded",
        "garbage",
        "refused_by_policy",
    ]
)


@given(st.lists(st.lists(OUTCOMES, min_size=4, max_size=4), min_size=1, max_size=4), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_whatever_they_say_each_is_asked_at_most_once_in_a_round(
    outcomes: list[list[str]], turns: int
) -> None:
    """I2: any mixture of failures ends, in an answer or in one of the three errors, with every call accounted for."""

    class Any(Scripted):
        def __init__(self, name: str, said: list[str]) -> None:
            super().__init__(name)
            self.said = said

        async def answer(self, prompt: Prompt) -> Answer:
            reason = self.said[len(self.prompts) % len(self.said)]
            kind = TurnRefused if reason == "refused_by_policy" else TurnFailed
            self.error = kind(reason, spent=Spent(1)) if reason else None
            return await super().answer(prompt)

    async def play() -> None:
        providers = [Any(f"p{number}", said) for number, said in enumerate(outcomes)]
        asked = router(providers)
        for _ in range(turns):
            before = [each.asked for each in providers]
            try:
                told = (await asked.answer(LONG)).asked
            except (TurnFailed, TurnRefused) as failure:
                told = failure.asked
                assert failure.spent.input_tokens == len(told)
            except ResponderHeld:
                continue
            calls = [each.asked - count for each, count in zip(providers, before, strict=True)]
            assert max(calls) <= 4 and sum(calls) == len(told)
            in_rounds = [each.provider for each in told if each.failure != "too_long"]
            assert len(in_rounds) == len(set(in_rounds))

    trio.run(play, clock=MockClock(autojump_threshold=0))


# The order that is drawn by weight

DRAWS = 20_000


@given(st.lists(st.floats()), st.randoms(use_true_random=False))
def test_each_is_asked_once_and_those_without_weight_last(weights: list[float], chance: Random) -> None:
    asked = drawn_order(weights, chance.random)
    assert sorted(asked) == list(range(len(weights)))
    heavy = sum(1 for weight in weights if weight > 0)
    rest = [i for i, weight in enumerate(weights) if not weight > 0]
    assert list(asked[heavy:]) == rest


@pytest.mark.parametrize("weights", [(1, 1), (3, 1), (5, 3, 2), (0.7, 0.2, 0.1), (1, 0, 9), (1e-9, 3e-9)])
def test_the_first_is_chosen_in_proportion_to_the_weights(weights: tuple[float, ...]) -> None:
    chance = Random(7)
    firsts = Counter(drawn_order(weights, chance.random)[0] for _ in range(DRAWS))
    for i, weight in enumerate(weights):
        share = weight / sum(weights)
        four_deviations = 4 * (share * (1 - share) / DRAWS) ** 0.5
        assert abs(firsts[i] / DRAWS - share) <= four_deviations


def test_the_second_is_chosen_in_proportion_among_the_rest() -> None:
    chance = Random(7)
    orders = Counter(drawn_order((2, 1, 1), chance.random) for _ in range(DRAWS))
    assert abs(orders[0, 1, 2] / DRAWS - 1 / 4) < 0.02  # 2/4 for the first, 1/2 for the second
    assert abs(orders[1, 0, 2] / DRAWS - 1 / 6) < 0.02  # 1/4 for the first, 2/3 for the second


@given(st.floats(0, 1, exclude_max=True))
def test_any_draw_gives_an_order(draw: float) -> None:
    assert sorted(drawn_order((5e-324, 1e308, 1, 0, float("inf")), lambda: draw)) == [0, 1, 2, 3, 4]


async def test_a_call_that_is_given_up_on_trial_leaves_the_trial_to_the_next(
    autojump_clock: MockClock,
) -> None:
    """The customer wrote more: the wider question must not wait until another trial may go out."""
    model = Scripted("model", TurnFailed("overloaded"))
    asked = router([model])
    for _ in range(POLICY.failures):
        await failure_of(asked)
    await trio.sleep(POLICY.open_seconds)
    model.error, model.before = None, trio.sleep_forever
    with trio.move_on_after(1):
        await asked.answer(PROMPT)
    model.before = None
    assert (await asked.answer(PROMPT)).provider == "model"


async def test_whom_a_call_that_is_given_up_had_asked_is_the_first_that_may_be(
    autojump_clock: MockClock,
) -> None:
    first, second = Scripted("first", TurnFailed("overloaded")), Scripted("second")
    asked = router([first, second])
    for _ in range(POLICY.failures):
        await asked.answer(PROMPT)
    began = trio.current_time()
    await trio.sleep(2)
    given_up = asked.given_up(PROMPT, began)
    assert (given_up.provider, given_up.took_seconds, given_up.failure) == ("second", 2, "superseded")
    assert given_up.spent == Spent(len("hello"), cost_micros=100)
