"""When a business is open, by its own clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.hours import BadHours, Openness, openness, read

SHOP = ("sun-thu 09:00-22:00", "fri 14:00-23:00", "sat 09:00-12:00 16:00-22:00")
RIYADH, BERLIN, SAO_PAULO = ZoneInfo("Asia/Riyadh"), ZoneInfo("Europe/Berlin"), ZoneInfo("America/Sao_Paulo")


def at(
    lines: tuple[str, ...], zone: ZoneInfo, *now: int, fold: int = 0, day: tuple[int, int] = (11, 30)
) -> str:
    """What holds at this wall time of 2026, in short."""
    month, of_month = day
    hour, minute = now
    wall = datetime(2026, month, of_month, hour, minute, tzinfo=zone, fold=fold)
    shown = openness(read(lines), zone, wall)
    changes = shown.changes_at.strftime("%a %d %H:%M%z") if shown.changes_at else "never"
    return f"{'open' if shown.is_open else 'closed'}, {changes}"


@pytest.mark.parametrize(
    ("day", "now", "said"),
    [
        (30, (8, 59), "closed, Mon 30 09:00+0300"),
        (30, (9, 0), "open, Mon 30 22:00+0300"),
        (30, (21, 59), "open, Mon 30 22:00+0300"),
        (30, (22, 0), "closed, Tue 01 09:00+0300"),
        (28, (13, 0), "closed, Sat 28 16:00+0300"),
        (27, (23, 30), "closed, Sat 28 09:00+0300"),
    ],
)
def test_a_shop_opens_and_closes_by_its_own_clock(day: int, now: tuple[int, int], said: str) -> None:
    assert at(SHOP, RIYADH, *now, day=(11, day)) == said


def test_a_span_goes_on_past_midnight_and_joins_the_next() -> None:
    assert at(("fri 20:00-02:00",), RIYADH, 1, 59, day=(11, 28)) == "open, Sat 28 02:00+0300"
    assert at(("fri 20:00-02:00",), RIYADH, 2, 0, day=(11, 28)) == "closed, Fri 04 20:00+0300"
    assert (
        at(("fri 20:00-02:00", "sat 02:00-05:00"), RIYADH, 23, 0, day=(11, 27)) == "open, Sat 28 05:00+0300"
    )
    assert (
        at(("fri 20:00-00:00", "sat 00:00-24:00"), RIYADH, 23, 0, day=(11, 27)) == "open, Sun 29 00:00+0300"
    )
    assert at(("mon 09:00-18:00 12:00-20:00",), RIYADH, 13, 0) == "open, Mon 30 20:00+0300"


def test_always_open_and_always_closed_have_no_next_time() -> None:
    assert at(("daily 00:00-24:00",), RIYADH, 12, 0) == "open, never"
    assert at(("daily closed",), RIYADH, 12, 0) == at((), RIYADH, 12, 0) == "closed, never"
    assert at(("daily 09:00-22:00", "mon closed"), RIYADH, 12, 0) == "closed, Tue 01 09:00+0300"
    assert at(("mon 12:00-12:01",), RIYADH, 12, 1) == "closed, Mon 07 12:00+0300"


def test_days_on_which_the_clocks_change() -> None:
    """What opens at nine opens at nine, by summer time or not; the night of the change has 23 or 25 hours."""
    assert at(("daily 09:00-18:00",), BERLIN, 20, 0, day=(3, 28)) == "closed, Sun 29 09:00+0200"
    assert at(("daily 09:00-18:00",), BERLIN, 20, 0, day=(10, 24)) == "closed, Sun 25 09:00+0100"
    assert at(("daily 20:00-04:00",), BERLIN, 3, 30, day=(3, 29)) == "open, Sun 29 04:00+0200"
    # The hour from two to three comes twice: a bar until half past two closes in the first of them, and stays closed.
    assert at(("sat 20:00-02:30",), BERLIN, 2, 15, fold=0, day=(10, 25)) == "open, Sun 25 02:30+0200"
    assert at(("sat 20:00-02:30",), BERLIN, 2, 15, fold=1, day=(10, 25)) == "closed, Sat 31 20:00+0100"
    # It does not come at all in spring: half past two is then half past three, and what would end before it is none.
    assert at(("sun 02:30-04:00",), BERLIN, 1, 0, day=(3, 29)) == "closed, Sun 29 03:30+0200"
    assert at(("sun 02:30-03:00",), BERLIN, 1, 0, day=(3, 29)) == "closed, Sun 05 02:30+0200"


@pytest.mark.parametrize(
    ("line", "same"),
    [
        ("Sun - Thu 09:00 – 22:00", "sun-thu 9:00-22:00"),
        ("monday, wednesday 09:00-12:00 13:00-17:00", "mon,wed 13:00-17:00 09:00-12:00"),
        ("sat-mon 20:00-00:00", "sat,sun,mon 20:00-24:00"),
        ("FRI Closed", "fri closed"),
    ],
)
def test_lines_are_read_as_people_write_them(line: str, same: str) -> None:
    assert read([line]) == read([same])


@pytest.mark.parametrize(
    ("lines", "place", "said"),
    [
        (["09:00-17:00"], 0, "days and then times"),
        (["mon"], 0, "days and then times"),
        ([""], 0, "days and then times"),
        (["mon 9-17"], 0, "each with its minutes"),
        (["mon 09:00"], 0, "each with its minutes"),
        (["mon 9:00am-5:00pm"], 0, "of 24 hours"),
        (["mon 24:00-25:00"], 0, "09:00-22:00"),
        (["mon 09:00-24:30"], 0, "from 00:00 to 24:00"),
        (["mon 09:00-09:00"], 0, "00:00-24:00"),
        (["mon closed 09:00-10:00"], 0, "times like"),
        (["lunes 09:00-10:00"], 0, "mon, tue"),
        (["mo 09:00-10:00"], 0, "mon, tue"),
        (["sun-thu 09:00-10:00", "tue closed"], 1, "tue has another line"),
        (["daily 09:00-10:00", "daily closed"], 1, "the other daily"),
        (["mon " + "x" * 300], 0, "200 characters"),
        (["mon closed"] * 33, 32, "32 lines"),
    ],
)
def test_what_cannot_be_read_is_named_with_what_it_must_be(lines: list[str], place: int, said: str) -> None:
    with pytest.raises(BadHours, match="must") as bad:
        read(lines)
    assert (bad.value.place, said in str(bad.value)) == (place, True), bad.value


MINUTES = st.integers(0, 24 * 60 - 1)
LINES = st.dictionaries(
    st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]),
    st.tuples(MINUTES, MINUTES).filter(lambda span: span[0] != span[1]),
)


@given(LINES, st.integers(0, 366 * 24 * 60), st.sampled_from([RIYADH, BERLIN, SAO_PAULO]))
def test_nothing_changes_before_the_next_change(
    spans: dict[str, tuple[int, int]], minute: int, zone: ZoneInfo
) -> None:
    """At every moment of a year: until it is said to change it stays as it is, and then it is the other."""
    lines = [
        f"{day} {opens // 60:02}:{opens % 60:02}-{closes // 60:02}:{closes % 60:02}"
        for day, (opens, closes) in spans.items()
    ]
    week, now = read(lines), datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    shown = openness(week, zone, now)
    if shown.changes_at is None:
        assert shown == Openness(False, None) and not spans
        return
    assert shown.changes_at > now
    middle = now + (shown.changes_at.astimezone(UTC) - now) / 2
    assert openness(week, zone, middle) == shown
    assert openness(week, zone, shown.changes_at).is_open is not shown.is_open
