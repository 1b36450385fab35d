"""People who write to each other: when the messages of one turn of theirs came, and how long each was typed. Pure.

A turn is a run of messages of one person, with gaps of at most two minutes and nobody between. It is read from a file
in CSV, or drawn from the tables below, which hold nothing but shares and quantiles of many real turns.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from statistics import NormalDist

import msgspec

MAX_TURNS, MAX_MESSAGES, MAX_ROW_CHARS = 200_000, 500, 10_000
MAX_GAP_SECONDS, MAX_CHARS = 3_600.0, 65_536
COLUMNS = ("gaps_s", "chars_le", "kinds")
"""What is read of a file; other columns are left alone."""

WHOLE_SECOND = 0.999
"""Gaps are told in whole seconds: a message of the eighth second comes just within eight seconds, not by chance."""
APART_SECONDS = 0.1
"""No two messages come at the very same moment, though they may in the same second."""
CHARS_PER_SECOND, BEFORE_TYPING_SECONDS = 3.5, 0.7
BETWEEN_SECONDS = 0.2
"""At least so long after one message is sent does anybody begin to type the next."""
TOLD_EACH_SECONDS = 10.0
"""Somebody who goes on typing is told to do so again and again."""

# Shares in per mille, and quantiles in seconds, of 19,104 turns.
SIZES = {1: 596, 2: 235, 3: 90, 4: 38, 5: 19, 6: 9, 7: 4, 8: 3, 10: 3, 14: 3}
"""Messages of a turn."""
LENGTHS = {0: 169, 2: 45, 4: 61, 8: 94, 16: 182, 32: 251, 64: 146, 128: 45, 256: 7}
"""Of every message but a turn's first: characters, up to the power of two; 0: a picture, a voice message."""
QUANTILES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)
GAPS: dict[int, tuple[int, ...]] = {
    0: (0, 0, 0, 1, 2, 3, 7, 12, 19, 30, 51, 72, 97, 120),
    2: (0, 0, 1, 1, 1, 2, 2, 3, 4, 6, 14, 24, 40, 111),
    4: (0, 1, 1, 1, 2, 2, 2, 3, 4, 5, 10, 16, 27, 91),
    8: (0, 1, 1, 2, 2, 2, 3, 4, 5, 7, 12, 21, 40, 117),
    16: (0, 2, 2, 3, 3, 4, 5, 5, 7, 9, 14, 23, 38, 120),
    32: (0, 3, 4, 5, 6, 6, 7, 9, 10, 13, 20, 31, 52, 120),
    64: (0, 6, 8, 9, 11, 13, 15, 17, 21, 26, 37, 49, 64, 119),
    128: (0, 15, 17, 21, 24, 27, 31, 36, 43, 51, 62, 73, 90, 120),
    256: (0, 31, 36, 44, 50, 57, 61, 66, 75, 85, 100, 109, 114, 119),
}
"""Seconds since the message before, by the length of a message: what is longer is typed longer."""
RHYTHM = 0.29
"""How alike the gaps of one turn are, lengths apart: the correlation of their normal scores."""

_NORMAL = NormalDist()


class PersonTurn(msgspec.Struct, frozen=True):
    """One turn of one person. Times are seconds since its first message."""

    at: tuple[float, ...]
    """When each message came."""
    typed: tuple[tuple[float, ...], ...]
    """For each message: the moments before it at which its writer is told to type."""
    shyness: float
    """From 0 to 1: who is seen typing when that share of people is."""

    def is_seen(self, share: float) -> bool:
        """Whether this person's typing is seen where it is seen of `share` of all."""
        return self.shyness < share


class NotTurns(ValueError):
    """The file holds no turns; says which line is wrong, and never what it holds."""


