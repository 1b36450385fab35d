"""Replies that a proxy delivers: the gateway behind `gateway.kind: realtime`.

What is known of a send, step by step:
- no connection of the proxy says `serve`, or the frame has not left yet: `NotSent`, the reply is held;
- the frame left and the proxy answered: what it says;
- the frame left and no answer came, be it that the connection was lost: `Unknown`. It is asked (`find`) where the proxy
  can tell; else it gets the same message again under the same key, by which it knows what it has sent already.

The key is the same for every try of one message and for every daemon of one install, and no other message has it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from actors.errors import GatewayHeld
from actors.identity import Conversation
from actors.outcome import (
    CannotTell,
    NoRecord,
    NotSent,
    RecordFound,
    SendEvidence,
    SendOutcome,
    Sent,
    Unknown,
)
from actors.ports import MaySend, at_any_time
from actors.text import plain_text
from daemon.gateways.lenient import clean
from daemon.realtime import frames
from daemon.realtime.clients import Client

MAX_MESSAGE_ID_CHARS = 256
_WORD = re.compile(r"[a-z][a-z_]{0,39}")


class Courier(Protocol):
    """One connection of a proxy that said `serve`."""

    client: Client
    finds: bool

    async def deliver(self, frame: frames.Deliver, may_send: MaySend, seconds: float) -> SendOutcome:
        """Hand one message to the proxy and wait for its word."""

    async def find(self, frame: frames.Find, seconds: float) -> frames.Evidence | None:
        """Ask what it has sent; None: no answer came."""


class Couriers:
    """Which connections deliver, by the client's name. Of several of one client, the newest gets what is new."""

    def __init__(self) -> None:
        self._serving: dict[str, list[Courier]] = {}

    def join(self, client: str, courier: Courier) -> None:
        self.leave(client, courier)
        self._serving.setdefault(client, []).append(courier)

    def leave(self, client: str, courier: Courier) -> None:
        left = [other for other in self._serving.get(client, ()) if other is not courier]
        self._serving[client] = left

    def of(self, client: str, instance: str) -> Courier | None:
        """Who delivers for the instance now. Nobody, too, when the client may not see it."""
        serving = self._serving.get(client)
        return serving[-1] if serving and serving[-1].client.may_see(instance) else None


class RealtimeGateway:
    """The proxy called `client`; serves any number of instances.

    Args:
      label: names a conversation as no other install would.
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
        """One `deliver`. A proxy is its own address: `origin` counts for nothing."""
        text = plain_text(text)
        if not text.strip():
            return NotSent("empty_text", "refuse")
        courier = self._couriers.of(self._client, conversation.instance)
        if courier is None:
            return NotSent("proxy_away", "hold")
        instance, contact = map(plain_text, conversation)
        unique = f"{self._label(conversation)}.{key or self._new_id()}"
        frame = frames.Deliver(key=unique, instance=instance, contact=contact, text=text)
        return await courier.deliver(frame, may_send, self._timeout_seconds)

    async def find(
        self,
        conversation: Conversation,
        text: str,
        since_ms: int,
        known_ids: frozenset[str],
        origin: str = "",
    ) -> SendEvidence:
        """Ask the proxy, where it can tell. Raises `GatewayHeld` when it is away or silent."""
        courier = self._couriers.of(self._client, conversation.instance)
        if courier is None:
            raise GatewayHeld("proxy_away")
        if not courier.finds:
            return CannotTell()
        instance, contact = map(plain_text, conversation)
        frame = frames.Find(
            id=self._new_id(),
            instance=instance,
            contact=contact,
            text=plain_text(text),
            since_ms=since_ms,
            known_ids=sorted(known_ids),
        )
        said = await courier.find(frame, self._timeout_seconds)
        if said is None:
            raise GatewayHeld("proxy_silent")
        return _evidence(said, known_ids)


def outcome_of(said: frames.Outcome) -> SendOutcome:
    """What the proxy's word proves."""
    if said.outcome == "sent":
        return Sent(clean(said.message_id, MAX_MESSAGE_ID_CHARS))
    # It becomes part of logs and metrics: a stable word or none.
    reason = said.reason if _WORD.fullmatch(said.reason) else "proxy_says_so"
    if said.outcome == "not_sent":
        return NotSent(reason, said.remedy, said.retry_after_seconds)
    return Unknown(reason)


def _evidence(said: frames.Evidence, known_ids: frozenset[str]) -> SendEvidence:
    if said.evidence == "not_found":
        return NoRecord()
    message_id = clean(said.message_id, MAX_MESSAGE_ID_CHARS)
    if said.evidence == "found" and message_id and message_id not in known_ids:
        return RecordFound(message_id)
    return CannotTell()
