"""Settings: read once, checked whole, frozen. See `config.yaml` for what each key means."""

from daemon.config.load import load
from daemon.config.schema import (
    Auth,
    Batching,
    GatewaySettings,
    Ingress,
    InstanceSettings,
    Log,
    Postgres,
    Provider,
    Redis,
    ResponderSettings,
    Settings,
    Turn,
)
from daemon.config.sources import ConfigError

__all__ = [
    "Auth",
    "Batching",
    "ConfigError",
    "GatewaySettings",
    "Ingress",
    "InstanceSettings",
    "Log",
    "Postgres",
    "Provider",
    "Redis",
    "ResponderSettings",
    "Settings",
    "Turn",
    "load",
]
