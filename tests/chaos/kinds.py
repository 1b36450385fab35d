"""What people do besides writing: they edit, delete, react, send albums; and a gateway delivers what is days old.

Of these the gateway has no records that a sweep could read: only a webhook brings them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tests.chaos.checker import Kind
from tests.support.payloads import edited, upsert

OLD_SECONDS = 2 * 24 * 3600
PARTS = 2

_EDITED = re.compile(r"/edited-.*")


def event_id(kind: Kind, target: str) -> str:
    """What a change of a message is called."""
    return f"{target}/edited" if kind == "edit" else f"{target}/deleted"


def named(message_id: str) -> str:
    """The id of an edit without the digest of its text: there is one of each message."""
    return _EDITED.sub("/edited", message_id)


def payload(
    instance: str, contact: str, text: str, id: str, at: int, from_me: bool, kind: Kind, of: str, bare: bool
) -> Mapping[str, object]:
    """The webhook of a message. `of`: the message or album that it is about. `bare`: an edit without its time."""
    jid = f"{contact}@s.whatsapp.net"
    if kind == "edit" and bare:
        message = {"editedMessage": {"message": {"conversation": text}}}
        data = {"keyId": of, "remoteJid": jid, "fromMe": False, "status": "SERVER_ACK", "message": message}
        return {"event": "messages.update", "instance": instance, "data": data}
    if kind == "edit":
        return edited(instance, of, text, at)
    if kind == "deletion":
        data = {"remoteJid": jid, "fromMe": False, "id": of, "participant": "", "status": "DELETED"}
        return {"event": "messages.delete", "instance": instance, "data": data}
    found = upsert(instance, contact, text, id, at, from_me=from_me)
    content = _content(kind, text, jid, of)
    if content is not None and isinstance(inner := found["data"], dict):
        inner["message"], inner["messageType"] = content, next(iter(content))
    return found


def _content(kind: Kind, text: str, jid: str, of: str) -> dict[str, object] | None:
    if kind == "reaction":
        return {"reactionMessage": {"key": {"remoteJid": jid, "fromMe": False, "id": of}, "text": "+1"}}
    if kind == "album":
        return {"albumMessage": {"expectedImageCount": PARTS}}
    if kind == "part":
        album = {"associationType": "MEDIA_ALBUM", "parentMessageKey": {"id": of}}
        return {"imageMessage": {"caption": text}, "messageContextInfo": {"messageAssociation": album}}
    return None
