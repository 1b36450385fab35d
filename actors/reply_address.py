"""Through which gateway a reply leaves. Pure.

The user asked for this order: what the webhook names, then what is stored for the instance, then what is
configured. Both of the former are words that others may have written, and the gateway's key goes with every send:
so they count only when their origin is on the operator's own list.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit


def origin_of(address: str) -> str:
    """`https://host:port` of an http(s) address, lower case, without a default port; empty when it has none."""
    try:
        parts = urlsplit(address.strip())
        port = parts.port
    except ValueError:
        return ""
    scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
    if (
        scheme not in ("http", "https")
        or not host
        or parts.username is not None
        or parts.password is not None
    ):
        return ""
    if ":" in host:
        host = f"[{host}]"
    is_default = port in (None, {"http": 80, "https": 443}[scheme])
    return f"{scheme}://{host}" if is_default else f"{scheme}://{host}:{port}"


def choose(named: Iterable[str], stored: str, allowed: Sequence[str]) -> str:
    """The first allowed origin of the messages' own words (the latest first), then of the stored address.

    Empty: the configured gateway.
    """
    candidates = (origin_of(address) for address in (*named, stored))
    return next((origin for origin in candidates if origin and origin in allowed), "")
