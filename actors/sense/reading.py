"""Reads a text: its clauses, their expressions, and what is left of these after denials and courtesy. Pure, total.

Laws of this file:
1. What is harmless covers what stands within it ("no problem" has a problem in it), and nothing else: "no problem, but
   I want my money back" is sensitive.
2. What is not wanted is not asked for ("I don't need an agent"), nor is a person who is spoken of ("the agent was
   kind"). What is only supposed ("if it arrives broken") or over ("all solved now") is no trouble; a demand stays one.
3. Punctuation, lines and words like "but" part clauses; no denial reaches over one.
4. All languages are read at once: people mix them. A word that is harmless in one language alone ("legal" in
   Portuguese) is so in a text with other words of that language.
5. At most `MAX_CHARS` are read, each a bounded number of times.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import lru_cache
from itertools import accumulate

import msgspec

from actors.sense import arabic, english, portuguese, spanish
from actors.sense.lists import Lists
from actors.sense.patterns import (
    BEGINNING,
    END,
    JOINT,
    LOUD,
    NUMBER,
    QUESTION,
    TURN,
    Hit,
    Matcher,
    folded,
    word_class,
)
from actors.text import normalised

MAX_CHARS = 20_000
"""How much of a text is read: what a turn costs must not grow with what a customer pastes."""
LANGUAGES: Mapping[str, Lists] = {
    "ar": arabic.LISTS,
    "en": english.LISTS,
    "es": spanish.LISTS,
    "pt": portuguese.LISTS,
}

_ANGRY = "\U0001f620\U0001f621\U0001f624\U0001f92c\U0001f47f\U0001f4a2"
_TOKEN = re.compile(rf"[^\W_]+(?:['\u2019`][^\W_]+)*|[.,;:!?،؛؟\n()|{_ANGRY}]+|(?<= )[-\u2013\u2014]+(?= )")
_APOSTROPHE = re.compile("['\u2019`]")
_ELONGATED = re.compile(r"([^\W\d_])\1{2,}")
_PARTING = word_class(
    """but however though although bt لكن ولكن بس لاكن lakin bs pero aunque sino porem mas contudo entretanto"""
)
_NOT_PARTING_AFTER = word_class(
    "de nada mucho poco nunca algo el lo la los las del tan ni o ya por dia vez cobraron cobro cobrar cobran un una no"
)
"""Before the Spanish más, which is the Portuguese "but" to somebody who leaves accents off."""
_PREFIXES = tuple(
    sorted(
        word_class("وبال وكال وال بال كال فال ولل فلل هال عال لل ال وب ول وك فب فل و ب ل ف ك"),
        key=len,
        reverse=True,
    )
)
"""What is written together with an Arabic word, the longest first."""
_MIN_STEM = 3
_DENIED_WITHIN = 3
"""So many words before it a denial makes of \"solved\" its contrary."""


class Sense(msgspec.Struct, frozen=True):
    """What a text asks for."""

    human: bool = False
    sensitive: bool = False


def prepare() -> None:
    """Take the lists in: a tenth of a second that no turn should wait for."""
    _lexicon()


@lru_cache(maxsize=16)
def read(text: str) -> Sense:
    """What the customer asks for in `text`. The rules ask one after another, so the latest answers are kept."""
    clauses = list(_clauses(text))
    kinds = _kinds_in(clauses)
    human = demanded = troubled = False
    for said in clauses:
        left = _left(said, kinds)
        human = human or "human" in left
        demanded = demanded or "demand" in left
        # What is said to be over was reported before, or in the same breath.
        troubled = (troubled or "trouble" in left) and "solution" not in left
    return Sense(human, demanded or troubled)


