"""Settings: read once, checked whole, frozen. See `config.yaml` for what each key means."""

from daemon.config.load import load
from daemon.config.schema import InstanceSettings, Settings
from daemon.config.sections import MetricsSettings, MonitorSettings, ResponderSettings
from daemon.config.sources import ConfigError

__all__ = [
    "ConfigError",
    "InstanceSettings",
    "MetricsSettings",
    "MonitorSettings",
    "ResponderSettings",
    "Settings",
    "load",
]
