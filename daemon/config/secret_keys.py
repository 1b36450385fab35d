"""Keys that seal the secrets of instances, as people write them. Neither an error nor a name says anything of a key."""

from __future__ import annotations

import base64
import binascii
import hashlib

KEY_BYTES = 32
MAKE_ONE = "`openssl rand -base64 32` makes one"


class BadKey(ValueError):
    """This is no key; the text says what one is."""


def read_key(written: str) -> bytes:
    """A key in base64, with or without its `=`, in either alphabet, or in hexadecimal.

    Raises:
      BadKey: it is not 32 bytes so written.
    """
    text = "".join(written.split())
    for decode in (bytes.fromhex, _from_base64):
        try:
            key = decode(text)
        except (ValueError, binascii.Error):
            continue
        if len(key) == KEY_BYTES:
            return key
    raise BadKey(f"must be {KEY_BYTES} bytes in base64 or in hexadecimal; {MAKE_ONE}")


def key_id(key: bytes) -> str:
    """Names a key."""
    return hashlib.sha256(b"majlis secret key\x00" + key).hexdigest()[:12]


def _from_base64(text: str) -> bytes:
    plain = text.translate(_URL_SAFE).rstrip("=")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)


_URL_SAFE = str.maketrans("-_", "+/")
