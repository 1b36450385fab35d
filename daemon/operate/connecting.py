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
9. No token goes to an address before it was proven to lead here (`way.py`); the one for all goes to none. Where the
   operator insists without a proof, the gateway gets the instance's own, which opens the door for nobody else.
10. Every end says what came of it, why, and what to do; and so does the audit log.

It gives back in this order: first the webhook, so that from one moment on new messages go where they went before; what
Majlis has acknowledged by then is answered by Majlis. So nothing is lost, and nothing is answered twice.
"""

from __future__ import annotations

import hashlib
import secrets

import msgspec
import trio

from actors.crash_points import reach
from actors.errors import Conflict, MajlisError
from daemon.controls.live_settings import LiveSettings
from daemon.gateways.webhook_setup import (
    Pairing,
    PhoneStanding,
    SetupFailed,
    Webhook,
    WebhookSetup,
)
from daemon.ledger.connections import Connections
from daemon.ledger.records import Records
from daemon.operate.checks import Check
from daemon.operate.connect_checks import read_back_check
from daemon.operate.connect_look import ConnectDoor, ConnectLook, GatewayAtHand
from daemon.operate.connect_settings import ConnectSettings, TenantSettings
from daemon.operate.connect_wish import ConnectEnd, ConnectWish, GivenBack, Looked
from daemon.operate.former_webhooks import FormerWebhooks
from daemon.operate.giving_back import NOTHING_TO_GIVE_BACK, give_back
from daemon.operate.way import AtGateway, WayHere
from daemon.web.client import HttpClient


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
        self._stored = stored
        self._former = former
        self._door = door
        self._settings = ConnectSettings(live, tenants)
        self._look = ConnectLook(live, records, stored, former, door, self._settings)
        self._key = secrets.token_bytes(16)
        self._locks: dict[str, trio.Lock] = {}

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
        await self._look.insist(instance)
        async with self._door.new_client() as http:
            return await self._look.at(http, self._look.gateway(http, instance, wish), instance, wish)

    async def connect(self, instance: str, wish: ConnectWish, seen: str, by: str) -> Looked:
        """Set the gateway's webhook, and say how that ended. Raises as `look`.

        Raises:
          Conflict: what stands there is not what was seen, or something of it is missing.
          SetupFailed: the gateway did not do it.
        """
        await self._look.insist(instance)
        async with self._lock(instance), self._door.new_client() as http:
            await self._settings.keep_gateway(instance, wish, by)
            gateway = self._look.gateway(http, instance, wish)
            made = secrets.token_urlsafe(32) if self._settings.makes_token(instance) else ""
            is_open = self._settings.is_open
            found = await self._look.at(http, gateway, instance, wish, made if is_open else "")
            if made and not is_open and found.may_go_on(wish):
                # Only now: from then on the door refuses whoever posts for this instance without it.
                await self._settings.keep_token(instance, made, by)
                found = await self._look.at(http, gateway, instance, wish, before=found)
            if not found.may_go_on(wish):
                return found._replace(ended="not_set")
            if seen != self.fingerprint(found.now):
                raise Conflict(
                    "The webhook at the gateway is not the one that was shown: look again, and decide again."
                )
            await self._remember(instance, found, by)
            reach("former_remembered")
            found = found._replace(
                checks=[*found.checks, *await self._settings.keep_way_back(instance, found, wish, by)]
            )
            await gateway.setup.write(instance, found.shall)
            reach("webhook_set")
            now = await gateway.setup.read(instance)
            stands = found.shall.is_as(now)
            # What stood there before was said before it was replaced.
            before = (check for check in found.checks if not (stands and check.name == "webhook"))
            checks = [*before, read_back_check(stands)]
            if stands and made and is_open:
                checks.append(await self._guard(http, gateway, instance, found, made, by))
            if stands and wish.test_message:
                checks.append(await _write_to_itself(gateway.setup, instance, found.standing))
            ended: ConnectEnd = "not_taken" if not stands else "proven" if found.proven else "set"
            if ended == "proven":  # else the first event says so
                await self._stored.proven(instance)
            connection = await self._stored.of(instance)
            return found._replace(now=now, checks=checks, connection=connection, ended=ended)

    async def give_back(self, instance: str, force: bool, confirm: bool) -> GivenBack:
        """Have the gateway post where it posted before; without `confirm`, say what would be done.

        An expected failure raises nothing: it is one of the answers.
        """
        try:
            async with self._lock(instance), self._door.new_client() as http:
                connection = await self._stored.of(instance)
                if connection is None:
                    await self._look.insist(instance)
                    return GivenBack(
                        "not_connected",
                        NOTHING_TO_GIVE_BACK,
                    )
                former = await self._former.opened(connection)
                setup = self._look.gateway(http, instance, ConnectWish()).setup
                now = await setup.read(instance)
                return await give_back(setup, self._stored, connection, now, former, force, confirm)
        except MajlisError as error:
            return GivenBack("failed", str(error))

    async def pair(self, instance: str, number: str) -> Pairing:
        """The QR code of now. Raises as `look`, and `SetupFailed`."""
        await self._look.insist(instance)
        async with self._door.new_client() as http:
            return await self._look.gateway(http, instance, ConnectWish()).setup.pair(instance, number)

    async def _guard(
        self, http: HttpClient, gateway: GatewayAtHand, instance: str, found: Looked, token: str, by: str
    ) -> Check:
        """Have an open door ask for the instance's token. Law 8."""
        if not found.proven:
            detail = "the door does not ask for it: whether it arrives could not be proven from here"
            return Check(name="token", state="warning", detail=detail)
        await self._settings.keep_token(instance, token, by)
        way = WayHere(http, self._door.witness, gateway.setup, instance)
        check = (await way.prove(found.shall.url, AtGateway(token), patient=True)).check
        if check.state != "problem":
            return Check(name="token", state="ok", detail="the door asks for it from now on")
        await self._settings.drop_token(instance, "the token does not arrive", by)
        detail = f"taken back, because what comes by this address is refused with it: {check.detail}"
        advice = "Have what stands before Majlis pass the header apikey on, and connect again."
        return Check(name="token", state="warning", detail=detail, advice=advice)

    async def _remember(self, instance: str, found: Looked, by: str) -> None:
        """Law 1."""
        if found.is_shut and (kept := found.connection) is not None:
            await self._stored.remember(instance, kept.key_id, kept.former, found.shall.url, by)
            return
        await self._former.remember(instance, found.former, found.shall.url, by)

    def _lock(self, instance: str) -> trio.Lock:
        return self._locks.setdefault(instance, trio.Lock())


async def _write_to_itself(setup: WebhookSetup, instance: str, standing: PhoneStanding) -> Check:
    if standing.phone != "open" or not standing.number:
        detail = "not sent: the gateway does not tell the phone's number, or it is not connected"
        return Check(name="test message", state="warning", detail=detail)
    try:
        await setup.write_to_itself(instance, standing.number, "Majlis: test of the connection")
    except SetupFailed as error:
        return Check(name="test message", state="warning", detail=str(error))
    return Check(name="test message", state="ok", detail="sent to the phone's own number")
