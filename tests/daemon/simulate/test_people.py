"""Turns of people: a file is read with suspicion, and those that are drawn are like those in the tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.simulate.people import (
    BETWEEN_SECONDS,
    GAPS,
    LENGTHS,
    MAX_ROW_CHARS,
    QUANTILES,
    SIZES,
    WHOLE_SECOND,
    NotTurns,
    drawn_turns,
    sampled,
    turns_in,
    turns_of,
)

HEAD = "gaps_s,chars_le,ends,kinds"


def test_a_file_is_read(tmp_path: Path) -> None:
    """As spreadsheets write it too; columns in any order, and more than are needed."""
    path = tmp_path / "turns.csv"
    path.write_bytes("\ufeffkinds,gaps_s,chars_le\r\ntext|text|media,20|4,8|32|0\r\ntext,,64\r\n".encode())
    three, one = turns_in(path)
    assert three.at == (0.0, 20 * WHOLE_SECOND, 20 * WHOLE_SECOND + 4 * WHOLE_SECOND)
    (typed,) = three.typed[1]
    assert typed == pytest.approx(20 * WHOLE_SECOND - (32 / 3.5 + 0.7))
    assert (three.typed[0], three.typed[2]) == ((), ())
    assert (one.at, one.typed) == ((0.0,), ((),))


def test_a_long_text_is_told_again_and_begins_after_the_message_before() -> None:
    (turn,) = turns_of([HEAD, "25,8|1024,letter|letter,text|text"])
    assert turn.typed[1] == (BETWEEN_SECONDS, 10 + BETWEEN_SECONDS, 20 + BETWEEN_SECONDS)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("1,8|16,a|b,text", "do not fit together"),
        ("1|2,8|16,a|b,text|text", "do not fit together"),
        ("1,8|16,a|b,text|text,more", "5 cells for 4 columns"),
        ("", "1 cells for 4 columns"),
        ("1,8|16,a|b,text|person", "neither text nor media"),
        *(
            (f"{gap},8|16,a|b,text|text", "a gap is no number")
            for gap in ("nan", "inf", "-1", "1e3", "1_0", "١")
        ),
        ("3601,8|16,a|b,text|text", "a gap is more than 3600"),
        ("1,8|9999999,a|b,text|text", "a length is more than"),
        ("9" * MAX_ROW_CHARS + ",8,a,text", "longer than"),
        ("|".join("1" * 500) + ",8,a," + "|".join(["text"] * 501), "more than 500 messages"),
    ],
)
def test_what_is_no_turn_is_refused_by_its_line(row: str, said: str) -> None:
    with pytest.raises(NotTurns, match=f"^line 3: .*{said}"):
        turns_of([HEAD, ",8,letter,text", row])


def test_a_file_without_turns_is_refused(tmp_path: Path) -> None:
    for text, said in (("", "no column gaps_s"), ("gaps_s,chars_le", "no column kinds"), (HEAD, "no turn")):
        with pytest.raises(NotTurns, match=said):
            turns_of(text.splitlines())
    (tmp_path / "picture").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(NotTurns, match="UTF-8"):
        turns_in(tmp_path / "picture")
    with pytest.raises(NotTurns, match="line 1"):  # one line without end is not read to its end
        turns_in(Path("/dev/zero"))


def test_those_that_are_drawn_are_as_the_tables_say() -> None:
    turns = drawn_turns(5_000)
    assert turns == drawn_turns(5_000) != drawn_turns(5_000, seed=2)
    sizes = [len(turn.at) for turn in turns]
    for size, share in SIZES.items():
        assert sizes.count(size) / len(sizes) == pytest.approx(share / 1000, abs=0.02)
    gaps = sorted(
        later - sooner for turn in turns for sooner, later in zip(turn.at, turn.at[1:], strict=False)
    )
    for quantile, seconds in ((0.25, 3), (0.5, 7), (0.75, 15), (0.9, 31)):
        assert gaps[int(len(gaps) * quantile)] == pytest.approx(seconds, rel=0.15)
    assert sum(turn.is_seen(0.8) for turn in turns) / len(turns) == pytest.approx(0.8, abs=0.02)


def test_the_tables_are_whole() -> None:
    assert sum(SIZES.values()) == sum(LENGTHS.values()) == 1000
    assert GAPS.keys() == LENGTHS.keys()
    assert all(len(each) == len(QUANTILES) and list(each) == sorted(each) for each in GAPS.values())


def test_a_sample_is_taken_by_its_seed() -> None:
    turns = drawn_turns(100)
    assert sampled(turns, 10) == sampled(turns, 10) != sampled(turns, 10, seed=2)
    assert sampled(turns, 100) == turns
