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
_REFERS = {"status": "answers the status", "ad": "came from the ad", "product": "about the product"}
_UNKNOWN = {
    "quote": "answers an earlier message that is not known here",
    "status": "answers a status that is not known here",
    "ad": "came from an ad that is not known here",
    "product": "about a product that is not known here",
    "edit": "corrects an earlier message that is not known here",
}
_ANSWERING = frozenset({"quote", "edit", "reaction"})
"""Kinds whose message our own ledger may know."""
_LIKE_OURS = re.compile(
    r"\[(?=\s{0,9}(?:answers (?:the|an?) |came from (?:the|an) ad|about (?:the|a) product|corrects (?:the|an) "
    r"|reacted |from the business's system))",
    re.IGNORECASE,
)

_AROUND_LINE = len("[]\n")

Ledgered = Mapping[str, Context]
"""What our own ledger says of messages, by their ids."""
_NOTHING: Ledgered = {}


def told(
    message: Message, terms: ContextTerms, known: Ledgered = _NOTHING, max_chars: int = MAX_LINES_CHARS
) -> str:
    """The message with what it refers to, whose lines take `max_chars` at most."""
    return _joined(_lines(message, terms, known, max_chars), message.text)


def told_batch(messages: Sequence[Message], terms: ContextTerms, known: Iterable[Context]) -> tuple[str, ...]:
    """Each message of a batch, told; see law 4."""
    by_id = {context.id: context for context in known}
    left, texts = MAX_LINES_CHARS, []
    for message in reversed(messages):
        lines = _lines(message, terms, by_id, left)
        left -= sum(len(line) + 1 for line in lines)
        texts.append(_joined(lines, message.text))
    return tuple(reversed(texts))


def told_contexts(message: Message, terms: ContextTerms) -> tuple[Context, ...]:
    """What of it is told at all."""
    return tuple(context for context in message.context if _is_told(context, terms))


def ids_to_look_up(messages: Sequence[Message], terms: ContextTerms) -> tuple[str, ...]:
    """Of the messages that these refer to, the newest first."""
    newest_first = (each for message in reversed(messages) for each in told_contexts(message, terms))
    ids = dict.fromkeys(each.id for each in newest_first if each.id and each.kind in _ANSWERING)
    return tuple(ids)[:MAX_LOOKED_UP]


def _joined(lines: Sequence[str], words: str) -> str:
    own = _LIKE_OURS.sub("(", words)
    return "\n".join((*lines, own) if own.strip() or not lines else lines)


def _is_told(context: Context, terms: ContextTerms) -> bool:
    match context.kind:
        case "reaction":
            return terms.reactions != "ignore"
        case "edit":
            return terms.edits
        case _:
            return terms.references


def _lines(message: Message, terms: ContextTerms, known: Ledgered, max_chars: int) -> list[str]:
    lines: list[str] = []
    for context in told_contexts(message, terms):
        line = _line(context, known.get(context.id) if context.kind in _ANSWERING else None)
        if line:
            max_chars -= len(line) + _AROUND_LINE
            if max_chars < 0:
                break
            lines.append(f"[{line}]")
    return lines


def _line(context: Context, known: Context | None) -> str:
    """Without its brackets; empty: there is nothing to say."""
    text, by = context.text.strip(), context.by
    if context.kind == "reaction":
        return _reaction(text, known)
    if known is not None:
        text, by = known.text.strip() or text, known.by or by
    if not text:
        return _UNKNOWN[context.kind]
    match context.kind:
        case "quote":
            refers = f"answers {_WRITERS[by]}"
        case "edit":
            refers = f"corrects {_WRITERS['customer']}"
        case kind:
            refers = _REFERS[kind]
    return f"{refers}: {_quoted(text)}"


def _reaction(text: str, known: Context | None) -> str:
    if not text:  # a reaction that was taken back
        return ""
    if known is None or not known.text.strip():
        return f"reacted before with {_quoted(text)}"
    return f"reacted before with {_quoted(text)} to {_WRITERS[known.by]}: {_quoted(known.text.strip())}"


def _quoted(text: str) -> str:
    return json_line(text if len(text) <= MAX_TEXT_CHARS else f"{text[: MAX_TEXT_CHARS - 1]}…")
