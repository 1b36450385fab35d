"""A model's Markdown as WhatsApp's own formatting. Pure, total, linear.

Laws of this file:
1. Text without Markdown stays as it is, to the last blank; so does WhatsApp's own formatting. `*x*` is bold there, and
   stays, unless the answer has `**` too: then it is Markdown, and means italics.
2. What is formatted stays as it is when it is formatted again.
3. Lines stay lines. WhatsApp knows lists and quotes by how a line begins, and people end lines where they want them to
   end; Markdown would fold them, or draw the next line into a list. So lines are distinguished here, one after another,
   and what stands in them is read by markdown-it (`markdown.py`).
4. Nothing of Markdown's reaches a customer where its meaning is clear; what may be text (5*3, snake_case, addresses,
   **** 1234) is text.
5. No text costs more than in proportion to its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from actors.text import plain_text
from daemon.responders.markdown import Token, folded, tokens
from daemon.responders.phrases import Phrases, is_target
from daemon.responders.tables import CODE, as_lines, cells, is_code

_ROUNDS = 6
"""One is enough for what models write; what was escaped or fenced may hold more to be read."""
_MAX_DEPTH = 3
"""Fences in fences that are opened."""

_SIGNS = re.compile(
    r"\*\*|__|~~|``|\]\s?[(\[:]|\[\^|<[A-Za-z/!]|&#?\w{1,31};|\\[!-/:-@\[-`{-~]|\$\$|\$[^$\n]{0,200}\\"
    r"|^[ \t>]*(?:\#{1,6}[ \t]|[*+][ \t]+\S|[-*+][ \t]+\[[ xX]\][ \t]|>[^\W\d]|>[ \t]*>)"
    r"|^[ \t]*\d{1,9}[.)][ \t]+\#{1,6}[ \t]|^[ \t]*-[ \t]+(?:\#{1,6}[ \t]|[-*+][ \t])"
    r"|^[ \t]*+(?:[-*_][ \t]*+){3,}+$|^[ \t]*+(?:[:-][ \t:-]*+)?\|[ \t:|-]*+$"
    r"|^[ \t]*+\|(?:[^|\n]++\|){2,}+[ \t]*+$",
    re.MULTILINE,
)
"""Without any of these there is nothing to do."""
_MAY_HAVE_SIGNS = re.compile(r"[*_~`\[\]<>&\\$#|+]|-[ \t]*+-")
"""Each of them has one of these, which are found in a hundredth of the time."""
_LAST_SIGNS = str.maketrans("-", "–", "*_~`[]<>&\\$#|+")
_MANY_BREAKS = re.compile(r"\n[ \t]*\n(?:[ \t]*\n)+")

_RULE = re.compile(r"[ \t]*+(?:(?:-[ \t]*+){3,}+|(?:\*[ \t]*+){3,}+|(?:_[ \t]*+){3,}+)\Z")
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})(.*)\Z")
_DIVIDER = re.compile(
    r"\|?(?:[ \t]*+:?-++:?[ \t]*+\|)++(?:[ \t]*+:?-++:?)?\Z|\|[ \t]*+:?-++:?\Z|:?-++:?[ \t]*+\|\Z"
)
_BORDER = re.compile(r"[ \t]*+\+(?:[-=]++\+)++[ \t]*+\Z")
"""Of a table that is drawn with signs."""
_ROW = re.compile(r"[ \t]*+\|(?:[^|]++\|){2,}+[ \t]*+\Z")
_SPACED_BOLD = re.compile(
    r"(?P<before>(?:\A|[\n:：،,.;–—|•(-])[ \t]{0,9})\*\*[ \t]{1,9}(?P<loose>[^*\s][^*\n]{0,200}?)"
    r"[ \t]{0,9}\*\*(?=\W|\Z)"
    r"|(?<![\w*])\*\*(?P<tight>[^*\s][^*\n]{0,200}?)[ \t]{1,9}\*\*(?=[\s.,:;!?،؛؟]|\Z)"
    r"|(?<![\w*])\*\*(?P<first>[^*\s][^*\n]{0,200}+)(?<=\S)\*{4}(?P<second>[^*\s][^*\n]{0,200}+)(?<=\S)\*\*(?!\*)"
)
"""Bold with blanks within its marks, and bold at bold: Markdown does not know them, weak models write them."""
_QUOTE = re.compile(r"[ \t]*>(?:[ \t]*>)*(?:[ \t]+|(?=[^\W\d])|\Z)")
_BULLET = re.compile(r"([ \t]*)(?:-[ \t]+|\*[ \t]+|\+[ \t]+(?!\d))(?:[-*+][ \t]+)*(?=\S)")
_TASK = re.compile(r"\[([ xX])\][ \t]+")
_NUMBER = re.compile(r"[ \t]*\d{1,9}[.)][ \t]+(?=\S)")
_HEADING = re.compile(r"[ \t]*\#{1,6}(?:[ \t]+|\Z)")
_ORDER = re.compile(r"[ \t]*+\#[ \t][\d\s./-]++\Z")
"""`# 5` is a number of something."""
_DEFINITION = re.compile(r" {0,3}\[([^\[\]\n]{1,100})\]:[ \t]*<?([^\s<>]+)>?(?:[ \t]+[\"'(].*)?\Z")


class _Line(NamedTuple):
    """A line, or several that belong together, and how WhatsApp knows what it is."""

    prefix: str
    tokens: Sequence[Token]
    is_heading: bool = False


class _Table(NamedTuple):
    rows: Sequence[Sequence[Sequence[Token]]]
    has_head: bool = True
    """The first row has the names of the columns."""


class _Definition(NamedTuple):
    """The address of links that name it by its label."""

    label: str
    address: str


_Block = _Line | _Table | _Definition | str
"""A string is sent as it is."""


def for_whatsapp(text: str) -> str:
    """`text` in WhatsApp's formatting."""
    for _ in range(_ROUNDS):
        formatted = _formatted(text)
        if formatted == text:
            return text
        text = formatted
    return text.translate(_LAST_SIGNS)  # nobody wrote this to be read


