"""How something that is no text is said in one: `[what it is: its name; what the reader cannot do] its own words`.

Laws of this file:
1. Whatever others wrote within the brackets has none of its own: the first `]` ends what is ours.
"""

from __future__ import annotations

from typing import Literal

Unfelt = Literal["", "seen", "heard", "read"]
"""What a responder would have to do with it, and cannot: nothing that is only named here can be answered from."""


_ROUND = str.maketrans("[]", "()")


def within(words: str) -> str:
    """What others wrote, as it may stand within the brackets."""
    return words.translate(_ROUND)


def placeholder(label: str, rest: str = "", cannot_be: Unfelt = "") -> str:
    note = f"; it cannot be {cannot_be} here" if cannot_be else ""
    return f"[{label}{note}] {rest}".rstrip()


def named(label: str, name: str, rest: str = "", cannot_be: Unfelt = "") -> str:
    return placeholder(f"{label}: {within(name)}" if name else label, rest, cannot_be)
