"""The window: 8 seconds from the first message, or 5 messages; or until nothing more is said. I7."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.messages import Message, Waiting, WindowPolicy
from actors.window import (
    STALE_SECONDS,
    awaits_album,
    close_reason,
    counted,
    remaining_seconds,
    stops_typing,
    stored_end,
    types,
    window_end,
)

POLICY = WindowPolicy()
QUIET = WindowPolicy(kind="quiet", quiet_seconds=10.0, max_seconds=60.0)

POLICIES = st.builds(
    WindowPolicy,
    window_seconds=st.floats(0.1, 3600),
    kind=st.sampled_from(["rule", "quiet"]),
    quiet_seconds=st.floats(0.1, 60),
    max_seconds=st.floats(60, 3600),
    typing_seconds=st.just(0.0) | st.floats(0.1, 600),
)
TIMES = st.lists(st.floats(0, 10_000), min_size=1, max_size=8).map(sorted)


def test_a_window_that_nothing_armed_does_not_close() -> None:
    assert close_reason(0, None, 100.0, POLICY) is None


def test_a_window_of_asides_has_its_end() -> None:
    assert close_reason(0, 8.0, 7.9, POLICY) is None
    assert close_reason(0, 8.0, 8.0, POLICY) == "timeout"


def test_closes_at_its_time_not_before() -> None:
    assert close_reason(1, 8.0, 7.999, POLICY) is None
    assert close_reason(1, 8.0, 8.0, POLICY) == "timeout"


def test_fifth_message_closes_at_once() -> None:
    assert close_reason(4, 8.0, 0.1, POLICY) is None
    assert close_reason(5, 8.0, 0.1, POLICY) == "count"


def test_after_a_restart_only_the_rest_is_waited() -> None:
    assert remaining_seconds(deadline_ms=108_000, now_ms=105_500, policy=POLICY) == 2.5
    assert remaining_seconds(deadline_ms=108_000, now_ms=110_500, policy=POLICY) == -2.5, "over for so long"


@given(st.integers(0, 2**52), st.integers(0, 2**52), st.floats(0.1, 3600))
def test_a_clock_step_never_makes_the_wait_longer_than_a_window(
    deadline_ms: int, now_ms: int, window: float
) -> None:
    assert remaining_seconds(deadline_ms, now_ms, WindowPolicy(window_seconds=window)) <= window


def waiting(*messages: Message) -> tuple[Waiting, ...]:
    return tuple(Waiting(seq, seq, message) for seq, message in enumerate(messages, 1))


def said(id: str, **fields: object) -> Message:
    return Message("demo", "5511900000001", id, "text", 0, **fields)  # type: ignore[arg-type]


HEADER = said("H", album="H", album_size=3)
PARTS = [said(f"P{number}", album="H") for number in range(3)]


def test_asides_and_amendments_do_not_count() -> None:
    burst = waiting(said("A"), said("R", aside="reaction"), said("E", amends="A", kind="edit"), said("B"))
    assert counted(burst, POLICY) == 2


def test_an_album_counts_once_with_or_without_its_header() -> None:
    assert counted(waiting(HEADER, *PARTS), POLICY) == 1
    assert counted(waiting(*PARTS), POLICY) == 1
    assert counted(waiting(HEADER, *PARTS, said("A"), said("X", album="Y")), POLICY) == 3
    assert counted(waiting(HEADER, *PARTS), WindowPolicy(album_seconds=0)) == 4


def test_only_parts_that_were_announced_are_waited_for() -> None:
    assert awaits_album(waiting(HEADER, *PARTS[:2]), POLICY)
    assert not awaits_album(waiting(HEADER, *PARTS), POLICY)
    assert not awaits_album(waiting(*PARTS[:2], said("A")), POLICY)
    assert not awaits_album(waiting(HEADER), WindowPolicy(album_seconds=0))


def test_by_quiet_the_last_message_sets_the_end() -> None:
    assert stored_end(QUIET, first=100.0, last=100.0) == 110.0
    assert stored_end(QUIET, first=100.0, last=107.0) == 117.0
    assert stored_end(QUIET, first=100.0, last=155.0) == 160.0, "never longer than it may be"
    assert close_reason(1, 110.0, 110.0, QUIET) == "quiet"
    assert close_reason(5, 110.0, 100.0, QUIET) == "count"


@given(POLICIES, TIMES)
def test_a_stored_end_never_comes_too_early_nor_too_late(policy: WindowPolicy, arrived: list[float]) -> None:
    first = arrived[0]
    ends = [stored_end(policy, first, last) for last in arrived]
    assert ends == sorted(ends), "what is written never moves it earlier"
    if policy.kind == "rule":
        assert set(ends) == {first + policy.window_seconds}, "and by the rule not at all"
        return
    for last, end in zip(arrived, ends, strict=True):
        assert end <= first + policy.max_seconds
        assert end == min(last + policy.quiet_seconds, first + policy.max_seconds), "the message is heard out"


@given(POLICIES, TIMES, st.floats(0, 10_000))
def test_typing_makes_a_window_longer_and_never_longer_than_it_may(
    policy: WindowPolicy, arrived: list[float], at: float
) -> None:
    first, last = arrived[0], arrived[-1]
    end, typing = stored_end(policy, first, last), window_end(policy, first, last, types(at))
    stopped = window_end(policy, first, last, stops_typing(types(at), at))
    assert end <= stopped <= typing <= max(end, first + policy.typing_seconds)
    assert typing <= max(end, at + STALE_SECONDS), "who was said to type long ago is not believed to"
