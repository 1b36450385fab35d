"""The waterfall of a turn in the terminal: what ran when, how long, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from actors.lookups import Span
from daemon.cli.render import cell, is_narrow, style_of, table

_HEADS = ("lookup", "stage", "outcome", "start ms", "took ms", "")
_COLUMNS = 40
_NARROW_COLUMNS = 16
_BAR = "█"


def waterfall(spans: Sequence[Span]) -> Table:
    """One line a lookup, in order of their starts, each with a bar in its place on a common scale of time."""
    columns = _NARROW_COLUMNS if is_narrow() else _COLUMNS
    end_ms = max(span.started_ms + span.took_ms for span in spans)
    drawn = table(*_HEADS, right=("start ms", "took ms"), folding=("outcome",))
    for span in sorted(spans, key=lambda span: span.started_ms):
        outcome = cell(span.outcome)
        if span.error:
            outcome.append(f" {cell(span.error)}")
        drawn.add_row(
            cell(span.name),
            cell(span.stage),
            outcome,
            cell(f"{span.started_ms:,.1f}"),
            cell(f"{span.took_ms:,.1f}"),
            _bar(span, end_ms, columns),
        )
    return drawn


def _bar(span: Span, end_ms: float, columns: int) -> Text:
    """At least one block for what ran at all; nothing for what was skipped."""
    if span.outcome == "skipped" or end_ms <= 0:
        return Text("")
    before = min(round(span.started_ms / end_ms * columns), columns - 1)
    length = min(max(round(span.took_ms / end_ms * columns), 1), columns - before)
    return Text(" " * before + _BAR * length, style=style_of(span.outcome))
