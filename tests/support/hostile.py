"""Bodies that cost the most, and the whole way of a webhook to measure them on. For tests and `make bench-hostile`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from trio.testing import memory_stream_pair

from actors.messages import Message, Receipt
from daemon.gateways.evolution.payload import parse_webhook
from daemon.ingress.inbound import LateFailure, Link, OwnMessage
from daemon.ingress.quarantine import Quarantine
from daemon.ingress.reading import Reader
from daemon.ingress.webhooks import Ingress, Readiness, open_door
from daemon.web.http1 import HttpServer, Peer
from daemon.web.http1.connection import Connection

MAX_BODY_BYTES = 1024 * 1024
_REPEATED = {
    "floats": ("[", "9e300,", "0]"),
    "small floats": ("[", "1e-400,", "0]"),
    "floats beside half an emoji": ('["\\ud83d",', "9e300,", "0]"),
    "floats before half an emoji": ("[", "9e300,", '"\\ud83d"]'),
    "long numbers": ('["\\ud83d",', "9" * 4000 + ",", "0]"),
    "lists": ("[", "[],", "0]"),
    "objects": ("[", '{"a":[]},', "0]"),
    "names": ("{", '"a":1,', '"b":1}'),
    "nesting": ("", "[", ""),
    "escapes": ('{"instance":"', "\\\\u0041", '"}'),
    "secrets": ("", "jwt", ""),
    "names of secrets": ("", "token:", ""),
}
_ITEM = (
    '{"key":{"remoteJid":"551199999%04d@s.whatsapp.net","id":"A%d"},'
    '"message":{"conversation":"%s"},"messageTimestamp":1}'
)


def filled(head: str, unit: str, tail: str, size: int) -> bytes:
    return (head + unit * ((size - len(head) - len(tail)) // len(unit)) + tail).encode()


def bodies(size: int) -> dict[str, bytes]:
    """By name; each of about `size` bytes."""
    share = size / MAX_BODY_BYTES
    return {name: filled(*parts, size) for name, parts in _REPEATED.items()} | {
        "1,000 items": _upsert(round(1000 * share), "م" * 400),
        "64 KiB texts": _upsert(max(1, round(16 * share)), "\\u0645" * 10_000),
    }


def _upsert(items: int, text: str) -> bytes:
    data = ",".join(_ITEM % (n, n, text) for n in range(items))
    return f'{{"event":"messages.upsert","instance":"acme","data":[{data}]}}'.encode()


class Door:
    """From the bytes of a request to those of its answer, in memory. The quarantine is real; messages go nowhere."""

    def __init__(self, directory: Path) -> None:
        self._server = HttpServer(
            Ingress(
                reader=Reader(parse_webhook),
                inbox=self,
                readiness=lambda: Readiness(True),
                quarantine=Quarantine(directory, _fail).store,
                authorize=open_door,
            ).handle
        )

    async def accept(self, message: Message) -> Receipt:
        return Receipt(False, 1, 0, 8000, 0, 1, False)

    async def accept_all(self, messages: Sequence[Message]) -> Sequence[Receipt | Exception]:
        return [await self.accept(message) for message in messages]

    async def take_over(self, own: OwnMessage) -> bool:
        return False

    async def fail_later(self, failure: LateFailure) -> None:
        pass

    def learn(self, link: Link) -> None:
        pass

    async def cost_seconds(self, body: bytes) -> float:
        """Processor time of one request; that of the quarantine's thread is in it."""
        client, served = memory_stream_pair()
        await client.send_all(
            b"POST /webhook/acme HTTP/1.1\r\nHost: majlis\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        await client.send_eof()
        began = time.process_time()
        await Connection(served, Peer("test"), self._server).serve()
        spent = time.process_time() - began
        answer = await client.receive_some()
        assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400")), answer[:100]
        return spent


def _fail(error: OSError) -> None:
    raise error
