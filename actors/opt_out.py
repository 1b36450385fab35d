"""A customer who wants no more messages says so with one word, and takes it back with another. Pure, total.

Laws of this file:
1. Only a message that is such a word as a whole counts, however it is spelled and with whatever signs around it:
   "STOP." and "stop stop" are one, "stop sending me the old list" is a sentence to be answered.
2. The last such word of a burst decides. A start word of somebody who has not opted out is a word like any other.
3. What confirms it tells the way back, in the language of the word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from actors.amendments import EDIT, corrected_text
from actors.instance import OptOutTerms
from actors.messages import Message
from actors.repeats import TYPED
from actors.text import first_words, words

OPTED_OUT = "opted_out"
OPTED_IN = "opted_in"

_HEEDED = TYPED | {EDIT}

MAX_CHARS = 256
"""A longer message is no single word."""

Language = Literal["ar", "pt", "es", "en"]

_PORTUGUESE = frozenset({"sair", "voltar", "comecar", "descadastrar", "retomar"})
_SPANISH = frozenset({"salir", "volver", "empezar", "baja", "alta", "reanudar", "desuscribir"})
_BOTH = frozenset({"parar", "cancelar", "iniciar"})
"""Words of both: the number's country decides."""
_LUSOPHONE = ("55", "351", "244", "258", "238", "245", "239", "670")

_OUT: dict[Language, tuple[str, str]] = {
    "en": ("You will get no more messages from us here.", "To hear from us again, write: {word}"),
    "ar": ("لن تصلك منا رسائل هنا بعد الآن.", "للعودة اكتب: {word}"),
    "pt": ("Você não receberá mais mensagens nossas por aqui.", "Para voltar, escreva: {word}"),
    "es": ("No recibirá más mensajes nuestros por aquí.", "Para volver, escriba: {word}"),
}
_IN: dict[Language, tuple[str, str]] = {
    "en": ("Welcome back: we will answer you here again.", "To stop, write: {word}"),
    "ar": ("أهلاً بعودتك، سنرد عليك هنا من جديد.", "للإيقاف اكتب: {word}"),
    "pt": ("Que bom ter você de volta: voltamos a responder por aqui.", "Para parar, escreva: {word}"),
    "es": ("Nos alegra que vuelva: le respondemos por aquí de nuevo.", "Para parar, escriba: {word}"),
}


class Wish(NamedTuple):
    """What the last stop or start word of a burst asks for."""

    wants_out: bool
    word: str
    """As the settings spell it."""


def wish(messages: Sequence[Message], terms: OptOutTerms) -> Wish | None:
    """The last stop or start word of `messages`; None: there is none, or the settings heed none."""
    return next(filter(None, (said_in(message, terms) for message in reversed(messages))), None)


def said_in(message: Message, terms: OptOutTerms) -> Wish | None:
    """The stop or start word that `message` is as a whole."""
    if not terms.enabled or message.kind not in _HEEDED or len(message.text) > MAX_CHARS:
        return None
    said = first_words(corrected_text(message), MAX_CHARS)
    phrases = _phrases(terms.stop_words, terms.start_words).get(said[0], ()) if said else ()
    return next((wish for phrase, wish in phrases if _is_nothing_but(said, phrase)), None)


@lru_cache(maxsize=1024)
def _phrases(
    stop_words: tuple[str, ...], start_words: tuple[str, ...]
) -> Mapping[str, Sequence[tuple[tuple[str, ...], Wish]]]:
    """By their first words, what the words of the settings say; stop words come before start words."""
    phrases: dict[str, list[tuple[tuple[str, ...], Wish]]] = {}
    for wants_out, listed in ((True, stop_words), (False, start_words)):
        for word in listed:
            if phrase := words(word):
                phrases.setdefault(phrase[0], []).append((phrase, Wish(wants_out, word)))
    return phrases


def confirmation(wish: Wish, contact: str, terms: OptOutTerms) -> str:
    """What the customer is told, once."""
    own = terms.message if wish.wants_out else terms.back_message
    if own.strip():
        return own.strip()
    language = _language(wish.word, contact)
    done, way = (_OUT if wish.wants_out else _IN)[language]
    back = _of_language(terms.start_words if wish.wants_out else terms.stop_words, language, contact)
    return f"{done} {way.format(word=back)}" if back else done


def _of_language(listed: Iterable[str], language: Language, contact: str) -> str:
    """The first of the words that is of this language, else the first of all."""
    all_words = tuple(word.strip() for word in listed if words(word))
    same = (word for word in all_words if _language(word, contact) == language)
    return next(same, all_words[0] if all_words else "")


def _language(word: str, contact: str) -> Language:
    said = words(word)
    if any("\u0600" <= sign <= "\u06ff" for one in said for sign in one):
        return "ar"
    if not _PORTUGUESE.isdisjoint(said):
        return "pt"
    if not _SPANISH.isdisjoint(said):
        return "es"
    if not _BOTH.isdisjoint(said):
        return "pt" if contact.startswith(_LUSOPHONE) else "es"
    return "en"


def _is_nothing_but(said: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
    """Whether `said` is the phrase, once or again and again."""
    times, rest = divmod(len(said), len(phrase))
    return not rest and said == phrase * times
