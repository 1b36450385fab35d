"""The settings in force, and where each came from."""

from __future__ import annotations

from typing import Annotated

import msgspec
import trio
from msgspec import Meta

from daemon.config import Settings
from daemon.config.in_force import in_force
from daemon.observe.logs import mask_digits
from daemon.operate.call import AdminCall
from daemon.operate.parameters import Parameters
from daemon.operate.route import Route
from daemon.web.http1 import Response


class ConfigValue(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    value: str
    """As YAML would spell it; `****` for what is secret."""
    origin: str
    """`default`, the file's path, `environment MAJLIS_…`, `credential …` or `--set`."""


class ConfigPage(msgspec.Struct, frozen=True, kw_only=True):
    values: list[ConfigValue]


class ConfigQuery(Parameters, frozen=True, kw_only=True):
    reveal: Annotated[
        bool,
        Meta(description="Show phone numbers of staff. Needs level admin; the audit log records who asked."),
    ] = False


class SettingsInForce:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def page(self, reveal: bool) -> ConfigPage:
        """Every setting. Phone numbers of staff are masked unless `reveal`; secrets always are."""
        await trio.lowlevel.checkpoint()
        return ConfigPage(
            values=[
                ConfigValue(
                    key=row.key,
                    value=row.value if reveal or not row.key.endswith("_numbers") else mask_digits(row.value),
                    origin=row.origin,
                )
                for row in in_force(self._settings)
            ]
        )


async def _page(settings: SettingsInForce, call: AdminCall, asked: ConfigQuery) -> Response:
    """Every setting in force, and where it came from; secrets are always masked."""
    return await call.answer(await settings.page(call.reveal), "settings")


ROUTES = (Route("GET", "/v1/config", SettingsInForce, _page, "read", ConfigPage, ConfigQuery),)
