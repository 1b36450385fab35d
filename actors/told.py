"""What a message refers to, as the model is told it: lines in brackets, before the customer's own words. Pure.

    [answers the business's message: "2) Sukkari dates, 3 kg, 90 SAR"]
    this one please

Laws of this file:
1. Whatever somebody else wrote stands in a JSON string: it can neither end that string nor begin a line.
2. What is in square brackets at the beginning of a line is ours: what a message refers to, and what stands for
   something that is no text, like a payment. A customer's own line that begins with a bracket begins with `(`, and so
   does, wherever it stands, what looks like a reference: nobody can make the model believe that the business said
   something, or that money came. All other words of the customer are told as they came.
3. What our own ledger knows of a quoted message is told, not what the customer's telephone says of it: a telephone can
   be made to quote what was never said.
4. All lines of a batch together are bounded; the newest messages have their lines first.
5. A message is told in the history as it was in its turn, but for the length of what it refers to.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from actors.amendments import CORRECTED
from actors.instance import ContextTerms
from actors.messages import Context, Message
from actors.prompt import json_line
from actors.repeats import TYPED
from actors.text import INVISIBLE

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
_BRACKET = "[\\[\uff3b\ufe47\u3010\u3014\u3016\u301a\u27e6\u2045]"
"""And what looks like one."""
_LINE_END = "\\n\\r\\x0b\\x0c\\x1c-\\x1e\x85\u2028\u2029"
_BEGINS_LINE = re.compile(
    rf"(\A(?:{CORRECTED.format(text='')})?|[{_LINE_END}])((?:(?![{_LINE_END}])[\s{INVISIBLE}])*+){_BRACKET}"
)
_REFERS_LIKE_OURS = re.compile(
    rf"{_BRACKET}(?=[\s{INVISIBLE}]{{0,9}}(?:(?:answers|corrects|reacts to|about) (?:the|an?) "
    r"|came from (?:the|an) ad|from the business.s system))",
    re.IGNORECASE,
)
_WORDS_ALONE: Collection[str] = TYPED - {"poll_vote"}
"""Kinds of messages without a bracket of ours. A text of another kind may begin with what it stands for."""
_OF_OURS_ALONE: Collection[str] = ("contact",)
"""Kinds of which each line begins with a bracket of ours."""
_ROUND = str.maketrans("[]", "()")
_AROUND_LINE = len("[]\n")

Ledgered = Mapping[str, Context]
"""What our own ledger says of messages, by their ids."""
_NOTHING: Ledgered = {}


def told(message: Message, terms: ContextTerms, known: Ledgered = _NOTHING) -> str:
    """The message with what it refers to."""
    return _joined(
        _lines(message.context, terms, known, MAX_LINES_CHARS), message.text, message.kind, message.context
    )


def told_earlier(words: str, kind: str, contexts: Sequence[Context], terms: ContextTerms) -> str:
    """What a customer said earlier, with what it referred to, whose texts may have been cut."""
    return _joined(_lines(contexts, terms, _NOTHING, MAX_LINES_CHARS), words, kind, contexts)


def told_batch(messages: Sequence[Message], terms: ContextTerms, known: Iterable[Context]) -> tuple[str, ...]:
    """Each message of a batch, told; see law 4."""
    by_id = {context.id: context for context in known}
    left, texts = MAX_LINES_CHARS, []
    for message in reversed(messages):
        lines = _lines(message.context, terms, by_id, left)
        left -= sum(len(line) + 1 for line in lines)
        texts.append(_joined(lines, message.text, message.kind, message.context))
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
            words = words.translate(_ROUND)
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


def _joined(lines: Sequence[str], words: str, kind: str, contexts: Sequence[Context]) -> str:
    if _is_stand_in(words, contexts):  # no words of the customer's, and said already where lines are told
        return "\n".join(lines) or words
    own = _own(words, kind)
    return "\n".join((*lines, own) if own.strip() or not lines else lines)


def _is_stand_in(words: str, contexts: Sequence[Context]) -> bool:
    """Also where the texts of `contexts` are only the beginnings of what they were."""
    known = stand_in(contexts) if contexts else ""
    return known != "" and (words == known or (words.startswith(known[:-1]) and words.endswith("]")))


def _own(words: str, kind: str) -> str:
    """What a customer sent, so that nothing but what stands for something else has a bracket of ours; see law 2."""
    ours = 0
    if kind not in _WORDS_ALONE and words.startswith("["):
        ours = words.find("]") + 1
    own = words[ours:] if kind in _OF_OURS_ALONE else _BEGINS_LINE.sub(r"\1\2(", words[ours:])
    return words[:ours] + _REFERS_LIKE_OURS.sub("(", own)
