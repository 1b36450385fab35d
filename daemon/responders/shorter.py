"""What a model is told when all of it was too long: less. Pure.

What the customer writes now, and what holds now, stay whole: only what came before and what was looked up goes. An
answer to less is worth more to the customer than none, and without this a long conversation would never be answered
again. The model is not told: the beginning of a history is missing at any rate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from actors.messages import HistoryEntry, Prompt


def shorter(prompt: Prompt) -> Iterator[Prompt]:
    """Prompts that tell less and less, at most three: half the history, none of it, and half the passages too."""
    half = newest_half(prompt.history)
    if half:
        yield msgspec.structs.replace(prompt, history=half)
    if prompt.history:
        yield msgspec.structs.replace(prompt, history=())
    if prompt.knowledge:
        best = prompt.knowledge[: len(prompt.knowledge) // 2]
        yield msgspec.structs.replace(prompt, history=(), knowledge=best)


def newest_half(history: Sequence[HistoryEntry]) -> tuple[HistoryEntry, ...]:
    """The latest entries that have at most half of its text; none where the last one alone has more."""
    room = sum(len(entry.text) for entry in history) // 2
    kept: list[HistoryEntry] = []
    for entry in reversed(history):
        room -= len(entry.text)
        if room < 0 or len(kept) + 1 == len(history):
            break
        kept.append(entry)
    return tuple(reversed(kept))
