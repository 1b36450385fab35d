"""Text for people from the daemon's JSON. It fits 80 columns; into a pipe, nothing is cut or wrapped.

All text from outside goes through `shown_text`: a customer's message must not control the operator's terminal.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Mapping, Sequence

import msgspec
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from actors.text import shown_text
from daemon.operate import AlertView, ProviderView

_NOT_FOR_TERMINALS = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What a JSON encoder writes as it is; it escapes the other control characters."""
_PIPE_COLUMNS = 10_000
_NARROW_COLUMNS = 110
_FOLDED_COLUMNS = 12
_PROVIDER_STATES = {
    "closed": "ok",
    "held": "backing off",
    "open": "circuit open",
    "half_open": "circuit half-open",
    "rejecting": "turns requests down",
}
"""By the state of the provider's circuit breaker."""
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

_UNITS = ("B", "KB", "MB", "GB", "TB")


def display(*things: RenderableType) -> None:
    """Print for a person. Into a pipe: without colour, padding or wrapping."""
    terminal = Console(file=sys.stdout, highlight=False)
    if terminal.is_terminal:
        terminal.print(*things, sep="\n")
        return
    wide = Console(file=io.StringIO(), highlight=False, width=_PIPE_COLUMNS)
    with wide.capture() as captured:
        wide.print(*things, sep="\n")
    sys.stdout.write("\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n")


def print_json(document: object) -> None:
    """Print one JSON document for programs."""
    sys.stdout.write(escaped(msgspec.json.format(msgspec.json.encode(document), indent=2).decode()) + "\n")


def escaped(document: str) -> str:
    """A JSON document with escapes in place of what could take over a terminal: for programs it is the same."""
    return _NOT_FOR_TERMINALS.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def cell(value: object, style: str = "") -> Text:
    """A value as text that is safe to print, in the colour of its state unless `style` says otherwise."""
    text = shown_text(str(value))
    return Text(text, style=style or style_of(text))


def style_of(word: str) -> str:
    """The colour of a state or an outcome; empty for any other word."""
    return _STYLES.get(word, "")


def table(
    *columns: str, right: Sequence[str] = (), folding: Sequence[str] = (), roomy: Sequence[str] = ()
) -> Table:
    """A compact table without borders. On a narrow terminal the columns `folding` wrap early, the last one late.

    Columns that are `roomy` wrap where the room ends.
    """
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    narrow = is_narrow()
    for name in columns:
        folds = name in folding or name in roomy
        made.add_column(
            name,
            justify="right" if name in right else "left",
            no_wrap=not folds,
            overflow="fold",
            max_width=_FOLDED_COLUMNS if name in folding and narrow and name != columns[-1] else None,
        )
    return made


def is_narrow() -> bool:
    """True on a terminal of the usual width, False on a wide one and in a pipe."""
    screen = Console(file=sys.stdout)
    return screen.is_terminal and screen.width < _NARROW_COLUMNS


def facts(rows: Sequence[tuple[str, object]]) -> Table:
    """A name and a value on each line."""
    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows:
        made.add_row(name, value if isinstance(value, Text) else cell(value))
    return made


def duration(seconds: float | None) -> str:
    """`6.2 s`, `3 min 12 s`, `5 h 2 min`, `2 d 4 h`; empty for None."""
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
    """An ISO 8601 time in UTC as `2026-01-31 10:02:00`."""
    return iso[:19].replace("T", " ")


def money(amount: float) -> str:
    """`0`, `1.25`, `0.000412`: two to six decimals. The currency is that of the configured prices."""
    whole, _, decimals = f"{amount:,.6f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}" if amount else "0"


def byte_size(size: float) -> str:
    """`512 B`, `1.2 MB`."""
    unit = 0
    while size >= 1_000 and unit < len(_UNITS) - 1:
        size, unit = size / 1_000, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"


def count(number: int, singular: str) -> str:
    """`1 message`, `1,204 messages`."""
    return f"{number:,} {singular}{'' if number == 1 else 's'}"


def tally(counts: Mapping[str, int]) -> str:
    """`group 12, reaction 3`, the largest first; `none` when empty."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {number:,}" for name, number in ordered) or "none"


def conversation_of(label: str, instance: str, contact: str) -> str:
    """`c348908142 (instance acme, contact …01)`."""
    return f"{label} (instance {instance}, contact {contact})"


def attempt(failed_attempts: int) -> str:
    """`attempt 2` after one failed attempt; empty on the first."""
    return f"attempt {failed_attempts + 1}" if failed_attempts else ""


def without_effect(flag: str, has_effect: bool) -> str:
    """What is added to a state that Majlis ignores because a feature flag is off."""
    return "" if has_effect else f" (no effect: feature flag {flag} is off)"


def provider_state(provider: ProviderView) -> str:
    """`main ok`, `backup circuit open for 12.0 s`, `own of acme ok`."""
    owner = f" of {provider.instance}" if provider.instance else ""
    wait = f" for {duration(provider.wait_seconds)}" if provider.wait_seconds else ""
    return f"{provider.name}{owner} {_PROVIDER_STATES[provider.state]}{wait}"


def alert_line(alert: AlertView) -> str:
    """`waiting messages (acme): 1,204, threshold 1,000, for 2 min 0 s`."""
    detail = f" ({alert.detail})" if alert.detail else ""
    value = "" if alert.value is None else f": {alert.value:,.4g}, threshold {alert.threshold:,.4g}"
    return f"{alert.meaning}{detail}{value}, for {duration(alert.seconds)}"
