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
from actors.question_words import (
    FOREIGN,
    FREE,
    HAVE,
    LANGUAGES,
    NAMED_BY_A_LETTER,
    NOT,
    OTHER_IN_PLURAL,
    PRICE,
    QUANTITY,
    RELATING,
    WHAT,
)
from actors.text import normalised, search_text

_TOKEN = re.compile(
    r"(?P<number>\d++(?:[.,٫:/-]\d++)*+)|(?P<word>[^\W\d_]++)|(?:🙏[🏻-🏿]?|[🙂😊☺😃😄😁😇🤗])|(?P<sign>\S)"
)
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})++")
_PARTS = {name: {part for phrase in words for part in phrase.split("_")} for name, words in LANGUAGES.items()}
"""The words of all lines."""
_CAPITALS = re.compile(r"(?<![^\W_])[A-Z]{2,4}(?![^\W_])|(?<=[a-z] )[A-HJ-Z](?![^\W_]|')")
"""US is not us, and A not a."""
_JOINS_LETTERS = frozenset("'-.,;:!?")
_QUOTES = frozenset("\"'")
_LONGEST_PHRASE = 3
_LONGEST_COMMON = 2
"""Letters of words that say nothing of the language: too many have them."""
_COUNTRY = "us"
_SHORT = frozenset(["s", "re", "m", "ve", "d"])
"""What is left of a word after an apostrophe. Elsewhere it is a letter: a size, a grade."""
_SAYS_WHAT = frozenset([PRICE, "when", "where"])
"""What is asked for is said by these; elsewhere "what is free" is not "is it free"."""
_SAYS_WHO = frozenset([*_SAYS_WHAT, "open", "close", "deliver"])
"""Where one of these is said of you, the shop is meant; elsewhere "are you the owner" is not "is the owner there"."""
_ONLY_ASKING = frozenset([WHAT, NOT, "who", "why", "how", "كيف", "كيفك", "como", "i", "you", "my"])
"""Where nothing else is left, each word counts: "who are you" is not "who is it"."""
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
_WITHOUT_ARTICLE = ("tomorrow",)
"""With one it is lunch."""
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
    if not _SAYS_WHAT.isdisjoint(things):
        things = [thing for thing in things if thing != WHAT]
    if not _SAYS_WHO.isdisjoint(things):
        things = [thing for thing in things if thing != "you"]
    found = set(things)
    if found <= _ONLY_ASKING:
        return frozenset({f"language: {language}", f"said: {' '.join(said)}"})
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
                is_short = token in _SHORT and form[max(0, match.start() - 1) : match.start()] == "'"
                yield from (f"'{token}",) if is_short else _spelled(token)
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
    """The one most of whose words are there; empty: none is, or as many of another language that has no list."""
    known = {
        name: [word for word in said if word in _PARTS[name] or _known(word, words) is not None]
        for name, words in LANGUAGES.items()
    }
    best = max(known, key=lambda name: len(known[name]))
    is_told = any(len(word) > _LONGEST_COMMON or _is_arabic(word) for word in known[best])
    others = max(sum(word in words for word in said) for words in FOREIGN.values())
    return best if is_told and len(known[best]) > others else ""


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
        return 1, WHAT
    thing = _known(word, words)
    return 1, _stem(word) if thing is None else thing


def _known(word: str, words: Mapping[str, str]) -> str | None:
    """What the word stands for, also with what is written together with it."""
    thing = words.get(word)
    if thing is not None or not _is_arabic(word):
        return thing
    bare = _bare(word)
    thing = words.get(bare)
    if thing in _WITHOUT_ARTICLE:
        thing = None
    # What says nothing by itself may be another word without its first letter.
    if thing is None and word.startswith(_ATTACHED):
        thing = words.get(word[1:]) or None
    return thing


def _stem(word: str) -> str:
    if _is_arabic(word):
        bare = _bare(word)
        return bare[:-1] if bare.endswith(_LAST_HAMZA) else bare
    is_plural = len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is"))
    return word[:-1] if is_plural and word.isascii() and word not in OTHER_IN_PLURAL else word


def _is_in_capitals(word: str, thing: str, capitals: Set[str]) -> bool:
    return word in capitals and (thing == "" or word == _COUNTRY)


def _is_a_letter(said: Sequence[str], at: int) -> bool:
    """An article stands before something, and a letter that is a name after it, or at the end."""
    return len(said[at]) == 1 and at > 0 and (said[at - 1] in NAMED_BY_A_LETTER or at == len(said) - 1)


def _is_arabic(word: str) -> bool:
    return "\u0621" <= word[:1] <= "\u064a"
