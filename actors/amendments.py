"""What edits and deletions do to the batch that they are frozen in. Pure.

An edit or a deletion goes the durable way of a message (`Message.amends` names its target), so it is in a batch: that
of its target, or a later one.

Laws of this file:
1. All entries stay, under their ids: an edit that comes twice is recognised by its id like any other message.
2. A target in the same batch is as its writer left it: with its last text, or, deleted, without any. What was deleted
   stays so, whatever else was said of it, in whatever order it came.
3. Any other target was answered, or is being answered: its edit is a message that wants an answer. Of several edits of
   one such message the last is. A deletion of such a message is history.
4. A batch gives the same result each time, and its result once more gives itself: what the ledger kept may be taken up
   again.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from actors.messages import Aside, Batch, Context, Message, Waiting

CORRECTED = "corrected: {text}"
UNREADABLE_EDIT = "[edited an earlier message; the new text cannot be read]"
EDITED_SINCE = "[edited since; the new text cannot be read]"
DELETED = "[deleted a message]"
"""What the responder is told. The history has the old text of a deleted message too, where it is known."""

EDIT = "edit"
DELETION = "deletion"
"""Kinds of messages that amend."""


def amended(batch: Batch) -> Batch:
    """The batch with its edits and deletions applied."""
    amending = [entry for entry in batch.entries if _is_pending(entry.message)]
    if not amending:
        return batch
    targets: dict[str, list[Message]] = {}
    for entry in sorted(amending, key=_moment):
        targets.setdefault(entry.message.amends, []).append(entry.message)
    here = {entry.message.id: entry.message for entry in batch.entries if not entry.message.amends}
    changed: dict[str, Message] = {}
    for target, amendments in targets.items():
        after = _in_place(here[target], amendments) if target in here else _afterwards(amendments)
        changed.update((message.id, message) for message in after)
    entries = tuple(
        msgspec.structs.replace(entry, message=changed.get(entry.message.id, entry.message))
        for entry in batch.entries
    )
    return msgspec.structs.replace(batch, entries=entries)


def corrected_text(message: Message) -> str:
    """What the customer wrote: of a correction the new text, without the word for it."""
    return message.text.removeprefix(CORRECTED.format(text="")) if message.kind == EDIT else message.text


def _is_pending(message: Message) -> bool:
    """It amends, and is as it came."""
    is_applied = message.aside not in ("", "backlog") or any(one.kind == "edit" for one in message.context)
    return message.amends != "" and not is_applied


def _moment(entry: Waiting) -> tuple[int, int]:
    return entry.message.sent_at or entry.at_ms // 1000, entry.seq


def _in_place(target: Message, amendments: list[Message]) -> Iterable[Message]:
    """A target in the batch, and what changed it."""
    if any(one.kind == DELETION for one in amendments):
        yield _emptied(target, "deleted")
    else:
        yield msgspec.structs.replace(target, text=_edited(amendments, target.text))
    for one in amendments:
        yield _emptied(one, "deletion" if one.kind == DELETION else "edit")


def _afterwards(amendments: list[Message]) -> Iterable[Message]:
    """What was said of a message that an earlier turn has, or had."""
    edits = [one for one in amendments if one.kind != DELETION]
    deletions = [one for one in amendments if one.kind == DELETION]
    for one in deletions:
        # One line of history is enough.
        if one is deletions[0]:
            yield msgspec.structs.replace(one, text=DELETED, aside="deletion")
        else:
            yield _emptied(one, "deletion")
    for one in edits:
        if deletions or one is not edits[-1]:
            yield _emptied(one, "edit")
        else:
            is_readable = any(each.text for each in edits)
            text = CORRECTED.format(text=_edited(edits, "")) if is_readable else UNREADABLE_EDIT
            context = (*one.context, Context("edit", id=one.amends, by="customer"))
            yield msgspec.structs.replace(one, text=text, context=context)


def _edited(edits: list[Message], text: str) -> str:
    """The text after these edits. One that nobody can read leaves what was there, and says so."""
    is_known = True
    for edit in edits:
        text, is_known = edit.text or text, edit.text != ""
    return text if is_known else f"{text}\n{EDITED_SINCE}".lstrip("\n")


def _emptied(message: Message, aside: Aside) -> Message:
    return msgspec.structs.replace(message, text="", aside=aside, context=())