def _left(said: Sequence[str], harmless: frozenset[str]) -> set[str]:
    """The kinds of what a clause says, without what is covered, refused or supposed in it, or happened elsewhere.

    A demand or a wish goes only where all of it is within something harmless; a trouble, which is described in many
    words, also where only its beginning or its end is; a person also where he is within what is spoken of.
    """
    first, last = said.index(BEGINNING) + 1, said.index(END)
    matcher = _lexicon().matcher
    hits = [Hit(hit.kind, max(first, hit.start), min(hit.end, last)) for hit in matcher.hits(said)]
    if not hits:
        return set()
    covered = _reach(said, (hit for hit in hits if _is_harmless(hit, said, first, harmless)), beyond=0)
    mentioned = _reach(said, (hit for hit in hits if hit.kind == "mention"), beyond=0)
    of_machine = _reach(said, (hit for hit in hits if hit.kind == "machine"), beyond=0)
    refused = _reach(said, (hit for hit in hits if hit.kind == "refusal"), beyond=2)
    supposed = min((hit.start for hit in hits if hit.kind == "supposition"), default=len(said))
    never = min((hit.start for hit in hits if _is_never(hit, said)), default=len(said))
    is_elsewhere = any(hit.kind == "elsewhere" for hit in hits) and _lexicon().ours.isdisjoint(said)
    left: set[str] = set()
    for kind, start, end in ((hit.kind, hit.start, hit.end) for hit in hits):
        if covered[start] >= end or (is_elsewhere and kind in ("demand", "trouble")):
            continue
        if kind == "trouble" and (covered[start] > start or covered[end - 1] >= end or start >= supposed):
            continue
        if kind == "trouble" and end > never:
            continue
        if kind == "trouble" and (of_machine[start] > start or of_machine[end - 1] >= end):
            continue
        if kind == "human" and (mentioned[start] > start or mentioned[end - 1] >= end):
            continue
        if kind == "solution" and not matcher.denials.isdisjoint(
            said[max(first, start - _DENIED_WITHIN) : start]
        ):
            continue
        if kind == "insisted":
            left.add("human")
        elif refused[start] <= start:
            left.add(kind)
    return left


def _is_harmless(hit: Hit, said: Sequence[str], first: int, harmless: Set[str]) -> bool:
    """What is harmless by itself, or is settled: neither denied nor awaited by the words just before it."""
    if hit.kind != "settled":
        return hit.kind in harmless
    before = said[max(first, hit.start - _DENIED_WITHIN) : hit.start]
    return _lexicon().matcher.denials.isdisjoint(before) and _lexicon().awaited.isdisjoint(before)


def _is_never(hit: Hit, said: Sequence[str]) -> bool:
    """What has not happened in all the time, unless it is said of something that was worse than ever."""
    return hit.kind == "never" and _lexicon().unheard.isdisjoint(said[hit.start :])


def _reach(said: Sequence[str], hits: Iterable[Hit], beyond: int) -> list[int]:
    """For each place how far the hits reach that begin there or before it, and some words beyond."""
    ends = [0] * len(said)
    for hit in hits:
        ends[hit.start] = max(ends[hit.start], hit.end + beyond)
    return list(accumulate(ends, max))


def _kinds_in(clauses: Sequence[Sequence[str]]) -> frozenset[str]:
    """The kinds of what is harmless in these clauses."""
    signs = _lexicon().signs
    here = (kind for kind, words in signs.items() if any(not words.isdisjoint(said) for said in clauses))
    return frozenset(("harmless", *here))


def _clauses(text: str) -> Iterator[list[str]]:
    """The words of each clause in the forms that the lists know, between signs for its beginning and end."""
    plain = unicodedata.normalize("NFKC", text[:MAX_CHARS])[:MAX_CHARS]
    seen = normalised(plain.replace("\n", " ; "))
    vocabulary, compounds = _lexicon().matcher.vocabulary, _lexicon().compounds
    said = [BEGINNING]
    for token in _TOKEN.findall(seen):
        if token[0].isalnum():
            word = _known(_APOSTROPHE.sub("", token), vocabulary)
            if word in _PARTING and not (word == "mas" and said[-1] in _NOT_PARTING_AFTER):
                if len(said) > 1:
                    yield [*said, END]
                said = [TURN, BEGINNING]
            elif (joined := compounds.get((said[-1], word))) is not None:
                said[-1] = joined
            else:
                said.append(word)
            continue
        if sum(sign in "?!؟" for sign in token) > 1 or any(sign in _ANGRY for sign in token):
            said.append(LOUD)
        if len(said) > 1:
            yield [*said, END, QUESTION] if token.count("?") + token.count("؟") == 1 else [*said, END]
        said = [BEGINNING]
    if len(said) > 1:
        yield [*said, END]


