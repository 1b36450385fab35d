"""What the model said to the customer, without what it said to itself, to tools, or in others' names. Pure, total.

Laws of this file:
1. Thoughts never leave. What begins them takes away all that follows up to their end, or up to the end of the text;
   an end without a beginning takes away all that stands before it. When in doubt, it was a thought.
2. The answer that is said last is the answer: after the thoughts, in the channel `final`, within `<answer>`.
3. When the model has answered, and goes on as the customer or begins another turn, that is not said.
4. A call of a tool is not said; the words round it are.
5. A text without marks stays as it is, to the letter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from daemon.responders.marks import ModelMark, marks, may_have_marks


class Spoken(msgspec.Struct, frozen=True):
    """What is left for the customer."""

    text: str
    thought: bool = False
    """There were thoughts."""


_Hears = Literal["answer", "after", "thoughts", "channel", "aside", "tool", "them", "over"]
_THINKS: dict[str, _Hears] = {"think": "thoughts", "channel": "channel", "aside": "aside"}

_CUT_MARK = re.compile(
    r"<[|｜][^\s<>]{0,60}\Z|</?(?:think(?:in|ing)?|though|thought|reasoni|reasoning|analysis|tool_c\w{0,8})\Z"
    r"|<(?:end|start)_of_\w{0,5}\Z|◁/?\w{0,10}\Z"
)
"""A mark that the end of the text cuts."""

_BEGINS = (
    re.compile(r"here(?:'|’)?s? (?:is )?my thought process:", re.IGNORECASE),
    re.compile(
        r"[*_#>\s]{0,4}(?:thoughts?|thinking(?: process)?|my thinking|chain of thought)[*_]{0,2}\s?:",
        re.IGNORECASE,
    ),
    re.compile(r"thinking(?:\.\.\.|…)[^\S\n]*+\n", re.IGNORECASE),
    re.compile(r"thought\n|(?:analysis|commentary)(?=[A-Z\"'“\u0600-\u06ff])"),
)
"""How thoughts begin that have no mark, at the beginning of what is said."""
_PERHAPS_BEGINS = re.compile(r"[*_#\s]{0,4}(?:reasoning|analysis|rationale)[*_]{0,2}\s?:", re.IGNORECASE)
"""Only when a label says later where the answer is."""
_ANSWERS = re.compile(
    r"here(?:'|’)?s? (?:is )?my response:"
    r"|(?:\A|(?<=\n))[*_#\s]{0,4}(?:final )?(?:answer|response|reply)[*_]{0,2}\s?:[*_]{0,2}"
    r"|\.\.\.done thinking\.|assistantfinal(?=\S)",
    re.IGNORECASE,
)
"""How the answer begins after such thoughts."""
_FENCED_THOUGHTS = re.compile(
    r"```(?:think(?:ing)?|thoughts?|reasoning|scratchpad|analysis)[^\S\n]*+\n", re.IGNORECASE
)
_QUOTED_THOUGHTS = re.compile(
    r"[>*_\s]{0,4}(?:thinking(?:\.\.\.|…)|thought for [^\n]{1,40}+)[*_]{0,2}[^\S\n]*+\n"
    r"(?:[^\S\n]*+(?:>[^\n]*+)?(?:\n|\Z))*+",
    re.IGNORECASE,
)
"""Thoughts as a quotation, as some bridges between models and chats show them."""


def spoken(text: str, whole: Sequence[tuple[int, int]] = ()) -> Spoken:
    """What is said in `text`.

    Args:
      whole: spans of `text` that are read later, each by itself: marks within them are not marks of this text.
    """
    if not may_have_marks(text):
        return Spoken(text)
    listening = _Listening(text, whole)
    for mark in marks(text):
        listening.on(mark)
    said = listening.said()
    cut = _CUT_MARK.search(said, max(0, len(said) - 64))
    return Spoken(said[: cut.start()].rstrip() if cut else said, listening.thought)


def without_told_thoughts(said: str) -> Spoken:
    """`said` without thoughts that it begins with and that have no marks but their words."""
    text = said.lstrip()
    quoted = _QUOTED_THOUGHTS.match(text)
    if quoted and quoted.end() < len(text) and ">" in quoted[0]:
        return Spoken(text[quoted.end() :].strip(), thought=True)
    fenced = _FENCED_THOUGHTS.match(text)
    if fenced:
        return Spoken(text[fenced.end() :].partition("```")[2].strip(), thought=True)
    begins = next((found for found in (begin.match(text) for begin in _BEGINS) if found), None)
    perhaps = begins or _PERHAPS_BEGINS.match(text)
    if perhaps is None:
        return Spoken(said)
    ends = [found.end() for found in _ANSWERS.finditer(text, perhaps.end())]
    if not ends:
        return Spoken("", thought=True) if begins else Spoken(said)
    return Spoken(text[ends[-1] :].strip(), thought=True)


class _Listening:
    """Goes through the marks once."""

    def __init__(self, text: str, whole: Sequence[tuple[int, int]]) -> None:
        self.thought = False
        self._text = text
        self._whole = list(reversed(whole))
        self._hears: _Hears = "answer"
        self._from = 0
        self._groups: list[list[str]] = [[]]
        """What is said, in pieces; between groups something was taken out."""
        self._has_said = False
        self._is_final = False
        self._name = ""

    def on(self, mark: ModelMark) -> None:
        if self._is_in_whole(mark):
            return
        self._take(mark.start)
        self._from = mark.end
        match mark.kind:
            case "think" | "channel" | "aside":
                self._think(mark)
            case "unthink":
                self._end_thoughts()
            case "tool" if self._hears in ("answer", "after"):
                self._hear("tool", mark.name)
            case "unaside" | "untool" if self._hears in ("aside", "tool") and self._name == mark.name:
                self._hear("answer")
            case "drop" if mark.stands_for and self._hears == "answer":
                self._groups[-1].append(mark.stands_for)
            case _:
                self._on_turn(mark)

    def _on_turn(self, mark: ModelMark) -> None:
        match mark.kind:
            case "final" | "answer":
                self._answer(mark)
            case "unanswer" if self._name == "answer" and self._hears == "answer":
                self._hears = "after"
            case "comment" if self._hears != "over":
                self._hear("after" if self._is_final else "answer")
            case "us" if self._hears != "over":
                self._hear("after" if self._has_said else "answer")
            case "them" if self._hears != "over":
                self._hear("over" if self._has_said else "them")
            case "end" if self._hears not in ("thoughts", "aside", "over"):
                self._hear("after")

    def said(self) -> str:
        """All of it, after the last mark."""
        self._take(len(self._text))
        if len(self._groups) == 1:
            return "".join(self._groups[0])
        joined: list[str] = []
        gap = ""
        for group in map("".join, self._groups):
            bare = group.strip()
            if not bare:
                gap = "\n\n" if "\n" in group else gap
                continue
            if joined:
                before = group[: len(group) - len(group.lstrip())]
                joined.append("\n\n" if gap or "\n" in before else " ")
            joined.append(bare)
            gap = "\n\n" if "\n" in group[len(group.rstrip()) :] else ""
        return "".join(joined)

    def _is_in_whole(self, mark: ModelMark) -> bool:
        while self._whole and self._whole[-1][1] <= mark.start:
            self._whole.pop()
        if not self._whole or mark.start < self._whole[-1][0]:
            return False
        if self._hears == "answer":
            return True
        self._whole.pop()  # it stands in thoughts, and is not read
        return False

    def _take(self, end: int) -> None:
        piece = self._text[self._from : end]
        if self._hears == "after" and not self._has_said and piece.strip():
            self._hears = "answer"
        if self._hears == "answer":
            self._groups[-1].append(piece)
            self._has_said = self._has_said or bool(piece.strip())

    def _hear(self, what: _Hears, name: str = "") -> None:
        self._hears, self._name = what, name
        self._groups.append([])

    def _think(self, mark: ModelMark) -> None:
        if self._hears in ("answer", "after"):
            self.thought = True
            self._hear(_THINKS[mark.kind], mark.name)

    def _end_thoughts(self) -> None:
        if self._hears in ("answer", "after", "over"):  # they had no beginning
            self.thought = self.thought or self._has_said
            self._forget()
        if self._hears not in ("aside", "tool", "them"):
            self._hear("answer")

    def _answer(self, mark: ModelMark) -> None:
        if self._hears in ("aside", "over") or (mark.kind == "answer" and self._hears in ("tool", "them")):
            return
        self.thought = self.thought or (self._has_said and not self._is_final)
        if not (self._is_final and mark.kind == "final"):
            self._forget()
        self._is_final = self._is_final or mark.kind == "final"
        self._hear("answer", mark.kind)

    def _forget(self) -> None:
        self._groups = [[]]
        self._has_said = False
