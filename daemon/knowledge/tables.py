"""Tables of every kind of file, as lines that can be read one by one. Pure.

Laws of this file:
1. A row is one line, its cells separated by ` | `. A cell without text keeps its place, as `-`, so that every value
   stands under its name.
2. The header of a table goes with each of its chunks (`TextSection.header`). Where it is too long for that, each value
   is written with its name: `name: value`, a row after the other.
3. What stands above a table in its own first rows, one cell alone, is its heading.
4. Names are distinguished from values by what stands below: a price list begins with words, and goes on with numbers.
   In doubt the first row is taken for names: a row written twice does less harm than a number without a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from daemon.knowledge.chunks import MAX_CHARS, TextSection

SEPARATOR = " | "
EMPTY = "-"
MAX_HEADER_CHARS = MAX_CHARS // 2
_MAX_NAME_CHARS = 60
_MAX_HEADING_CHARS = 80
_DELIMITER = re.compile(r":?-++:?")
"""A cell of the line under the header of a Markdown table."""
_BAR = re.compile(r"(?<!\\)\|")
_NUMBER = re.compile(r"\D{0,4}\d")
"""A value: a number, its currency before it or not ("SAR 95")."""
_FIGURES = re.compile(r"\d++(?:[.,٫٬]\d++)*+")
_YEAR = re.compile(r"(?:19|20)\d\d")
_FEW_ROWS = 3
_MAX_ABOVE = 10
"""In how many rows of a table the names of its columns are looked for."""
_JUDGED_ROWS = 200
_LETTER = re.compile(r"[^\W\d_]")

Cells = Sequence[str]


def joined(*headings: str) -> str:
    """One heading below the other."""
    return " › ".join(filter(None, headings))


def sections(heading: str, rows: Sequence[Cells], has_header: bool | None = None) -> Iterator[TextSection]:
    """A table, or several with blank rows between them, as sections of a file.

    Args:
      rows: texts of cells; rows may have different lengths.
      has_header: whether the first row names the columns; None: its cells are asked.
    """
    for table in _split([[" ".join(cell.split()) for cell in row] for row in rows]):
        yield from _table_sections(heading, _without_empty_columns(table), has_header)
        has_header = None


def _split(rows: list[list[str]]) -> Iterator[list[list[str]]]:
    """The tables of a sheet: one begins after blank rows, if it has names of its own above numbers."""
    table: list[list[str]] = []
    for is_blank, run in groupby(rows, key=lambda row: not any(row)):
        if is_blank:
            continue
        follows = list(run)
        kept = _without_empty_columns(follows[:_JUDGED_ROWS])
        while kept and sum(map(bool, kept[0])) == 1:
            del kept[0]
        if kept and any(sum(map(bool, row)) > 1 for row in table[:_JUDGED_ROWS]) and _contrasts(kept):
            yield table
            table = []
        table += follows
    yield table


def _table_sections(heading: str, kept: list[list[str]], has_header: bool | None) -> Iterator[TextSection]:
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
    at = _header_at(kept) if has_header is None else 0 if has_header else None
    if at is None or len(kept) < 2:
        yield TextSection(heading, "\n".join(map(_line, kept)))
        return
    if at == 0 and len(kept) > 2 and _is_above(kept[0], kept[1]) and _contrasts(kept[1:_JUDGED_ROWS]):
        at = 1
    header = kept[at]
    if at and _is_above(kept[at - 1], header):
        header = _both(kept.pop(at - 1), header)
        at -= 1
    if at:
        yield TextSection(heading, "\n".join(map(_line, kept[:at])))
    yield from _named(heading, header, kept[at + 1 :])


def _header_at(rows: Sequence[Cells]) -> int | None:
    """Which row names the columns: the first, or one below rows with fewer cells, such as a letterhead."""
    rows, most = rows[:_JUDGED_ROWS], 0
    for at, row in enumerate(rows[:_MAX_ABOVE]):
        filled = sum(map(bool, row))
        if filled == len(row) > most and (_contrasts(rows[at:]) or (at == 0 and _names_columns(rows))):
            return at
        most = max(most, filled)
    return 0 if _contrasts(rows) else None


def _is_above(upper: Cells, lower: Cells) -> bool:
    """Whether two rows name columns together: the upper one has cells that reach over several of the lower one."""
    return (
        all(lower)
        and 1 < sum(map(bool, upper)) < len(upper)
        and upper[0] in ("", lower[0])
        and not any(map(_NUMBER.match, (*upper, *lower)))
    )


def _both(upper: Cells, lower: Cells) -> list[str]:
    names: list[str] = []
    over = ""
    for above, name in zip(upper, lower, strict=True):
        over = above or over
        names.append(name if over in ("", name) else f"{over} {name}")
    return names


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
    """Whether the first row looks like the names of columns: short, different, all there, and no values."""
    first = rows[0]
    return all(first) and len(set(first)) == len(first) and _may_name_columns(rows)


def _contrasts(rows: Sequence[Cells]) -> bool:
    """Whether the first row may name columns of which one holds numbers: more proof, where names are missing or double.

    Lines of running text need it too: they may be no table.
    """
    first = rows[0]
    return (
        sum(map(bool, first)) > 1
        and _may_name_columns(rows)
        and any(first[place] and _holds_numbers(rows, place) for place in range(len(first)))
    )


def _may_name_columns(rows: Sequence[Cells]) -> bool:
    first = rows[0]
    return (
        len(rows) > 1
        and any(map(_LETTER.search, first))
        and all(len(cell) <= _MAX_NAME_CHARS for cell in first)
        and not all(map(_NUMBER.match, first))
        and all(
            not _NUMBER.match(cell) or (len(rows) > _FEW_ROWS and _is_of_its_own(rows, place))
            for place, cell in enumerate(first)
        )
    )


def _is_of_its_own(rows: Sequence[Cells], place: int) -> bool:
    """Whether a number in the first row names its column: "250 g" and "2026" do above prices, a price does not."""
    shape = _shape(rows[0][place])
    return _holds_numbers(rows, place) and all(
        _shape(row[place]) != shape for row in rows[1:] if place < len(row)
    )


def _holds_numbers(rows: Sequence[Cells], place: int) -> bool:
    cells = [row[place] for row in rows[1:] if place < len(row) and row[place]]
    return sum(1 for cell in cells if _NUMBER.match(cell)) * 2 > len(cells)


def _shape(cell: str) -> str:
    return "year" if _YEAR.fullmatch(cell) else _FIGURES.sub("0", cell)


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
