"""What stands in a line, as WhatsApp shows it: marks, links as text and address, simple tags. Pure, total."""

from __future__ import annotations

import re
from collections.abc import Sequence

from daemon.responders.emphasis import BOLD, ITALIC, STRUCK, MarkedText
from daemon.responders.markdown import MAIL, Token

_STARS = re.compile(r"(?<![*\w])\*{2,3}(?=[^\s*])(?!\d)|(?<=[^\s*\d])\*\*(?![*\w@])")
"""What is left of bold and has no other half. Masked numbers and names (**** 1234, ah***@…) are text."""
_FOOTNOTE = re.compile(r"\[\^([\w-]{1,30})\]")
_CITATION = re.compile(r"\[?\^?\d{1,3}\]?")
_TARGET = re.compile(
    r"(?:https?|ftp|whatsapp)://\S|(?:geo|sms):\S|www\.\S|[\w-]+(?:\.[\w-]+)+(?:[/?#]\S*)?\Z", re.IGNORECASE
)
_BARE = re.compile(r"\A(?:https?://)?(?:www\.)?|/\Z", re.IGNORECASE)
_IN_NUMBERS = re.compile(r"[\s().-]")

_MARKS = {"strong": BOLD, "em": ITALIC, "s": STRUCK}
_MARK_OF_TAG = {
    **dict.fromkeys(("b", "strong", "h1", "h2", "h3", "h4", "h5", "h6", "th", "summary"), BOLD),
    **dict.fromkeys(("i", "em"), ITALIC),
    **dict.fromkeys(("s", "del", "strike"), STRUCK),
}
_BREAKING_TAGS = frozenset((
    "p", "div", "ul", "ol", "li", "table", "tr", "blockquote", "section", "hr", "h1", "h2", "h3", "h4", "h5", "h6",
    "details", "summary",
))  # fmt: skip


class Phrases:
    """The lines of one answer."""

    def __init__(self, is_markdown: bool) -> None:
        """Args: is_markdown: `*x*` means italics; else it is WhatsApp's bold."""
        self._is_markdown = is_markdown
        self.used: set[str] = set()
        """Labels of links whose address was given."""

    def shown(self, tokens: Sequence[Token], *, is_heading: bool = False) -> str:
        """One line, or several, with WhatsApp's marks."""
        line = MarkedText()
        links: list[tuple[int, Token]] = []
        if is_heading:
            line.open(BOLD)
        for at, token in enumerate(tokens):
            kind, _, side = token.type.partition("_")
            if kind == "link" or token.tag == "a":
                if side == "open":
                    links.append((line.pieces(), token))
                elif links:
                    self._end_link(line, *links.pop(), _ends_line(tokens, at))
            elif kind == "tag":
                self._tag(line, token, _ends_line(tokens, at))
            elif kind == "em" and token.markup == "*" and not self._is_markdown:
                line.add("*")
            elif side in ("open", "close"):
                (line.open if side == "open" else line.close)(_MARKS[token.tag])
            else:
                line.add(*_text(token), kept=token.type == "code_inline")
        if is_heading:
            line.close(BOLD)
        return line.marked()

    def _end_link(self, line: MarkedText, place: int, link: Token, ends_line: bool) -> None:
        """Say the address of a link behind its text, once."""
        text, address = line.since(place).strip(), _address(str(link.attrs.get("href", "")))
        label = str(link.meta.get("label", ""))
        repeats = label in self.used
        if label:
            self.used.add(label)
        if address and _CITATION.fullmatch(text):
            line.cut(place)
            text = ""
        if not address or repeats or (text and _same(text, address)):
            return
        if not text:
            line.cut(place)
            line.add(address if ends_line else f"({address})", kept=True)
        elif text.endswith((":", "：")):
            line.add(f" {address}", kept=True)
        else:
            line.add(f": {address}" if ends_line else f" ({address})", kept=True)

    def _tag(self, line: MarkedText, token: Token, ends_line: bool) -> None:
        name, is_open = token.tag, token.type == "tag_open"
        if name == "br" or (name in _BREAKING_TAGS and not line.ends_line()):
            line.add("\n")
        if name == "li" and is_open:
            line.add("- ")
        elif name == "img":
            self._end_link(line, line.pieces(), token, ends_line)
        elif name in ("td", "th") and not is_open:
            line.add(" ")
        elif name in ("code", "kbd"):
            line.add("`")
        if name in _MARK_OF_TAG:
            (line.open if is_open else line.close)(_MARK_OF_TAG[name])


def is_target(address: str) -> bool:
    """Whether a customer can follow it."""
    return _TARGET.match(address) is not None or MAIL.match(address) is not None


def _text(token: Token) -> tuple[str]:
    match token.type:
        case "text":
            return (_without_left_over(token.content),)
        case "softbreak" | "hardbreak":
            return ("\n",)
        case "code_inline" if "`" not in token.content and token.content.strip():
            marks = "```" if len(token.markup) == 3 else "`"
            return (f"{marks}{token.content}{marks}",)
        case _:
            return (token.content.replace("\xa0", " ") if token.info == "entity" else token.content,)


def _without_left_over(text: str) -> str:
    """`text` without the marks that found no other half."""
    text = _STARS.sub("", text) if "**" in text else text
    text = _FOOTNOTE.sub(r"[\1]", text) if "[^" in text else text
    return text.replace("~~", "~")


def _ends_line(tokens: Sequence[Token], at: int) -> bool:
    """Whether nothing but the end of the line, or of brackets, follows the token at `at`."""
    for token in tokens[at + 1 : at + 6]:
        if token.type.endswith("_close") or (token.type == "text" and not token.content):
            continue
        return token.type in ("softbreak", "hardbreak") or token.content.startswith((")", "\n"))
    return True


def _address(goal: str) -> str:
    """The address as a customer can use it; empty when it is none."""
    goal = goal.strip().replace("\\", "").replace("&amp;", "&").replace(" ", "%20")
    return MAIL.sub("", goal, count=1) if is_target(goal) else ""


def _same(text: str, address: str) -> bool:
    """Whether the text says the address itself."""
    digits = _IN_NUMBERS.sub("", text)
    return (
        address in text
        or _BARE.sub("", text).casefold() == _BARE.sub("", address).casefold()
        or (digits[:1] in "+0123456789" and digits == address)
    )
