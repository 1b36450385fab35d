"""Connects an instance's webhook at its gateway to this Majlis, and gives it back.

The laws of this file:
1. What stood at the gateway is remembered, sealed, before it is changed, and until it stands there again. An address of
   our own is never remembered as the former one.
2. Every step may be repeated: killed between any two, the same command ends where it would have ended.
3. Nothing is replaced that the operator was not shown: between the question and the deed it must not have changed.
4. A webhook that somebody else has set since is left alone, unless the operator insists.
5. What was set is read back, and only what was read back counts.
6. Headers, keys and codes are never shown, of addresses neither user nor query.
7. Whoever had the instance's messages can have them again at any time: where they went is stored as the address of mode
   `passthrough`, and the events that they had are asked for as well. In a mode in which nobody would answer, nothing is
   set.
8. No webhook of the instance is turned away meanwhile: an open door asks for its token when the gateway shows it
   already, and only as long as that arrives.

It gives back in this order: first the webhook, so that from one moment on new messages go where they went before; what
Majlis has acknowledged by then is answered by Majlis. So nothing is lost, and nothing is answered twice.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, NamedTuple, Protocol
from urllib.parse import quote

import msgspec
import trio
from pydantic import ValidationError

from actors.crash_points import reach
from actors.errors import Conflict, MajlisError, Missing
from daemon.controls.live_settings import LiveSettings
from daemon.gateways.kind import GatewayKind, GatewaySettings
from daemon.gateways.kinds import GATEWAYS
from daemon.gateways.webhook_setup import (
    Pairing,
    PhoneStanding,
    SetupFailed,
    Webhook,
    WebhookSetup,
)
from daemon.ingress.witness import Witness
from daemon.ledger.connections import ConnectedInstance, Connections
from daemon.ledger.records import Records
from daemon.operate.checks import Check, check_of
from daemon.operate.connect_checks import (
    FEED,
    phone_check,
    read_back_check,
    shown_address,
    shut_check,
    webhook_check,
    written_address,
)
from daemon.operate.former_webhooks import FormerWebhooks
from daemon.operate.forwarding_back import is_somebody, mode_check, settings_of
from daemon.operate.way import IN_FORCE_SECONDS, WayHere
from daemon.tenants.key_file import KeyFileUnfit
from daemon.tenants.sealing import CannotOpen
from daemon.web.client import HttpClient
from daemon.web.http1 import split_address

WHY = "connect"
"""Kept with the version of the instance's settings."""
EVERYWHERE_SECONDS = 1.0
"""By then every daemon knows a change of settings."""
_EVERYWHERE = ("0.0.0.0", "::", "")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")

Ended = Literal["given_back", "would_be", "changed", "not_connected", "failed"]


NOTHING_TO_GIVE_BACK = "Majlis has not set its webhook: nothing to give back. For its settings: --to VERSION."


class TenantSettings(Protocol):
    """Changes the stored settings of an instance."""

    async def change(
        self, name: str, changes: Mapping[str, object], unset: Collection[str], by: str, why: str = ""
    ) -> object: ...


class ConnectDoor(NamedTuple):
    """The webhook door of this daemon."""

    listen: Callable[[], str]
    witness: Witness
    new_client: Callable[[], AbstractAsyncContextManager[HttpClient]]
    """Asks the gateway and the address; it keeps no connections."""


class ConnectWish(msgspec.Struct, frozen=True, kw_only=True):
    """How an instance is to be connected."""

    url: str = ""
    """Where the gateway reaches Majlis; empty: as last time."""
    gateway: str = ""
    """The gateway's address, where it is to be another one than that of the settings."""
    api_key: str = ""
    """And its key."""
    force: bool = False
    """Although the address could not be proven from here."""
    test_message: bool = False
    """The phone sends a message to its own number: an event that disturbs nobody."""
    passthrough: bool = False
    """The instance is put into that mode, and whoever had its messages goes on answering."""


