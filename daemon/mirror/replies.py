"""What the scripts answer, read into the words of the protocol. Pure."""

from __future__ import annotations

import msgspec

from actors.identity import Conversation
from actors.messages import Batch, Message, Receipt, Snapshot, Waiting
from daemon.stores.redis import Reply

_decoder = msgspec.json.Decoder(Message)
encode_message = msgspec.json.Encoder().encode


UNREADABLE = "[a message that could not be read]"


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
    _, number, lo, hi, why, attempts, opened_at_ms, frozen_at_ms, entries = reply
    return Batch(
        conversation=conversation,
        number=number,
        lo=lo,
        hi=hi,
        why=why.decode(),
        attempts=attempts,
        opened_at_ms=opened_at_ms,
        frozen_at_ms=frozen_at_ms,
        entries=tuple(entry(conversation, one) for one in entries),
    )


def snapshot(conversation: Conversation, reply: Reply) -> Snapshot:
    now_ms, deadline_ms, frozen, retry_at_ms, entries = reply
    return Snapshot(
        conversation=conversation,
        now_ms=now_ms,
        waiting=tuple(entry(conversation, one) for one in entries),
        deadline_ms=deadline_ms or None,
        frozen=bool(frozen),
        retry_at_ms=retry_at_ms or None,
    )


def entry(conversation: Conversation, reply: Reply) -> Waiting:
    """Total: what is no message (damaged, or of a version that this one cannot read) is shown as just that.

    It must not hold up the messages around it, and it must not vanish: the turn records it.
    """
    identity, (_, payload, _, at_ms) = reply
    seq = int(identity.partition(b"-")[0])
    try:
        message = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        instance, contact = conversation
        message = Message(instance, contact, f"unreadable-{seq}", UNREADABLE, sent_at=0, kind="unreadable")
    return Waiting(seq=seq, at_ms=int(at_ms), message=message)
