"""How something that is no text is said in one: `[what it is: its name; what the reader cannot do] its own words`."""

from __future__ import annotations

from typing import Literal

Unfelt = Literal["", "seen", "heard", "read"]
"""What a responder would have to do with it, and cannot: nothing that is only named here can be answered from."""


def placeholder(label: str, rest: str = "", cannot_be: Unfelt = "") -> str:
    note = f"; it cannot be {cannot_be} here" if cannot_be else ""
    return f"[{label}{note}] {rest}".rstrip()


def named(label: str, name: str, rest: str = "", cannot_be: Unfelt = "") -> str:
    return placeholder(f"{label}: {name}" if name else label, rest, cannot_be)
