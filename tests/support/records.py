"""A gateway's records in memory, and an ingress that notes what it was given: for sweeps on the mock clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import trio

from actors.messages import Message, Receipt
from daemon.gateways.kind import RecordsPage, RecordsUnavailable
from daemon.ingress.inbound import Link, OwnMessage
from daemon.sweep.plan import Mark

NOW = 1_785_100_000


def wall() -> float:
    """Trio's clock as Unix seconds."""
    return NOW + trio.current_time()


def said(id: str, ago: int, contact: str = "5511900000001", instance: str = "demo", lid: str = "") -> Message:
    return Message(instance, contact, id, f"text of {id}", NOW - ago, lid=lid)


def wrote(
    id: str,
    ago: int,
    contact: str = "5511900000001",
    instance: str = "demo",
    lid: str = "",
    on_phone: bool = False,
) -> OwnMessage:
    return OwnMessage(instance, contact, lid, id, f"text of {id}", NOW - ago, on_phone)


@dataclass(eq=False)
class MemoryRecords:
    """Implements `RecordsReader`. `requests` notes each one as (instance, since, until, page, own only).

    Records of one second come in another order on every second page, as those of a real gateway may.
    """

    kept: list[Message | OwnMessage] = field(default_factory=list)
    size: int = 50
    ahead_seconds: float | None = 0.0
    ignores_time: bool = False
    ignores_pages: bool = False
    fails: Callable[[str], RecordsUnavailable | None] = lambda instance: None
    takes_seconds: float = 0.0
    requests: list[tuple[str, int, int, int, bool]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    async def page(
        self,
        instance: str,
        since_seconds: int,
        until_seconds: int,
        number: int,
        before_each: Callable[[], Awaitable[None]],
        own_only: bool = False,
    ) -> RecordsPage:
        await before_each()
        self.requests.append((instance, since_seconds, until_seconds, number, own_only))
        self.times.append(trio.current_time())
        if self.takes_seconds:
            await trio.sleep(self.takes_seconds)
        if (failure := self.fails(instance)) is not None:
            raise failure
        found = [one for one in self.kept if one.instance == instance]
        found = [one for one in found if isinstance(one, OwnMessage) or not own_only]
        if not self.ignores_time:
            found = [one for one in found if since_seconds <= one.sent_at <= until_seconds]
        if self.ignores_pages:
            number = 1
        if number % 2:
            found.reverse()
        found.sort(key=lambda one: one.sent_at, reverse=True)
        shown = found[(number - 1) * self.size : number * self.size]
        within = [one for one in shown if since_seconds <= one.sent_at <= until_seconds]
        reaches = bool(shown) and shown[-1].sent_at < since_seconds
        return RecordsPage(
            messages=tuple(one for one in within if isinstance(one, Message)),
            own=tuple(one for one in within if isinstance(one, OwnMessage)),
            more=len(shown) == self.size and not reaches,
            ignores_time=len(within) < len(shown),
            clock_ahead_seconds=self.ahead_seconds,
            marker=shown[0].id if shown else "",
            oldest=shown[-1].sent_at if shown else 0,
            count=-(-len(found) // self.size) if len(shown) == self.size else 0,
        )


@dataclass
class MemoryHall:
    """The inbox and what is known, at once. `steps` notes in order what was stored and what was heeded."""

    stored: list[Message] = field(default_factory=list)
    in_ledger: set[str] = field(default_factory=set)
    ours: set[str] = field(default_factory=set)
    replies: dict[str, int] = field(default_factory=dict)
    """Of ours: up to when each answers what was said."""
    linked: dict[str, str] = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)
    wrote: dict[str, list[int]] = field(default_factory=dict)
    """By message of the business: when the customer wrote what is missing."""
    refuses: Callable[[Message], Exception | None] = lambda message: None
    dies_after: int | None = None
    """So many messages are stored; with the next one the daemon dies."""

    async def accept_all(self, messages: Sequence[Message]) -> Sequence[Receipt | Exception]:
        await trio.lowlevel.checkpoint()
        return [self._accept(message) for message in messages]

    def _accept(self, message: Message) -> Receipt | Exception:
        if (refusal := self.refuses(message)) is not None:
            return refusal
        duplicate = message.id in {one.id for one in self.stored}
        if not duplicate:
            if self.dies_after is not None:
                if not self.dies_after:
                    raise Died
                self.dies_after -= 1
            self.stored.append(message)
            self.steps.append(message.id)
        return Receipt(duplicate, len(self.stored), 0, 0, 0, 1, False)

    async def take_over(self, own: OwnMessage, wrote: Sequence[int] = ()) -> bool:
        await trio.lowlevel.checkpoint()
        self.steps.append(own.id)
        self.wrote[own.id] = [*wrote]
        return True

    def learn(self, link: Link) -> None:
        self.linked[link.lid] = link.phone

    async def heard(self, _instance: str, ids: Collection[str]) -> frozenset[str]:
        await trio.lowlevel.checkpoint()
        return frozenset(self.in_ledger & set(ids))

    async def settle(self, own: Sequence[OwnMessage], _ahead: float | None) -> frozenset[str]:
        await trio.lowlevel.checkpoint()
        assert [item.sent_at for item in own] == sorted((item.sent_at for item in own), reverse=True)
        return frozenset(self.ours & {item.id for item in own})

    async def answers(self, _instance: str, ids: Collection[str]) -> Mapping[str, int]:
        await trio.lowlevel.checkpoint()
        return {id: until for id, until in self.replies.items() if id in ids}

    async def phones(self, _instance: str, lids: Collection[str]) -> Mapping[str, str]:
        await trio.lowlevel.checkpoint()
        return {lid: self.linked[lid] for lid in lids if lid in self.linked}

    async def reach(self, instance: str, mark: Mark) -> bool:
        await trio.lowlevel.checkpoint()
        self.marks[instance] = mark
        return True


class Died(Exception):
    """The daemon is killed here."""