class Looked(NamedTuple):
    """What was found, and what would be set."""

    checks: Sequence[Check]
    standing: PhoneStanding
    now: Webhook | None
    shall: Webhook
    connection: ConnectedInstance | None
    former: Webhook | None
    """What would be given back: as remembered, else what stands there now."""
    can_read: bool
    proven: bool
    """The address leads here."""
    lacks_token: bool
    """The address refuses the token and nothing else is known to be wrong with it."""
    is_answered: bool = True
    """Somebody would answer."""
    is_shut: bool = False
    """What is remembered cannot be opened."""

    def may_go_on(self, wish: ConnectWish) -> bool:
        """Nothing is missing to set the webhook."""
        return self.can_read and ((self.proven and self.is_answered) or wish.force)

    @property
    def is_ours(self) -> bool:
        """What stands at the gateway now is an address of ours."""
        ours = (self.shall.url, *(self.connection.ours if self.connection else ()))
        return self.now is not None and self.now.url in ours


class GivenBack(NamedTuple):
    ended: Ended
    words: str
    """A sentence."""
    now: Webhook | None = None
    former: Webhook | None = None


class _Gateway(NamedTuple):
    kind: str
    settings: GatewaySettings
    setup: WebhookSetup


class Connecting:
    """One object for all instances; of each, one change at a time in this daemon."""

    def __init__(
        self,
        live: LiveSettings,
        records: Records,
        stored: Connections,
        former: FormerWebhooks,
        door: ConnectDoor,
        tenants: TenantSettings | None = None,
    ) -> None:
        """`tenants`: None where settings of instances cannot be changed while Majlis runs."""
        self._live = live
        self._records = records
        self._stored = stored
        self._former = former
        self._door = door
        self._tenants = tenants
        self._key = secrets.token_bytes(16)
        self._locks: dict[str, trio.Lock] = {}

    def makes_token(self, instance: str) -> bool:
        """Whether `connect` makes a token for it first; until then the door may refuse what it asks itself."""
        return self._tenants is not None and not self._own_token(instance)

    def fingerprint(self, webhook: Webhook | None) -> str:
        """Says that a webhook is still the one that was shown, and nothing else about it."""
        content = msgspec.json.encode(webhook)
        return hashlib.blake2b(content, digest_size=8, key=self._key).hexdigest()

    async def look(self, instance: str, wish: ConnectWish) -> Looked:
        """What there is and what would be done; changes nothing.

        Raises:
          Missing: there is no such instance.
          Conflict: its gateway's webhooks are not set from here.
          Conflict: the wish cannot be understood.
        """
        await self._insist(instance)
        async with self._door.new_client() as http:
            return await self._look(http, self._gateway(http, instance, wish), instance, wish)

    async def connect(self, instance: str, wish: ConnectWish, seen: str, by: str) -> tuple[Looked, bool]:
        """Set the gateway's webhook, and say whether it stands. Raises as `look`.

        Raises:
          Conflict: what stands there is not what was seen, or something of it is missing.
          SetupFailed: the gateway did not do it.
        """
        await self._insist(instance)
        async with self._lock(instance), self._door.new_client() as http:
            await self._keep_gateway(instance, wish, by)
            gateway = self._gateway(http, instance, wish)
            made = secrets.token_urlsafe(32) if self.makes_token(instance) else ""
            found = await self._look(http, gateway, instance, wish, made if self._is_open else "")
            if made and not self._is_open and found.can_read and (found.lacks_token or found.may_go_on(wish)):
                # Only now: from then on the door refuses whoever posts for this instance without it.
                await self._keep_token(instance, made, by)
                found = await self._look(http, gateway, instance, wish, patient=True)
            if not found.may_go_on(wish):
                return found, False
            if seen != self.fingerprint(found.now):
                raise Conflict(
                    "The webhook at the gateway is not the one that was shown: look again, and decide again."
                )
            await self._remember(instance, found, by)
            reach("former_remembered")
            found = found._replace(
                checks=[*found.checks, *await self._keep_way_back(instance, found, wish, by)]
            )
            await gateway.setup.write(instance, found.shall)
            reach("webhook_set")
            now = await gateway.setup.read(instance)
            stands = found.shall.is_as(now)
            # What stood there before was said before it was replaced.
            before = (check for check in found.checks if not (stands and check.name == "webhook"))
            checks = [*before, read_back_check(stands)]
            if stands and made and self._is_open:
                checks.append(await self._guard(http, gateway, instance, found, made, by))
            if stands and wish.test_message:
                checks.append(await _write_to_itself(gateway.setup, instance, found.standing))
            connection = await self._stored.of(instance)
            return found._replace(now=now, checks=checks, connection=connection), stands

    async def give_back(self, instance: str, force: bool, confirm: bool) -> GivenBack:
        """Have the gateway post where it posted before; without `confirm`, say what would be done.

        An expected failure raises nothing: it is one of the answers.
        """
        try:
            async with self._lock(instance), self._door.new_client() as http:
                connection = await self._stored.of(instance)
                if connection is None:
                    await self._insist(instance)
                    return GivenBack(
                        "not_connected",
                        NOTHING_TO_GIVE_BACK,
                    )
                former = await self._former.opened(connection)
                setup = self._gateway(http, instance, ConnectWish()).setup
                now = await setup.read(instance)
                return await self._restore(setup, connection, now, former, force, confirm)
        except MajlisError as error:
            return GivenBack("failed", str(error))

    async def pair(self, instance: str, number: str) -> Pairing:
        """The QR code of now. Raises as `look`, and `SetupFailed`."""
        await self._insist(instance)
        async with self._door.new_client() as http:
            return await self._gateway(http, instance, ConnectWish()).setup.pair(instance, number)

    # What is found

    async def _look(
        self,
        http: HttpClient,
        gateway: _Gateway,
        instance: str,
        wish: ConnectWish,
        made: str = "",
        patient: bool = False,
    ) -> Looked:
        """`made`: a token of the instance that the gateway is to show; `patient`: the door learns it just now."""
        checks: list[Check] = []
        standing = await gateway.setup.examine(instance)
        checks.append(check_of(standing.finding, "gateway", gateway.kind))
        if standing.is_known:
            checks.append(phone_check(standing))
        connection = await self._stored.of(instance)
        url, of_address = self._address(instance, wish.url, connection, await self._stored.latest_address())
        checks.append(of_address)
        token, of_token = self._token(instance)
        token = made or token
        checks.append(of_token)
        headers = {"apikey": token} if token else {}
        way = WayHere(http, self._door.witness, gateway.setup, instance)
        proven, refused = await way.prove(url, headers, patient)
        checks.append(proven)
        now, can_read = None, False
        if standing.is_known:
            try:
                now, can_read = await gateway.setup.read(instance), True
            except SetupFailed as error:
                checks.append(Check(name="webhook", state="problem", detail=str(error)))
        media = now is not None and now.enabled and now.base64
        shall = gateway.setup.wanted(url, headers, media)
        found = Looked(
            checks, standing, now, shall, connection, None, can_read, proven.state != "problem", refused
        )
        if not found.is_ours and (now is not None or connection is None):
            found = found._replace(former=now)
        elif connection is not None:
            try:
                found = found._replace(former=await self._former.opened(connection))
            except (CannotOpen, KeyFileUnfit) as error:
                found = found._replace(is_shut=True)
                checks.append(shut_check(error))
        if can_read:
            checks.append(webhook_check(now, found.is_ours, connection is not None))
        former = found.former
        if former is not None and is_somebody(former):
            events = tuple(dict.fromkeys((*shall.events, *former.events)))
            found = found._replace(shall=msgspec.structs.replace(shall, events=events))
        mode = self._live.for_instance(instance).mode
        if can_read and (of_mode := mode_check(mode, former, wish.passthrough)) is not None:
            checks.append(of_mode)
            found = found._replace(is_answered=of_mode.state != "problem")
        if gateway.settings.feed != "webhook":
            checks.append(FEED)
        return found

    async def _insist(self, instance: str) -> None:
        if not await self._records.knows_instance(instance):
            raise Missing(
                f"The database has no instance called {instance}: check the spelling, or add it first."
            )

    def _gateway(self, http: HttpClient, instance: str, wish: ConnectWish) -> _Gateway:
        settings = self._live.for_instance(instance).gateway
        if self._live.gateway(instance) is None and not wish.api_key:
            raise Conflict(
                f"The key of {instance}'s gateway cannot be opened, or a setting of it is not in force, and another "
                "key is not sent there. See `majlis secrets` and `majlis doctor`, or give the key anew: --api-key -."
            )
        kind: GatewayKind[GatewaySettings] = GATEWAYS[settings.kind]
        if wish.gateway or wish.api_key:
            kind = kind if kind.sets_webhooks else _that_sets_webhooks()
            settings = _with(kind, settings, wish)
            for misfit in kind.misfits(settings, self._live.configured.realtime):
                raise Conflict(f"gateway.{'.'.join(misfit.path)} {misfit.allowed}")
        setup = kind.webhook_setup(settings, http)
        if setup is None:
            raise Conflict(
                f"{instance} is reached through a gateway of kind {kind.name}, whose webhooks are not set from "
                "here: tell that gateway itself where to post, or name another one (--gateway URL --api-key -)."
            )
        return _Gateway(kind.name, settings, setup)

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

    def _token(self, instance: str) -> tuple[str, Check]:
        """What the gateway shows at the door: the instance's own token, else the one for all."""
        if own := self._own_token(instance):
            return own, Check(name="token", state="ok", detail="the instance's own (ingress.token)")
        shared = self._live.configured.ingress.auth.tokens
        if self._tenants is not None:
            detail = "the instance has none of its own yet: one is made and stored"
            return (shared[0] if shared else ""), Check(name="token", state="ok", detail=detail)
        if shared:
            return shared[0], Check(name="token", state="ok", detail="the one for all (ingress.auth.token)")
        return "", Check(
            name="token",
            state="warning",
            detail="there is none: anybody who reaches the address can post messages as any instance",
            advice="Set ingress.auth.token, then connect again.",
        )

    def _own_token(self, instance: str) -> str:
        tokens = self._live.for_instance(instance).ingress.token
        return tokens[0].get_secret_value() if tokens else ""

    # What is done

    async def _keep_gateway(self, instance: str, wish: ConnectWish, by: str) -> None:
        if not (wish.gateway or wish.api_key):
            return
        kind = GATEWAYS[self._live.for_instance(instance).gateway.kind]
        changes: dict[str, object] = {}
        if not kind.sets_webhooks:
            changes["gateway.kind"] = _that_sets_webhooks().name
        if wish.gateway:
            changes["gateway.base_url"] = wish.gateway
        if wish.api_key:
            changes["gateway.api_key"] = wish.api_key
        await self._settings_of_tenants().change(instance, changes, (), by, WHY)

    async def _keep_token(self, instance: str, token: str, by: str) -> None:
        """Other daemons know it a moment later."""
        await self._settings_of_tenants().change(instance, {"ingress.token": token}, (), by, WHY)
        with trio.move_on_after(IN_FORCE_SECONDS):
            while self._own_token(instance) != token:  # noqa: ASYNC110 - settings in force are read, they tell nobody
                await trio.sleep(0.05)
        if self._own_token(instance) != token:
            raise Conflict("The token that was made for the instance is not in force yet: try again.")

    async def _guard(
        self, http: HttpClient, gateway: _Gateway, instance: str, found: Looked, token: str, by: str
    ) -> Check:
        """Have an open door ask for the instance's token. Law 8."""
        if not found.proven:
            detail = "the door does not ask for it: whether it arrives could not be proven from here"
            return Check(name="token", state="warning", detail=detail)
        await self._keep_token(instance, token, by)
        way = WayHere(http, self._door.witness, gateway.setup, instance)
        check, _ = await way.prove(found.shall.url, {"apikey": token}, patient=True)
        if check.state != "problem":
            return Check(name="token", state="ok", detail="the door asks for it from now on")
        why = f"{WHY}: the token does not arrive"
        await self._settings_of_tenants().change(instance, {}, ("ingress.token",), by, why)
        detail = f"taken back, because what comes by this address is refused with it: {check.detail}"
        advice = "Have what stands before Majlis pass the header apikey on, and connect again."
        return Check(name="token", state="warning", detail=detail, advice=advice)

    @property
    def _is_open(self) -> bool:
        """The door asks for no token, but for those of instances that have one."""
        return self._live.configured.ingress.auth.mode_in_force == "none"

    async def _keep_way_back(
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
            await self._settings_of_tenants().change(instance, changes, (), by, WHY)
        except Conflict as error:
            if wish.passthrough:
                raise
            detail = f"what it was cannot be forwarded to in mode passthrough: {error}"
            return (Check(name="passthrough", state="warning", detail=detail),)
        if wish.passthrough:  # a webhook that another daemon takes meanwhile is treated by the mode before
            await trio.sleep(EVERYWHERE_SECONDS)
        return ()

    def _settings_of_tenants(self) -> TenantSettings:
        if self._tenants is None:
            raise Conflict(
                "Settings of an instance cannot be stored here: write its gateway into config.yaml."
            )
        return self._tenants

    async def _remember(self, instance: str, found: Looked, by: str) -> None:
        """Law 1."""
        if found.is_shut and (kept := found.connection) is not None:
            await self._stored.remember(instance, kept.key_id, kept.former, found.shall.url, by)
            return
        await self._former.remember(instance, found.former, found.shall.url, by)

    async def _restore(
        self,
        setup: WebhookSetup,
        connection: ConnectedInstance,
        now: Webhook | None,
        former: Webhook | None,
        force: bool,
        confirm: bool,
    ) -> GivenBack:
        instance = connection.instance
        stands = _same(now, former)
        is_ours = now is not None and now.url in connection.ours
        if not (stands or is_ours or force):
            words = (
                "The webhook is no longer the one that Majlis set: somebody has changed it. Nothing was done."
            )
            return GivenBack("changed", words, now, former)
        if not confirm:
            return GivenBack("would_be", f"Its messages would go {_whither(former)}.", now, former)
        if not stands:
            await setup.write(instance, former)
            reach("webhook_restored")
            now = await setup.read(instance)
            if not _same(now, former):
                raise SetupFailed("The gateway did not take all of the former webhook: compare both.")
        await self._stored.forget(instance)
        return GivenBack("given_back", f"Its messages go {_whither(former)} again.", now, former)

    def _lock(self, instance: str) -> trio.Lock:
        return self._locks.setdefault(instance, trio.Lock())


def _that_sets_webhooks() -> GatewayKind[GatewaySettings]:
    return next(kind for kind in GATEWAYS.values() if kind.sets_webhooks)


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


async def _write_to_itself(setup: WebhookSetup, instance: str, standing: PhoneStanding) -> Check:
    if standing.phone != "open" or not standing.number:
        detail = "not sent: the gateway does not tell the phone's number, or it is not connected"
        return Check(name="test message", state="warning", detail=detail)
    try:
        await setup.write_to_itself(instance, standing.number, "Majlis: test of the connection")
    except SetupFailed as error:
        return Check(name="test message", state="warning", detail=str(error))
    return Check(name="test message", state="ok", detail="sent to the phone's own number")


def _same(now: Webhook | None, former: Webhook | None) -> bool:
    return former is None if now is None else now.is_as(former)


def _whither(former: Webhook | None) -> str:
    if former is None:
        return "nowhere: no webhook was set"
    return f"to {shown_address(former.url)}" if former.enabled else "nowhere: the webhook was switched off"
