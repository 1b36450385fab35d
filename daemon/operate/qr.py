"""A QR code for a page, and for a terminal of any colours. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import segno

QUIET_MODULES = 4
"""The empty border that a reader needs (ISO/IEC 18004)."""
_RESET = "\x1b[0m"
_DARK, _LIGHT = 16, 231
"""Black and white of the 256 colours, which no theme of a terminal changes. Text and background are always given, so
the terminal's own do not matter."""


def svg(code: str) -> str:
    """Dark on light, whatever stands around it."""
    return str(_made(code).svg_inline(border=QUIET_MODULES, dark="#000", light="#fff", omitsize=True))


def lines(code: str) -> list[str]:
    """Two rows of modules in each line: the upper one is the text, the lower one the background."""
    rows = [list(row) for row in _made(code).matrix_iter(border=QUIET_MODULES)]
    if len(rows) % 2:
        rows.append([0] * len(rows[0]))
    return [_line(upper, lower) for upper, lower in zip(rows[::2], rows[1::2], strict=True)]


def _line(upper: list[int], lower: list[int]) -> str:
    made, last = "", ""
    for above, below in zip(upper, lower, strict=True):
        colours = f"\x1b[38;5;{_DARK if above else _LIGHT};48;5;{_DARK if below else _LIGHT}m"
        made += f"{colours if colours != last else ''}▀"
        last = colours
    return made + _RESET


def _made(code: str) -> segno.QRCode:
    import segno  # a dozen modules, and few commands show a code

    # The least correction: codes of WhatsApp are long, and a screen has no dirt.
    return segno.make(code, error="l", boost_error=False, micro=False)
