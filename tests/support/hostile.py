"""Bodies that cost the most, and the whole way of a webhook to measure them on. For tests and `make bench-hostile`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from trio.testing import memory_stream_pair

from actors.messages import Message, Receipt
from daemon.gateways.evolution.payload import parse_webhook
from daemon.ingress import inline_media
from daemon.ingress.access import open_door
from daemon.ingress.answers import Readiness
from daemon.ingress.inbound import Amendment, LateFailure, Link, OwnMessage, Typing
from daemon.ingress.quarantine import Quarantine
from daemon.ingress.reading import Reader
from daemon.ingress.webhooks import Ingress
from daemon.web.http1 import HttpServer, LargeBodies, Limits, Peer
from daemon.web.http1.connection import Connection

MAX_BODY_BYTES, MAX_MEDIA_BYTES = 1024 * 1024, 144 * 1024 * 1024
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
_KEY = '{"remoteJid":"5511999990001@s.whatsapp.net","id":"A%d"}'
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


_REFERRING = '{"stanzaId":"a","quotedMessage":{"conversation":"a"},"externalAdReply":{"title":"a"}}'
_IN_A_MESSAGE: dict[str, tuple[str, str, str]] = {
    "contexts": ("{", f'"n%d":{{"contextInfo":{_REFERRING}}},', '"conversation":"a"}'),
    "contexts within wrappers": (
        '{"aMessage":{"message":' * 7 + "{",
        f'"n%d":{{"contextInfo":{_REFERRING}}},',
        '"a":1}' + "}" * 14 + "}",
    ),
    "quoted wrappers": (
        '{"extendedTextMessage":{"contextInfo":{"quotedMessage":{',
        '"n%d":{"message":{"a":{"message":{}}}},',
        '"conversation":"a"}},"text":"a"}}',
    ),
    "unknown types": ("{", '"a%dMessage":{"message":{}},', '"b":{}}'),
    "contacts": ('{"contactsArrayMessage":{"contacts":[', '{"displayName":"a","vcard":"TEL:1"},', "{}]}}"),
    "lines of a contact": ('{"contactMessage":{"vcard":"', "TEL:1\\n", '"}}'),
    "items of an order": (
        '{"orderMessage":{"product_items":[',
        '{"item_price":"1.5","quantity":1},',
        "{}]}}",
    ),
    "brackets": ('{"conversation":"', "[\\n", '"}'),
    "blanks before brackets": ('{"conversation":"', "\\u200b[", '"}'),
    "a vote": ('{"pollUpdateMessage":{"vote":{"selectedOptions":[', '"a",', '"b"]}}}'),
    "cards": ('{"interactiveMessage":{"carouselMessage":{"cards":[', '{"body":{"text":"a"}},', "{}]}}}"),
}
"""What one message may be made of."""


def messages(size: int) -> dict[str, bytes]:
    """By name; webhooks of about `size` bytes with messages that are dear to read."""
    found = {}
    for name, (head, unit, tail) in _IN_A_MESSAGE.items():
        units = (size - 512 - len(head) - len(tail)) // (len(unit) + 5 * unit.count("%d"))
        middle = (
            "".join(unit.replace("%d", f"{n:07}") for n in range(units)) if "%d" in unit else unit * units
        )
        found[name] = _webhook(f'{{"key":{_KEY % 1},"message":{head}{middle}{tail},"messageTimestamp":1}}')
    albums = (
        f'{{"key":{_KEY % n},"message":{{"albumMessage":{{"expectedImageCount":99}}}},"messageTimestamp":1}}'
        for n in range(size // 160)
    )
    return found | {"albums": _webhook(",".join(albums))}


def large_bodies(size: int) -> dict[str, bytes]:
    """By name; each a little larger than `size`, so that media are cut out, and no larger then."""
    larger = size + size // 8
    media = f'{{"instance":"acme","base64":"{"A" * (size // 7)}","a":'
    return {
        "media": filled('{"instance":"acme","base64":"', "A", '"}', larger),
        "media of escapes": filled('{"instance":"acme","base64":"', "\\/", '"}', larger),
        "many media": filled('{"instance":"acme","a":[', f'{{"base64":"{"A" * 9000}"}},', "0]}", larger),
        "media without their name": filled('{"a":[', f'{{"a":"{"A" * 200_000}"}},', "0]}", larger),
        "floats beside media": filled(f"{media}[", "9e300,", "0]}", larger),
        "names of media in a text": filled(f'{media}"', '\\"base64\\":\\"AAAA', '"}', larger),
        "long texts beside media": filled(f"{media}[", f'"{"A" * 5000}",', "0]}", larger),
    }


def photo(size: int) -> bytes:
    """A webhook of a photo, as large as that."""
    item = _ITEM % (1, 1, "what is this?")
    return filled(
        f'{{"event":"messages.upsert","instance":"acme","data":{item[:-1]},"base64":"', "A9+/", '"}}', size
    )


def _upsert(items: int, text: str) -> bytes:
    data = ",".join(_ITEM % (n, n, text) for n in range(items))
    return _webhook(data)


def _webhook(items: str) -> bytes:
    return f'{{"event":"messages.upsert","instance":"acme","data":[{items}]}}'.encode()


class Door:
    """From the bytes of a request to those of its answer, in memory. The quarantine is real; messages go nowhere."""

    def __init__(self, directory: Path, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self._server = HttpServer(
            Ingress(
                reader=Reader(parse_webhook),
                inbox=self,
                readiness=lambda: Readiness(True),
                quarantine=Quarantine(directory, _fail).store,
                authorize=open_door,
            ).handle,
            Limits(
                max_body_bytes=max_body_bytes, large=LargeBodies(MAX_MEDIA_BYTES, inline_media.of_webhook)
            ),
        )

    async def accept(self, message: Message) -> Receipt:
        return Receipt(False, 1, 0, 8000, 0, 1, False)

    async def accept_all(self, messages: Sequence[Message]) -> Sequence[Receipt | Exception]:
        return [await self.accept(message) for message in messages]

    def heard(self, messages: Sequence[Message]) -> tuple[Sequence[Message], Sequence[str]]:
        return messages, ()

    async def amend(self, amendment: Amendment) -> str:
        return ""

    async def take_over(self, own: OwnMessage) -> bool:
        return False

    async def fail_later(self, failure: LateFailure) -> None:
        pass

    def learn(self, link: Link) -> None:
        pass

    def typing(self, typing: Typing) -> None:
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
