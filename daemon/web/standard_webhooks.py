"""Signatures of webhooks as https://www.standardwebhooks.com has them, in both directions. Pure.

A webhook has three headers: `webhook-id`, `webhook-timestamp` (Unix seconds) and `webhook-signature`: one or more
`v1,<base64>`, separated by spaces, each the HMAC-SHA256 of `<id>.<timestamp>.<body>`. Two of them let a secret be
changed. The secret is written `whsec_<base64>`.

The laws of this file:
1. What a stranger sends is bounded before it is looked at, and compared as text, in constant time: nothing is decoded.
2. What is older than `TOLERANCE_SECONDS`, or from that far ahead, is refused. Within them a webhook may be repeated by
   whoever has seen it; its id and its body are the same then, and who takes it must know it again by one of them.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping
from typing import NamedTuple

TOLERANCE_SECONDS = 300.0
MAX_SIGNATURES = 8
"""Of one webhook; those of other versions count."""
MAX_ID_CHARS = 256
MIN_KEY_BYTES, MAX_KEY_BYTES = 24, 64
ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
PREFIX = "whsec_"
ALLOWED = (
    f"must be {PREFIX} and {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes in base64; "
    f'`echo "{PREFIX}$(openssl rand -base64 32)"` makes one'
)
_VERSION = "v1,"
_SIGNATURE_CHARS = len(_VERSION) + 44
_MAX_DIGITS = 12


class Signature(NamedTuple):
    """What the head of a signed webhook says; whether it is true, `is_of` tells."""

    start: bytes
    """What is signed before the body."""
    given: tuple[bytes, ...]

    def is_of(self, body: bytes, key: bytes) -> bool:
        """Whether one of the signatures was made with this key for this body."""
        right = _made(key, self.start, body)
        return any(hmac.compare_digest(right, given) for given in self.given)


def signature_in(headers: Mapping[str, str], now: float) -> Signature | None:
    """None: it is not signed, or not in time, or not as it should be.

    Args:
      headers: by lower-case name.
      now: Unix seconds.
    """
    written = headers.get(SIGNATURE)
    if written is None or len(written) > MAX_SIGNATURES * (_SIGNATURE_CHARS + 1):
        return None
    identity, moment = headers.get(ID, ""), headers.get(TIMESTAMP, "")
    if not 0 < len(identity) <= MAX_ID_CHARS or not 0 < len(moment) <= _MAX_DIGITS:
        return None
    if not (moment.isascii() and moment.isdigit()) or abs(now - int(moment)) > TOLERANCE_SECONDS:
        return None
    given = tuple(
        one.encode("latin-1")
        for one in written.split(" ")
        if len(one) == _SIGNATURE_CHARS and one.startswith(_VERSION)
    )
    return Signature(f"{identity}.{moment}.".encode("latin-1"), given) if given else None


def signed_headers(keys: Iterable[bytes], identity: str, now: float, body: bytes) -> dict[str, str]:
    """What goes with a webhook: a signature for each key; nothing without one.

    Args:
      identity: the same for each attempt at one webhook.
      now: Unix seconds.
    """
    moment = str(int(now))
    start = f"{identity}.{moment}.".encode()
    signatures = [_made(key, start, body).decode() for key in keys]
    return {ID: identity, TIMESTAMP: moment, SIGNATURE: " ".join(signatures)} if signatures else {}


def read_secret(written: str) -> bytes:
    """The key that a secret stands for.

    Raises:
      ValueError: it is none; the text is `ALLOWED`, and says nothing of it.
    """
    try:
        text = written.removeprefix(PREFIX).rstrip("=")
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise ValueError(ALLOWED)
    return key


def _made(key: bytes, start: bytes, body: bytes) -> bytes:
    signing = hmac.new(key, start, "sha256")
    signing.update(body)
    return _VERSION.encode() + base64.b64encode(signing.digest())
