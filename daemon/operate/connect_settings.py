"""What `connect` keeps in the settings of an instance: its gateway, its token, and where its messages went before."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import trio

from actors.errors import Conflict
from daemon.config.credentials import plain
from daemon.controls.live_settings import LiveSettings
from daemon.gateways.kind import GatewayKind, GatewaySettings
from daemon.gateways.kinds import GATEWAYS
from daemon.operate.checks import Check
from daemon.operate.connect_wish import ConnectWish, Looked
from daemon.operate.forwarding_back import is_somebody, settings_of
from daemon.operate.way import IN_FORCE_SECONDS, AtGateway

WHY = "connect"
"""Kept with the version of the instance's settings."""
EVERYWHERE_SECONDS = 1.0
"""By then every daemon knows a change of settings."""


class TenantSettings(Protocol):
    """Changes the stored settings of an instance."""

    async def change(
        self, name: str, changes: Mapping[str, object], unset: Collection[str], by: str, why: str = ""
    ) -> object: ...


class ConnectSettings:
    """`tenants`: None where settings of instances cannot be changed while Majlis runs."""

    def __init__(self, live: LiveSettings, tenants: TenantSettings | None) -> None:
        self._live = live
        self._tenants = tenants

    @property
    def can_change(self) -> bool:
        return self._tenants is not None

    def own_token(self, instance: str) -> str:
        tokens = self._live.for_instance(instance).ingress.token
        return tokens[0].get_secret_value() if tokens else ""

    def own(self, instance: str) -> AtGateway:
        """What its gateway can show: a token is repeated for 20 minutes, a JWT is too old before."""
        if token := self.own_token(instance):
            return AtGateway(token)
        keys = plain(self._live.for_instance(instance).ingress.jwt_key)
        return AtGateway(jwt_key=keys[0]) if keys else AtGateway()

    def makes_token(self, instance: str) -> bool:
        """Whether `connect` makes a token for it first."""
        return self._tenants is not None and not self.own(instance).is_known

    async def keep_gateway(self, instance: str, wish: ConnectWish, by: str) -> None:
        if not (wish.gateway or wish.api_key):
            return
        kind = GATEWAYS[self._live.for_instance(instance).gateway.kind]
        changes: dict[str, object] = {}
        if not kind.sets_webhooks:
            changes["gateway.kind"] = that_sets_webhooks().name
        if wish.gateway:
            changes["gateway.base_url"] = wish.gateway
        if wish.api_key:
            changes["gateway.api_key"] = wish.api_key
        await self._stored().change(instance, changes, (), by, WHY)

    async def drop_token(self, instance: str, why: str, by: str) -> None:
        await self._stored().change(instance, {}, ("ingress.token",), by, f"{WHY}: {why}")

    async def keep_token(self, instance: str, token: str, by: str) -> None:
        """Other daemons know it a moment later."""
        await self._stored().change(instance, {"ingress.token": token}, (), by, WHY)
        with trio.move_on_after(IN_FORCE_SECONDS):
            while self.own_token(instance) != token:  # noqa: ASYNC110 - settings in force are read, they tell nobody
                await trio.sleep(0.05)
        if self.own_token(instance) != token:
            raise Conflict("The token that was made for the instance is not in force yet: try again.")

    @property
    def is_open(self) -> bool:
        """The door asks for no token, but for those of instances that have one."""
        return self._live.configured.ingress.auth.mode_in_force == "none"

    async def keep_way_back(
        self, instance: str, found: Looked, wish: ConnectWish, by: str
    ) -> Sequence[Check]:
        """Law 7. What somebody has set of it since stays, once the webhook is ours."""
        changes: dict[str, object] = {"mode": "passthrough"} if wish.passthrough else {}
        settings, former = self._live.for_instance(instance), found.former
        if (
            former is not None
            and is_somebody(former)
            and (not found.is_ours or settings.passthrough.url is None)
        ):
            changes |= settings_of(former, settings.passthrough)
        if not changes or (self._tenants is None and not wish.passthrough):
            return ()
        try:
            await self._stored().change(instance, changes, (), by, WHY)
        except Conflict as error:
            if wish.passthrough:
                raise
            detail = f"what it was cannot be forwarded to in mode passthrough: {error}"
            return (Check(name="passthrough", state="warning", detail=detail),)
        if wish.passthrough:  # a webhook that another daemon takes meanwhile is treated by the mode before
            await trio.sleep(EVERYWHERE_SECONDS)
        return ()

    def _stored(self) -> TenantSettings:
        if self._tenants is None:
            raise Conflict(
                "Settings of an instance cannot be stored here: write its gateway into config.yaml."
            )
        return self._tenants


def that_sets_webhooks() -> GatewayKind[GatewaySettings]:
    return next(kind for kind in GATEWAYS.values() if kind.sets_webhooks)
