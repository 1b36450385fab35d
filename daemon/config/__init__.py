"""Settings: read once, checked as a whole, frozen. See `config.yaml` for what each key means.

Puts together its own sections and those that kinds of gateways and providers bring along: those two rooms are what it
may import, beside `daemon/schema`.
"""

from daemon.config.load import load
from daemon.config.schema import InstanceSettings, Settings
from daemon.config.sections import (
    MetricsSettings,
    MonitorSettings,
    PassthroughSettings,
    ResponderSettings,
    TargetsSettings,
)
from daemon.config.sources import ConfigError

__all__ = [
    "ConfigError",
    "InstanceSettings",
    "MetricsSettings",
    "MonitorSettings",
    "PassthroughSettings",
    "ResponderSettings",
    "Settings",
    "TargetsSettings",
    "load",
]
