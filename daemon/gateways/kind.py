"""What a kind of gateway is: its settings, how its webhooks are read, how replies leave, and what the doctor checks.

A kind is a subclass of `GatewayKind` and one line in `kinds.py`. The command line reads the settings of every kind at
each start, so a kind imports what is heavy inside its methods.
"""

from __future__ import annotations

import ssl
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from typing import Generic, Literal, Protocol, TypeVar

import msgspec

from actors.errors import Unavailable
from actors.identity import Conversation
from actors.messages import Message
from actors.ports import Feed, Gateway
from daemon.gateways.couriers import Couriers
from daemon.gateways.webhook_setup import WebhookSetup
from daemon.ingress.inbound import Link, OwnMessage, Parse
from daemon.schema.fields import Misfit, Seconds, SecondsOrZero, Section, Visible
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
    allowed_origins: tuple[Visible, ...] = ()


SettingsT = TypeVar("SettingsT", bound=GatewaySettings)


class ProxyClient(Protocol):
    @property
    def name(self) -> str: ...

    def may_see(self, instance: str) -> bool: ...


class ProxyDoor(Protocol):
    """The settings of the realtime door that a gateway behind it depends on."""

    @property
    def listen(self) -> str | None: ...

    @property
    def clients(self) -> Collection[ProxyClient]: ...


class KnownSends(Protocol):
    """What became of an instance's latest sends, as the ledger knows it."""

    @property
    def ids(self) -> Collection[str]:
        """The gateway's ids of those that it accepted, the newest first, without the very latest."""

    @property
    def sent(self) -> int:
        """Accepted, and not reported as failed since."""

    @property
    def failed(self) -> int:
        """Refused, or reported as failed later."""

    @property
    def reason(self) -> str:
        """Of the latest failure."""


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """What the composition root offers to every gateway."""

    http: HttpClient
    """Keeps no connections: if a kept one dies at that moment, a send on it looks as if it had arrived."""
    couriers: Couriers
    label: Callable[[Conversation], str]
    """Names a conversation uniquely across installs."""


class FeedView(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway's own feed of one instance, as the status shows it."""

    instance: str
    connected: bool
    """Whether it hears this instance; that the gateway took the connection is not enough."""
    waiting: bool = False
    """The gateway took the connection, and will tell nothing before the instance's first event."""
    reason: str = ""
    """Why it is not connected, as in the event `gateway.feed_down`; empty: it is, or was never tried to the end."""
    received: int = 0
    lost: int = 0
    """Events that could not be stored: too many were waiting, the event was too large, or every attempt was refused."""
    connections: int = 0
    """Since the start; events between two connections may be lost."""
    note: str = ""
    """What an operator must know about such a feed; empty: nothing."""


class InstanceFeed(Protocol):
    """Listens to the gateway for one instance: inbound messages without a webhook."""

    async def run(self) -> None:
        """Listen until cancelled."""

    def give_up(self) -> None:
        """After `run`: what still waits to be stored is lost."""

    def view(self) -> FeedView: ...


class RecordsPage(msgspec.Struct, frozen=True, kw_only=True):
    """What one page of a gateway's records says of a range of time, newest first."""

    messages: tuple[Message, ...] = ()
    """Of customers, one to one."""
    own: tuple[OwnMessage, ...] = ()
    """Of the business: what its people wrote, and what any software sent for it."""
    links: tuple[Link, ...] = ()
    more: bool = False
    """The next page may hold records of the range."""
    ignores_time: bool = False
    """The gateway gives records of other times as well: each page begins with the newest there is."""
    clock_ahead_seconds: float | None = None
    """How far the gateway's clock is ahead of ours; None: it does not say."""
    unread: int = 0
    """Records that are too large to be read."""
    marker: str = ""
    """The same as that of another page: it is the same page again."""
    oldest: int = 0
    """The time of its last record, of whatever sort, in Unix seconds; 0: not known."""
    count: int = 0
    """Of a full page: how many pages the range has, if the gateway says so."""


class RecordsUnavailable(Unavailable):
    """The gateway's records cannot be read now. `everyone`: it is the gateway that is away, not this instance."""

    def __init__(self, reason: str, everyone: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.everyone = everyone


class RecordsReader(Protocol):
    """Reads what a gateway keeps of an instance's messages."""

    async def page(
        self,
        instance: str,
        since_seconds: int,
        until_seconds: int,
        number: int,
        before_each: Callable[[], Awaitable[None]],
        own_only: bool = False,
    ) -> RecordsPage:
        """Page `number`, from 1 on, of the records from `since_seconds` to `until_seconds`, both included.

        Times are Unix seconds: WhatsApp's for what it delivered, the gateway's for what was sent through it. Two pages
        that share a second may both lack a record of it: gateways order those of one second differently each time.

        Args:
          before_each: awaited before every request.
          own_only: only `own` is wanted.

        Raises:
          RecordsUnavailable: see there.
        """


Receive = Callable[[bytes], Awaitable[Response]]
"""Takes one payload and answers it, as the webhook door does."""


class GatewayKind(ABC, Generic[SettingsT]):
    """One kind of gateway. It holds no state; the objects that it makes do."""

    name: str
    """The value of `gateway.kind`."""
    settings: type[SettingsT]
    """The section with its own keys."""
    has_feed = False
    """Whether `gateway.feed: websocket` is possible."""
    knows_instances = False
    """Whether `check` finds out if the gateway knows the instance."""
    sets_webhooks = False
    """Whether `webhook_setup` gives something, by a base URL and a key."""

    def misfits(self, settings: SettingsT, door: ProxyDoor) -> Iterator[Misfit]:
        """What is wrong with the settings, each by its key within the `gateway` section."""
        yield from ()

    def instance_misfits(self, settings: SettingsT, instance: str, door: ProxyDoor) -> Iterator[Misfit]:
        """What is wrong with the settings for one declared instance."""
        yield from ()

    @abstractmethod
    def parser(self, settings: SettingsT) -> Parse | None:
        """Reads its webhooks; None: it posts none."""

    @abstractmethod
    def sender(self, settings: SettingsT, tools: Tools) -> Gateway:
        """Sends replies. How many calls run at once is bounded elsewhere: see `BoundedGateway`."""

    def records(self, settings: SettingsT, http: HttpClient) -> RecordsReader | None:
        """Reads the gateway's records; None: it keeps none."""
        return None

    @abstractmethod
    async def check(
        self,
        settings: SettingsT,
        instance: str,
        http: HttpClient,
        sends: KnownSends | None,
        connected_to: str = "",
    ) -> Sequence[Finding]:
        """What `majlis doctor` reports about an instance's gateway, in `DOCTOR_SECONDS`. A failure raises nothing.

        The first finding says whether the instance can send. Those after it have a topic each; what several instances
        have in common must be equal, word for word, for then it is said once.

        Args:
          sends: None where the ledger cannot be asked.
          connected_to: the address that `majlis instance connect` set for its webhooks; empty: none.
        """

    def webhook_setup(self, settings: SettingsT, http: HttpClient) -> WebhookSetup | None:
        """Sets where the gateway posts; None: that is not set from here."""
        return None

    def feed(
        self, settings: SettingsT, instance: str, receive: Receive, events: Feed, tls: ssl.SSLContext
    ) -> InstanceFeed | None:
        """Listens for `instance`; None: this kind has no feed. `tls`: which servers are believed."""
        return None
