"""The words by which texts are found, without stop words. Pure.

The stop words are spelt as people write them, and compared in the normal form of the search (`actors/text.py`), so that
every form of a letter and every article matches. Words of business such as "price" and
"open" are no stop words, although they occur in many questions; nor are words of one language that name things in
another ("son", "hay", "favor").
"""

from __future__ import annotations

import re

from actors.text import search_text

MAX_WORD_CHARS = 64

_ENGLISH = """
a about afternoon all also am an and any are as at be been but by can could d did do does evening for from get
give good had has have he hello her here hey hi him his how i if in into is it its just know let like ll m
many may me morning much my need no not of ok okay on one or our out please re s she should so some t tell
thank thanks that the their them then there these they this those to too us ve want was we were what when
where which who why will with would yes you your
"""
_PORTUGUESE_AND_SPANISH = """
e o os as um uma uns umas de do da dos das em na nos nas por pelo pela com que se eu ele ela eles elas voce
voces meu minha seu sua tem ter tenho foi ser sao esta estao isso esse essa este qual quais quando quanto
quanta onde como porque oi ola bom boa dia tarde noite tudo bem obrigado obrigada gostaria queria
quero pode posso y el la los las un una del en al con para lo le les se yo usted ustedes su sus
es ser esta estan eso ese esa este cual cuales cuando cuanto cuanta donde como porque hola buenos buenas
dias tardes noches gracias quisiera quiero puede puedo tiene tienen muy bien
"""
_ARABIC = """
السلام عليكم وعليكم ورحمة الله وبركاته مرحبا مرحبتين أهلا اهلين هلا هلا والله صباح مساء الخير النور يا أخي اخوي أختي
لو سمحت سمحتم سمحتي من فضلك فضلكم شكرا شكرًا تسلم يعطيك العافية تمام أوكي اوك نعم لا ايوه
هل ما ماذا متى أين وين كيف كم بكم ليش لماذا لمن مين من عن على في إلى الى مع بعد قبل عند عندك عندكم لديكم لدي عندي
هذا هذه هذي ذلك تلك هنا هناك انا أنا انت أنت أنتم نحن هو هي هم ان أن إن كان كانت يكون فيه فيها به بها له لها لكم لي
أريد اريد أبغى ابغى ابي أبي عايز عاوز حاب ودي بدي ممكن أقدر اقدر أعرف اعرف أسأل اسأل سؤال استفسار اعطني عطني
و أو او ثم لكن بس كل أي اي شي شيء شو ايش إيش وش قد يوجد موجود حضرتك حضرتكم
"""


_ARABIC_WORD = re.compile("[\u0621-\u064a]+")
_ENGLISH_WORD = re.compile("[a-z]{4,}")
_OWNERS = ("كم", "ها", "هم")
_ENDINGS = ("ات", "ون", "ين", "ان", "يه", "ه", "ي")
"""In the normal form of the search, where ta marbuta is ha."""
_MIN_STEM = 3


def search_words(text: str) -> list[str]:
    """The words by which a text is found, each once, without the endings that differ between question and text.

    "اسعاركم" finds "اسعار", "ثلاجات" finds "ثلاجة", "prices" finds "price".
    """
    return list(dict.fromkeys(_stem(word)[:MAX_WORD_CHARS] for word in search_text(text).split()))


def _stem(word: str) -> str:
    """A stem need not be a word; it only has to be the same in question and text."""
    if _ARABIC_WORD.fullmatch(word):
        return _without(_without(word, _OWNERS), _ENDINGS)
    if _ENGLISH_WORD.fullmatch(word) and word.endswith("s") and word[-2] not in "sui":
        return word[:-3] + "y" if word.endswith("ies") else word[:-1]
    return word


def _without(word: str, endings: tuple[str, ...]) -> str:
    for ending in endings:
        if word.endswith(ending) and len(word) - len(ending) >= _MIN_STEM:
            return word[: -len(ending)]
    return word


STOP_WORDS = frozenset(search_words(f"{_ENGLISH} {_PORTUGUESE_AND_SPANISH} {_ARABIC}"))


def distinctive_words(text: str) -> list[str]:
    """The words of a question worth searching for, each once."""
    return [word for word in search_words(text) if word not in STOP_WORDS]
