"""Several conversations in one call: which prompts share it, and that sharing costs a prompt only time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.errors import ResponderHeld, TurnFailed, TurnRefused
from actors.messages import Answer, Asked, Prompt, Spent
from daemon.responders.batched import MAX_CHARS
from daemon.responders.batching import BatchingResponder
from daemon.responders.provider import Together
from tests.support.crowd import Crowd
from tests.support.providers import Board, RecordedFeed, Scripted

WAIT_SECONDS = 0.05


@pytest.fixture
def model() -> Scripted:
    return Scripted("model")


@pytest.fixture
def feed() -> RecordedFeed:
    return RecordedFeed()


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def batching(model: Scripted, board: Board, feed: RecordedFeed) -> BatchingResponder:
    return BatchingResponder(model, board, feed, wait_seconds=WAIT_SECONDS, max_conversations=3)


@pytest.fixture
def crowd(batching: BatchingResponder) -> Crowd:
    return Crowd(batching)


async def test_prompts_that_wait_at_the_same_time_share_a_call(
    autojump_clock: MockClock, crowd: Crowd, model: Scripted, feed: RecordedFeed
) -> None:
    assert await crowd.ask_all("a", "b") == {"a": "together: a", "b": "together: b"}
    assert trio.current_time() == pytest.approx(WAIT_SECONDS)
    assert (len(model.calls), model.prompts) == (1, [])
    fields = {"instance": "demo", "conversations": 2, "alone": 0}  # and no reason: the call was not refused
    assert feed.events == [("responder.batched", fields)]


async def test_a_single_prompt_makes_a_normal_call(
    autojump_clock: MockClock, crowd: Crowd, model: Scripted, feed: RecordedFeed
) -> None:
    assert await crowd.ask_all("a") == {"a": "a"}
    assert (model.calls, len(model.prompts), feed.events) == ([], 1, [])


async def test_a_full_call_starts_at_once_and_the_next_one_gathers(
    autojump_clock: MockClock, crowd: Crowd, model: Scripted
) -> None:
    started = trio.current_time()
    times: list[float] = []

    async def note() -> None:
        times.append(trio.current_time() - started)

    model.before = note
    await crowd.ask_all("a", "b", "c", "d", "e")
    assert [len(call) for call in model.calls] == [3, 2]
    assert times == [0, pytest.approx(WAIT_SECONDS)]


async def test_with_the_flag_off_no_prompt_waits(
    autojump_clock: MockClock, crowd: Crowd, model: Scripted, board: Board
) -> None:
    board.batching = False
    await crowd.ask_all("a", "b")
    assert (model.calls, len(model.prompts), trio.current_time()) == ([], 2, 0)


async def test_instances_and_system_prompts_are_not_mixed(
    autojump_clock: MockClock, crowd: Crowd, model: Scripted
) -> None:
    async with trio.open_nursery() as nursery:
        for text, instance, persona in (
            ("a", "demo", None),
            ("b", "other", None),
            ("c", "demo", "You sing."),
        ):
            nursery.start_soon(crowd.ask, text, instance, persona)
    assert (model.calls, len(model.prompts)) == ([], 3)


async def test_a_long_prompt_makes_its_own_call(
    autojump_clock: MockClock, crowd: Crowd, model: Scripted
) -> None:
    long = "x" * (MAX_CHARS + 1)
    await crowd.ask_all("a", long, "b")
    assert [len(call) for call in model.calls] == [2]
    assert [prompt.text for prompt in model.prompts] == [long]


async def test_keys_are_new_each_time_and_reveal_nothing(
    autojump_clock: MockClock, crowd: Crowd, model: Scripted
) -> None:
    await crowd.ask_all("a", "b")
    await crowd.ask_all("a", "b")
    keys = [key for call in model.calls for key in call]
    assert len(set(keys)) == 4
    assert all(re.fullmatch("[0-9a-f]{16}", key) for key in keys)


async def test_a_missing_answer_is_asked_for_alone_and_all_share_the_cost(
    autojump_clock: MockClock, crowd: Crowd, model: Scripted, feed: RecordedFeed
) -> None:
    """The shared call cost 31, 11 and 301; a single call costs 10, 5 and 100."""

    def without_b(prompts: Mapping[str, Prompt]) -> Together:
        known = {key: Answer("yes", "model") for key, prompt in prompts.items() if prompt.text != "b"}
        return Together(known, 31, 11, 301)

    model.together = without_b
    assert await crowd.ask_all("a", "b", "c") == {"a": "yes", "b": "b", "c": "yes"}
    usage = [(each.input_tokens, each.output_tokens, each.cost_micros) for each in crowd.answers.values()]
    assert tuple(map(sum, zip(*usage, strict=True))) == (31 + 10, 11 + 5, 301 + 100)
    assert feed.events[0][1]["alone"] == 1


async def test_a_refusal_of_the_shared_call_does_not_refuse_every_prompt(
    autojump_clock: MockClock, crowd: Crowd, model: Scripted, feed: RecordedFeed
) -> None:
    model.error = TurnRefused("refused_by_policy")
    original = model.answer

    async def alone(prompt: Prompt) -> Answer:
        model.error = TurnRefused("refused_by_policy") if prompt.text == "b" else None
        return await original(prompt)

    model.answer = alone  # type: ignore[method-assign]
    assert await crowd.ask_all("a", "b", "c") == {"a": "a", "c": "c"}
    assert isinstance(crowd.failures["b"], TurnRefused)
    assert feed.events[0][1] == {
        "instance": "demo",
        "conversations": 3,
        "alone": 3,
        "reason": "refused_by_policy",
    }


@pytest.mark.parametrize("reason", ["too_long", "bad_request", "blocked"])
async def test_a_verdict_on_the_shared_request_is_no_verdict_on_each(
    autojump_clock: MockClock, crowd: Crowd, model: Scripted, feed: RecordedFeed, reason: str
) -> None:
    """I9: all of it together was too long, or one customer's words were turned down: each is asked by itself."""
    refused = Asked("model", 0, 1, reason, Spent(5, 0, 7))
    other = Asked("second", 1, 1, "overloaded", Spent(0, 4, 0))
    model.error = TurnFailed("overloaded", "", None, Spent(5, 4, 7), (refused, other))
    original = model.answer

    async def alone(prompt: Prompt) -> Answer:
        model.error = None
        return await original(prompt)

    model.answer = alone  # type: ignore[method-assign]
    assert await crowd.ask_all("a", "b") == {"a": "a", "b": "b"}
    assert feed.events[0][1]["alone"] == 2
    answers = crowd.answers.values()
    assert sorted((each.input_tokens, each.output_tokens, each.cost_micros) for each in answers) == [
        (12, 7, 103),
        (13, 7, 104),
    ]
    assert all([one.failure for one in each.asked] == [reason, "overloaded"] for each in answers)
    assert all(
        sum((one.spent for one in each.asked), Spent(10, 5, 100)).cost_micros == each.cost_micros
        for each in answers
    )


