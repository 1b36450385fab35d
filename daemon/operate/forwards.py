"""What waits to be forwarded, or could not be: webhooks of instances in mode `passthrough`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from actors.errors import Missing
from actors.ports import Feed
from daemon.forwarding.store import PORTION, ForwardStore, Queue, Stored
from daemon.operate.call import AdminCall, iso
from daemon.operate.parameters import DEFAULT_LIMIT, MAX_ID, MUST_BE, InstanceName, Limit, Parameters
from daemon.operate.route import Route
from daemon.web.http1 import Response, json_response

MAX_PORTIONS = 100
ForwardNumber = Annotated[
    int,
    Meta(
        ge=1,
        le=MAX_ID,
        description="The number of a webhook that is to be forwarded.",
        extra={MUST_BE: "the number of a webhook; see `majlis forwards`"},
    ),
]


class ForwardQueue(msgspec.Struct, frozen=True, kw_only=True):
    """What one instance has."""

    instance: str
    waiting: int
    waiting_bytes: int
    dead: int
    dead_bytes: int
    oldest_seconds: float | None = None
    """How long the next one has waited; null: none does."""
    rests_seconds: float = 0.0
    """Until the next attempt."""


class ForwardView(msgspec.Struct, frozen=True, kw_only=True):
    """One webhook; nothing of what is in it."""

    id: int
    instance: str
    state: Literal["waiting", "dead"]
    event: str
    """The gateway's name for it; empty: it is not known."""
    size_bytes: int
    heard_at: str
    tries: int
    reason: str = ""
    """Why the last attempt failed."""
    dead_at: str | None = None


class ForwardPage(msgspec.Struct, frozen=True, kw_only=True):
    queues: list[ForwardQueue]
    webhooks: list[ForwardView]


class ForwardsRetried(msgspec.Struct, frozen=True, kw_only=True):
    retried: int
    """How many wait again, each in its old place."""


class ForwardDropped(msgspec.Struct, frozen=True, kw_only=True):
    dropped: int
    """Its number. Nothing of it is kept."""


class ForwardsQuery(Parameters, frozen=True, kw_only=True):
    instance: InstanceName | None = None
    dead: Annotated[bool, Meta(description="Only those that could not be forwarded.")] = False
    limit: Limit = DEFAULT_LIMIT


class OneForward(Parameters, frozen=True, kw_only=True):
    id: ForwardNumber


class OfInstance(Parameters, frozen=True, kw_only=True):
    instance: InstanceName | None = None


class ForwardDesk:
    """Every method may raise `LedgerUnavailable`. `nudge` is called when something waits again."""

    def __init__(self, store: ForwardStore, feed: Feed, nudge: Callable[[], None]) -> None:
        self._store = store
        self._feed = feed
        self._nudge = nudge

    async def page(self, instance: str | None, dead: bool, limit: int) -> ForwardPage:
        """The oldest first."""
        queues = await self._store.queues(instance)
        found = await self._store.listed(instance, dead, limit)
        now = datetime.now(UTC)
        return ForwardPage(queues=[_queue(one, now) for one in queues], webhooks=list(map(_view, found)))

    async def retry(self, number: int) -> None:
        """Raises `Missing` where none with this number is dead."""
        if not await self._store.retry(number):
            raise Missing(f"No webhook {number} is dead: see `majlis forwards --dead`.")
        self._feed.emit("forward.retried", webhooks=1)
        self._nudge()

    async def retry_all(self, instance: str | None) -> int:
        total = 0
        for _ in range(MAX_PORTIONS):  # what is dead again by then is not tried for ever
            number = await self._store.retry(None, instance)
            total += number
            if number < PORTION:
                break
        if total:
            self._feed.emit("forward.retried", webhooks=total)
            self._nudge()
        return total

    async def drop(self, number: int) -> None:
        """Throw one away, whether it waits or is dead. Raises `Missing`."""
        instance = await self._store.drop(number)
        if instance is None:
            raise Missing(f"There is no webhook {number}: see `majlis forwards`.")
        self._feed.emit("forward.dropped", instance=instance)
        self._nudge()


def _queue(queue: Queue, now: datetime) -> ForwardQueue:
    oldest = queue.oldest_at
    return ForwardQueue(
        instance=queue.instance,
        waiting=queue.waiting,
        waiting_bytes=queue.waiting_bytes,
        dead=queue.dead,
        dead_bytes=queue.dead_bytes,
        oldest_seconds=None if oldest is None else max(0.0, (now - oldest).total_seconds()),
        rests_seconds=max(0.0, (queue.due_at - now).total_seconds()) if queue.waiting else 0.0,
    )


def _view(one: Stored) -> ForwardView:
    return ForwardView(
        id=one.id,
        instance=one.instance,
        state=one.state,
        event=one.event,
        size_bytes=one.size,
        heard_at=iso(one.heard_at),
        tries=one.tries,
        reason=one.reason,
        dead_at=None if one.dead_at is None else iso(one.dead_at),
    )


async def _list(desk: ForwardDesk, call: AdminCall, asked: ForwardsQuery) -> Response:
    """Webhooks that wait to be forwarded or could not be, the oldest first, and how many of which instance."""
    return json_response(200, await desk.page(asked.instance, asked.dead, asked.limit))


async def _retry(desk: ForwardDesk, call: AdminCall, asked: OneForward) -> Response:
    """Forward a dead one after all, before those that came later."""
    await call.audit("forwards.retry", f"webhook {asked.id}")
    await desk.retry(asked.id)
    return json_response(200, ForwardsRetried(retried=1))


async def _retry_all(desk: ForwardDesk, call: AdminCall, asked: OfInstance) -> Response:
    """Forward all dead ones after all, or those of one instance."""
    await call.audit(
        "forwards.retry_all", f"instance {asked.instance}" if asked.instance else "all instances"
    )
    return json_response(200, ForwardsRetried(retried=await desk.retry_all(asked.instance)))


async def _drop(desk: ForwardDesk, call: AdminCall, asked: OneForward) -> Response:
    """Throw one away for good, whether it waits or is dead."""
    await call.audit("forwards.drop", f"webhook {asked.id}")
    await desk.drop(asked.id)
    return json_response(200, ForwardDropped(dropped=asked.id))


ROUTES = (
    Route("GET", "/v1/forwards", ForwardDesk, _list, "read", ForwardPage, ForwardsQuery),
    Route("POST", "/v1/forwards/retry-all", ForwardDesk, _retry_all, "operate", ForwardsRetried, OfInstance),
    Route("POST", "/v1/forwards/{id}/retry", ForwardDesk, _retry, "operate", ForwardsRetried, OneForward),
    Route("POST", "/v1/forwards/{id}/drop", ForwardDesk, _drop, "admin", ForwardDropped, OneForward),
)
