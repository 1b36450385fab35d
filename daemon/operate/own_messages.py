"""What was made of a message of the business, in words. Pure."""

from __future__ import annotations

import msgspec

from daemon.ledger.rows import OwnMessageRow
from daemon.operate.call import iso

_SENDERS = {
    "person": "a person of the business wrote it",
    "agent": "an agent in Chatwoot wrote it",
    "program": "sent by other software",
}
_WHY = {
    "greeting": "automatic: greeting within 3 s of the first message",
    "listed": "automatic: one of takeover.automatic_texts",
    "resume": "command of staff: Majlis answers again",
    "pause": "command of staff: Majlis is silent",
    "stale": "command of staff, older than what was done since: not obeyed",
}


class OwnMessageView(msgspec.Struct, frozen=True, kw_only=True):
    """A message of the business that Majlis did not send."""

    id: str
    sent_at: str
    why: str
    """What it was taken for, as a sentence."""


def own_view(own: OwnMessageRow) -> OwnMessageView:
    return OwnMessageView(id=own.id, sent_at=iso(own.sent_at), why=why(own))


def why(own: OwnMessageRow) -> str:
    """What the message was taken for."""
    match own.verdict:
        case "announcement":
            return f"automatic: same text to {own.chats} chats"
        case "history":
            return f"{_SENDERS[own.sender]}: told to the model"
        case "silence":
            return f"{_SENDERS[own.sender]}: Majlis is silent from then on"
    return _WHY[own.verdict]
