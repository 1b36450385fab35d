"""Texts as people type them: what may be stored and shown of one, and which words it says. Pure, total.

Laws of this file:
1. What a reader takes for the same word is the same word: case, width, accents on Latin letters, Arabic vowel marks,
   tatweel, the forms of alef, ya, ta marbuta and hamza, Arabic digits and invisible characters make no difference.
   Latin accents are folded because people leave them off on phones; marks of other scripts carry meaning and stay.
2. Words are compared whole: "tissue" is not an issue. Scripts written without blanks have a word per character.
3. Normalising what is normalised changes nothing, and neither does taking plain text of plain text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

_UNWANTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_REORDERING = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Bidi embeddings, overrides and isolates."""
INVISIBLE = (
    "\u00ad\u034f\u061c\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e0fff"
    "\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a"
)
"""Zero-width and bidi controls, variation selectors and tags; then fillers that are letters to Unicode and blanks to
the eye: Hangul's, Khmer's, the empty Braille cell, the anchors of annotations and of musical notes."""
_UNSEEN = re.compile(f"[{INVISIBLE}\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06ed]")
"""What is invisible; then tatweel and the marks on Arabic letters."""
_SEEN = re.compile(rf"[^\s\x00-\x1f\x7f-\x9f{INVISIBLE}]")

_ACCENT = re.compile("(?<=[a-z])[\u0300-\u036f]+")
_LETTERS = str.maketrans(
    "ٱىیېےکڪةۃہھ٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹",
    "ايييي" + "كك" + "هههه" + "01234567890123456789",
)
"""Other letters and digits for the same thing. Hamza on alef, waw and ya, and madda, go with the marks."""

_NOT_IN_WORDS = re.compile(r"[^\w ]|_")
"""But for the blank, which parts words as it is."""
_ASCII_BLANKS = {code: " " for code in range(128) if not chr(code).isalnum()}
"""The same of ASCII."""
_WITHOUT_BLANKS = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff])"
)
"""Thai, Lao, Burmese, Khmer, kana and Han."""

_ARABIC_WORD = re.compile("[\u0621-\u064a]{3,}")
_ENGLISH_WORD = re.compile("[a-z]{3,}")
_ARTICLE = "ال"
_SEARCH_PREFIXES = ("وبال", "وكال", "وال", "بال", "كال", "فال", "ولل", "فلل", "لل", "ال", "و")
"""What search drops, the longest first: all with the article, and `and`.

The other prefixes of one letter (ب، ل، ف، ك) may as well be the first letter of a word: only a
dictionary could say.
"""
_MATCH_PREFIXES = (*_SEARCH_PREFIXES, "هال", "عال", "ب", "ل", "ف", "ك", "وب", "ول", "وك", "فب", "فل")
"""What may stand before a word that is looked for. The word is known, so that single letters are safe here."""
_MIN_STEM = 3


def plain_text(text: str) -> str:
    """`text` with Unix line ends, without control characters and lone surrogates.

    NUL and lone surrogates cannot be stored by Postgres, neither by ours nor by the gateway's, which stores a
    message only after it has sent it; the other control characters can take over an operator's terminal.
    """
    if text.isascii() and text.isprintable():
        return text  # as most are
    return _UNWANTED.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def shown_text(text: str) -> str:
    """`text` for an operator's terminal or a log: plain, and nothing in it changes the order of what stands beside it.

    A message that somebody gets keeps its isolates, which right-to-left texts need; so this is no part of `plain_text`.
    """
    plain = plain_text(text)
    return plain if plain.isascii() else _REORDERING.sub("", plain)


def is_visible(text: str) -> bool:
    """Whether a reader sees anything of `text`."""
    return _SEEN.search(text) is not None


def normalised(text: str) -> str:
    """`text` in the one spelling that all its spellings share; whitespace is one blank."""
    if text.isascii():  # only case, blanks and control characters are left to differ
        return " ".join(plain_text(text).lower().split())
    seen = _UNSEEN.sub("", plain_text(text))
    # Twice: the folding of one letter may give letters that fold again once they are taken apart.
    for _ in range(2):
        seen = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", seen).casefold())
    seen = _ACCENT.sub("", unicodedata.normalize("NFKD", _UNSEEN.sub("", seen)))
    return " ".join(unicodedata.normalize("NFC", seen).translate(_LETTERS).split())


def words(text: str) -> tuple[str, ...]:
    """The words of `text`, normalised, in order.

    All that is neither letter, digit nor mark parts words; apostrophes too, so that "the lawyer's" says lawyer and
    "l'avocat" avocat.
    """
    return words_of(normalised(text))


def words_of(plain: str) -> tuple[str, ...]:
    """The words of a text that is normalised already."""
    if plain.isascii():
        return tuple(plain.translate(_ASCII_BLANKS).split())
    spaced = _NOT_IN_WORDS.sub(_mark_or_blank, plain)
    return tuple(_WITHOUT_BLANKS.sub(r" \1 ", spaced).split())


def first_words(text: str, max_chars: int) -> tuple[str, ...]:
    """The words at the beginning of `text`: `max_chars` of it are read, and as many of its NFKC form.

    Both are bounded because one sign may stand for a whole sentence: U+FDFA has 18 letters.
    """
    return words(unicodedata.normalize("NFKC", text[:max_chars])[:max_chars])


def contains_phrase(words: Sequence[str], phrase_words: Sequence[str]) -> bool:
    """Whether the words of a phrase occur in `words`, whole and side by side. An empty phrase never does.

    An English word is also met in its plural, an Arabic one with or without the article and with the prefixes that
    are written together with it ("بالشكوى", "والمحامي").
    """
    wanted = [_forms(word) for word in phrase_words]
    if not wanted or wanted[0].isdisjoint(words):
        return False
    starts = range(len(words) - len(wanted) + 1)
    return any(all(words[at + i] in forms for i, forms in enumerate(wanted)) for at in starts)


def search_text(text: str) -> str:
    """The words of `text` for full-text search: the same for a question as for what it should find."""
    return " ".join(_without_prefix(word) for word in words(text))


def _mark_or_blank(match: re.Match[str]) -> str:
    """Marks are part of a word (in Hindi they are its vowels), though regular expressions think otherwise."""
    return match[0] if unicodedata.category(match[0]) in {"Mn", "Mc"} else " "


def _without_prefix(word: str) -> str:
    if _ARABIC_WORD.fullmatch(word):
        for prefix in _SEARCH_PREFIXES:
            if word.startswith(prefix) and len(word) - len(prefix) >= _MIN_STEM:
                return word[len(prefix) :]
    return word


@lru_cache(maxsize=4096)
def _forms(word: str) -> frozenset[str]:
    """How a word that is looked for may be written."""
    if _ARABIC_WORD.fullmatch(word):
        bare = word.removeprefix(_ARTICLE)
        stem = bare if len(bare) >= _MIN_STEM else word
        return frozenset((word, stem, *(prefix + stem for prefix in _MATCH_PREFIXES)))
    if _ENGLISH_WORD.fullmatch(word):
        return frozenset((word, _plural(word)))
    return frozenset((word,))


def _plural(word: str) -> str:
    """The regular English plural."""
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "z", "ch", "sh")) else "s")
