"""The digest of a media file, in the one spelling that all its spellings share. Pure and total.

WhatsApp's is SHA-256, so 32 bytes. Versions of the gateway write them as base64, as a list of numbers, as an object of
numbered bytes ({"0": 194, …}), or as Node's {type: "Buffer", data}; Meta as base64 or as hexadecimal text.
"""

from __future__ import annotations

import base64
import binascii

from daemon.gateways.lenient import JsonObject, items

_BYTES = 32
_HEX = _BYTES * 2
_MAX_CHARS = 2 * _HEX


def media_hash(part: JsonObject) -> str:
    """The digest of the media in this part, as base64; empty: it has none."""
    for name in ("fileSha256", "sha256"):
        found = _digest(part.get(name))
        if found is not None and len(found) == _BYTES:
            return base64.b64encode(found).decode()
    return ""


def _digest(value: object) -> bytes | None:
    if isinstance(value, str):
        return _written(value) if len(value) <= _MAX_CHARS else None
    if isinstance(value, dict):
        if "data" in value:
            return _listed(items(value["data"]))
        return _listed([value.get(str(place)) for place in range(_BYTES)]) if len(value) == _BYTES else None
    return _listed(items(value))


def _written(value: str) -> bytes | None:
    try:
        if len(value) == _HEX:
            return bytes.fromhex(value)
        plain = value.replace("-", "+").replace("_", "/").rstrip("=")
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None


def _listed(values: list[object]) -> bytes | None:
    if len(values) != _BYTES:
        return None
    numbers = [one for one in values if isinstance(one, int) and not isinstance(one, bool) and 0 <= one < 256]
    return bytes(numbers) if len(numbers) == _BYTES else None
