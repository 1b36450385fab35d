"""Answers that were cut: asked for again where there is time and room, and never worse for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

import pytest
import trio
from trio.testing import MockClock

from actors.errors import TurnFailed
from actors.messages import Prompt
from daemon.responders.dialect import MAX_ROOM_TOKENS, Endpoint
from daemon.responders.http_provider import HttpProvider, ProviderTerms
from daemon.responders.openai import OpenAi
from daemon.web.answer import HttpAnswer
from daemon.web.client import DeliveryUnknown, HttpClient
from tests.support.openai_server import completion

CUT = completion("We open at nine. On Friday we", finish_reason="length")
THOUGHTS = completion("", finish_reason="length")
TERMS = ProviderTerms(timeout_seconds=30)


class Scripted:
    """Posts nothing, takes its time, and answers as told; `asked` is how many tokens each request had room for."""

    def __init__(self, *answers: object, seconds: float = 1.0) -> None:
        self.answers = list(answers)
        self.seconds = seconds
        self.slower = 0.0
        """Every request takes so much longer than the one before."""
        self.asked: list[object] = []

    async def post_json(
        self, url: str, json_body: Mapping[str, object], headers: object, deadline: float, most: int
    ) -> HttpAnswer:
        self.asked.append(json_body.get("max_tokens"))
        with trio.move_on_after(deadline) as scope:
            await trio.sleep(self.seconds + self.slower * (len(self.asked) - 1))
        answer = self.answers.pop(0)
        if scope.cancelled_caught or isinstance(answer, Exception):
            raise DeliveryUnknown("timed_out")
        return HttpAnswer(200, {}, json.dumps(answer).encode())


async def answered(http: Scripted, room: int = 1_000, retry_cut: bool = True) -> tuple[str, str, int]:
    dialect = OpenAi(Endpoint("m", base_url="http://localhost/v1", max_output_tokens=room))
    provider = HttpProvider(cast("HttpClient", http), "main", dialect, TERMS)
    answer = await provider.answer(Prompt("demo", ("When?",), retry_cut=retry_cut))
    return answer.text, answer.cut, answer.output_tokens


async def test_it_is_asked_for_once_more_with_twice_the_room(autojump_clock: MockClock) -> None:
    http = Scripted(CUT, completion("We open at nine. On Friday at two."))
    assert await answered(http) == ("We open at nine. On Friday at two.", "", 14)
    assert http.asked == [1_000, 2_000]


async def test_only_where_the_prompt_wants_it(autojump_clock: MockClock) -> None:
    http = Scripted(CUT)
    assert await answered(http, retry_cut=False) == ("We open at nine.", "length", 7)


async def test_nothing_but_thoughts_gets_four_times_the_room(autojump_clock: MockClock) -> None:
    http = Scripted(THOUGHTS, completion("At nine."))
    assert await answered(http) == ("At nine.", "", 14)
    assert http.asked == [1_000, 4_000]


@pytest.mark.parametrize(("room", "asked"), [(10_000, [10_000, MAX_ROOM_TOKENS]), (20_000, [20_000])])
async def test_the_room_is_bounded(room: int, asked: list[int], autojump_clock: MockClock) -> None:
    """I8."""
    http = Scripted(CUT, CUT)
    assert (await answered(http, room))[:2] == ("We open at nine.", "length")
    assert http.asked == asked


async def test_not_where_the_time_is_too_short_for_it(autojump_clock: MockClock) -> None:
    """I8: the second answer takes at least as long as the first."""
    http = Scripted(CUT, completion("late"), seconds=16)
    assert (await answered(http))[:2] == ("We open at nine.", "length")
    assert len(http.asked) == 1


@pytest.mark.parametrize(("seconds", "posts"), [(5, 1), (10, 2)])
async def test_nor_where_who_asks_has_no_time_for_it(
    seconds: float, posts: int, autojump_clock: MockClock
) -> None:
    """I8: the deadline over all providers; what was bought already is not lost in a second try that comes too late."""
    http = Scripted(CUT, completion("late"), seconds=4)
    http.slower = 20.0
    with trio.fail_after(seconds):
        assert (await answered(http))[:2] == ("We open at nine.", "length")
    assert len(http.asked) == posts


@pytest.mark.parametrize("second", [OSError(), THOUGHTS, completion(None, finish_reason="content_filter")])
async def test_a_second_answer_that_is_worse_costs_the_customer_nothing(
    second: object, autojump_clock: MockClock
) -> None:
    text, cut, _ = await answered(Scripted(CUT, second))
    assert (text, cut) == ("We open at nine.", "length")


async def test_what_two_useless_answers_cost_is_told(autojump_clock: MockClock) -> None:
    with pytest.raises(TurnFailed) as failure:
        await answered(Scripted(THOUGHTS, THOUGHTS))
    assert (failure.value.reason, failure.value.spent.output_tokens) == ("cut_short", 14)
