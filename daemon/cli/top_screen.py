"""The screen of `majlis top`, which fits 80 by 24. Pure.

From the top: state, alerts and pauses, counts, rates, latencies, providers, and then as many conversations as there is
room for.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import get_args

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from daemon.cli.render import alert_line, attempt, cell, count, duration, provider_state, style_of
from daemon.operate import ProviderView
from daemon.operate.actors import ActorSort
from daemon.operate.top import TopPage, TopRow

SORTS: tuple[ActorSort, ...] = get_args(ActorSort)
Rates = dict[str, float]
"""Events per second, by the name of the event."""

MAX_WARNINGS = 4
MAX_LINES = 2
"""Maximum number of lines for counts, rates, latencies and providers, each."""
_BAR_COLUMNS = 10
_NARROW_BAR_COLUMNS = 6
_FULL, _EMPTY = "█", "░"
_WIDE_COLUMNS = 100
_RATES = (
    ("in", "message.accepted"),
    ("answered", "turn.done"),
    ("sent", "part.sent"),
    ("suppressed", "turn.suppressed"),
    ("failed", "turn.failed"),
    ("dead", "turn.dead"),
)
_BAD = ("turn.failed", "turn.dead")
_SHORT = {"window lateness": "late"}


def rates_between(before: TopPage, after: TopPage) -> Rates:
    """Empty if the daemon was restarted between the two, or no time passed."""
    seconds = after.uptime_seconds - before.uptime_seconds
    if seconds <= 0 or before.node_id != after.node_id:
        return {}
    return {name: (total - before.counters.get(name, 0)) / seconds for name, total in after.counters.items()}


def screen(
    page: TopPage,
    rates: Rates,
    sort: ActorSort,
    offset: int = 0,
    *,
    width: int,
    height: int | None = None,
    problem: str = "",
) -> list[RenderableType]:
    """At most `height` lines; without a height, all conversations of the page."""
    head = [
        _title(page, problem),
        *_warnings(page),
        *_packed("", _work(page), width),
        *_packed("per s: ", _speed(rates), width),
        *_packed("p50/p95: ", _latencies(page), width),
        *_packed("providers: ", _providers(page.providers), width),
    ]
    for line in head:
        line.no_wrap, line.overflow = True, "ellipsis"
    room = len(page.rows) if height is None else max(0, height - len(head) - 3)
    rows = page.rows[:room]
    foot = _foot(page, sort, offset, len(rows), live=height is not None)
    return [
        *head,
        Text(""),
        *([_table(rows, width)] if rows else [cell("no busy conversations", "dim")]),
        foot,
    ]


def _title(page: TopPage, problem: str) -> Text:
    if problem:
        return Text.assemble(("majlis ", "bold"), cell(problem, "bold red"))
    state, style = ("ready", "green") if page.ready else ("NOT READY", "bold red")
    if page.draining:
        state, style = "draining", "yellow"
    about = f"  {page.active:,} active, up {duration(page.uptime_seconds)}, {page.at[11:19]} UTC, node {page.node_id}"
    return Text.assemble(("majlis ", "bold"), cell(f"{page.version} {state}", style), cell(about, "dim"))


def _warnings(page: TopPage) -> list[Text]:
    lines = [cell(reason, "bold red") for reason in page.reasons]
    lines += [cell(f"⚑ {alert_line(alert)}", "bold red") for alert in page.alerts]
    for pause in page.pauses:
        if pause.held:
            lines.append(cell(f"‖ {pause.instance or 'all instances'} held: {pause.held}", "bold red"))
            continue
        option = f"--instance {shlex.quote(pause.instance)}" if pause.instance else "--all"
        lines.append(cell(f"‖ {pause.instance or 'all instances'} paused: majlis resume {option}", "yellow"))
    if len(lines) <= MAX_WARNINGS:
        return lines
    more = len(lines) - MAX_WARNINGS + 1
    return [*lines[: MAX_WARNINGS - 1], cell(f"and {more} more: majlis status", "bold red")]


def _work(page: TopPage) -> list[Text]:
    phases = page.phases
    counts = [
        ("windows", page.open_windows, ""),
        ("queued", phases.get("queued", 0), "yellow"),
        ("held", phases.get("holding", 0), "yellow"),
        ("retrying", phases.get("retrying", 0), "yellow"),
        ("parked", phases.get("parked", 0), "bold red"),
        ("msgs", page.waiting_messages, ""),
    ]
    facts = [_fact(name, f"{number:,}", style if number else "") for name, number, style in counts]
    turns = f"{phases.get('answering', 0):,} ({page.at_work}/{page.at_work_most} at work)"
    return [facts[0], _fact("turns", turns, "green"), *facts[1:]]


def _speed(rates: Rates) -> list[Text]:
    if not rates:
        return [cell("shown after the next refresh", "dim")]
    found = [(name, event, rates.get(event, 0.0)) for name, event in _RATES]
    return [
        _fact(name, _rate(rate), "bold red" if event in _BAD and rate else "") for name, event, rate in found
    ]


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"


def _latencies(page: TopPage) -> list[Text]:
    """The median and the 95th percentile of each."""
    return [
        _fact(_SHORT.get(one.what, one.what), f"{_ms(one.p50_ms)}/{_ms(one.p95_ms)}", "")
        for one in page.latencies
    ]


def _ms(took_ms: float) -> str:
    return f"{took_ms:.0f}ms" if took_ms < 1_000 else f"{took_ms / 1_000:.1f}s"


def _providers(providers: Sequence[ProviderView]) -> list[Text]:
    """Those with a problem first."""
    cells = []
    for one in sorted(providers, key=lambda provider: provider.state == "closed"):
        reason = f", {one.last_reason}" if one.state != "closed" and one.last_reason else ""
        cells.append(cell(f"{provider_state(one)}{reason}", "" if one.state == "closed" else "yellow"))
    return cells


def _fact(name: str, value: str, style: str) -> Text:
    return Text.assemble(cell(f"{name} ", "dim"), cell(value, style or "bold"))


def _packed(label: str, facts: Sequence[Text], width: int) -> list[Text]:
    """The facts on as many lines as they need, at most `MAX_LINES`."""
    lines: list[Text] = []
    for fact in facts:
        if lines and lines[-1].cell_len + 2 + fact.cell_len <= width:
            lines[-1].append("  ").append_text(fact)
        elif len(lines) == MAX_LINES:
            lines[-1].append("  …", style="dim")
            break
        else:
            lines.append(Text.assemble(cell(" " * len(label) if lines else label, "dim"), fact))
    return lines


def _table(rows: Sequence[TopRow], width: int) -> Table:
    bar = _BAR_COLUMNS if width >= _WIDE_COLUMNS else _NARROW_BAR_COLUMNS
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", width=width)
    shown.add_column("label", no_wrap=True, width=10)
    shown.add_column("instance", no_wrap=True, overflow="ellipsis", max_width=max(10, width // 6))
    shown.add_column("state", no_wrap=True)
    shown.add_column("msgs", no_wrap=True, justify="right")
    shown.add_column("time left", no_wrap=True, width=bar + 8)
    shown.add_column("reason", no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows:
        shown.add_row(
            cell(row.conversation),
            cell(row.instance),
            cell(row.state, style_of(row.state)),
            cell(f"{row.waiting_messages:,}"),
            _left(row, bar),
            cell("" if row.state == "waiting" else _reason(row), "dim"),
        )
    return shown


def _reason(row: TopRow) -> str:
    return ", ".join(words for words in (row.why, attempt(row.tries)) if words)


def _left(row: TopRow, columns: int) -> Text:
    """For an open window a shrinking bar and the time; otherwise the time alone."""
    left = row.closes_in_seconds
    if left is None:
        return Text("")
    if row.state != "waiting":
        return cell(f"{'':{columns}} {_brief(left):>7}")
    share = min(1.0, left / row.window_seconds) if row.window_seconds else 0.0
    full = round(share * columns)
    return Text.assemble(
        (_FULL * full, "cyan"), (_EMPTY * (columns - full), "dim"), cell(f" {_brief(left):>7}")
    )


def _brief(seconds: float) -> str:
    """`6.2 s`, `4m 32s`, `5h 2m`: seven columns."""
    words = duration(seconds)
    return words if seconds < 60 else re.sub(r"(\d+) (\w)\w*", r"\1\2", words)


def _foot(page: TopPage, sort: ActorSort, offset: int, rows: int, live: bool) -> Text:
    shown = f"{offset + 1:,} to {offset + rows:,} of " if rows and rows < page.matching else ""
    keys = "; q quits, s sorts, n/p pages" if live else ""
    line = cell(f"{shown}{count(page.matching, 'busy conversation')}, by {sort}{keys}", "dim")
    line.no_wrap, line.overflow = True, "ellipsis"
    return line