def _known(word: str, vocabulary: Set[str]) -> str:
    """The form of a word that the lists have, or the word."""
    word = folded(word)
    if word == NUMBER or word in vocabulary:
        return word
    if "\u0621" <= word[0] <= "\u064a":
        word = _ELONGATED.sub(r"\1", word)
        return next((stem for stem in _stems(word) if stem in vocabulary), word)
    if _ELONGATED.search(word):
        twice, once = folded(_ELONGATED.sub(r"\1\1", word)), folded(_ELONGATED.sub(r"\1", word))
        return twice if twice in vocabulary else once
    return word


def _stems(word: str) -> Iterator[str]:
    """An Arabic word, and what is left of it without what is written together with it, and the accusative's alef."""
    yield word
    for prefix in _PREFIXES:
        if word.startswith(prefix) and len(word) - len(prefix) >= _MIN_STEM:
            yield word[len(prefix) :]
    if word[-1] == "ا" and len(word) > _MIN_STEM:
        yield from _stems(word[:-1])


class _Lexicon(msgspec.Struct, frozen=True):
    """All lists, taken in."""

    matcher: Matcher
    compounds: Mapping[tuple[str, str], str]
    """Words that are one in the lists and two as they are typed; the third of three joins the first two."""
    signs: Mapping[str, frozenset[str]]
    """The words that a text must have one of, for each kind of what is harmless in some texts alone."""
    awaited: frozenset[str]
    unheard: frozenset[str]
    ours: frozenset[str]


@lru_cache(maxsize=1)
def _lexicon() -> _Lexicon:
    matcher = Matcher(frozenset().union(*(word_class(lists.denials) for lists in LANGUAGES.values())))
    signs: dict[str, frozenset[str]] = {}
    for name, lists in LANGUAGES.items():
        classes = {called: word_class(listed) for called, listed in lists.classes.items()}
        for kind, listed in (
            ("human", lists.human),
            ("insisted", lists.insisted),
            ("demand", lists.demands),
            ("trouble", lists.troubles),
            ("harmless", lists.harmless),
            ("mention", lists.mentions),
            ("machine", lists.machines),
            ("refusal", lists.refusals),
            ("supposition", lists.suppositions),
            ("solution", lists.solutions),
            ("settled", lists.settled),
            ("never", lists.never),
            ("elsewhere", lists.elsewhere),
        ):
            matcher.add(kind, listed, classes)
        for number, context in enumerate(lists.contexts):
            kind = f"{name} {number}"
            matcher.add(kind, context.harmless, classes)
            signs[kind] = word_class(context.signs)
    awaited = frozenset().union(*(word_class(lists.awaited) for lists in LANGUAGES.values()))
    unheard = frozenset().union(*(word_class(lists.unheard) for lists in LANGUAGES.values()))
    ours = frozenset().union(*(word_class(lists.ours) for lists in LANGUAGES.values()))
    matcher.vocabulary.update(awaited, unheard, ours, *signs.values())
    compounds: dict[tuple[str, str], str] = {}
    for compound in [word for word in matcher.vocabulary if JOINT in word]:
        first, *others = compound.split(JOINT)
        matcher.vocabulary.update((first, *others))
        for other in others:
            compounds[first, other] = first = f"{first}{JOINT}{other}"
    return _Lexicon(matcher, compounds, signs, awaited, unheard, ours)
