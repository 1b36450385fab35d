"""Takes in webhooks of instances in mode `passthrough`, for the webhook door.

The laws of this file:
1. When `take` returns, the webhook is in Postgres, whole, without the gateway's token.
2. Of large ones one at a time is stored, a piece at a time, however many come.
3. What the other system did not have before is not for it: one that answers whatever comes would answer itself.
4. What may wait is bounded, for each instance and in all; beyond that nothing is taken in, and the gateway sends again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256

import trio

from actors.crash_points import reach
from actors.errors import LedgerUnavailable, MajlisError, Overloaded
from daemon.forwarding.spool import PIECE_BYTES, Spool, Spools
from daemon.forwarding.store import ForwardStore
from daemon.forwarding.token import TokenCut, own_place
from daemon.ingress.forwards import HOPS_HEADER, MAX_HOPS, Parcel
from daemon.observe.feed import EventFeed

KEPT_HEADERS = (
    "content-type",
    "content-encoding",
    "user-agent",
    "x-instance-id",
    "x-instance-name",
    "x-event-type",
    "x-timestamp",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    HOPS_HEADER,
)
"""Go with the body. Those that show who may post do not: they are ours, and the other system has its own."""
MAX_HEADER_CHARS = 1_024
TAKE_SECONDS = 25.0
"""For one, the wait for others included: gateways wait 30 s for an answer."""
ABANDON_SECONDS = 3.0
MAX_PASSED = 10_000


class QueueFull(Overloaded):
    """No more may wait to be forwarded, of this instance or in all."""


class Taking:
    """Implements `daemon.ingress.forwards.Forwards`.

    Args:
      store: None until the stores run; the door asks for nothing before that.
      is_passed: whether an instance is in mode `passthrough` now.
      is_anyone: whether any is.
      is_wanted: whether this event of an instance is forwarded; an empty one is not known.
      bounds: the bytes that may wait for an instance, and that all may have together.
      nudge: called when something was stored.
    """

    def __init__(
        self,
        store: Callable[[], ForwardStore | None],
        spools: Spools,
        is_passed: Callable[[str], bool],
        is_anyone: Callable[[], bool],
        is_wanted: Callable[[str, str], bool],
        bounds: Callable[[str], tuple[int, int]],
        nudge: Callable[[str], None],
        feed: EventFeed,
    ) -> None:
        self._store = store
        self._spools = spools
        self._is_passed = is_passed
        self._is_anyone = is_anyone
        self._is_wanted = is_wanted
        self._bounds = bounds
        self._nudge = nudge
        self._feed = feed
        self._passed: set[str] = set()
        """Instances of which something was taken in, and that were in mode `passthrough` ever since."""
        self._large = trio.Lock()

    def keep(self) -> Spool | None:
        """For a large body of which it is not known yet whose it is."""
        return self._spools.new() if self._is_anyone() else None

    def wants(self, instance: str) -> bool:
        is_passed = self._is_passed(instance)
        if not is_passed:
            self._passed.discard(instance)
        return is_passed

    def comes_round(self, hops: str) -> bool:
        names = [name.strip() for name in hops.split(",", MAX_HOPS)]
        return len(names) > MAX_HOPS or hop_name(self._feed.install_id) in names

    async def take(self, parcel: Parcel) -> bool:
        if not self._is_wanted(parcel.instance, parcel.event):
            return False
        store = self._store()
        if store is None:
            raise LedgerUnavailable("starting")
        try:
            with trio.fail_after(TAKE_SECONDS):
                whole = parcel.came.whole
                if isinstance(whole, Spool):
                    await self._take_large(store, parcel, whole)
                else:
                    await self._take_small(store, parcel)
        except trio.TooSlowError:
            raise LedgerUnavailable("forwards_too_slow") from None
        reach("forward_stored")
        if parcel.instance not in self._passed and len(self._passed) < MAX_PASSED:
            self._passed.add(parcel.instance)
            self._feed.emit("passthrough.began", instance=parcel.instance)
        self._nudge(parcel.instance)
        return True

    async def _take_small(self, store: ForwardStore, parcel: Parcel) -> None:
        cut = TokenCut()
        body = cut.feed(parcel.body) + cut.end()
        place = own_place(parcel.body) if cut.places else -1
        await self._insert(store, parcel, cut.places, place, body)

    async def _take_large(self, store: ForwardStore, parcel: Parcel, spool: Spool) -> None:
        size = await spool.finish()
        place = -1
        if spool.places:
            place = own_place(parcel.body) if parcel.body else spool.last_place()
        async with self._large:
            number = await store.begin(parcel.instance)
            is_taken = False
            try:
                for piece, start in enumerate(range(0, size, PIECE_BYTES)):
                    await store.add(number, piece, await spool.read(start))
                await self._insert(store, parcel, spool.places, place, (number, size))
                is_taken = True
            finally:
                if not is_taken:
                    # What has arrived of it is thrown away now; if that fails, by the next round that forgets.
                    with trio.move_on_after(ABANDON_SECONDS, shield=True), suppress(MajlisError):
                        await store.abandon(number)

    async def _insert(
        self,
        store: ForwardStore,
        parcel: Parcel,
        places: list[int],
        place: int,
        body: bytes | tuple[int, int],
    ) -> None:
        refusal = await store.take(
            parcel.instance,
            parcel.event,
            _kept(parcel.came.headers),
            places,
            place,
            body,
            self._bounds(parcel.instance),
        )
        if refusal == "gone":
            raise LedgerUnavailable("forward_gone")
        if refusal is not None:
            raise QueueFull(f"forwards of {refusal}")


def is_among(event: str, events: Sequence[str]) -> bool:
    """Whether an event is one of these, as the gateway's settings name them. An unknown one is; none: all are."""
    name = event.replace(".", "_").replace("-", "_").upper()
    return not events or not event or name in (one.upper() for one in events)


def hop_name(install_id: str) -> str:
    """How this install calls itself in `HOPS_HEADER`: its id is nobody else's business."""
    return sha256(f"forwarded {install_id}".encode()).hexdigest()[:16]


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    found = {name: headers.get(name, "") for name in KEPT_HEADERS}
    return {name: value for name, value in found.items() if value and len(value) <= MAX_HEADER_CHARS}
