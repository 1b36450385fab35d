"""What a reader sees of an HTML page. Pure; never fails.

Laws of this file:
1. What a page hides is not on it: neither by an attribute, nor by the style of an element, nor by a rule of the page's
   own style sheet for a class or an id. What nobody sees may be notes of the shop, or words for machines.
2. What a visitor can open is on it: a closed answer under a question, `<details>`, a tab. It is known by the control
   that names its id. What is left out is counted.
3. Work is linear: the tree is walked without recursion, and spans of cells are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from daemon.knowledge import tables
from daemon.knowledge.chunks import Sections, TextSection

_INVISIBLE = frozenset(
    {"script", "style", "template", "noscript", "svg", "title", "head", "datalist", "iframe"}
)
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
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
        "nav",
        "aside",
        "details",
        "dialog",
        "figure",
        "form",
        "fieldset",
        "menu",
    }
)
_LINES = frozenset(
    {"br", "li", "tr", "dt", "dd", "option", "hr", "address", "figcaption", "caption", "summary", "legend"}
)
_SPACE = re.compile(r"\s+")
_NEW_LINE = "\x1e"
"""Where a line begins, if it does not begin there already."""
_NEW_LINES = re.compile(r"\x1e[\x1e \t]*+")
_BLANK_LINES = re.compile(r"\n{3,}+")
_HIDING = re.compile(
    r"display\s*+:\s*+none|visibility\s*+:\s*+(?:hidden|collapse)|(?:font-size|opacity)\s*+:\s*+0(?![.\d]*[1-9])",
    re.IGNORECASE,
)
_SHOWING = re.compile(r"display\s*+:\s*+(?!none)\w|visibility\s*+:\s*+visible", re.IGNORECASE)
_MOVES = re.compile(r"transform|transition|animation|will-change", re.IGNORECASE)
_OPENING = ("aria-controls", "data-bs-target", "data-target", "href")
_BRACES = re.compile(r"([{}])")
_SELECTOR = re.compile(r"[.#][\w-]++")
_NUMBER = re.compile(r"[0-9]{1,4}")
_TEXT = "-text"
_CELLS = ("td", "th")
_MAX_SPAN = 100
_MAX_CELLS = 500_000


def sections(page: str) -> Sections:
    """One section for each heading and for each table, in order; a heading is named with those above it."""
    try:
        tree = LexborHTMLParser(page)
    except SelectolaxError:  # HTML is never wrong: only memory can be missing
        raise MemoryError from None
    read = _Page(tree)
    found = read.read()
    return Sections(found, hidden_chars=read.hidden_chars)


def _hides(style: str) -> bool:
    """Whether declarations hide: for good, and not only until an element has faded in."""
    hiding = _HIDING.search(style)
    return hiding is not None and not (hiding[0].lower().startswith("opacity") and _MOVES.search(style))


def _hidden_names(tree: LexborHTMLParser) -> frozenset[str]:
    """The classes (`.x`) and ids (`#x`) that the page's own style sheets hide, and show in no window."""
    found: set[str] = set()
    shown: set[str] = set()
    for style in tree.css("style"):
        opened: list[str] = []
        words = ""
        for part in _BRACES.split(style.text() or ""):
            if part == "{":
                opened.append(words)
            elif part == "}" and opened:
                alone = map(str.strip, opened.pop().split(","))
                names = [selector for selector in alone if _SELECTOR.fullmatch(selector)]
                if _hides(words):
                    found.update(names if not opened else ())
                elif _SHOWING.search(words):
                    shown.update(names)
            words = part
    return frozenset(found - shown)


def _opened_names(tree: LexborHTMLParser) -> frozenset[str]:
    """The ids of what a visitor can open: answers under questions, tabs."""
    found: set[str] = set()
    for control in tree.css("[aria-controls], [data-bs-target], [data-target], a[href^='#']"):
        for name in _OPENING:
            found.update((control.attributes.get(name) or "").split())
    return frozenset(name.removeprefix("#") for name in found)


