"""Which answers hold for one moment, or for one customer, and so are not for others to get. Pure.

Both look at words alone, and in doubt say yes: an answer that is not stored costs a call, a wrong one costs trust.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache

from actors.text import contains_phrase, normalised, words, words_of

_ARTICLES = ("ال", "وال", "بال", "لل")
_PREFIXES = ("", "و", "ب", "ل", "وب", "ول", *_ARTICLES)
_ARABIC_TIMES = (
    "ساعه ساعتين ساعات دقيقه دقيقتين دقائق صباح صباحا صبح صبحا مساء مسا ظهر ظهرا ظهيره عصر عصرا مغرب عشاء عشا فجر "
    "فجرا ضحي ليل ليلا ليله سحور صباحك صباحكم مساك مساكم مساءك مساوك مسايك"
)
_ARABIC_HOURS = "واحده ثانيه ثالثه رابعه خامسه سادسه سابعه ثامنه تاسعه عاشره"
_TIMES = (
    "noon midday midnight tonight morning mornings afternoon afternoons evening evenings night nights oclock "
    "manana tarde tardes noche noches mediodia medianoche madrugada hora horas minuto minutos manha noite noites "
    "matin midi minuit soir bonsoir nuit heure heures minute minutes uhr mittag abend nacht saat sabah aksam gece"
)
_WORDS = frozenset(
    (
        *_TIMES.split(),
        *(prefix + word for word in _ARABIC_TIMES.split() for prefix in _PREFIXES),
        *(article + word for word in _ARABIC_HOURS.split() for article in _ARTICLES),
    )
)
"""Parts of the day, and words for hours, with what is written together with them."""
_HOUR_WORDS = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|"
    "uma|duas|tres|quatro|cinco|seis|sete|oito|nove|dez|onze|doze|una|dos|cuatro|siete|ocho|nueve|diez|once|doce"
)
_UNITS = (
    r"[$€£¥%٪]|sar|sr|riyals?|rials?|aed|dirhams?|kwd|dinars?|egp|pounds?|usd|dollars?|eur|euros?|reais|pesos?|"
    r"kg|kilos?|kilograms?|g|grams?|km|liters?|litres?|ml|days?|weeks?|months?|years?|business|working|"
    r"pieces?|items?|percent|dias?|semanas?|mes|meses|anos?|unidades?|"
    r"ريال|ر\.س|درهم|دينار|جنيه|كيلو|كجم|جرام|غرام|لتر|يوم|ايام|اسبوع|اسابيع|شهر|اشهر|سنه|سنوات|قطعه|قطع"
)
_TO = r"\s?(?:-|–|to|till|a|as|ate|hasta|الي|حتي|ل)\s?"
_HOUR = rf"(?:1?\d|2[0-4])\b(?![.,]\d|\s?(?:{_UNITS})|{_TO}\d{{1,4}}\s?(?:{_UNITS}))"
_MOMENT = re.compile(
    r"\d(?:[:h][0-5]\d|\s?(?:am|pm|a\.m|p\.m|h|hrs|o.clock|ص|م)\b)"  # 15:30, 15h30, 3 pm
    rf"|\b(?:at|till|until|by|from|before|after|around)\s(?:(?:{_HOUR_WORDS})\b|{_HOUR})"
    rf"|\b(?:as|ate|ate as|das|desde|desde las|a las|las|hasta|hasta las)\s(?:(?:{_HOUR_WORDS})\b|{_HOUR})"
    rf"|\b{_HOUR}{_TO}{_HOUR}"  # 9-17, 9 to 5
    rf"|\b(?:open|opens|opened|close|closes|closed|نفتح|نقفل|نغلق|نسكر|مفتوح)\s{_HOUR}"
    rf"|\b(?:من|حتي|الي|لحد|لغايه|قبل|بعد)\s{_HOUR}"
    r"|\bin\s(?:about\s|around\s)?(?:\w{1,20}\s){0,2}(?:hour|minute)s?\b"
    r"|\bhalf past\b|\bmeio.dia\b|\b24/7\b|\bo.clock\b"
    r"|\b(?:hour|minute)s?\s(?:left|from now|ago)\b|\b(?:bom dia|buenos dias)\b"
)
"""Of normalised text. A small number after "at" or "until" is an hour, unless the unit of an amount follows."""
_MAX_CHARS = 4_000
"""Of an answer; a longer one is taken to say yes."""


def names_a_moment(answer: str) -> bool:
    """Whether it names a time of day, or counts from now."""
    if len(answer) > _MAX_CHARS:
        return True
    plain = normalised(answer)
    return not _WORDS.isdisjoint(words_of(plain)) or _MOMENT.search(plain) is not None


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
