"""What there is of an instance's connection, and what would be set. Nothing is changed here."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple
from urllib.parse import quote

import msgspec
from pydantic import ValidationError

from actors.errors import Conflict, Missing
from daemon.controls.live_settings import LiveSettings
from daemon.gateways.kind import GatewayKind, GatewaySettings
from daemon.gateways.kinds import GATEWAYS
from daemon.gateways.webhook_setup import SetupFailed, WebhookSetup
from daemon.ingress.witness import Witness
from daemon.ledger.connections import ConnectedInstance, Connections
from daemon.ledger.records import Records
from daemon.operate.checks import Check, check_of
from daemon.operate.connect_checks import (
    FEED,
    phone_check,
    shut_check,
    webhook_check,
    written_address,
)
from daemon.operate.connect_settings import ConnectSettings, that_sets_webhooks
from daemon.operate.connect_wish import ConnectWish, Looked
from daemon.operate.former_webhooks import FormerWebhooks
from daemon.operate.forwarding_back import is_somebody, mode_check
from daemon.operate.way import AtGateway, WayHere
from daemon.tenants.key_file import KeyFileUnfit
from daemon.tenants.sealing import CannotOpen
from daemon.web.client import HttpClient
from daemon.web.http1 import split_address

_EVERYWHERE = ("0.0.0.0", "::", "")
_BY_JWT = (
    "the gateway makes one for each webhook with the instance's own key (ingress.jwt_key), and shows it again when "
    "it repeats the webhook: after 11 minutes it is refused, and the webhook is lost"
)
_BY_JWT_ADVICE = "Set ingress.token as well, and connect again: a token in a header does not expire."
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class ConnectDoor(NamedTuple):
    """The webhook door of this daemon."""

    listen: Callable[[], str]
    witness: Witness
    new_client: Callable[[], AbstractAsyncContextManager[HttpClient]]
    """Asks the gateway and the address; it keeps no connections."""


class GatewayAtHand(NamedTuple):
    """Of one instance, while it is talked to."""

    kind: str
    settings: GatewaySettings
    setup: WebhookSetup


class ConnectLook:
    """Every method may raise `LedgerUnavailable`."""

    def __init__(
        self,
        live: LiveSettings,
        records: Records,
        stored: Connections,
        former: FormerWebhooks,
        door: ConnectDoor,
        settings: ConnectSettings,
    ) -> None:
        self._live = live
        self._records = records
        self._stored = stored
        self._former = former
        self._door = door
        self._settings = settings

    async def at(
        self,
        http: HttpClient,
        gateway: GatewayAtHand,
        instance: str,
        wish: ConnectWish,
        made: str = "",
        before: Looked | None = None,
    ) -> Looked:
        """Look.

        Args:
          made: a token of the instance that the gateway is to show.
          before: an earlier look. The door learns the instance's token just now, and an address that did not lead here
            a moment ago is not asked again.
        """
        standing = await gateway.setup.examine(instance)
        connection = await self._stored.of(instance)
        url, of_address = self._address(instance, wish.url, connection, await self._stored.latest_address())
        own, of_token = self._token(instance)
        shows = AtGateway(made) if made else own
        if before is None or before.way.leads_here:
            asked = WayHere(http, self._door.witness, gateway.setup, instance)
            way = await asked.prove(url, shows, patient=before is not None)
        else:
            way = before.way
        of_phone = [phone_check(standing)] if standing.is_known else []
        checks = [
            check_of(standing.finding, "gateway", gateway.kind),
            *of_phone,
            of_address,
            of_token,
            way.check,
        ]
        now, can_read = None, False
        if standing.is_known:
            try:
                now, can_read = await gateway.setup.read(instance), True
            except SetupFailed as error:
                checks.append(Check(name="webhook", state="problem", detail=str(error)))
        headers = shows.headers if shows.is_known or self._settings.makes_token(instance) else {}
        base64 = now is not None and now.enabled and now.base64
        typing = self._live.window(instance).typing_seconds > 0
        shall = gateway.setup.wanted(url, headers, base64, typing)
        found = await self._with_former(Looked(checks, standing, now, shall, connection, None, can_read, way))
        return self._with_answers(found, instance, wish, gateway.settings)

    async def _with_former(self, found: Looked) -> Looked:
        """What would be given back, and the events that whoever had the webhook gets."""
        checks, connection = [*found.checks], found.connection
        if not found.is_ours and (found.now is not None or connection is None):
            found = found._replace(former=found.now)
        elif connection is not None:
            try:
                found = found._replace(former=await self._former.opened(connection))
            except (CannotOpen, KeyFileUnfit) as error:
                found = found._replace(is_shut=True)
                checks.append(shut_check(error))
        if found.can_read:
            checks.append(webhook_check(found.now, found.is_ours, connection is not None))
        former, shall = found.former, found.shall
        if former is not None and is_somebody(former):
            events = tuple(dict.fromkeys((*shall.events, *former.events)))
            shall = msgspec.structs.replace(shall, events=events)
        return found._replace(checks=checks, shall=shall)

    def _with_answers(
        self, found: Looked, instance: str, wish: ConnectWish, settings: GatewaySettings
    ) -> Looked:
        """Whether anybody would answer."""
        checks = [*found.checks]
        mode = self._live.for_instance(instance).mode
        if found.can_read and (of_mode := mode_check(mode, found.former, wish.passthrough)) is not None:
            checks.append(of_mode)
            found = found._replace(is_answered=of_mode.state != "problem")
        if settings.feed != "webhook":
            checks.append(FEED)
        return found._replace(checks=checks)

    async def insist(self, instance: str) -> None:
        if not await self._records.knows_instance(instance):
            raise Missing(
                f"The database has no instance called {instance}: check the spelling, or add it first."
            )

    def gateway(self, http: HttpClient, instance: str, wish: ConnectWish) -> GatewayAtHand:
        settings = self._live.for_instance(instance).gateway
        if self._live.gateway(instance) is None and not wish.api_key:
            raise Conflict(
                f"The key of {instance}'s gateway cannot be opened, or a setting of it is not in force, and another "
                "key is not sent there. See `majlis secrets` and `majlis doctor`, or give the key anew: --api-key -."
            )
        kind: GatewayKind[GatewaySettings] = GATEWAYS[settings.kind]
        if wish.gateway or wish.api_key:
            kind = kind if kind.sets_webhooks else that_sets_webhooks()
            settings = _with(kind, settings, wish)
            for misfit in kind.misfits(settings, self._live.configured.realtime):
                raise Conflict(f"gateway.{'.'.join(misfit.path)} {misfit.allowed}")
        setup = kind.webhook_setup(settings, http)
        if setup is None:
            raise Conflict(
                f"{instance} is reached through a gateway of kind {kind.name}, whose webhooks are not set from "
                "here: tell that gateway itself where to post, or name another one (--gateway URL --api-key -)."
            )
        return GatewayAtHand(kind.name, settings, setup)

    def _address(
        self, instance: str, given: str, connection: ConnectedInstance | None, latest: tuple[str, str] | None
    ) -> tuple[str, Check]:
        """Where the gateway is to post. Raises `Conflict`."""
        if given:
            return written_address(given, instance), Check(
                name="address", state="ok", detail="as it was given"
            )
        if connection is not None:
            return connection.ours[0], Check(name="address", state="ok", detail="as last time")
        if latest is not None and latest[1].endswith(end := f"/{quote(latest[0], safe='')}"):
            url = f"{latest[1].removesuffix(end)}/{quote(instance, safe='')}"
            return url, Check(name="address", state="ok", detail=f"as for {latest[0]}")
        try:
            host, port = split_address(self._door.listen())
        except ValueError:
            raise Conflict("url must be given: where the gateway reaches Majlis") from None
        host = "127.0.0.1" if host in _EVERYWHERE else f"[{host}]" if ":" in host else host
        detail = "none was given, so it is where Majlis listens"
        if host.strip("[]") in _LOOPBACK:
            detail += ": only a gateway on this machine, outside any container, reaches it"
        advice = (
            "Give the address by which the gateway reaches Majlis (--url); through the internet with https."
        )
        address = f"http://{host}:{port}/webhook/{quote(instance, safe='')}"
        return address, Check(name="address", state="warning", detail=detail, advice=advice)

    def _token(self, instance: str) -> tuple[AtGateway, Check]:
        """What the gateway shows at the door: what the instance has for itself, and never what is for all."""
        own = self._settings.own(instance)
        if own.jwt_key:
            return own, Check(name="token", state="warning", detail=_BY_JWT, advice=_BY_JWT_ADVICE)
        if own.is_known:
            return own, Check(name="token", state="ok", detail="the instance's own (ingress.token)")
        if self._settings.can_change:
            detail = "the instance has none of its own yet: one is made and stored"
            return own, Check(name="token", state="ok", detail=detail)
        return own, Check(
            name="token",
            state="warning",
            detail="the instance has none: whoever reaches the address can post messages for it",
            advice="Set its ingress.token, then connect again.",
        )


def _with(
    kind: GatewayKind[GatewaySettings], settings: GatewaySettings, wish: ConnectWish
) -> GatewaySettings:
    """The settings with another address or key. Raises `Conflict`."""
    kept = {name: getattr(settings, name) for name in type(settings).model_fields}
    given = {"kind": kind.name, "base_url": wish.gateway, "api_key": wish.api_key}
    try:
        return type(settings)(**{**kept, **{key: value for key, value in given.items() if value}})
    except ValidationError:
        raise Conflict("gateway must be the address of the gateway, and api_key its key") from None
