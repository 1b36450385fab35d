"""How the settings of the dashboard must fit together."""

from __future__ import annotations

import re
from collections.abc import Iterator

from daemon.config.schema import Settings
from daemon.fields import Misfit
from daemon.web.http1 import split_address

_HOST = re.compile(
    r"(?=.{1,253}(:|$))[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:[1-9][0-9]{0,4})?"
)


def dashboard_misfits(settings: Settings) -> Iterator[Misfit]:
    dashboard = settings.dashboard
    if dashboard.listen is not None:
        try:
            split_address(dashboard.listen)
        except ValueError:
            allowed = "must be host:port, e.g. 127.0.0.1:8089, or null"
            yield Misfit(("dashboard", "listen"), dashboard.listen, allowed)
    for index, host in enumerate(dashboard.hosts):
        if _HOST.fullmatch(host) is None:
            allowed = (
                "must be a host name in small letters, with its port if it has one, e.g. majlis.example.com"
            )
            yield Misfit(("dashboard", "hosts", str(index)), host, allowed)
