"""Every kind of gateway. A new one is a folder or file of its own, and a line here."""

from __future__ import annotations

from typing import Any

from daemon.gateways.console import Console
from daemon.gateways.evolution.kind import Evolution
from daemon.gateways.kind import GatewayKind
from daemon.gateways.realtime import Realtime

_KINDS: tuple[GatewayKind[Any], ...] = (
    Console(),
    Evolution(),
    Realtime(),
)
GATEWAYS = {kind.name: kind for kind in _KINDS}
