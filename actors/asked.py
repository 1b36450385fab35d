"""What was asked, to the letter: the form of a question under which its answer is kept. Pure, total, linear.

Laws of this file:
1. Two texts have the same form only if a reader takes them for the same words. So what may be dropped is listed here,
   and everything else stays: `C++` is not `C#`, 10² is not 102, a flag is not another, a squared letter is none.
2. What makes no difference: case; whitespace; marks that end a sentence; accents that people leave off on phones, of
   Latin letters and Arabic ones; tatweel; the forms of alef, ya, kaf and ta marbuta; Arabic digits; the width of a
   letter; curly quotes and dashes of one length; how an emoji is drawn. Not an accent that makes another letter (año is
   not ano, schön not schon), nor one by which a known word differs from another (té from te).
3. A model reads characters that nobody sees. Few of those that keyboards put in are dropped; where there are more, or
   others (tags, variation selectors in a row, fillers), the text has a form of its own or none.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

MAX_UNSEEN = 8
"""Invisible characters that a text may have and be the same without them."""

_WIDE = re.compile("[\ufb50-\ufdff\ufe70-\ufefc\uff01-\uff9f\uffa1-\uffee]")
_ONE_SHAPE = ("<wide>", "<narrow>", "<initial>", "<medial>", "<final>", "<isolated>")
"""Of one and the same letter. Other compatible characters are not the same: 10² and 102, ① and 1, ½ and 1/2."""
_UNSEEN = re.compile("[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202c\u2060\u2066-\u2069\ufeff]")
"""What keyboards and copied texts have in them. Overrides of the direction are not: they change what is read."""
_JOINED = re.compile("\u200c(?<=[^\\W\\d_]\u200c)(?=[^\\W\\d_])")
"""Persian writes it where others write a blank."""
_DRAWN = re.compile(
    "[\ufe0e\ufe0f](?:(?<![\\w\\s\ufe00-\ufe0f].)(?![\ufe00-\ufe0f])|(?<=[0-9#*]\ufe0f)(?=\u20e3))"
)
"""As above: what is rare comes first, and what stands before it is looked at then; the other way round costs ten times
as much."""
_TOLD_BY_ACCENT = "avo[\u0301\u0302]|coco\u0302|pai\u0301s|papa\u0301s?|te\u0301s?"
"""Grandparents, a coconut, parents, a potato, tea: the accent makes another thing of them."""
_ACCENT = re.compile(
    f"(?<!\\w)({_TOLD_BY_ACCENT})(?!\\w)|(?<=[a-z])[\u0300-\u0302\u0304\u0307]+|(?<=[ao])\u0303|(?<=c)\u0327"
)
"""What people leave off. Where a mark makes another letter (ñ, ö, ş, the hooks and dots of Vietnamese) it stays."""
_LATIN_MARK = re.compile("[\u0300-\u0327]")
"""Without one there is no accent to look for."""
_ARABIC_MARKS = re.compile("(?<=[\u0620-\u064a\u0671-\u06d3])[\u0640\u064b-\u0655\u0670]+")
_SAME = str.maketrans(
    "ٱىیکةۃہς٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹٪’‘ʼ“”„«»‐‑–−",
    "اييكهههσ" + "0123456789" * 2 + "%" + "'" * 3 + '"' * 5 + "-" * 4,
)
_ENDS = ".,;:!?…،؛؟۔。、।"
_END = re.compile(rf"(?<![{_ENDS}])[{_ENDS}]++(?=\s|\Z)")
_BEGINNING = re.compile(r"(?<!\S)[¿¡]++(?=\w)")


def exact_form(text: str) -> str | None:
    """The form that `text` shares with what says the same; empty if it says nothing, None if it has none.

    It has none with more than `MAX_UNSEEN` characters that nobody sees: they may say something to a model.
    """
    if text.isascii():  # nothing is hidden in it, and no letter has another shape
        return _without_ends(text.lower())
    seen, unseen = _UNSEEN.subn("", text)
    if unseen > MAX_UNSEEN:
        return None
    form = unicodedata.normalize("NFD", _WIDE.sub(_one_shape, seen))
    form = unicodedata.normalize("NFD", form.lower())
    form = _DRAWN.sub("", _JOINED.sub(" ", form))
    if _LATIN_MARK.search(form):
        form = _ACCENT.sub(_told_by_it, form)
    form = _ARABIC_MARKS.sub("", form).translate(_SAME)
    return unicodedata.normalize("NFC", _without_ends(form))


def _without_ends(form: str) -> str:
    form = _BEGINNING.sub("", _END.sub(_unless_between_digits, " ".join(form.split())))
    return " ".join(form.split())


def _told_by_it(match: re.Match[str]) -> str:
    return match[1] or ""


def _one_shape(match: re.Match[str]) -> str:
    return _shape(match[0])


@lru_cache(maxsize=2048)
def _shape(letter: str) -> str:
    is_one = unicodedata.decomposition(letter).startswith(_ONE_SHAPE)
    return unicodedata.normalize("NFKC", letter) if is_one else letter


def _unless_between_digits(match: re.Match[str]) -> str:
    """`3, 5` may be a list, or the number 3.5."""
    text, start, end = match.string, match.start(), match.end()
    return match[0] if text[max(0, start - 1) : start].isdigit() and text[end + 1 : end + 2].isdigit() else ""
