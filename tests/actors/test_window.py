"""The window: 8 seconds from the first message, or 5 messages. I7."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.messages import Message, Waiting, WindowPolicy
from actors.window import awaits_album, close_reason, counted, remaining_seconds

POLICY = WindowPolicy()


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
