"""Every kind of gateway. A new one is a folder or file of its own, and a line here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.fields import with_every_key
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

if TYPE_CHECKING:  # the keys of a kind are known to the kind alone
    AnyGatewaySettings = GatewaySettings
else:
    AnyGatewaySettings = with_every_key(GatewaySettings, GATEWAYS)
