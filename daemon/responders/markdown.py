"""What stands in a line of Markdown, read by markdown-it. Pure, total, linear; the only file that imports it.

Which marks belong together is its work. Its rules that look ahead without bound (links, tags) are replaced by bounded
ones, and the rule of marks by one that knows scripts without blanks before signs, and numbers.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from markdown_it import MarkdownIt
from markdown_it.rules_inline.state_inline import Delimiter, StateInline
from markdown_it.token import Token

from daemon.responders import latex
from daemon.responders.emphasis import is_word

__all__ = ("KNOWN_TAGS", "MAIL", "Token", "folded", "tokens")

KNOWN_TAGS = frozenset((
    "b", "strong", "i", "em", "s", "del", "strike", "h1", "h2", "h3", "h4", "h5", "h6", "p", "div", "ul", "ol",
    "li", "table", "tr", "th", "td", "thead", "tbody", "blockquote", "section", "hr", "br", "a", "img", "u", "ins",
    "span", "font", "small", "big", "sub", "sup", "mark", "code", "kbd", "center", "pre", "html", "body", "dl",
    "dt", "dd", "details", "summary",
))  # fmt: skip
"""All others are text, as in "Dear <your name>"."""
MAIL = re.compile(r"mailto:|tel:", re.IGNORECASE)

_IN_LINE = re.compile(r"[*_~`\[\\<&$\n]")
"""Without any of these a line is text."""
_LABEL = r"\[((?:[^\[\]\\\n]|\\.|\n|\[[^\[\]\n]{0,100}+\]){0,400}+)\]"
_GOAL = (
    r"[ \n]?\([ \n]?(?:<([^<>\n]{0,2000}+)>|((?:[^()\n<>]|\([^()\n]{0,200}+\)){0,2000}+))\)"
    r"|\[([^\[\]\n]{0,100}+)\]"
)
_LINK = re.compile(rf"!?{_LABEL}(?:{_GOAL})?")
_TITLE = re.compile(r"(?<!\s)\s++[\"'“][^\n\"'”]*+[\"'”]\s*+\Z")
_REST = re.compile(r"://(?:(?!\*\*|~~)[^\s<>\"`\\|\[\]])+")
_ENDS_ADDRESS = "*_~.,;:!?'\"،؛؟»”"
_TAG = re.compile(
    r"<(?:(?P<auto>(?:https?://|mailto:|tel:)[^\s<>]{1,2000}|[\w.+-]{1,64}@[\w.-]{1,190})|!--[^<>]{0,500}--"
    r"|(?P<end>/?)(?P<name>[A-Za-z][A-Za-z0-9]{0,9})(?P<more>(?:\s[^<>]{0,1000}+)?)/?)>"
)
_HREF = re.compile(r"\b(?:href|src)\s*=\s*[\"']?([^\s\"'<>]{1,1000})", re.IGNORECASE)
_MATH = re.compile(r"\\\(((?:[^\\]|\\(?!\)).){1,160}?)\\\)|\\\[((?:[^\\]|\\(?!\]).){1,160}?)\\\]", re.DOTALL)
_DOLLARS = re.compile(r"\$\$([^$]{1,400}+)\$\$|\$(?=\S)([^$\n]{0,199}\\[A-Za-z][^$\n]{0,199})(?<=\S)\$(?!\d)")
_SINGLE = 1
"""What a single star is called among the marks: no character is."""
_OPENS_PHRASE = "\"'(["
_ENDS_PHRASE = "\"')].,:;!?%"
_IN_BLANKS = "/-.,:;"
"""Beside underscores these make blanks to be filled in, as in `__/__/____`."""


def tokens(text: str, references: Mapping[str, str]) -> Sequence[Token]:
    """What `text` is made of. `references`: addresses by their labels, as `folded` writes them."""
    if not _IN_LINE.search(text):
        return (Token("text", "", 0, content=text),)
    return _PARSER.inline.parse(text, _PARSER, {"references": references}, [])


def folded(label: str) -> str:
    """A label in the one spelling that all its spellings share."""
    return " ".join(label.casefold().split())


def _newline(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] != "\n":
        return False
    state.push("softbreak", "br", 0)
    state.pos += 1
    return True


def _formula(state: StateInline, silent: bool) -> bool:
    sign = state.src[state.pos]
    if sign not in "\\$":
        return False
    found = (_MATH if sign == "\\" else _DOLLARS).match(state.src, state.pos)
    if not found or not latex.is_formula(found[1] or found[2]):
        return False
    state.push("text_special", "", 0).content = latex.readable(found[1] or found[2])
    state.pos += len(found[0])
    return True


def _address(state: StateInline, silent: bool) -> bool:
    """The rest of an address, whatever is in it."""
    if state.src[state.pos] != ":" or not state.pending.lower().endswith(("http", "https")):
        return False
    found = _REST.match(state.src, state.pos)
    if not found:
        return False
    rest = found[0].rstrip(_ENDS_ADDRESS)
    surplus = rest.count(")") - rest.count("(")
    while surplus > 0 and rest.endswith(")"):
        rest, surplus = rest[:-1].rstrip(_ENDS_ADDRESS), surplus - 1
    if len(rest) <= len("://"):
        return False
    state.pos += len(rest)
    state.append_pending(rest.replace("&amp;", "&"))
    return True


def _link(state: StateInline, silent: bool) -> bool:
    """A link or an image, with its address beside it or by a label."""
    if state.src[state.pos] not in "[!":
        return False
    found = _LINK.match(state.src, state.pos)
    if not found:
        return False
    goal, label = found[2], ""
    if found[3] is not None:
        goal = _TITLE.sub("", found[3])
    elif goal is None:
        label = folded(found[4] or found[1])
        goal = state.env["references"].get(label)
    if goal is None:
        return False
    token = state.push("link_open", "a", 1)
    token.attrs["href"] = goal
    token.meta["label"] = label
    end, last = state.pos + len(found[0]), state.posMax
    state.pos, state.posMax = found.start(1), found.end(1)
    state.md.inline.tokenize(state)
    state.push("link_close", "a", -1)
    state.pos, state.posMax = end, last
    return True


def _tag(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] != "<":
        return False
    found = _TAG.match(state.src, state.pos)
    if not found or (found["name"] and found["name"].lower() not in KNOWN_TAGS):
        return False
    if found["auto"]:
        state.append_pending(MAIL.sub("", found["auto"], count=1))
    elif found["name"]:
        token = state.push("tag_close" if found["end"] else "tag_open", found["name"].lower(), 0)
        if goal := _HREF.search(found["more"]):
            token.attrs["href"] = goal[1]
    state.pos += len(found[0])
    return True


def _marks(state: StateInline, silent: bool) -> bool:
    """Marks of emphasis, which may begin or end something.

    As CommonMark has it, but for two things. Where bold ends with a sign and a word follows at once (`**السعر:**90`),
    it ends all the same. And single marks within words and between numbers are text, as in WhatsApp.
    """
    src, start = state.src, state.pos
    marker = src[start]
    if marker not in "*_~":
        return False
    end = start
    while end < state.posMax and src[end] == marker:
        end += 1
    length = end - start
    before = src[start - 1] if start else " "
    after = src[end] if end < state.posMax else " "
    opens, closes = _flanks(before, after, marker, length)
    if length > 3 or (marker == "~" and length != 2) or not (opens or closes):
        state.append_pending(src[start:end])
    elif marker == "~":
        _push_mark(state, "~~", 0, opens, closes)
    else:
        for _ in range(length):
            _push_mark(state, marker, length, opens, closes)
            if length == 1 and marker == "*":
                state.delimiters.append(replace(state.delimiters.pop(), marker=_SINGLE))
    state.pos += length
    return True


def _flanks(before: str, after: str, marker: str, length: int) -> tuple[bool, bool]:
    """Whether marks between these characters may open and close something."""
    word_before, word_after = is_word(before), is_word(after)
    is_within = word_before and (word_after or after == "@")
    if is_within and (length != 2 or marker == "_" or (before + after).isdigit()):
        return False, False  # 5*3, snake_case, ah***@mail.example, 2**10
    ends_phrase = _is_sign(before, _ENDS_PHRASE)
    opens = not after.isspace() and (word_after or not word_before or _is_sign(after, _OPENS_PHRASE))
    closes = not before.isspace() and (word_before or not word_after or ends_phrase)
    if length == 1 or marker == "_":
        opens = opens and not word_before
        closes = closes and (not word_after or (length == 2 and ends_phrase))
    if marker == "_":
        opens, closes = opens and after not in _IN_BLANKS, closes and before not in "/-"
    return opens, closes


def _is_sign(character: str, ours: str) -> bool:
    """Whether it is one of `ours`, or a punctuation mark beyond ASCII."""
    return character in ours or (character > "\x7f" and unicodedata.category(character)[0] == "P")


def _push_mark(state: StateInline, content: str, length: int, opens: bool, closes: bool) -> None:
    state.push("text", "", 0).content = content
    state.delimiters.append(Delimiter(ord(content[0]), length, len(state.tokens) - 1, -1, opens, closes))


def _single(state: StateInline) -> None:
    """Make italics of single stars: distinguished from `**`, of which the one in "**a 5* hotel**" would be a half."""
    inner = (meta["delimiters"] for meta in state.tokens_meta if meta and "delimiters" in meta)
    for delimiters in (state.delimiters, *inner):
        for each in delimiters:
            if each.marker == _SINGLE and each.end >= 0:
                state.tokens[each.token] = Token("em_open", "em", 1, markup="*")
                state.tokens[delimiters[each.end].token] = Token("em_close", "em", -1, markup="*")


def _parser() -> MarkdownIt:
    parser = MarkdownIt("zero")
    rules = parser.inline.ruler
    own: Mapping[str, Callable[[StateInline, bool], bool]] = {
        "newline": _newline,
        "strikethrough": _marks,
        "emphasis": _marks,
        "link": _link,
        "html_inline": _tag,
    }
    for name, rule in own.items():
        rules.at(name, rule)
    rules.before("escape", "formula", _formula)
    rules.before("escape", "address", _address)
    parser.inline.ruler2.before("fragments_join", "single", _single)
    return parser.enable([*own, "escape", "backticks", "entity"])


_PARSER = _parser()
