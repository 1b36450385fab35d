"""The words by which texts are found, and those that tell nothing of what a question is about. Pure.

Stop words, English and Arabic, are spelt as people write them and compared as search spells words
(`actors/wording.py`), so that every form of a letter and every article is met. A word of a trade ("price", "open") is
none, though it stands in many questions.
"""

from __future__ import annotations

from actors.wording import search_text

MAX_WORD_CHARS = 64

_ENGLISH = """
a about afternoon all also am an and any are as at be been but by can could d did do does evening for from get
give good had has have he hello her here hey hi him his how i if in into is it its just know let like ll m
many may me morning much my need no not of ok okay on one or our out please re s she should so some t tell
thank thanks that the their them then there these they this those to too us ve want was we were what when
where which who why will with would yes you your
"""
_ARABIC = """
السلام عليكم وعليكم ورحمة الله وبركاته مرحبا مرحبتين أهلا اهلين هلا هلا والله صباح مساء الخير النور يا أخي اخوي أختي
لو سمحت سمحتم سمحتي من فضلك فضلكم شكرا شكرًا تسلم يعطيك العافية طيب تمام أوكي اوك نعم لا ايوه
هل ما ماذا متى أين وين كيف كم بكم ليش لماذا لمن مين من عن على في إلى الى مع بعد قبل عند عندك عندكم لديكم لدي عندي
هذا هذه هذي ذلك تلك هنا هناك انا أنا انت أنت أنتم نحن هو هي هم ان أن إن كان كانت يكون فيه فيها به بها له لها لكم لي
أريد اريد أبغى ابغى ابي أبي عايز عاوز حاب ودي بدي ممكن أقدر اقدر أعرف اعرف أسأل اسأل سؤال استفسار اعطني عطني
و أو او ثم لكن بس كل أي اي شي شيء شو ايش إيش وش قد يوجد موجود حضرتك حضرتكم
"""


def search_words(text: str) -> list[str]:
    """The words by which a text is found, each once."""
    return list(dict.fromkeys(word[:MAX_WORD_CHARS] for word in search_text(text).split()))


STOP_WORDS = frozenset(search_words(f"{_ENGLISH} {_ARABIC}"))


def telling(text: str) -> list[str]:
    """The words of a question that are looked for, each once."""
    return [word for word in search_words(text) if word not in STOP_WORDS]