class _Page:
    def __init__(self, tree: LexborHTMLParser) -> None:
        self._top = tree.body or tree.root
        self._hidden_names = _hidden_names(tree)
        self._opened_names = _opened_names(tree)
        self._hidden: dict[int, int] = {}
        self._layouts = _layouts(tree)
        self._found: list[TextSection] = []
        self._path: list[tuple[int, str]] = []
        self._text: list[str] = []
        self._is_bare_heading = False
        self._cells = 0

    def read(self) -> list[TextSection]:
        preformatted = 0
        for node, begins in _steps(self._top, self._is_visible, self._goes_into):
            tag = node.tag or ""
            if tag == _TEXT:
                said = (node.text_content or "") * begins
                self._text.append(said if preformatted else _SPACE.sub(" ", said))
            elif tag in _HEADINGS:
                if begins:
                    self._begin_heading(_HEADINGS.index(tag), self._inline(node))
            elif self._is_table(node):
                if begins:
                    self._end_text()
                    self._read_table(node)
            else:
                preformatted += (tag == "pre") * (1 if begins else -1)
                self._break(tag, begins)
        self._end_section()
        return self._found

    @property
    def hidden_chars(self) -> int:
        return sum(self._hidden.values())

    # What is looked at

    def _is_visible(self, node: LexborNode) -> bool:
        if node.tag in _INVISIBLE:
            return False
        if (node.tag or _TEXT).startswith(("-", "!")):
            return node.tag == _TEXT
        if not self._is_hidden(node):
            return True
        if node.mem_id not in self._hidden:  # cells are looked at more than once
            self._hidden[node.mem_id] = len(self._inline(node, lambda inner: inner.tag not in _INVISIBLE))
        return False

    def _is_hidden(self, node: LexborNode) -> bool:
        named = node.attributes
        if named.get("id") in self._opened_names:
            return False
        if named.get("hidden", "until-found") != "until-found" or _hides(named.get("style") or ""):
            return True
        own = (*(f".{name}" for name in (named.get("class") or "").split()), f"#{named.get('id')}")
        return not self._hidden_names.isdisjoint(own)

    def _goes_into(self, node: LexborNode) -> bool:
        """Headings and tables are read in one piece."""
        return node.tag not in _HEADINGS and not self._is_table(node)

    def _is_table(self, node: LexborNode) -> bool:
        return node.tag == "table" and node.mem_id not in self._layouts

    # Text and headings

    def _heading(self) -> str:
        return tables.joined(*(words for _, words in self._path))

    def _begin_heading(self, level: int, words: str) -> None:
        self._end_section()
        self._path = [*((depth, above) for depth, above in self._path if depth < level), (level, words)]
        self._is_bare_heading = True

    def _end_section(self) -> None:
        self._end_text()
        if self._is_bare_heading and self._heading():
            self._found.append(TextSection(self._heading(), ""))

    def _end_text(self) -> None:
        said = _NEW_LINES.sub("\n", "".join(self._text))
        lines = (" ".join(line.split()) for line in said.split("\n"))
        text = _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip()
        self._text = []
        if text:
            self._found.append(TextSection(self._heading(), text))
            self._is_bare_heading = False

    def _break(self, tag: str, begins: bool) -> None:
        """Start a new line or paragraph where such an element begins or ends."""
        if tag in _PARAGRAPHS:
            self._text.append("\n\n")
        elif tag == "br":
            self._text.append("\n" * begins)
        elif tag in _LINES:
            self._text.append(_NEW_LINE)

    def _inline(self, top: LexborNode, sees: Callable[[LexborNode], bool] | None = None) -> str:
        """The text of an element in one line."""
        parts: list[str] = []
        for node, begins in _steps(top, sees or self._is_visible):
            if node.tag == _TEXT:
                parts.append((node.text_content or "") * begins)
            elif node.tag in _LINES or node.tag in _PARAGRAPHS:
                parts.append(" ")
        return " ".join("".join(parts).split())

    # Tables

    def _read_table(self, table: LexborNode) -> None:
        heading, rows, heads = self._heading(), list[list[str]](), list[bool]()
        below: dict[int, tuple[int, str]] = {}
        for node, begins in _steps(table, self._is_visible):
            if begins and node.tag == "caption":
                heading = tables.joined(heading, self._inline(node))
            elif begins and node.tag == "tr":
                cells = [cell for cell in _children(node) if cell.tag in _CELLS and self._is_visible(cell)]
                rows.append(self._row(cells, below))
                in_head = node.parent is not None and node.parent.tag == "thead"
                heads.append(in_head or (bool(cells) and all(cell.tag == "th" for cell in cells)))
        has_header = True if heads and heads[0] and not all(heads) else None
        self._found += tables.sections(heading, rows, has_header)
        self._is_bare_heading &= not rows

    def _row(self, cells: list[LexborNode], below: dict[int, tuple[int, str]]) -> list[str]:
        """The texts of one row.

        Args:
          below: cells that reach down into further rows, by their place: into how many, and their text. Changed.
        """
        row: list[str] = []
        for cell in cells:
            _fill(row, below)
            text, down = self._inline(cell), _span(cell, "rowspan")
            for number in range(_span(cell, "colspan")):
                self._cells += 1
                if self._cells > _MAX_CELLS:
                    return row
                if down > 1:
                    below[len(row)] = (down - 1, text)
                row.append("" if number else text)
        _fill(row, below)
        return row


def _fill(row: list[str], below: dict[int, tuple[int, str]]) -> None:
    while (held := below.pop(len(row), None)) is not None:
        more, text = held
        if more > 1:
            below[len(row)] = (more - 1, text)
        row.append(text)


def _span(cell: LexborNode, name: str) -> int:
    written = cell.attributes.get(name) or ""
    return min(int(written), _MAX_SPAN) if _NUMBER.fullmatch(written) and int(written) else 1


def _layouts(tree: LexborHTMLParser) -> frozenset[int]:
    """The tables that only arrange what is on the page, among it other tables."""
    found = set()
    for inner in tree.css("table table"):
        outer = inner.parent
        while outer is not None and outer.tag != "table":
            outer = outer.parent
        if outer is not None:
            found.add(outer.mem_id)
    return frozenset(found)


def _children(node: LexborNode) -> Iterator[LexborNode]:
    child = node.child
    while child is not None:
        yield child
        child = child.next


def _steps(
    top: LexborNode | None,
    sees: Callable[[LexborNode], bool],
    enters: Callable[[LexborNode], bool] = lambda _: True,
) -> Iterator[tuple[LexborNode, bool]]:
    """What is in an element, in order: each node as it begins (True) and as it ends (False).

    Args:
      sees: whether a node counts, with all that is in it.
      enters: whether what is in it follows.
    """
    following = [top.child if top is not None else None]
    opened: list[LexborNode] = []
    while following:
        node = following[-1]
        if node is None:
            following.pop()
            if opened:
                yield opened.pop(), False
            continue
        following[-1] = node.next
        if not sees(node):
            continue
        yield node, True
        if enters(node):
            opened.append(node)
            following.append(node.child)
        else:
            yield node, False
