"""From views to what a person reads. Fits 80 columns; in a pipe nothing is cut or wrapped.

Everything that came from outside passes `plain_text`: a customer's text may not drive the operator's terminal.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping, Sequence

import msgspec
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from actors.text import plain_text

_PIPE_COLUMNS = 10_000
_NARROW_COLUMNS = 110
_FOLDED_COLUMNS = 12
_STYLES = {
    "ok": "green",
    "ready": "green",
    "answering": "green",
    "warning": "yellow",
    "retrying": "yellow",
    "holding": "yellow",
    "problem": "bold red",
    "error": "bold red",
    "parked": "bold red",
    "dead": "bold red",
    "failed": "bold red",
    "timed_out": "yellow",
    "skipped": "dim",
    "debug": "dim",
    "idle": "dim",
}


def display(*things: RenderableType) -> None:
    """Print for a person: to the terminal as it is, into a pipe without colour, padding or wrapping."""
    terminal = Console(file=sys.stdout, highlight=False)
    if terminal.is_terminal:
        terminal.print(*things, sep="\n")
        return
    wide = Console(file=io.StringIO(), highlight=False, width=_PIPE_COLUMNS)
    with wide.capture() as captured:
        wide.print(*things, sep="\n")
    sys.stdout.write("\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n")


def print_json(document: object) -> None:
    """One JSON document for programs."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n")


def cell(value: object, style: str = "") -> Text:
    text = plain_text(str(value))
    return Text(text, style=style or style_of(text))


def style_of(word: str) -> str:
    """The colour in which a state or an outcome is told; empty for any other word."""
    return _STYLES.get(word, "")


def table(*columns: str, right: Sequence[str] = (), folding: Sequence[str] = ()) -> Table:
    """A compact table without borders. Only the columns `folding` give way on a narrow terminal, the last least."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    narrow = is_narrow()
    for name in columns:
        folds = name in folding
        made.add_column(
            name,
            justify="right" if name in right else "left",
            no_wrap=not folds,
            overflow="fold",
            max_width=_FOLDED_COLUMNS if folds and narrow and name != columns[-1] else None,
        )
    return made


def is_narrow() -> bool:
    """A terminal that is no wider than people are used to."""
    screen = Console(file=sys.stdout)
    return screen.is_terminal and screen.width < _NARROW_COLUMNS


def facts(rows: Sequence[tuple[str, object]]) -> Table:
    """Name and value, one fact a line."""
    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows:
        made.add_row(name, value if isinstance(value, Text) else cell(value))
    return made


def duration(seconds: float | None) -> str:
    """`6.2 s`, `3 min 12 s`, `5 h 2 min`, `2 d 4 h`; empty when there is none."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{max(seconds, 0):.1f} s"
    whole = int(seconds)
    for big, small, big_name, small_name in ((86400, 3600, "d", "h"), (3600, 60, "h", "min")):
        if whole >= big:
            return f"{whole // big} {big_name} {whole % big // small} {small_name}"
    return f"{whole // 60} min {whole % 60} s"


def moment(iso: str) -> str:
    """`2026-01-31 10:02:00` of an ISO 8601 time in UTC."""
    return iso[:19].replace("T", " ")


def money(amount: float) -> str:
    """`0`, `1.25`, `0.000412`: millionths are kept, two decimals at least. The currency is the operator's."""
    whole, _, decimals = f"{amount:,.6f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}" if amount else "0"


def count(number: int, singular: str, plural: str = "") -> str:
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def tally(counts: Mapping[str, int]) -> str:
    """`group 12, reaction 3`, the most frequent first; `none` when empty."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {number:,}" for name, number in ordered) or "none"