def _formatted(text: str) -> str:
    found = text
    if _MAY_HAVE_SIGNS.search(text) and _SIGNS.search(text):
        blocks = _Blocks(text.split("\n"))
        found = plain_text(_shown(list(blocks.read()))).strip("\n").rstrip()
    return _MANY_BREAKS.sub("\n\n", found) or text


class _Blocks:
    """What the lines of an answer are."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._references: dict[str, str] = {}
        for line in lines:
            found = _DEFINITION.match(line)
            if found and is_target(found[2]):
                self._references.setdefault(folded(found[1]), found[2])

    def read(self) -> Iterator[_Block]:
        return self._read(self._lines, 0)

    def _read(self, lines: Sequence[str], depth: int) -> Iterator[_Block]:
        at = 0
        while at < len(lines):
            line = lines[at]
            if opening := _fence(line):
                found, at = self._fenced(lines, at, opening, depth)
                yield from found
            elif not line.strip() or _RULE.match(line):
                yield ""
                at += 1
            elif (found_one := _DEFINITION.match(line)) and folded(found_one[1]) in self._references:
                yield _Definition(found_one[1], found_one[2])
                at += 1
            elif _begins_table(lines, at):
                end = at + 1
                while end < len(lines) and ("|" in lines[end] or _BORDER.match(lines[end])):
                    end += 1
                rows = [cells(each) for each in lines[at:end] if not _is_divider(each)]
                if rows:
                    shown = [[self._tokens(cell) for cell in row] for row in rows]
                    yield _Table(shown, has_head=_is_divider(lines[at + 1]))
                at = end
            elif _BORDER.match(line) and at + 1 < len(lines) and lines[at + 1].lstrip().startswith("|"):
                at += 1
            else:
                end = at + 1
                prefix, rest = _prefix(line)
                heading = None if _ORDER.match(rest) else _HEADING.match(rest)
                if heading:
                    rest = _without_closing(rest[heading.end() :])
                while not heading and end < len(lines) and not _begins(lines, end):
                    end += 1
                yield _Line(
                    prefix, self._tokens("\n".join((rest, *lines[at + 1 : end]))), heading is not None
                )
                at = end

    def _tokens(self, text: str) -> Sequence[Token]:
        text = _SPACED_BOLD.sub(_tight, text) if "**" in text else text
        return tokens(text, self._references)

    def _fenced(
        self, lines: Sequence[str], at: int, opening: re.Match[str], depth: int
    ) -> tuple[Sequence[_Block], int]:
        """What stands in the fence that begins at `at`, and where it ends."""
        fence, info = opening[1], opening[2]
        end, is_tight = at + 1, False
        while end < len(lines):
            closing = lines[end].strip()
            if closing.startswith(fence) and not closing.strip(fence[0]):
                break
            if fence == "```" and closing.endswith(fence):
                is_tight = True
                break
            end += 1
        content = list(lines[at + 1 : end])
        if is_tight:  # as WhatsApp has it: the marks stand at the first and the last word
            last = lines[end].rstrip()
            if info and info not in CODE:
                return ["\n".join((lines[at], *content, last))], end + 1
            content.append(last[: -len(fence)])
        words = info.split(maxsplit=1)
        code = "\n".join(content).strip("\n").rstrip()
        if is_code(code, words[0].strip("{}.").lower() if words else ""):
            # A first word that names a language would be taken for the fence's own.
            blank = " " if code.partition("\n")[0] in CODE else ""
            return [f"```{blank}{code}```"], end + 1
        return (content if depth >= _MAX_DEPTH else list(self._read(content, depth + 1))), end + 1


def _shown(blocks: Sequence[_Block]) -> str:
    phrases = Phrases(is_markdown=any(map(_has_bold, blocks)))
    lines: list[str | _Definition] = []
    for block in blocks:
        match block:
            case _Line(prefix, found, is_heading):
                text = phrases.shown(found, is_heading=is_heading)
                lines += [f"{prefix}{text}"] if text or not is_heading else []
            case _Table(rows, has_head):
                shown = [[" ".join(phrases.shown(cell).split()) for cell in row] for row in rows]
                filled = [row for row in shown[has_head:] if any(row)]
                lines.append(as_lines(shown[0] if has_head else (), filled))
            case _:
                lines.append(block)
    return "\n".join(
        line if isinstance(line, str) else f"{line.label.strip('^')}: {line.address}"
        for line in lines
        if isinstance(line, str) or folded(line.label) not in phrases.used
    )


def _tight(found: re.Match[str]) -> str:
    if found["first"]:
        return f"**{found['first']}** **{found['second']}**"
    return f"{found['before'] or ''}**{found['loose'] or found['tight']}**"


def _begins(lines: Sequence[str], at: int) -> bool:
    """Whether a new block begins with this line, so that it does not continue the one before."""
    line = lines[at]
    return (
        not line.strip()
        or _fence(line) is not None
        or _RULE.match(line) is not None
        or _prefix(line)[0].strip() != ""
        or _HEADING.match(line) is not None
        or _DEFINITION.match(line) is not None
        or _begins_table(lines, at)
    )


def _begins_table(lines: Sequence[str], at: int) -> bool:
    if "|" not in lines[at] or at + 1 == len(lines):
        return False
    if _DIVIDER.match(lines[at + 1].strip()):
        return len(cells(lines[at])) >= len(cells(lines[at + 1])) - 1
    below = at + 2 if _BORDER.match(lines[at + 1]) and at + 2 < len(lines) else at + 1
    return _ROW.match(lines[at]) is not None and _ROW.match(lines[below]) is not None


def _is_divider(line: str) -> bool:
    return _DIVIDER.match(line.strip()) is not None or _BORDER.match(line) is not None


def _fence(line: str) -> re.Match[str] | None:
    found = _FENCE.match(line)
    return None if found and found[1][0] == "`" and "`" in found[2] else found


def _prefix(line: str) -> tuple[str, str]:
    """How WhatsApp knows what the line is, and the rest of it."""
    prefix = ""
    if found := _QUOTE.match(line):
        prefix, line = "> ", line[found.end() :]
    if (found := _BULLET.match(line)) and not _RULE.match(line):
        rest = line[found.end() :]
        if task := _TASK.match(rest):
            box = "☐" if task[1] == " " else "☑"
            return f"{prefix}{found[1]}{box} ", rest[task.end() :]
        return f"{prefix}{found[1]}- ", rest
    if found := _NUMBER.match(line):
        return prefix + found[0], line[found.end() :]
    return prefix, line


def _without_closing(heading: str) -> str:
    """`heading` without the signs that may close it."""
    heading = heading.rstrip(" \t")
    bare = heading.rstrip("#")
    return bare.rstrip(" \t") if not bare or bare[-1] in " \t" else heading


def _has_bold(block: _Block) -> bool:
    match block:
        case _Line(_, found, _):
            return _is_bold(found)
        case _Table(rows, _):
            return any(_is_bold(cell) for row in rows for cell in row)
        case _:
            return False


def _is_bold(found: Sequence[Token]) -> bool:
    return any(token.type == "strong_open" and token.markup == "**" for token in found)
