"""The largest body costs at most 0.3 s of processor time, whatever is in it: read, refused, redacted."""

from __future__ import annotations

import contextlib
import time

import pytest

from daemon.gateways.evolution.payload import parse_webhook
from daemon.ingress.inbound import UnreadablePayload
from daemon.ingress.quarantine import redact

MAX_SECONDS = 0.3
MAX_BODY_BYTES = 1024 * 1024
QUARANTINED_BYTES = 64 * 1024
ITEM = (
    '{"key":{"remoteJid":"551199999%04d@s.whatsapp.net","id":"A%d"},'
    '"message":{"conversation":"%s"},"messageTimestamp":1}'
)


def filled(head: str, unit: str, tail: str) -> bytes:
    return (head + unit * ((MAX_BODY_BYTES - len(head) - len(tail)) // len(unit)) + tail).encode()


def upsert(data: str) -> bytes:
    return f'{{"event":"messages.upsert","instance":"acme","data":{data}}}'.encode()


BODIES = {
    "floats": filled("[", "9e300,", "0]"),
    "small floats": filled("[", "1e-400,", "0]"),
    "floats beside half an emoji": filled('["\\ud83d",', "9e300,", "0]"),
    "lists": filled("[", "[],", "0]"),
    "objects": filled("[", '{"a":[]},', "0]"),
    "names": filled("{", '"a":1,', '"b":1}'),
    "nesting": filled("", "[", ""),
    "escapes": filled('{"instance":"', "\\\\u0041", '"}'),
    "secrets": filled("", "jwt", ""),
    "names of secrets": filled("", "token:", ""),
    "1,000 items": upsert("[" + ",".join(ITEM % (n, n, "م" * 400) for n in range(1000)) + "]"),
    "64 KiB texts": upsert("[" + ",".join(ITEM % (n, n, "\\u0645" * 10_000) for n in range(16)) + "]"),
}


@pytest.mark.parametrize("name", BODIES)
def test_the_largest_body_is_cheap(name: str) -> None:
    body = BODIES[name]
    spent = []
    for _ in range(3):  # the least counts: on a busy machine caches are cold
        began = time.thread_time()
        with contextlib.suppress(UnreadablePayload):
            parse_webhook(body, None, None)
        redact(body[:QUARANTINED_BYTES])
        spent.append(time.thread_time() - began)
    assert min(spent) < MAX_SECONDS, spent
