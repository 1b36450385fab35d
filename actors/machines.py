"""Whether another machine answers at the other end, so that the two would talk all night. Pure.

Laws of this file:
1. A wrong silence costs a customer, a late one some replies. So one sign is never enough, each is measured over a whole
   run of exchanges, and whatever only a person does clears the conversation.
2. Many replies alone are an alert and no silence: a person who fills in a form gets as many.
3. The same exchanges give the same verdict: nothing here reads a clock, so a retried turn ends as its first attempt.

A run is talk without a pause: our reply left, and the next message came within `within_seconds`. The signs:

`instant`    it writes within 2 s of our reply
`fluent`     it writes long texts sooner than they can be typed
`even`       it always takes about the same time; `steady`: nearly exactly the same
`same`       it says what it said before, but for numbers and a few words
`echo`       it says most of our own reply back
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import median

import msgspec

from actors.instance import MachineTerms
from actors.repeats import CHOICES
from actors.text import first_words

MAX_REPLIES = 100
"""The longest run that is looked at."""
MIN_AGAIN = 5
AGAIN_PART = 4
"""After a silence, a run of a quarter of the length decides: it has been a machine before."""
MAX_SILENCE_SECONDS = 86_400.0
"""A silence soon after another one is twice as long, up to a day, or to `silence_seconds` where that is more."""

INSTANT_SECONDS = 2.0
TYPED_PER_SECOND = 6.0
"""Letters, without blanks: 80 words a minute, and our reply is read in no time. Nobody does that for long."""
MIN_TYPED = 100
"""Shorter texts are typed, tapped, dictated or pasted from a list in no time, at an even pace too."""
_MOST = 0.8
_MANY = 0.6
_ALMOST_ALL = 0.9
_EVEN_PART, _EVEN_SECONDS = 0.25, 1.5
_STEADY_PART, _STEADY_SECONDS = 0.1, 0.5
MIN_WORDS = 4
"""Yes, no, numbers and names repeat in every form."""
MIN_ECHO_CHARS = 15
_ALIKE = 0.6
_MAX_CHARS = 600
_MAX_BY_HAND = 0.1

_PAIRS = (
    ("instant", "same"),
    ("fluent", "even"),
    ("steady", "same"),
    ("echo", "instant"),
    ("echo", "fluent"),
    ("echo", "even"),
    ("echo", "same"),
)
"""What makes a machine. Whoever pastes from a list is fluent and the same, whoever answers a form is even: it takes two
signs that no one habit of a person explains."""

_BY_HAND = CHOICES | {"voice", "sticker", "location", "contact", "reaction", "order"}
"""Kinds of messages that people make and answering machines do not: spoken, pasted on, tapped."""
_NUMBER = re.compile(r"[0-9]+")
_LINK = re.compile(r"https?://\S+|www\.\S+")


class Remark(msgspec.Struct, frozen=True):
    """One message of the other side."""

    text: str = ""
    kind: str = "text"
    swept: bool = False
    """It was found later, so nobody knows when it came."""


class Exchange(msgspec.Struct, frozen=True):
    """One turn: what came, and what we replied."""

    opened_ms: int
    """When its first message came."""
    said: tuple[Remark, ...] = ()
    answer: str | None = None
    left_ms: tuple[tuple[int, int], ...] = ()
    """Of each part that was sent: from when on it may have left, and when it certainly had."""


class Recent(msgspec.Struct, frozen=True):
    """What the ledger knows of a conversation's pace."""

    silent: bool = False
    """A silence is in force."""
    at_ms: int = 0
    """When the turn began."""
    times: int = 0
    """Silences in a row before this one."""
    exchanges: tuple[Exchange, ...] = ()
    """Oldest first; the last one is the turn itself."""


class Pace(msgspec.Struct, frozen=True):
    """The verdict."""

    replies: int = 0
    """Sent within `within_seconds`, where they are too many."""
    silent: bool = False
    signs: tuple[str, ...] = ()
    """Of a machine; more than one, or none."""
    silence_seconds: float = 0.0
    """How long the silence lasts that begins now; 0: none begins."""
    times: int = 0
    """The place of that silence in a row of such."""


class _Reaction(msgspec.Struct, frozen=True):
    """What came after one of our replies. `seconds` None: before it, so it was no answer to it."""

    seconds: float | None
    said: tuple[Remark, ...]
    reply: str
    parts: int


def judge(recent: Recent, terms: MachineTerms) -> Pace:
    """Whether the conversation is too fast, and whether a machine speaks in it."""
    if recent.silent:
        return Pace(silent=True)
    wanted = min(terms.replies, MAX_REPLIES)
    since = recent.at_ms - terms.within_seconds * 1000
    replies = sum(bool(one.left_ms) and one.left_ms[-1][1] > since for one in recent.exchanges)
    busy = replies if replies >= wanted else 0
    needed = run_length(wanted, recent.times)
    run = _run(_reactions(recent.exchanges), terms.within_seconds)[-needed:]
    found = _signs(run) if len(run) >= needed else ()
    if not found:
        return Pace(busy)
    times = recent.times + 1
    longest = max(MAX_SILENCE_SECONDS, terms.silence_seconds)
    seconds = min(terms.silence_seconds * 2.0 ** min(recent.times, 30), longest)
    return Pace(busy, True, found, seconds, times)


