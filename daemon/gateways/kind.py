"""What a kind of gateway is: its settings, how its webhooks are read, how replies leave, what the doctor examines.

A kind is a subclass of `GatewayKind` and one line in `kinds.py`. The command line reads the settings of every kind at
each start, so a kind imports what is heavy inside its methods.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Iterator
from typing import Generic, Literal, Protocol, TypeVar

import msgspec

from actors.identity import Conversation
from actors.ports import Feed, Gateway
from daemon.gateways.couriers import Couriers
from daemon.ingress.inbound import Parse
from daemon.schema.fields import Misfit, Seconds, SecondsOrZero, Section
from daemon.web.client import HttpClient
from daemon.web.finding import Finding
from daemon.web.http1 import Response


class GatewaySettings(Section):
    """The keys that mean the same for every kind."""

    kind: str = "console"
    """One of `GATEWAYS`; the first run needs no gateway."""
    feed: Literal["webhook", "websocket"] = "webhook"
    timeout_seconds: Seconds = 30.0
    on_unresolved: Literal["resend_once", "hold"] = "resend_once"
    settle_seconds: SecondsOrZero = 5.0
    allowed_origins: tuple[str, ...] = ()


SettingsT = TypeVar("SettingsT", bound=GatewaySettings)


class ProxyClient(Protocol):
    @property
    def name(self) -> str: ...

    def may_see(self, instance: str) -> bool: ...


class ProxyDoor(Protocol):
    """The settings of the realtime door, as far as a gateway behind it depends on them."""

    @property
    def listen(self) -> str | None: ...

    @property
    def clients(self) -> Collection[ProxyClient]: ...


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """What the composition root offers to every gateway."""

    http: HttpClient
    """Keeps no connections: a send on one that dies in that moment could not be told from one that arrived."""
    couriers: Couriers
    label: Callable[[Conversation], str]
    """Names a conversation as no other install would."""


class FeedState(msgspec.Struct, frozen=True):
    """How a feed is doing, for the status."""

    instance: str
    connected: bool
    received: int
    lost: int
    """Came and could not be kept."""
    connections: int
    """Since the start; what happened between two of them may never come."""
    note: str = ""
    """What an operator must know of such a feed."""


class InstanceFeed(Protocol):
    """Listens to the gateway for one instance: inbound messages without a webhook."""

    async def run(self) -> None:
        """Until cancelled."""

    def give_up(self) -> None:
        """After `run`: what still waits to be stored is lost."""

    def state(self) -> FeedState: ...


Receive = Callable[[bytes], Awaitable[Response]]
"""Takes one payload as the webhook door does, and answers as it does."""


class GatewayKind(ABC, Generic[SettingsT]):
    """One kind of gateway. Holds no state: what it makes does."""

    name: str
    """The value of `gateway.kind`."""
    settings: type[SettingsT]
    """The section with its own keys."""
    has_feed = False
    """Whether `gateway.feed: websocket` is possible."""
    knows_instances = False
    """Whether `check` tells of each instance whether the gateway knows it."""

    def misfits(self, settings: SettingsT, door: ProxyDoor) -> Iterator[Misfit]:
        """What is wrong with the settings, each by its key within the `gateway` section."""
        yield from ()

    def instance_misfits(self, settings: SettingsT, instance: str, door: ProxyDoor) -> Iterator[Misfit]:
        """What is wrong with them for one declared instance."""
        yield from ()

    @abstractmethod
    def parser(self, settings: SettingsT) -> Parse | None:
        """Reads its webhooks; None: it posts none."""

    @abstractmethod
    def sender(self, settings: SettingsT, tools: Tools) -> Gateway:
        """Sends replies. How many calls run at once is bounded elsewhere: see `BoundedGateway`."""

    @abstractmethod
    async def check(self, settings: SettingsT, instance: str, http: HttpClient) -> Finding:
        """What `majlis doctor` says of one instance's gateway. Bounded by `DOCTOR_SECONDS`; never raises for it."""

    def feed(self, settings: SettingsT, instance: str, receive: Receive, events: Feed) -> InstanceFeed:
        """Listens for `instance`; only where `has_feed`."""
        raise NotImplementedError(f"{self.name} has no feed")
