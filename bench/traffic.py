"""Webhooks as the gateway sends them: Evolution 2.3.7 `messages.upsert`, about 700 bytes, unique message ids."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator

INSTANCES = 25
_TEXTS = (
    "Hi, are you open on Saturday?",
    "السلام عليكم، هل يمكنني حجز موعد غدًا؟",
    "Bom dia! Quanto custa a limpeza completa?",
    "My order has not arrived yet, the tracking page says it is still in the warehouse",
    "كم سعر التوصيل إلى الرياض؟",
    "ok",
)
_ID_MARK = "0" * 32


HELD = "held"
"""Instances whose windows stay open, where the bench has such."""


def instance_name(number: int, prefix: str = "bench") -> str:
    return f"{prefix}-{number:02d}"


def webhooks(
    port: int, conversations: int, sent_at: int, run: int, instances: str = "bench"
) -> Iterator[bytes]:
    """An endless series of complete HTTP requests for `conversations` conversations, the same for equal arguments.

    `run` makes the message ids of one load different from those of every other. The instances' names begin with
    `instances`.
    """
    templates = [_template(port, number, sent_at, instances) for number in range(conversations)]
    rng = random.Random(run)
    for count in itertools.count():
        before, after = rng.choice(templates)
        yield b"%s%016X%016X%s" % (before, run, count, after)


def _template(port: int, conversation: int, sent_at: int, instances: str) -> tuple[bytes, bytes]:
    """The request's bytes before and after the message id."""
    instance = instance_name(conversation % INSTANCES, instances)
    body = json.dumps(
        _event(instance, conversation, sent_at), ensure_ascii=False, separators=(",", ":")
    ).encode()
    head = (
        f"POST /webhook/{instance} HTTP/1.1\r\nAccept: application/json, text/plain, */*\r\n"
        "Content-Type: application/json\r\nUser-Agent: EvolutionAPI-Webhook/2.3.7\r\n"
        f"Content-Length: {len(body)}\r\nAccept-Encoding: gzip, compress, deflate, br\r\n"
        f"Host: 127.0.0.1:{port}\r\nConnection: keep-alive\r\n\r\n"
    )
    before, after = (head.encode() + body).split(_ID_MARK.encode())
    return before, after


def _event(instance: str, conversation: int, sent_at: int) -> dict[str, object]:
    jid = f"5500{conversation:08d}@s.whatsapp.net"
    return {
        "event": "messages.upsert",
        "instance": instance,
        "data": {
            "key": {
                "remoteJid": jid,
                "remoteJidAlt": jid,
                "fromMe": False,
                "id": _ID_MARK,
                "participant": "",
                "addressingMode": "lid",
            },
            "pushName": f"Guest {conversation}",
            "status": "DELIVERY_ACK",
            "message": {
                "conversation": _TEXTS[conversation % len(_TEXTS)],
                "messageContextInfo": {"deviceListMetadataVersion": 2},
            },
            "messageType": "conversation",
            "messageTimestamp": sent_at,
            "instanceId": "628e74c4-f457-463e-a903-113e19b8e794",
            "source": "android",
        },
        "destination": f"http://127.0.0.1:8080/webhook/{instance}",
        "date_time": "2026-07-26T18:13:30.262Z",
        "sender": "550099999999@s.whatsapp.net",
        "server_url": "http://localhost:8080",
        "apikey": None,
    }