def turns_in(path: Path, seed: int = 1) -> list[PersonTurn]:
    """The turns of a file. `seed`: by which it is drawn who is seen typing.

    Raises:
      NotTurns: one of its lines is not what it should be.
      OSError: it cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            # A longer line comes in pieces, of which already the first is refused.
            return turns_of(iter(lambda: file.readline(MAX_ROW_CHARS + 2), ""), seed)
    except UnicodeDecodeError:
        raise NotTurns("is no text in UTF-8") from None


def turns_of(lines: Iterable[str], seed: int = 1) -> list[PersonTurn]:
    """The turns of these lines, the first of which names the columns. Raises `NotTurns`."""
    rows, chance = iter(lines), random.Random(seed)
    names = next(rows, "").strip().split(",")
    if missing := [name for name in COLUMNS if name not in names]:
        raise NotTurns(f"line 1: no column {missing[0]}")
    found: list[PersonTurn] = []
    for number, row in enumerate(rows, start=2):
        if len(found) == MAX_TURNS:
            raise NotTurns(f"line {number}: more than {MAX_TURNS:,} turns")
        try:
            found.append(_turn_of(row, names, chance.random()))
        except NotTurns as error:
            raise NotTurns(f"line {number}: {error}") from None
    if not found:
        raise NotTurns("holds no turn")
    return found


def drawn_turns(count: int, seed: int = 1) -> list[PersonTurn]:
    """So many turns of people who never were, drawn from the tables. The same seed draws the same."""
    return list(islice(_drawn(random.Random(seed)), count))


def sampled(turns: Sequence[PersonTurn], count: int, seed: int = 1) -> list[PersonTurn]:
    """So many of them by chance; all, if there are not more. The same seed takes the same."""
    return list(turns) if count >= len(turns) else random.Random(seed).sample(turns, count)


def _drawn(chance: random.Random) -> Iterator[PersonTurn]:
    while True:
        size = chance.choices(tuple(SIZES), tuple(SIZES.values()))[0]
        chars = chance.choices(tuple(LENGTHS), tuple(LENGTHS.values()), k=size - 1)
        pace = RHYTHM**0.5 * chance.gauss(0, 1)
        shares = [_NORMAL.cdf(pace + (1 - RHYTHM) ** 0.5 * chance.gauss(0, 1)) for _ in chars]
        yield _turn(list(map(_gap_seconds, chars, shares)), chars, chance.random())


def _gap_seconds(chars: int, share: float) -> float:
    """The quantile of this share, between those that the table has."""
    quantiles = GAPS[chars]
    place = min(bisect_right(QUANTILES, share), len(QUANTILES) - 1)
    low, high = QUANTILES[place - 1 : place + 1]
    return quantiles[place - 1] + (quantiles[place] - quantiles[place - 1]) * (share - low) / (high - low)


def _turn(gaps: Sequence[float], chars: Sequence[int], shyness: float) -> PersonTurn:
    """`chars`: of every message but the first; 0: not typed."""
    at = [0.0]
    for gap in gaps:
        at.append(at[-1] + max(gap, APART_SECONDS))
    pairs = zip(pairwise(at), chars, strict=True)
    return PersonTurn(
        tuple(at), ((), *(_typed(before, came, many) for (before, came), many in pairs)), shyness
    )


def _typed(before: float, came: float, chars: int) -> tuple[float, ...]:
    """When somebody is told to type between two messages."""
    if not chars:
        return ()
    begun = max(before + BETWEEN_SECONDS, came - (chars / CHARS_PER_SECOND + BEFORE_TYPING_SECONDS))
    told = []
    while begun < came:
        told.append(begun)
        begun += TOLD_EACH_SECONDS
    return tuple(told)


def _turn_of(row: str, names: Sequence[str], shyness: float) -> PersonTurn:
    if len(row) > MAX_ROW_CHARS:
        raise NotTurns(f"longer than {MAX_ROW_CHARS:,} characters")
    cells = row.strip("\r\n").split(",")
    if len(cells) != len(names):
        raise NotTurns(f"{len(cells)} cells for {len(names)} columns")
    gaps, chars, kinds = (cells[names.index(name)].split("|") for name in COLUMNS)
    gaps = [] if gaps == [""] else gaps
    if len(kinds) > MAX_MESSAGES:
        raise NotTurns(f"more than {MAX_MESSAGES} messages")
    if not len(gaps) + 1 == len(chars) == len(kinds):
        raise NotTurns(f"{len(gaps)} gaps, {len(chars)} lengths and {len(kinds)} kinds do not fit together")
    if any(kind not in ("text", "media") for kind in kinds):
        raise NotTurns("a kind that is neither text nor media")
    seconds = [_number("a gap", gap, MAX_GAP_SECONDS) * WHOLE_SECOND for gap in gaps]
    many = [int(_number("a length", length, MAX_CHARS)) for length in chars]
    typed = [length if kind == "text" else 0 for length, kind in zip(many, kinds, strict=True)]
    return _turn(seconds, typed[1:], shyness)


def _number(what: str, text: str, most: float) -> float:
    """A plain number: digits, at most one point."""
    if not (text.isascii() and text.replace(".", "", 1).isdigit() and len(text) <= 12):
        raise NotTurns(f"{what} is no number")
    if float(text) > most:
        raise NotTurns(f"{what} is more than {most:g}")
    return float(text)
