"""Settings: read once, checked whole, frozen. See `config.yaml` for what each key means."""

from daemon.config.load import load
from daemon.config.schema import InstanceSettings, Settings
from daemon.config.sections import (
    Auth,
    Batching,
    Cache,
    Embeddings,
    Ingress,
    Knowledge,
    Log,
    MetricsSettings,
    MonitorSettings,
    Postgres,
    Redis,
    ResponderSettings,
    Turn,
)
from daemon.config.sources import ConfigError

__all__ = [
    "Auth",
    "Batching",
    "Cache",
    "ConfigError",
    "Embeddings",
    "Ingress",
    "InstanceSettings",
    "Knowledge",
    "Log",
    "MetricsSettings",
    "MonitorSettings",
    "Postgres",
    "Redis",
    "ResponderSettings",
    "Settings",
    "Turn",
    "load",
]
