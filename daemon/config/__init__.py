"""Settings: read once, checked whole, frozen. See `config.yaml` for what each key means."""

from daemon.config.load import load
from daemon.config.schema import InstanceSettings, Settings
from daemon.config.sections import (
    Auth,
    Batching,
    Cache,
    Embeddings,
    GatewaySettings,
    Ingress,
    Knowledge,
    Log,
    MetricsSettings,
    MonitorSettings,
    Postgres,
    Provider,
    Redis,
    ResponderSettings,
    TurnSettings,
)
from daemon.config.sources import ConfigError

__all__ = [
    "Auth",
    "Batching",
    "Cache",
    "ConfigError",
    "Embeddings",
    "GatewaySettings",
    "Ingress",
    "InstanceSettings",
    "Knowledge",
    "Log",
    "MetricsSettings",
    "MonitorSettings",
    "Postgres",
    "Provider",
    "Redis",
    "ResponderSettings",
    "Settings",
    "TurnSettings",
    "load",
]
