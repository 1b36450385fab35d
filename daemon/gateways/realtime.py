"""A proxy as a kind of gateway (`gateway.kind: realtime`): it pushes webhooks and delivers replies over one connection.

`daemon/realtime` owns the connection; this file is what a gateway needs of it. What is known about a send, by step:
- no connection of the proxy says `serve`, or the frame has not left yet: `NotSent`, and the reply is held;
- the frame left and the proxy answered: what the answer says;
- the frame left and no answer came, for example because the connection was lost: `Unknown`. If the proxy can say what
  it has sent, it is asked (`find`). If not, it gets the same message again under the same key, by which it recognises
  what it has already sent.

The key is the same for every attempt at one message and for every daemon of an install, and is unique to the message.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from actors.errors import GatewayHeld
from actors.identity import Conversation
from actors.outcome import CannotTell, NotSent, RecordFound, SendEvidence, SendOutcome
from actors.ports import Gateway, MaySend, at_any_time
from actors.text import plain_text
from daemon.gateways.couriers import Couriers, Deliver, Find
from daemon.gateways.kind import GatewayKind, GatewaySettings, KnownSends, ProxyDoor, Tools
from daemon.ingress.inbound import Parse
from daemon.schema.fields import Misfit, Name
from daemon.web.client import HttpClient
from daemon.web.finding import Finding


class RealtimeGateway:
    """The proxy called `client`; serves any number of instances.

    Args:
      label: names a conversation uniquely across installs.
      timeout_seconds: for one whole call.
    """

    def __init__(
        self,
        couriers: Couriers,
        client: str,
        *,
        label: Callable[[Conversation], str],
        new_id: Callable[[], str],
        timeout_seconds: float,
    ) -> None:
        self._couriers = couriers
        self._client = client
        self._label = label
        self._new_id = new_id
        self._timeout_seconds = timeout_seconds

    async def send(
        self,
        conversation: Conversation,
        text: str,
        may_send: MaySend = at_any_time,
        origin: str = "",
        key: str = "",
    ) -> SendOutcome:
        """One delivery. A proxy has no other address, so `origin` is ignored."""
        text = plain_text(text)
        if not text.strip():
            return NotSent("empty_text", "refuse")
        courier = self._couriers.of(self._client, conversation.instance)
        if courier is None:
            return NotSent("proxy_away", "hold")
        instance, contact = map(plain_text, conversation)
        unique = f"{self._label(conversation)}.{key or self._new_id()}"
        frame = Deliver(key=unique, instance=instance, contact=contact, text=text)
        return await courier.deliver(frame, may_send, self._timeout_seconds)

    async def find(
        self,
        conversation: Conversation,
        text: str,
        since_ms: int,
        known_ids: frozenset[str],
        origin: str = "",
    ) -> SendEvidence:
        """Ask the proxy, if it can say. Raises `GatewayHeld` when it is away or does not answer."""
        courier = self._couriers.of(self._client, conversation.instance)
        if courier is None:
            raise GatewayHeld("proxy_away")
        if not courier.finds:
            return CannotTell()
        instance, contact = map(plain_text, conversation)
        frame = Find(
            id=self._new_id(),
            instance=instance,
            contact=contact,
            text=plain_text(text),
            since_ms=since_ms,
            known_ids=sorted(known_ids),
        )
        evidence = await courier.find(frame, self._timeout_seconds)
        if evidence is None:
            raise GatewayHeld("proxy_silent")
        # If another reply owns the message that the proxy names, the answer is about something else.
        return (
            CannotTell()
            if isinstance(evidence, RecordFound) and evidence.message_id in known_ids
            else evidence
        )


class ProxySettings(GatewaySettings):
    client: Name | None = None


class Realtime(GatewayKind[ProxySettings]):
    name = "realtime"
    settings = ProxySettings

    def misfits(self, settings: ProxySettings, door: ProxyDoor) -> Iterator[Misfit]:
        if door.listen is None:
            yield Misfit(("kind",), self.name, "needs realtime.listen to be set")
        if settings.client not in {client.name for client in door.clients}:
            yield Misfit(("client",), settings.client, "must be the name of one of realtime.clients")

    def instance_misfits(self, settings: ProxySettings, instance: str, door: ProxyDoor) -> Iterator[Misfit]:
        """A proxy delivers only what it may see."""
        for client in door.clients:
            if client.name == settings.client and not client.may_see(instance):
                allowed = f"must name a client whose instances include {instance}"
                yield Misfit(("client",), settings.client, allowed)

    def parser(self, settings: ProxySettings) -> Parse:
        # A proxy passes on what its own gateway posted, and the proxies are in front of Evolution.
        from daemon.gateways.evolution.payload import parse_webhook  # not loaded by every command

        return parse_webhook

    def sender(self, settings: ProxySettings, tools: Tools) -> Gateway:
        assert settings.client is not None  # `misfits` refused settings without it
        return RealtimeGateway(
            tools.couriers,
            settings.client,
            label=tools.label,
            new_id=partial(secrets.token_hex, 8),
            timeout_seconds=settings.timeout_seconds,
        )

    async def check(
        self,
        settings: ProxySettings,
        instance: str,
        http: HttpClient,
        sends: KnownSends | None,
        connected_to: str = "",
    ) -> list[Finding]:
        detail = f"{settings.client} delivers; `majlis status` shows whether it is connected"
        return [Finding("ok", detail)]


def delivering_clients(gateways: Iterable[GatewaySettings]) -> frozenset[str]:
    """The clients of the realtime door that deliver for one of these gateways."""
    clients = (getattr(gateway, "client", None) for gateway in gateways if gateway.kind == Realtime.name)
    return frozenset(client for client in clients if client is not None)
