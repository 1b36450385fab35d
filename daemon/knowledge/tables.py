"""Tables of every kind of file, as lines that can be read one by one. Pure.

Laws of this file:
1. A row is one line, its cells separated by ` | `. A cell without text keeps its place, as `-`, so that every value
   stands under its name.
2. The header of a table goes with each of its chunks (`TextSection.header`). Where it is too long for that, each value
   is told with its name: `name: value`, a row after the other.
3. What stands above a table in its own first rows, one cell alone, is its heading.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from daemon.knowledge.chunks import MAX_CHARS, TextSection

SEPARATOR = " | "
EMPTY = "-"
MAX_HEADER_CHARS = MAX_CHARS // 2
_MAX_NAME_CHARS = 60
_MAX_HEADING_CHARS = 80
_DELIMITER = re.compile(r":?-++:?")
"""A cell of the line under the header of a Markdown table."""
_BAR = re.compile(r"(?<!\\)\|")
_NUMBER_FIRST = re.compile(r"[^\w\s]{0,3}\d")
_LETTER = re.compile(r"[^\W\d_]")

Cells = Sequence[str]


def joined(*headings: str) -> str:
    """One heading below the other."""
    return " › ".join(filter(None, headings))


def sections(heading: str, rows: Sequence[Cells], has_header: bool | None = None) -> Iterator[TextSection]:
    """A table as sections of a file.

    Args:
      rows: texts of cells; rows may have different lengths.
      has_header: whether the first row names the columns; None: its cells are asked.
    """
    kept = _without_empty_columns([[" ".join(cell.split()) for cell in row] for row in rows])
    width = max(map(len, kept), default=0)
    if width < 2:
        yield TextSection(heading, "\n".join(cell for row in kept for cell in row))
        return
    if has_header is None or not has_header:
        while len(kept) > 1 and len(list(filter(None, kept[0]))) == 1:
            [title] = filter(None, kept.pop(0))
            if len(title) <= _MAX_HEADING_CHARS:
                heading = joined(heading, title)
            else:
                yield TextSection(heading, title)
    named = _names_columns(kept) if has_header is None else has_header
    if named and len(kept) > 1:
        yield from _named(heading, kept[0], kept[1:])
    else:
        yield TextSection(heading, "\n".join(map(_line, kept)))


def apart(section: TextSection) -> Iterator[TextSection]:
    """A section of running text, its tables as sections of their own.

    Lines with ` | ` between the same number of cells are a table, as readers of PDF and people write them, and so is a
    table in Markdown. What follows on blank lines alone, with as many cells and no names of its own, goes on with it.
    """
    text: list[str] = []
    names: Cells = ()
    for block in _blocks(section.text.split("\n")):
        rows = _table(block)
        if rows is None:
            text += block
            if any(line.strip() for line in block):
                names = ()
            continue
        is_marked, table = rows
        if not is_marked and names and len(names) == len(table[0]) and not _names_columns(table):
            header, follows = names, table
        elif is_marked or _contrasts(table):
            header, follows = table[0], table[1:]
        else:
            text += block
            names = ()
            continue
        yield TextSection(section.heading, "\n".join(text))
        text = []
        names = header
        yield from _named(section.heading, header, [row for row in follows if list(row) != list(header)])
    yield TextSection(section.heading, "\n".join(text))


def _named(heading: str, header: Cells, rows: Sequence[Cells]) -> Iterator[TextSection]:
    line = _line(header)
    if len(line) <= MAX_HEADER_CHARS:
        yield TextSection(heading, "\n".join(map(_line, rows)), line)
        return
    for row in rows:
        pairs = [
            f"{name}: {cell}" if name else cell
            for name, cell in zip((*header, *[""] * len(row)), row, strict=False)
            if cell
        ]
        yield TextSection(heading, "\n".join(pairs[1:] or pairs), pairs[0] if len(pairs) > 1 else "")


def _line(row: Cells) -> str:
    cells = [cell or EMPTY for cell in row]
    while cells and cells[-1] == EMPTY:
        cells.pop()
    return SEPARATOR.join(cells)


def _without_empty_columns(rows: list[list[str]]) -> list[list[str]]:
    rows = [row for row in rows if any(row)]
    used = sorted({place for row in rows for place, cell in enumerate(row) if cell})
    return [[row[place] if place < len(row) else "" for place in used] for row in rows]


def _names_columns(rows: Sequence[Cells]) -> bool:
    """Whether the first row looks like the names of columns: short, different, all there, and no number among them."""
    first = rows[0]
    return (
        len(rows) > 1
        and all(first)
        and len(set(first)) == len(first)
        and all(
            _LETTER.search(cell) and not _NUMBER_FIRST.match(cell) and len(cell) <= _MAX_NAME_CHARS
            for cell in first
        )
    )


def _contrasts(rows: Sequence[Cells]) -> bool:
    """Whether the first row names columns of which one holds numbers: more proof, where lines may be no table."""
    if not _names_columns(rows):
        return False
    return any(
        sum(1 for row in rows[1:] if place < len(row) and _NUMBER_FIRST.match(row[place])) * 2 > len(rows) - 1
        for place in range(len(rows[0]))
    )


def _blocks(lines: Sequence[str]) -> Iterator[list[str]]:
    """The lines in runs of lines with bars and runs of others."""
    run: list[str] = []
    for line in lines:
        if run and ("|" in line) != ("|" in run[-1]):
            yield run
            run = []
        run.append(line)
    if run:
        yield run


def _table(block: Sequence[str]) -> tuple[bool, list[list[str]]] | None:
    """The rows of a table, and whether a line under the first one says that it is the header; None: it is no table."""
    if "|" not in block[0] or len(block) < 2:
        return None
    rows = [_cells(line) for line in block]
    width = len(rows[0])
    is_marked = all(map(_DELIMITER.fullmatch, rows[1]))
    if is_marked:
        del rows[1]
    if width < 2 or len(rows) < 2 or not (is_marked or all(len(row) == width for row in rows)):
        return None
    return is_marked, [(row + [""] * width)[:width] if is_marked else row for row in rows]


def _cells(line: str) -> list[str]:
    bare = line.strip()
    bare = bare.removeprefix("|")
    bare = bare[:-1] if bare.endswith("|") and not bare.endswith("\\|") else bare
    return [" ".join(cell.replace("\\|", "|").split()) for cell in _BAR.split(bare)]
