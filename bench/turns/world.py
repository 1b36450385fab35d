"""The world around a server: customers' webhooks, a gateway and a model that answer as told."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from typing import NamedTuple, cast

import httptools

WORDS = (
    *("honey", "dates", "price", "open", "saturday", "delivery", "riyadh", "order"),
    *("kilo", "box", "gift", "when", "where", "today", "moved", "late"),
    *("size", "blue", "red", "green", "coffee", "market", "branch", "cash"),
)


class Said(NamedTuple):
    """An answer of the gateway or the model."""

    status: int
    body: bytes
    after_seconds: float = 0.0


class World(asyncio.Protocol):
    """One connection of a server to its gateway or model."""

    def __init__(self, loop: asyncio.AbstractEventLoop, answers: Callable[[bytes, bytes], Said]) -> None:
        """Args:
        answers: gets the path and the body of a request.
        """
        self._loop = loop
        self._answers = answers
        self._parser = httptools.HttpRequestParser(self)
        self._url = self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has another parent

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        url, body = self._url, self._body
        self._url = self._body = b""
        said = self._answers(url, body)
        keep = self._parser.should_keep_alive()
        if said.after_seconds:
            self._loop.call_later(said.after_seconds, self._answer, said, keep)
        else:
            self._answer(said, keep)

    def _answer(self, said: Said, keep: bool) -> None:
        if self._transport.is_closing():
            return
        head = b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n"
        close = b"" if keep else b"Connection: close\r\n"
        self._transport.write(head % (said.status, len(said.body), close) + said.body)
        if not keep:
            self._transport.close()


def document(said: object) -> bytes:
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def question(rng: random.Random) -> str:
    """Words that no earlier question has: the same text again would be a duplicate."""
    return " ".join(rng.choices(WORDS, k=8)) + "?"


def message(number: str, text: str, message_id: str, *, from_me: bool = False) -> dict[str, object]:
    """The `data` of a webhook as Evolution 2.3.7 sends it, or its answer to a send."""
    jid = f"{number}@s.whatsapp.net"
    return {
        "key": {
            "remoteJid": jid,
            "remoteJidAlt": jid,
            "fromMe": from_me,
            "id": message_id,
            "participant": "",
            "addressingMode": "lid",
        },
        "pushName": "" if from_me else f"Guest {number}",
        "status": "PENDING" if from_me else "DELIVERY_ACK",
        "message": {"conversation": text, "messageContextInfo": {"deviceListMetadataVersion": 2}},
        "messageType": "conversation",
        "messageTimestamp": int(time.time()),
        "instanceId": "628e74c4-f457-463e-a903-113e19b8e794",
        "source": "unknown" if from_me else "android",
    }


def event(name: str, instance: str, data: dict[str, object]) -> dict[str, object]:
    """A webhook."""
    return {
        "event": name,
        "instance": instance,
        "data": data,
        "destination": f"http://127.0.0.1:8080/webhook/{instance}",
        "date_time": "2026-07-26T18:13:30.262Z",
        "sender": "550099999999@s.whatsapp.net",
        "server_url": "http://localhost:8080",
        "apikey": None,
    }


def webhook_request(instance: str, payload: dict[str, object]) -> bytes:
    """A whole HTTP request."""
    body = document(payload)
    head = (
        f"POST /webhook/{instance} HTTP/1.1\r\nContent-Type: application/json\r\nHost: 127.0.0.1\r\n"
        f"User-Agent: EvolutionAPI-Webhook/2.3.7\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def completion(number: int) -> bytes:
    """What the model says."""
    text = f"Answer {number}: a kilo of sidr honey is 180, and we are there every day from nine to ten."
    said = {"role": "assistant", "content": text, "refusal": None}
    return document(
        {
            "id": f"chatcmpl-{number}",
            "object": "chat.completion",
            "model": "test",
            "choices": [{"index": 0, "message": said, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 120, "completion_tokens": 24, "total_tokens": 144},
        }
    )


CONNECTED = document({"instance": {"instanceName": "shop", "state": "open"}})
NO_SUCH_THING = document({"status": 404, "error": "Not Found", "response": {"message": ["no such thing"]}})
