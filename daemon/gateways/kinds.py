"""Every kind of gateway. A new one is a folder or file of its own, and a line here."""

from __future__ import annotations

import hashlib
from functools import cache, lru_cache
from typing import Any

from pydantic import SecretStr

from daemon.gateways.console import Console
from daemon.gateways.evolution.kind import Evolution
from daemon.gateways.kind import GatewayKind, GatewaySettings
from daemon.gateways.realtime import Realtime

_KINDS: tuple[GatewayKind[Any], ...] = (
    Console(),
    Evolution(),
    Realtime(),
)
GATEWAYS = {kind.name: kind for kind in _KINDS}


@lru_cache(maxsize=512)
def server_of(gateway: GatewaySettings) -> str:
    """Names the server of these settings: a digest of its kind and of what only that kind has, without keys.

    Under another name it may be another server, whose records say nothing of what the first one sent.
    """
    values = [(key, getattr(gateway, key)) for key in _own_settings(gateway.kind)]
    open_ones = [each for each in values if each[1] is not None and not isinstance(each[1], SecretStr)]
    deciding = (gateway.kind, *open_ones)
    return hashlib.sha256(repr(deciding).encode()).hexdigest()[:12]


@cache
def _own_settings(kind: str) -> list[str]:
    """Those that only this kind has."""
    return sorted(GATEWAYS[kind].settings.model_fields.keys() - GatewaySettings.model_fields.keys())
