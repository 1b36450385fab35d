"""What the mode of an instance makes of a batch. Pure; docs/instances.md has the table of every change of mode.

Laws of this file:
1. A message is answered as it was heard: one that was heard in mode `shadow` is never answered aloud, whatever the mode
   is by now, and one that was heard aloud is.
2. A batch of nothing else than shadow messages is a shadow turn: what would be said is kept, nothing is sent, and only
   tables of ours are written. Beside others they are context: an aside with a rule of its own.
3. What a turn is, its first step decides, for good (`Turn.shadow`).
4. In mode `off` nothing is said any more, whenever it was heard: an operator wants silence now. What was heard in it is
   history, also when the mode has changed before its window is over.
5. What came before its instance was known is heard by the mode in which its turn begins: an instance that is added
   beside an old system, in mode `shadow`, says nothing aloud to those who were waiting just then.
6. The playground's customers are nobody's: they are answered in mode `off`, and in mode `shadow` as all others there.
"""

from __future__ import annotations

import msgspec

from actors.identity import is_playground
from actors.instance import Mode, Terms
from actors.messages import Aside, Batch, Message, Waiting

SHADOW: Aside = "shadow"
OFF: Aside = "off"
"""Rules of what ends without a word for the mode's sake."""


def heard(message: Message, mode: Mode) -> Message:
    """The message as it is heard in this mode."""
    if mode == "shadow":
        return msgspec.structs.replace(message, shadow=True)
    if mode != "off" or message.aside or message.amends or is_playground(message.contact):
        return message
    return msgspec.structs.replace(message, aside=OFF)


def with_early(batch: Batch, mode: Mode) -> Batch:
    """The batch, with what came before its instance was known as it is heard in this mode."""
    if not any(entry.message.early for entry in batch.entries):
        return batch
    by = "shadow" if mode == "passthrough" else mode  # there others answer as well
    entries = tuple(
        msgspec.structs.replace(entry, message=heard(entry.message, by)) if entry.message.early else entry
        for entry in batch.entries
    )
    return msgspec.structs.replace(batch, entries=entries)


def as_heard(batch: Batch, is_shadow: bool | None = None) -> Batch:
    """The batch with its shadow messages set aside where it holds others to be answered.

    `is_shadow`: what its turn is; None: it has not begun.
    """
    if batch.is_shadow if is_shadow is None else is_shadow:
        return batch
    return msgspec.structs.replace(batch, entries=tuple(map(_set_aside, batch.entries)))


def is_off(contact: str, terms: Terms) -> bool:
    """Whether nothing is said to this contact now."""
    return terms.mode == "off" and not is_playground(contact)


def is_swept(mode: Mode) -> bool:
    """Whether messages that never came are looked for: not where nobody would answer them."""
    return mode in ("live", "shadow")


def _set_aside(entry: Waiting) -> Waiting:
    message = entry.message
    if not message.shadow or message.history_only:
        return entry
    return msgspec.structs.replace(entry, message=msgspec.structs.replace(message, aside=SHADOW))