async def test_what_a_failed_shared_call_cost_is_borne_by_all(
    autojump_clock: MockClock, crowd: Crowd, model: Scripted
) -> None:
    model.error = TurnFailed("garbage", "", None, Spent(5, 4, 7))
    await crowd.ask_all("a", "b")
    spent = [failure.spent for failure in crowd.failures.values() if isinstance(failure, TurnFailed)]
    assert sum(spent, Spent()) == Spent(5, 4, 7) and len(spent) == 2


@pytest.mark.parametrize(
    "error", [TurnFailed("rate_limited", "model", 7.0), ResponderHeld("responder_refuses_key")]
)
async def test_a_failing_provider_fails_all_and_is_not_asked_again(
    autojump_clock: MockClock, crowd: Crowd, model: Scripted, error: Exception
) -> None:
    model.error = error
    assert await crowd.ask_all("a", "b") == {}
    assert [str(failure) for failure in crowd.failures.values()] == [str(error)] * 2
    assert {type(failure) for failure in crowd.failures.values()} == {type(error)}
    assert len({id(failure) for failure in crowd.failures.values()}) == 2
    waits = {getattr(failure, "retry_after_seconds", None) for failure in crowd.failures.values()}
    assert waits == {getattr(error, "retry_after_seconds", None)}
    assert (len(model.calls), model.prompts) == (1, [])


async def cancelled_after(crowd: Crowd, victim: str, seconds: float, texts: tuple[str, ...]) -> None:
    async with trio.open_nursery() as nursery:
        for text in texts:
            nursery.start_soon(crowd.ask, text)
            await wait_all_tasks_blocked()
        await trio.sleep(seconds)
        crowd.scopes[victim].cancel()


WHILE_GATHERING, IN_MID_CALL = WAIT_SECONDS / 2, WAIT_SECONDS * 2


async def test_a_prompt_cancelled_while_waiting_is_left_out(
    autojump_clock: MockClock, crowd: Crowd, model: Scripted
) -> None:
    await cancelled_after(crowd, "b", WHILE_GATHERING, ("a", "b"))
    assert set(crowd.answers) == {"a"}
    assert (model.calls, [prompt.text for prompt in model.prompts]) == ([], ["a"])


async def test_a_prompt_cancelled_during_the_call_does_not_affect_others(
    autojump_clock: MockClock, crowd: Crowd, model: Scripted
) -> None:
    model.before = partial(trio.sleep, 1)
    await cancelled_after(crowd, "b", IN_MID_CALL, ("a", "b", "c"))
    assert {text: answer.text for text, answer in crowd.answers.items()} == {
        "a": "together: a",
        "c": "together: c",
    }
    assert (len(model.calls), model.prompts) == (1, [])


@pytest.mark.parametrize(("seconds", "calls"), [(WHILE_GATHERING, 0), (IN_MID_CALL, 1)])
async def test_when_the_leader_is_cancelled_the_others_ask_by_themselves(
    autojump_clock: MockClock, crowd: Crowd, model: Scripted, seconds: float, calls: int
) -> None:
    model.before = partial(trio.sleep, 1)
    await cancelled_after(crowd, "a", seconds, ("a", "b"))
    assert {text: answer.text for text, answer in crowd.answers.items()} == {"b": "b"}
    assert len(model.calls) == calls
    await crowd.ask_all("c")  # nothing is left of the group
    assert crowd.answers["c"].text == "c"


async def test_a_bug_in_the_shared_call_affects_only_the_leader(
    autojump_clock: MockClock, crowd: Crowd, model: Scripted
) -> None:
    def broken(prompts: Mapping[str, Prompt]) -> Together:
        raise RuntimeError("a bug")

    model.together = broken
    assert await crowd.ask_all("a", "b") == {"b": "b"}
    assert isinstance(crowd.failures["a"], RuntimeError)


async def test_a_call_that_others_may_share_is_not_given_up(
    batching: BatchingResponder, board: Board
) -> None:
    assert batching.given_up(Prompt("demo", ("a",)), trio.current_time()) is None
    assert batching.given_up(Prompt("demo", ("a" * (MAX_CHARS + 1),)), trio.current_time()) is not None
    board.batching = False
    assert batching.given_up(Prompt("demo", ("a",)), trio.current_time()) is not None
