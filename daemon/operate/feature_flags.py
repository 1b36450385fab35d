"""Feature flags: which are on, for which instance, and switching them while the daemon runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import trio
from msgspec import Meta

from actors.errors import Conflict, Missing
from daemon.controls.feature_flags import FLAGS, FlagPage, StoredFlags
from daemon.ledger.records import Records
from daemon.operate.call import AdminCall
from daemon.operate.parameters import Parameters
from daemon.operate.route import Route
from daemon.tenants import Tenants
from daemon.tenants.keys import FLAG_PREFIX
from daemon.web.http1 import Response, json_response

if TYPE_CHECKING:
    FlagName = str
else:  # exactly these words
    FlagName = Annotated[Literal[FLAGS], Meta(description=f"A feature flag: {', '.join(FLAGS)}.")]


class FlagChange(Parameters, frozen=True, kw_only=True):
    flag: FlagName
    change: Annotated[Literal["on", "off", "clear"], Meta(description="on, off or clear.")]
    instance: (
        Annotated[
            str,
            Meta(
                description="For this instance, on every daemon. Without it: for all instances of this daemon."
            ),
        ]
        | None
    ) = None


class FlagBoard:
    """A flag set by hand overrides the configuration; one set for an instance overrides the daemon's."""

    def __init__(self, records: Records, stored: StoredFlags, tenants: Tenants) -> None:
        self._records = records
        self._stored = stored
        self._tenants = tenants

    async def page(self) -> FlagPage:
        await trio.lowlevel.checkpoint()
        return self._stored.page()

    async def set(self, flag: str, value: bool, instance: str | None, by: str) -> FlagPage:
        """Set it for one instance on every daemon, or for this daemon. Raises `Missing` for an unknown instance."""
        if instance is None:
            await self._stored.set(flag, value)
            return self._stored.page()
        if not await self._records.knows_instance(instance):
            raise Missing(f"The database has no instance called {instance}: check the spelling.")
        await self._tenants.change(instance, {f"{FLAG_PREFIX}{flag}": value}, (), by)
        return self._stored.page()

    async def clear(self, flag: str, instance: str | None, by: str) -> FlagPage:
        """Raises `Conflict` when it was not set."""
        if instance is None:
            was_set = await self._stored.clear(flag)
        elif was_set := self._stored.is_set(flag, instance):
            await self._tenants.change(instance, {}, (f"{FLAG_PREFIX}{flag}",), by)
        if not was_set:
            scope = f"for {instance}" if instance else "for this daemon"
            raise Conflict(f"{flag} is not set {scope}: there is nothing to clear, see `majlis flags`.")
        return self._stored.page()


async def _list(flags: FlagBoard, call: AdminCall, asked: Parameters) -> Response:
    """Every feature flag: as configured, as set for this daemon, as set for instances, and what is in force."""
    return json_response(200, await flags.page())


async def _change(flags: FlagBoard, call: AdminCall, asked: FlagChange) -> Response:
    """Switch a feature flag `on` or `off`, or `clear` what was set."""
    instance = asked.instance or None
    place = f"instance {instance}" if instance else "this daemon"
    action = "flags.clear" if asked.change == "clear" else "flags.set"
    await call.audit(action, f"{asked.flag} {asked.change}, {place}")
    if asked.change == "clear":
        return json_response(200, await flags.clear(asked.flag, instance, call.who))
    return json_response(200, await flags.set(asked.flag, asked.change == "on", instance, call.who))


ROUTES = (
    Route("GET", "/v1/flags", FlagBoard, _list, "read", FlagPage),
    Route("POST", "/v1/flags/{flag}/{change}", FlagBoard, _change, "operate", FlagPage, FlagChange),
)
