"""What a message refers to, as the model is told it: lines in brackets, before the customer's own words. Pure.

    [answers the business's message: "2) Sukkari dates, 3 kg, 90 SAR"]
    this one please

Laws of this file:
1. Whatever somebody else wrote stands in a JSON string: it can neither end that string nor begin a line.
2. A line of ours begins with `[`. Where the customer's own words look like one, theirs begins with `(`: nobody can
   make the model believe that the business said something. All other words of the customer are told as they came.
3. What our own ledger knows of a quoted message is told, not what the customer's telephone says of it: a telephone can
   be made to quote what was never said.
4. All lines of a batch together are bounded; the newest messages have their lines first.
5. A message is told in the history as it was in its turn, but for the length of what it refers to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from actors.instance import ContextTerms
from actors.messages import Context, Message
from actors.prompt import json_line

MAX_TEXT_CHARS = 1_000
"""Of one text that is referred to."""
MAX_LINES_CHARS = 6_000
"""Of all lines of a batch."""
MAX_LOOKED_UP = 50

_WRITERS = {
    "business": "the business's message",
    "customer": "the customer's own earlier message",
    "": "the message",
}
_ANSWERING = {"quote": "answers", "edit": "corrects", "reaction": "reacts to"}
"""Kinds that are about a message of the conversation, which our own ledger may know."""
_REFERS = {"status": "answers the status", "ad": "came from the ad", "product": "about the product"}
_UNKNOWN = {
    "status": "answers a status that is not known here",
    "ad": "came from an ad",
    "product": "about a product that is not known here",
}
_LIKE_OURS = re.compile(
    r"\[(?=\s{0,9}(?:(?:answers|corrects|reacts to|about) (?:the|an?) |came from (?:the|an) ad"
    r"|from the business's system))",
    re.IGNORECASE,
)
_AROUND_LINE = len("[]\n")

Ledgered = Mapping[str, Context]
"""What our own ledger says of messages, by their ids."""
_NOTHING: Ledgered = {}


def told(message: Message, terms: ContextTerms, known: Ledgered = _NOTHING) -> str:
    """The message with what it refers to."""
    return told_words(message.text, message.context, terms, known)


def told_words(
    words: str, contexts: Sequence[Context], terms: ContextTerms, known: Ledgered = _NOTHING
) -> str:
    """What somebody wrote, with what it refers to."""
    return _joined(_lines(contexts, terms, known, MAX_LINES_CHARS), words, contexts)


def told_batch(messages: Sequence[Message], terms: ContextTerms, known: Iterable[Context]) -> tuple[str, ...]:
    """Each message of a batch, told; see law 4."""
    by_id = {context.id: context for context in known}
    left, texts = MAX_LINES_CHARS, []
    for message in reversed(messages):
        lines = _lines(message.context, terms, by_id, left)
        left -= sum(len(line) + 1 for line in lines)
        texts.append(_joined(lines, message.text, message.context))
    return tuple(reversed(texts))


def lines_bytes(messages: Sequence[Message], terms: ContextTerms) -> int:
    """How much room the lines of a batch take, as far as the messages say what they refer to."""
    referring = (message.context for message in messages if message.context)
    lines = (line for contexts in referring for line in _lines(contexts, terms, _NOTHING, MAX_LINES_CHARS))
    return sum(len(line.encode("utf-8", "replace")) for line in lines)


def told_contexts(contexts: Sequence[Context], terms: ContextTerms) -> tuple[Context, ...]:
    """Those that are told at all."""
    return tuple(context for context in contexts if _is_told(context, terms))


def ids_to_look_up(messages: Sequence[Message], terms: ContextTerms) -> tuple[str, ...]:
    """Of the messages that these refer to, the newest first."""
    newest_first = (each for message in reversed(messages) for each in told_contexts(message.context, terms))
    ids = dict.fromkeys(each.id for each in newest_first if each.id and each.kind in _ANSWERING)
    return tuple(ids)[:MAX_LOOKED_UP]


def stand_in(contexts: Iterable[Context]) -> str:
    """What a customer says who sends an ad or a product without a word; empty: that is not so."""
    for context in contexts:
        words = "; ".join(context.text.splitlines())
        if context.kind == "ad":
            return f"[came from the ad: {words}]" if words else "[came from an ad]"
        if context.kind == "product":
            return f"[asks about: {words}]"
    return ""


def _is_told(context: Context, terms: ContextTerms) -> bool:
    match context.kind:
        case "reaction":
            return terms.reactions != "ignore"
        case "edit":
            return terms.edits
        case _:
            return terms.references


def _lines(contexts: Sequence[Context], terms: ContextTerms, known: Ledgered, max_chars: int) -> list[str]:
    lines: list[str] = []
    for context in told_contexts(contexts, terms):
        line = _line(context, known.get(context.id) if context.kind in _ANSWERING else None)
        max_chars -= len(line) + _AROUND_LINE
        if max_chars < 0:
            break
        lines.append(f"[{line}]")
    return lines


def _line(context: Context, known: Context | None) -> str:
    """Without its brackets."""
    text, by = context.text.strip(), context.by
    if known is not None:
        text, by = known.text.strip() or text, known.by or by
    if verb := _ANSWERING.get(context.kind):
        if not text:
            return f"{verb} an earlier message that is not known here"
        return f"{verb} {_WRITERS[by]}: {_quoted(text)}"
    return f"{_REFERS[context.kind]}: {_quoted(text)}" if text else _UNKNOWN[context.kind]


def _quoted(text: str) -> str:
    return json_line(text if len(text) <= MAX_TEXT_CHARS else f"{text[: MAX_TEXT_CHARS - 1]}…")


def _joined(lines: Sequence[str], words: str, contexts: Sequence[Context]) -> str:
    if contexts and words == stand_in(
        contexts
    ):  # no words of the customer's, and said already where lines are told
        return "\n".join(lines) or words
    own = _LIKE_OURS.sub("(", words)
    return "\n".join((*lines, own) if own.strip() or not lines else lines)
