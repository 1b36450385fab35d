"""The visible text of an HTML page. Pure; never fails."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from daemon.knowledge.chunks import TextSection

_INVISIBLE = frozenset({"script", "style", "template", "noscript", "svg", "title"})
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_PARAGRAPHS = frozenset(
    {
        "p",
        "div",
        "section",
        "article",
        "header",
        "footer",
        "main",
        "table",
        "ul",
        "ol",
        "dl",
        "blockquote",
        "pre",
    }
)
_LINES = frozenset({"br", "li", "tr", "dt", "dd", "option", "hr", "address", "figcaption", "caption"})
_CELLS = frozenset({"td", "th"})
_SPACE = re.compile(r"\s+")


def sections(page: str) -> list[TextSection]:
    """One section per heading, in order. A table row becomes a line, its cells separated by ` | `."""
    reader = _PageParser()
    reader.feed(page)
    reader.close()
    return reader.ended()


class _PageParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self._found: list[TextSection] = []
        self._heading = ""
        self._text: list[str] = []
        self._in_heading: list[str] | None = None
        self._open_invisible: list[str] = []
        self._preformatted = False

    def ended(self) -> list[TextSection]:
        self._close_section()
        return self._found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _INVISIBLE:
            self._open_invisible.append(tag)
        elif tag in _HEADINGS:
            self._close_section()
            self._in_heading = []
        elif tag in _CELLS:
            self._text.append("\t")
        else:
            self._preformatted |= tag == "pre"
            self._break(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._break(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _INVISIBLE:
            while self._open_invisible and self._open_invisible.pop() != tag:
                pass
        elif tag in _HEADINGS and self._in_heading is not None:
            self._heading = " ".join("".join(self._in_heading).split())
            self._in_heading = None
        else:
            self._preformatted &= tag != "pre"
            self._break(tag)

    def handle_data(self, data: str) -> None:
        if self._open_invisible:
            return
        if self._in_heading is not None:
            self._in_heading.append(data)
        else:
            self._text.append(data if self._preformatted else _SPACE.sub(" ", data))

    def _break(self, tag: str) -> None:
        """Start a new line or paragraph where such an element begins or ends."""
        if tag in _PARAGRAPHS:
            self._text.append("\n\n")
        elif tag in _LINES:
            self._text.append("\n")

    def _close_section(self) -> None:
        if self._in_heading:  # a heading that was never closed
            self._text = [*self._in_heading, "\n", *self._text]
        self._in_heading = None
        lines = (_line(line) for line in "".join(self._text).split("\n"))
        text = "\n".join(lines).strip()
        if text or self._heading:
            self._found.append(TextSection(self._heading, text))
        self._heading, self._text = "", []


def _line(line: str) -> str:
    cells = (" ".join(cell.split()) for cell in line.split("\t"))
    return " | ".join(cell for cell in cells if cell)
