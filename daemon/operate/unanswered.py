"""Deeds after which nobody would answer the customers of a connected instance: they are done for who says yes.

Majlis has set the instance's webhook, so whoever had its messages before hears nothing. If Majlis falls silent as well,
or forgets how to give the webhook back, customers write to nobody.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from actors.errors import Conflict
from daemon.controls.live_settings import LiveSettings
from daemon.ledger.connections import Connections
from daemon.tenants.keys import canonical

_SILENT = ("shadow", "off", "false", "no")
"""Values, as a person or a file may spell them."""


class AsksFirst(Conflict):
    """It is done when it is asked for again with `yes`. The text says what would come of it, and what else to do."""


class Silencing:
    """Every method may raise `LedgerUnavailable`."""

    def __init__(self, connections: Connections, live: LiveSettings) -> None:
        self._connections = connections
        self._live = live

    async def warning(self, instance: str, changes: Mapping[str, object]) -> str:
        """What a change of settings would do to the customers; empty: nothing of this kind."""
        silent = {
            key: word
            for one, value in changes.items()
            if (key := canonical(one)) in ("mode", "active")
            and (word := str(getattr(value, "parsed", value)).strip().lower()) in _SILENT
        }
        if not silent or self._live.terms(instance).mode in _SILENT:
            return ""
        if await self._connections.of(instance) is None:
            return ""
        mode = "off" if silent.get("mode") in ("false", "no") else silent.get("mode")
        how = f"in mode {mode}" if mode else "while it is inactive"
        return (
            f"{instance} is connected: its messages come here, and whoever had them before hears nothing. Majlis sends "
            f"nothing {how}, so its customers get no answer from anyone. If another system is to answer, use "
            f"mode=passthrough, or give the webhook back: `majlis instance rollback {shlex.quote(instance)}`. "
            "To compare in shadow, have the gateway's messages go to that system as well (docs/moving.md)."
        )

    async def insist(self, instance: str, changes: Mapping[str, object], yes: bool) -> None:
        """Raises `AsksFirst`."""
        if not yes and (warning := await self.warning(instance, changes)):
            raise AsksFirst(warning)

    async def insist_on_removal(self, instance: str, yes: bool) -> None:
        """Raises `AsksFirst`."""
        if yes or await self._connections.of(instance) is None:
            return
        raise AsksFirst(
            f"{instance} is connected: its webhook at the gateway would go on leading here, where nobody would answer, "
            "and what is needed to give it back may be deleted with its settings. Give it back first: "
            f"`majlis instance rollback {shlex.quote(instance)}`, or `majlis instance remove --rollback`."
        )
