"""Webhook bodies as the Evolution API 2.3.7 posts them."""

from __future__ import annotations

import json
import time

NOW = int(time.time())
"""When these tests began, Unix seconds: a message that is much older would be no question any more."""


def upsert(
    instance: str,
    phone: str,
    text: str,
    message_id: str,
    timestamp: int,
    *,
    from_me: bool = False,
    lid: str | None = None,
    push_name: str = "Guest",
) -> dict[str, object]:
    """`messages.upsert` with one text message; with `lid`, only the alias field has the phone number."""
    phone_jid = f"{phone}@s.whatsapp.net"
    key: dict[str, object] = {
        "remoteJid": f"{lid}@lid" if lid else phone_jid,
        "remoteJidAlt": phone_jid,
        "fromMe": from_me,
        "id": message_id,
        "participant": "",
        "addressingMode": "lid" if lid else "pn",
    }
    data = {
        "key": key,
        "pushName": push_name,
        "status": "DELIVERY_ACK",
        "message": {"messageContextInfo": {"deviceListMetadataVersion": 2}, "conversation": text},
        "messageType": "conversation",
        "messageTimestamp": timestamp,
        "instanceId": "628e74c4-f457-463e-a903-113e19b8e794",
        "source": "android",
    }
    return {
        "event": "messages.upsert",
        "instance": instance,
        "data": data,
        "destination": "http://127.0.0.1:8080/webhook",
        "date_time": "2026-07-26T18:13:30.262Z",
        "sender": "573180000737@s.whatsapp.net",
        "server_url": "http://localhost:8080",
        "apikey": None,
    }


def edited(instance: str, target: str, text: str, timestamp: int) -> dict[str, object]:
    """`messages.edited`: the chat and `fromMe` are from the side of whoever wrote."""
    data = {
        "key": {"remoteJid": "573180000737@s.whatsapp.net", "fromMe": True, "id": target},
        "type": "MESSAGE_EDIT",
        "editedMessage": {"conversation": text},
        "timestampMs": str(timestamp * 1000),
    }
    return {"event": "messages.edited", "instance": instance, "data": data, "apikey": None}


def upsert_body(instance: str, phone: str, text: str, message_id: str, timestamp: int) -> bytes:
    return json.dumps(upsert(instance, phone, text, message_id, timestamp)).encode()
