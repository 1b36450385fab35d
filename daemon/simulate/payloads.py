"""Webhook bodies as Evolution 2.3.7 posts them: text, image, voice note with transcript, document. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec

from daemon.simulate.script import MessageKind, ScriptLine
from daemon.simulate.tokens import contact_of, token

_JID = "@s.whatsapp.net"
_CONTEXT = {"deviceListMetadataVersion": 2}


def webhook(instance: str, mark: str, line: ScriptLine, sent_at: int, server_url: str) -> bytes:
    """The `messages.upsert` body for this line; `sent_at` in Unix seconds."""
    words = f"{line.text} {token(mark, line.customer, line.serial)}"
    message_type, part = _SHAPES[line.kind](line, words)
    jid = f"{contact_of(line.customer)}{_JID}"
    data = {
        "key": {
            "remoteJid": jid,
            "remoteJidAlt": jid,
            "fromMe": False,
            "id": message_id(mark, line),
            "participant": "",
            "addressingMode": "lid",
        },
        "pushName": f"Guest {line.customer}",
        "status": "DELIVERY_ACK",
        "message": {"messageContextInfo": _CONTEXT, **part},
        "contextInfo": None,
        "messageType": message_type,
        "messageTimestamp": sent_at,
        "instanceId": "628e74c4-f457-463e-a903-113e19b8e794",
        "source": "android" if line.customer % 3 else "ios",
    }
    return msgspec.json.encode(
        {
            "event": "messages.upsert",
            "instance": instance,
            "data": data,
            "destination": f"/webhook/{instance}",
            "date_time": "2026-07-26T18:13:30.262Z",
            "sender": f"573180000737{_JID}",
            "server_url": server_url,
            "apikey": None,
        }
    )


def message_id(mark: str, line: ScriptLine) -> str:
    """An id in the format of Android phones, the same at every delivery of this line."""
    digest = hashlib.sha256(f"{mark}/{line.customer}/{line.serial}".encode()).hexdigest()
    return f"AC{digest[:30].upper()}"


def _text(line: ScriptLine, words: str) -> tuple[str, dict[str, object]]:
    return "conversation", {"conversation": words}


def _image(line: ScriptLine, words: str) -> tuple[str, dict[str, object]]:
    picture = {"height": 1280, "width": 960, "viewOnce": False}
    return "imageMessage", {"imageMessage": {**_file("image/jpeg", 226806), **picture, "caption": words}}


def _voice(line: ScriptLine, words: str) -> tuple[str, dict[str, object]]:
    note = {**_file("audio/ogg; codecs=opus", 7397), "seconds": 3 + line.serial % 9, "ptt": True}
    return "audioMessage", {"audioMessage": note, "speechToText": f"[audio] {words}"}


def _document(line: ScriptLine, words: str) -> tuple[str, dict[str, object]]:
    named = {"title": line.file_name, "fileName": line.file_name, "pageCount": 2, "caption": words}
    return "documentMessage", {"documentMessage": {**_file("application/pdf", 48213), **named}}


def _file(mimetype: str, length: int) -> dict[str, object]:
    return {
        "url": "https://mmg.whatsapp.net/v/t62.7118-24/0_0_n.enc",
        "mimetype": mimetype,
        "fileSha256": "j7kzC1VwB4o0y1hTkq9cYJmM2p8o3bq1b0u2gq3yq0k=",
        "fileLength": str(length),
        "mediaKey": "0000000000000000000000000000000000000000000=",
        "directPath": "/v/t62.7118-24/0_0_n.enc",
        "mediaKeyTimestamp": "1749766129",
    }


_SHAPES: dict[MessageKind, Callable[[ScriptLine, str], tuple[str, dict[str, object]]]] = {
    "text": _text,
    "image": _image,
    "voice": _voice,
    "document": _document,
}
