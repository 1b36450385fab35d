"""What the scripts answer, read into the words of the protocol. Pure."""

from __future__ import annotations

import msgspec

from actors.errors import MirrorUnavailable
from actors.identity import Conversation
from actors.messages import Batch, Message, Receipt, Snapshot, Waiting
from daemon.stores.redis import Reply

_decoder = msgspec.json.Decoder(Message)
encode_message = msgspec.json.Encoder().encode


class UnreadableEntry(MirrorUnavailable):
    """An entry is not a message: damaged, or written by a version that this one cannot read."""


def receipt(reply: Reply) -> Receipt:
    status, seq, at_ms, deadline_ms, now_ms, waiting, frozen = reply
    return Receipt(
        duplicate=status == b"dup",
        seq=seq,
        at_ms=at_ms,
        deadline_ms=deadline_ms,
        now_ms=now_ms,
        waiting=waiting,
        frozen=bool(frozen),
    )


def batch(conversation: Conversation, reply: Reply) -> Batch:
    """Raises `UnreadableEntry`: a batch is answered with all its messages in view, or not at all."""
    _, number, lo, hi, why, tries, opened_at_ms, frozen_at_ms, entries = reply
    return Batch(
        conversation=conversation,
        number=number,
        lo=lo,
        hi=hi,
        why=why.decode(),
        tries=tries,
        opened_at_ms=opened_at_ms,
        frozen_at_ms=frozen_at_ms,
        entries=tuple(_entry(entry) for entry in entries),
    )


def snapshot(conversation: Conversation, reply: Reply) -> Snapshot:
    """An entry that cannot be read is left out here, so that a damaged conversation hinders no recovery.

    The deadline stands, the window closes, and the freeze then fails in that conversation's own room.
    """
    now_ms, deadline_ms, frozen, retry_at_ms, entries = reply
    return Snapshot(
        conversation=conversation,
        now_ms=now_ms,
        waiting=tuple(_readable(entries)),
        deadline_ms=deadline_ms or None,
        frozen=bool(frozen),
        retry_at_ms=retry_at_ms or None,
    )


def _readable(entries: Reply) -> list[Waiting]:
    found = []
    for entry in entries:
        try:
            found.append(_entry(entry))
        except UnreadableEntry:
            continue
    return found


def _entry(entry: Reply) -> Waiting:
    identity, (_, payload, _, at_ms) = entry
    try:
        message = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UnreadableEntry("unreadable_entry") from None
    return Waiting(seq=int(identity.partition(b"-")[0]), at_ms=int(at_ms), message=message)