def run_length(replies: int, times: int) -> int:
    """How many exchanges decide, after so many silences in a row."""
    return replies if times == 0 else min(replies, max(MIN_AGAIN, replies // AGAIN_PART))


def _signs(run: Sequence[_Reaction]) -> tuple[str, ...]:
    """The signs of a machine, where they are enough to call it one."""
    if not run or _share(run, _by_hand) > _MAX_BY_HAND:
        return ()
    delays = [one.seconds for one in run if one.seconds is not None]
    found = {
        "instant": sum(delay <= INSTANT_SECONDS for delay in delays) >= _MOST * len(run),
        "fluent": _share(run, _fluent) >= _MANY,
        "even": _within(delays, len(run), _EVEN_PART, _EVEN_SECONDS) >= _MOST,
        "steady": _within(delays, len(run), _STEADY_PART, _STEADY_SECONDS) >= _ALMOST_ALL,
        "echo": _share(run, _echoes) >= _MANY,
    }
    # The words are read last, and of few: that is what costs time.
    found["same"] = (found["instant"] or found["steady"] or found["echo"]) and _repeated(run) >= _MOST * len(
        run
    )
    named = {sign for pair in _PAIRS if all(found[one] for one in pair) for sign in pair}
    return tuple(sign for sign in found if sign in named)


def _reactions(exchanges: Sequence[Exchange]) -> list[_Reaction]:
    """One for each message that came after a reply; what was found later is none."""
    reactions = []
    before: Exchange | None = None
    for one in exchanges:
        if before is not None and one.said and not any(said.swept for said in one.said):
            seconds = _seconds(before.left_ms, one.opened_ms)
            reactions.append(_Reaction(seconds, one.said, before.answer or "", len(before.left_ms)))
        if one.left_ms:
            before = one
    return reactions


def _seconds(left_ms: Sequence[tuple[int, int]], opened_ms: int) -> float | None:
    """From the latest part that may have left before the message to the message."""
    gone = [(claimed, settled) for claimed, settled in left_ms if claimed <= opened_ms]
    if not gone:
        return None
    claimed, settled = gone[-1]
    # An answer may overtake the gateway's confirmation. One that overtakes it by minutes proves nothing.
    return (opened_ms - (settled if settled <= opened_ms else claimed)) / 1000


def _run(reactions: Sequence[_Reaction], pause_seconds: float) -> Sequence[_Reaction]:
    """The latest ones without a pause."""
    for place in range(len(reactions) - 1, -1, -1):
        seconds = reactions[place].seconds
        if seconds is not None and seconds > pause_seconds:
            return reactions[place + 1 :]
    return reactions


def _share(run: Sequence[_Reaction], test: Callable[[_Reaction], bool]) -> float:
    return sum(map(test, run)) / len(run)


def _by_hand(one: _Reaction) -> bool:
    """A person made it: by its kind, or because the same came more often than there was anything to answer."""
    if any(said.kind in _BY_HAND for said in one.said):
        return True
    most = max(Counter(said.text for said in one.said).values(), default=0)
    return most > max(2, one.parts)


def _fluent(one: _Reaction) -> bool:
    typed = len("".join(_NUMBER.sub("", _LINK.sub("", _words(one.said[0])[:_MAX_CHARS])).split()))
    return one.seconds is not None and typed >= MIN_TYPED and typed > one.seconds * TYPED_PER_SECOND


def _within(delays: Sequence[float], total: int, part: float, seconds: float) -> float:
    """How many of all answers take about as long as the one in the middle."""
    if not delays:
        return 0.0
    middle = median(delays)
    width = max(seconds, middle * part)
    return sum(abs(delay - middle) <= width for delay in delays) / total


def _repeated(run: Sequence[_Reaction]) -> int:
    """How many say what an earlier one or the next one said, number or not, but for a few words."""
    shapes = Counter(shape for one in run if len(shape := _shape(one)) >= MIN_WORDS)
    return sum(
        times
        for shape, times in shapes.items()
        if times > 1 or any(_alike(shape, other) for other in shapes if other is not shape)
    )


def _words(said: Remark) -> str:
    """What they say: of a picture or a document the caption, for what stands before it in brackets is ours."""
    named = said.kind != "text" and said.text.startswith("[")
    return said.text.partition("]")[2] if named else said.text


def _shape(one: _Reaction) -> frozenset[str]:
    said = " ".join(map(_words, one.said))
    return frozenset(_NUMBER.sub("#", word) for word in first_words(said, _MAX_CHARS))


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    return len(one & other) >= _ALIKE * len(one | other)


def _echoes(one: _Reaction) -> bool:
    """The middle half of our reply is in what they say, to the letter."""
    ours = " ".join(one.reply[:_MAX_CHARS].split())
    middle = ours[len(ours) // 4 : len(ours) * 3 // 4]
    return len(middle) >= MIN_ECHO_CHARS and middle in " ".join(
        " ".join(said.text.split()) for said in one.said
    )
