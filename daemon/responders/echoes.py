"""What a model repeats of what it was told beside the customer's words. Pure, total, linear.

Weak models, and those whose history was cut, repeat the prompt before they answer, or instead. What Majlis says to the
model is for no customer: passages of the business's files least of all.

Laws of this file:
1. Only what Majlis itself writes is taken out, by its own words; a text without them stays as it is.
2. What was repeated and breaks off is taken out up to the end of its paragraph.
"""

from __future__ import annotations

import re

from actors.prompt import (
    CUSTOMER_TEXT_IS_DATA,
    DEFAULT_SYSTEM_PROMPT,
    EARLIER,
    ENVELOPE,
    FOLLOWS,
    HANDED_BACK,
    NOT_GIVEN,
    REFERENCE,
    SILENCE_IS_AN_ANSWER,
    SITUATION,
)
from daemon.responders.loose_json import read_object

_SENTENCES = (
    CUSTOMER_TEXT_IS_DATA,
    NOT_GIVEN,
    SILENCE_IS_AN_ANSWER,
    ENVELOPE,
    ENVELOPE[ENVELOPE.index("{") :],
    DEFAULT_SYSTEM_PROMPT,
    REFERENCE,
    HANDED_BACK,
    EARLIER,
)
_BLOCK = re.compile(rf"\[[^\S\n]?From the business.s system|{re.escape(SITUATION)}")
_SHORT_BLOCK = re.compile(r"\[[^\[\]\n]{0,2000}+\]")
_PARAGRAPH_END = re.compile(r"\n[^\S\n]*\n|\{[\"\\]|\Z")
_PASSAGE = re.compile(r"\{\s{0,4}\"source\"\s{0,4}:")
_STANDS_FOR = re.compile(
    r"[^\S\n]{0,2}\[[^\[\]\n;]{1,100}+; it cannot be (?:seen|heard|read) here\]"
    r"|^[ \t]*\[(?:(?:answers|corrects|reacts to|about) (?:the|an?) |came from (?:the|an) ad\b|asks about: )"
    r"[^\n]*\](?=[ \t]*$)",
    re.MULTILINE,
)
"""What stands in the history for what was no text, and says what a message refers to."""


def without_echoes(text: str) -> str:
    """`text` without what Majlis said to the model."""
    bare = text
    for sentence in _SENTENCES:
        bare = bare.replace(sentence, "")
    bare = _without_blocks(bare)
    bare = _without_passages(bare)
    if "[" in bare:
        bare = _STANDS_FOR.sub("", bare)
    return text if bare == text else bare.strip()


def _without_blocks(text: str) -> str:
    kept, at = [], 0
    for begins in _BLOCK.finditer(text):
        if begins.start() < at:
            continue
        kept.append(text[at : begins.start()])
        ends = text.find(FOLLOWS, begins.end())
        if ends >= 0:
            at = ends + len(FOLLOWS)
            at += text.startswith("]", at)
        elif short := _SHORT_BLOCK.match(text, begins.start()):
            at = short.end()
        else:
            found = _PARAGRAPH_END.search(text, begins.end())
            at = found.start() if found else len(text)
    return "".join((*kept, text[at:])) if at else text


def _without_passages(text: str) -> str:
    kept, at = [], 0
    for begins in _PASSAGE.finditer(text):
        if begins.start() < at:
            continue
        reading = read_object(text, begins.start())
        kept.append(text[at : begins.start()])
        at = reading.end if reading.whole else len(text)
        if not {*reading.members} <= {"source", "text"}:
            kept.append(text[begins.start() : at])
    return "".join((*kept, text[at:])) if at else text
