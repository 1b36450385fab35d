"""What makes one question another, however alike they sound: `features`. Pure, total, linear.

A vector hardly tells Thursday from Friday, with from without, Riyadh to Jeddah from Jeddah to Riyadh. So an answer is
given to another wording only if, beside the likeness of the vectors, the features are equal.

Laws of this file:
1. What is not known counts. A word of no list is a name, a thing, a day or a number, and both questions must have the
   same ones in the same order: that keeps names, opposites and routes apart, in any language.
2. Left out is only what `actors/question_words.py` lists: words that say nothing of their own, other words for the same
   thing, and where such a thing stands as long as nothing relates it to another (not, from, than, …).
3. A language has its own lists, and it is a feature itself: nobody is answered in another one. Where no list fits,
   nothing is left out.
4. A sign is a word (`+`, `%`, a flag), but for a smile or folded hands, quotes, and what joins letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import lru_cache

from actors.asked import exact_form
from actors.question_words import FREE, HAVE, LANGUAGES, NOT, PRICE, QUANTITY, RELATING
from actors.text import normalised, search_text

_TOKEN = re.compile(
    r"(?P<number>\d++(?:[.,٫:/-]\d++)*+)|(?P<word>[^\W\d_]++)|(?:🙏[🏻-🏿]?|[🙂😊☺😃😄😁😇🤗])|(?P<sign>\S)"
)
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})++")
_CAPITALS = re.compile(r"(?<![^\W_])[A-Z]{2,4}(?![^\W_])|(?<=[a-z] )[A-HJ-Z](?![^\W_]|')")
"""US is not us, and A not a."""
_JOINS_LETTERS = frozenset("'-.,;:!?")
_QUOTES = frozenset("\"'")
_LONGEST_PHRASE = 3
_COUNTRY = "us"
_NAMED_BY_A_LETTER = frozenset(
    [
        "vitamin",
        "plan",
        "class",
        "grade",
        "type",
        "block",
        "gate",
        "hepatitis",
        "group",
        "team",
        "section",
        "option",
    ]
)
_NEGATED = frozenset(
    [
        "don",
        "won",
        "can",
        "isn",
        "aren",
        "doesn",
        "didn",
        "wasn",
        "weren",
        "couldn",
        "shouldn",
        "wouldn",
        "haven",
        "hasn",
        "hadn",
        "mustn",
        "needn",
        "ain",
    ]
)
_ATTACHED = ("ب", "ل", "ع", "ه", "و", "ف")
"""Arabic words that are written together with the next one."""
_LAST_HAMZA = "اء"
"""People leave it off."""
_ARTICLE = "ال"
_WHAT = "ما"
"""Also `not`; before a noun with its article it asks."""


def features(text: str) -> frozenset[str]:
    """What must be equal where two questions of nearly the same meaning get the same answer."""
    said = list(_tokens(exact_form(text) or ""))
    language = _language(said)
    if not language:
        return frozenset({f"said: {' '.join(said)}"})
    things = _things(said, LANGUAGES[language], _capitals(text))
    if language == "en" and things[-1:] == [QUANTITY]:
        things[-1] = PRICE
    if PRICE in things:
        things = [thing for thing in things if thing != QUANTITY]
    things = [thing for thing in things if thing != HAVE] or things
    found = set(things)
    stays = not found.isdisjoint(RELATING) or {"open", "close"} <= found
    free = frozenset() if stays else FREE & found
    in_place = " ".join(thing for thing in things if thing not in free)
    return free | {f"language: {language}", f"said: {in_place}"}


def features_text(text: str) -> str:
    """`features` as they are stored and compared."""
    return "\n".join(sorted(features(text)))


def is_listed(word: str) -> bool:
    """Whether a normalised word says nothing, or names a thing that everybody speaks of, in some language."""
    return any(word in known for known in LANGUAGES.values())


def _tokens(form: str) -> Iterator[str]:
    """Numbers, words and signs. A word that has more than one spelling keeps what its plain one would drop."""
    previous = ""
    for match in _TOKEN.finditer(form):
        token = match[0]
        if match["word"]:
            if token == "t" and previous in _NEGATED and form[match.start() - 1] == "'":
                yield NOT
            else:
                yield from _spelled(token)
            previous = token
        elif match["number"]:
            yield token.replace(",", "") if _THOUSANDS.fullmatch(token) else token
        elif (sign := match["sign"]) and not _is_only_written(sign, form, match.start()):
            yield sign


def _is_only_written(sign: str, form: str, at: int) -> bool:
    before, after = form[max(0, at - 1) : at], form[at + 1 : at + 2]
    if sign in _JOINS_LETTERS and before.isalpha() and after.isalpha():
        return True
    return sign in _QUOTES and not before.isdigit()


@lru_cache(maxsize=8192)
def _bare(word: str) -> str:
    """An Arabic word without what is written together with it. Each language asks for it again."""
    return search_text(word)


@lru_cache(maxsize=8192)
def _spelled(word: str) -> tuple[str, ...]:
    plain = normalised(word)
    return (plain,) if plain == word else (plain, f"={word}")


def _capitals(text: str) -> Set[str]:
    """Short words in capitals, in a text that is not all in capitals."""
    is_mixed = any(map(str.islower, text))
    return {word.lower() for word in _CAPITALS.findall(text)} if is_mixed else frozenset()


def _language(said: Sequence[str]) -> str:
    """The one most of whose words are there; empty: none is."""
    known = {name: sum(_known(word, words) is not None for word in said) for name, words in LANGUAGES.items()}
    best = max(known, key=lambda name: known[name])
    return best if known[best] else ""


def _things(said: Sequence[str], words: Mapping[str, str], capitals: Set[str]) -> list[str]:
    things: list[str] = []
    at = 0
    while at < len(said):
        taken, thing = _next(said, at, words)
        word = said[at]
        if taken == 1 and (
            _is_in_capitals(word, thing, capitals) or (thing == "" and _is_a_letter(said, at))
        ):
            thing = f"^{word}"
        if thing:
            things.append(thing)
        at += taken
    return things


def _next(said: Sequence[str], at: int, words: Mapping[str, str]) -> tuple[int, str]:
    """The thing that comes next, and how many words say it."""
    for length in range(_LONGEST_PHRASE, 1, -1):
        thing = words.get("_".join(said[at : at + length])) if at + length <= len(said) else None
        if thing is not None:
            return length, thing
    word = said[at]
    if word == _WHAT and at + 1 < len(said) and said[at + 1].startswith(_ARTICLE):
        return 1, ""
    thing = _known(word, words)
    return 1, _stem(word) if thing is None else thing


def _known(word: str, words: Mapping[str, str]) -> str | None:
    """What the word stands for, also with what is written together with it."""
    thing = words.get(word)
    if thing is not None or not _is_arabic(word):
        return thing
    bare = _bare(word)
    thing = words.get(bare)
    # What says nothing by itself may be another word without its first letter.
    if thing is None and word.startswith(_ATTACHED):
        thing = words.get(word[1:]) or None
    return thing


def _stem(word: str) -> str:
    if _is_arabic(word):
        bare = _bare(word)
        return bare[:-1] if bare.endswith(_LAST_HAMZA) else bare
    is_plural = len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is"))
    return word[:-1] if is_plural and word.isascii() else word


def _is_in_capitals(word: str, thing: str, capitals: Set[str]) -> bool:
    return word in capitals and (thing == "" or word == _COUNTRY)


def _is_a_letter(said: Sequence[str], at: int) -> bool:
    return len(said[at]) == 1 and at > 0 and said[at - 1] in _NAMED_BY_A_LETTER


def _is_arabic(word: str) -> bool:
    return "\u0621" <= word[:1] <= "\u064a"
