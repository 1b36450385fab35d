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
_CONTACT_MARK = "C" * 13
MOST_WAITING = 5
"""A conversation sends so many webhooks: with more, its window would have closed long before. As many as close a window
of the daemon, written here because the driver of bench-turns runs without the daemon's packages."""

HELD = "held"
"""Instances whose windows stay open, where the bench has such."""


def instance_name(number: int, prefix: str = "bench") -> str:
    return f"{prefix}-{number:02d}"


def webhooks(
    port: int, conversations: int, sent_at: int, run: int, instances: str = "bench"
) -> Iterator[bytes]:
    """An endless series of complete HTTP requests, the same for equal arguments.

    `conversations` write at a time, in turn by chance. One that has sent `MOST_WAITING` is followed by another, so that
    no server holds more of it, however long the load is and though nobody is answered. `run` makes the message ids and
    the contacts of one load different from those of every other. The instances' names begin with `instances`.
    """
    templates = [_template(port, number, sent_at, instances) for number in range(INSTANCES * len(_TEXTS))]
    rng, ids, contacts = random.Random(run), itertools.count(), itertools.count()

    def begin() -> Iterator[bytes]:
        number = next(contacts)
        contact = b"%07d%06d" % (run, number)
        request = templates[number % len(templates)].replace(_CONTACT_MARK.encode(), contact)
        before, after = request.split(_ID_MARK.encode())
        for _ in range(MOST_WAITING):
            yield b"%s%016X%016X%s" % (before, run, next(ids), after)

    writing = [begin() for _ in range(conversations)]
    while True:
        place = int(rng.random() * conversations)
        request = next(writing[place], None)
        if request is None:
            writing[place] = begin()
            request = next(writing[place])
        yield request


def _template(port: int, number: int, sent_at: int, instances: str) -> bytes:
    """A request with marks in the place of the message id and of the contact."""
    instance = instance_name(number % INSTANCES, instances)
    body = json.dumps(_event(instance, number, sent_at), ensure_ascii=False, separators=(",", ":")).encode()
    head = (
        f"POST /webhook/{instance} HTTP/1.1\r\nAccept: application/json, text/plain, */*\r\n"
        "Content-Type: application/json\r\nUser-Agent: EvolutionAPI-Webhook/2.3.7\r\n"
        f"Content-Length: {len(body)}\r\nAccept-Encoding: gzip, compress, deflate, br\r\n"
        f"Host: 127.0.0.1:{port}\r\nConnection: keep-alive\r\n\r\n"
    )
    return head.encode() + body


def _event(instance: str, number: int, sent_at: int) -> dict[str, object]:
    jid = f"55{_CONTACT_MARK}@s.whatsapp.net"
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
            "pushName": f"Guest {_CONTACT_MARK}",
            "status": "DELIVERY_ACK",
            "message": {
                "conversation": _TEXTS[number // INSTANCES],
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
