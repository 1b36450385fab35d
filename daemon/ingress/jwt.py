"""JSON Web Tokens as Evolution signs its webhooks with `jwt_key`: HS256 (RFC 7515, RFC 7519). Pure.

The laws of this file:
1. Nothing of a token is read before its signature is right, and that is computed with HS256 whatever the token says. So
   no word of a stranger chooses an algorithm, and no decoder sees his bytes.
2. A signature has one spelling: what is compared is the text, in constant time. A bit more, a pad or another last
   letter makes it another one.
3. `exp` must be there. It and `nbf` are judged with `LEEWAY_SECONDS` for the difference of two clocks.

A library would bring the other algorithms, which are what goes wrong with such tokens, for these few lines.
"""

from __future__ import annotations

import base64
import hmac
import json
import math

import msgspec

LEEWAY_SECONDS = 60.0
MAX_BYTES = 4_096
"""The gateway's have about 190."""
LIFE_SECONDS = 600
_SIGNATURE_CHARS = 43
"""32 bytes in base64, without its `=`."""


class _Header(msgspec.Struct, frozen=True):
    alg: str
    crit: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    """What whoever reads it must understand: we know of nothing."""


class _Claims(msgspec.Struct, frozen=True):
    exp: float
    nbf: float = 0.0


_HEADER, _CLAIMS = msgspec.json.Decoder(_Header), msgspec.json.Decoder(_Claims)


def is_shaped(shown: bytes) -> bool:
    """Whether it may be such a token at all."""
    return len(shown) <= MAX_BYTES and shown.count(b".") == 2 and shown[-_SIGNATURE_CHARS - 1 :][:1] == b"."


def is_signed(shown: bytes, key: bytes) -> bool:
    """Whether what `is_shaped` was signed with this key."""
    signed, _, signature = shown.rpartition(b".")
    return hmac.compare_digest(signature, encoded(hmac.digest(key, signed, "sha256")))


def is_in_force(signed: bytes, now: float) -> bool:
    """Whether what `is_signed` says that it is HS256, and of this time.

    Args:
      now: Unix seconds.
    """
    header, _, claims = signed.rpartition(b".")[0].partition(b".")
    try:
        if (head := _HEADER.decode(_decoded(header))).alg != "HS256" or head.crit is not msgspec.UNSET:
            return False
        said = _CLAIMS.decode(_decoded(claims))
    except (ValueError, RecursionError, msgspec.MsgspecError):  # its maker's error: it has the key
        return False
    is_known = math.isfinite(said.exp) and math.isfinite(said.nbf)
    return is_known and said.nbf - LEEWAY_SECONDS <= now < said.exp + LEEWAY_SECONDS


def made(key: str, now: float) -> str:
    """One as the gateway makes them."""
    issued = int(now)
    claims = {"iat": issued, "exp": issued + LIFE_SECONDS, "app": "evolution", "action": "webhook"}
    signed = b".".join(map(_part, ({"alg": "HS256", "typ": "JWT"}, claims)))
    return b".".join((signed, encoded(hmac.digest(key.encode(), signed, "sha256")))).decode()


def encoded(data: bytes) -> bytes:
    """base64url without its `=`."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _part(document: object) -> bytes:
    return encoded(json.dumps(document, separators=(",", ":")).encode())


def _decoded(part: bytes) -> bytes:
    """Raises ValueError."""
    return base64.b64decode(part + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)
