"""Which answers hold for one moment, or for one customer, and so are not for others to get. Pure.

Both look at words alone, and in doubt say yes: an answer that is not stored costs a call, a wrong one costs trust.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache

from actors.text import contains_phrase, normalised, words

_HOURS = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
_ARABIC_HOURS = (
    "الواحده|الثانيه|الثالثه|الرابعه|الخامسه|السادسه"
    "|السابعه|الثامنه|التاسعه|العاشره|الحاديه عشره?|الثانيه عشره?"
)
_UNITS = (
    r"[$€£¥%٪]|sar|sr|riyals?|rials?|aed|dirhams?|kwd|dinars?|egp|pounds?|usd|dollars?|eur|euros?|reais|pesos?|"
    r"kg|kilos?|kilograms?|g|grams?|km|liters?|litres?|ml|days?|weeks?|months?|years?|pieces?|items?|percent|"
    r"ريال|ر\.س|درهم|دينار|جنيه|كيلو|كجم|جرام|غرام|لتر|يوم|ايام|اسبوع|اسابيع|شهر|اشهر|سنه|سنوات|قطعه|قطع"
)
_HOUR = rf"(?:1?\d|2[0-4])\b(?![.,]\d|\s?(?:{_UNITS}))"
_MOMENT = re.compile(
    r"\d[:h][0-5]\d"  # 15:30, 15h30
    r"|\d\s?(?:am|pm|a\.m|p\.m|h|hrs|uhr|o'?clock)\b"
    rf"|\b(?:at|till|until|by|from|before|after|around)\s(?:(?:{_HOURS})\b|{_HOUR})"
    rf"|\b(?:{_HOURS}|\d\d?)\s?(?:to|till|until|-|–)\s?(?:{_HOURS}|\d\d?)\s(?:in the|every|daily)\b"
    r"|\bo.clock\b|\b(?:noon|midday|midnight|tonight|morning|afternoon|evening|night)s?\b"
    r"|\bin\s(?:about\s|around\s)?(?:\w+\s)?(?:hour|minute)s?\b"
    r"|\b(?:an|half an|\d+|few)\s(?:hour|minute)s?\s(?:left|from now|ago)\b"
    r"|الساع[هة]|\d\s?(?:ص|م|صباحا|مساء|ظهرا|عصرا|ليلا|فجرا)\b"
    rf"|\b[وبل]?(?:{_ARABIC_HOURS})\b"
    r"|\b[وبال]{0,3}(?:صباح|مساء|ظهر|عصر|مغرب|عشاء|فجر|ليل|ليله|نهار)ا?\b"
    rf"|\b(?:من|حتي|الي|لحد|لغايه|قبل|بعد)\s{_HOUR}"
    r"|\b(?:بعد|خلال|في)\s(?:\w+\s)?(?:ساع|دقي|دقا)"
    r"|\b(?:buenos dias|buenas|manana|tarde|tardes|noche|noches|mediodia|bom dia|boa|manha|noite|meio-dia)\b"
    r"|\b(?:a las|las|as|a|ate|das|de|hasta)\s\d\d?\s?(?:h|horas?)\b"
    r"|\b(?:matin|apres-midi|midi|minuit|soir|bonsoir|nuit|heures?)\b"
)
"""Of normalised text. A small number after "at" or "until" is an hour, unless the unit of an amount follows."""
_MAX_CHARS = 16_000
"""Of an answer; a longer one is taken to say yes."""


def names_a_moment(answer: str) -> bool:
    """Whether it names a time of day, or counts from now."""
    return len(answer) > _MAX_CHARS or _MOMENT.search(normalised(answer)) is not None


def names_customer(answer: str, name: str) -> bool:
    """Whether it may name the customer: it has a word of the name, or is in another script, where nobody can tell."""
    if not name:
        return False
    if len(answer) > _MAX_CHARS or _main_script(answer) not in _scripts(name):
        return True
    said, called = words(answer), words(name)
    long = [word for word in called if len(word) > 1]
    # Scripts without blanks have a word for each character: there the whole name is looked for.
    return any(contains_phrase(said, [word]) for word in long) or (not long and contains_phrase(said, called))


def _main_script(text: str) -> str:
    """Of most of its letters; empty if it has none."""
    letters = Counter(text)
    found: Counter[str] = Counter()
    for letter, count in letters.items():
        if letter.isalpha():
            found[_script(letter)] += count
    return found.most_common(1)[0][0] if found else ""


def _scripts(name: str) -> frozenset[str]:
    """Of its letters; a text without any letter names nobody in any script."""
    return frozenset(_script(letter) for letter in name if letter.isalpha()) | {""}


@lru_cache(maxsize=4096)
def _script(letter: str) -> str:
    """The first word of its name in Unicode: ARABIC, LATIN, …"""
    name = unicodedata.name(letter, "")
    return "LATIN" if name.startswith(("FULLWIDTH LATIN", "MATHEMATICAL")) else name.partition(" ")[0]
