"""What the followers of events get: each event with its number, a filter, and one subscription.

Laws of this file:
- An event is masked, and its conversation hashed, only when a tail reads it, and then once for all tails.
- A tail that reads too slowly is dropped: it gets what was queued and a last `tail.dropped`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

import msgspec
import trio

from actors.identity import Conversation
from daemon.observe.events import Event
from daemon.observe.logs import masked_fields

TAIL_EVENTS = 1_000
"""How many events may wait for one tail before it is dropped."""

TailEvent = Mapping[str, object]


class Happened:
    """One event. `seq` grows by one with each event of one life of the daemon."""

    __slots__ = ("_at_seconds", "_conversation", "_fields", "_known", "_label", "_shown", "name", "seq")

    def __init__(
        self,
        seq: int,
        name: str,
        known: Event,
        conversation: Conversation | None,
        fields: dict[str, object],
        label: Callable[[Conversation], str],
    ) -> None:
        """`fields` is kept, not copied. An exception among them is not: it would hold what its frames hold."""
        if "exc_info" in fields:
            fields = {**fields, "exc_info": type(fields["exc_info"]).__name__}
        self.seq = seq
        self.name = name
        self._at_seconds = time.time()
        self._known = known
        self._conversation = conversation
        self._fields = fields
        self._label = label
        self._shown: TailEvent | None = None

    @property
    def subject(self) -> str:
        """`turn` of `turn.done`."""
        return self.name.partition(".")[0]

    @property
    def instance(self) -> str | None:
        """The instance that it is about; None: the daemon as a whole."""
        if self._conversation is not None:
            return self._conversation.instance
        named = self._fields.get("instance")
        return named if isinstance(named, str) and named else None

    @property
    def conversation(self) -> str | None:
        """The label of the conversation that it is about."""
        return None if self._conversation is None else self._label(self._conversation)

    @property
    def shown(self) -> TailEvent:
        """As anybody may see it."""
        if self._shown is None:
            fields = self._fields
            if self._conversation is not None:
                about = {
                    "conversation": self._label(self._conversation),
                    "instance": self._conversation.instance,
                }
                fields = {**about, **fields}
            at, level = moment(self._at_seconds), self._known.level
            self._shown = {
                "seq": self.seq,
                "at": at,
                "level": level,
                "event": self.name,
                **masked_fields(fields),
            }
        return self._shown


class Wanted(msgspec.Struct, frozen=True):
    """Which events a tail gets: those that fit every filter that is set."""

    instances: frozenset[str] | None = None
    """Events of the daemon as a whole fit none of them."""
    conversations: frozenset[str] | None = None
    """Labels."""
    kinds: frozenset[str] | None = None
    """Names such as `turn.done`, or subjects such as `turn`."""

    def fits(self, event: Happened) -> bool:
        if self.kinds is not None and event.name not in self.kinds and event.subject not in self.kinds:
            return False
        if self.instances is not None and event.instance not in self.instances:
            return False
        return self.conversations is None or event.conversation in self.conversations


EVERYTHING = Wanted()


class Tail(trio.abc.ReceiveChannel[TailEvent]):
    """One subscriber: `async for event in tail`."""

    def __init__(
        self, max_events: int, wanted: Wanted = EVERYTHING, earlier: Iterable[Happened] = ()
    ) -> None:
        """`earlier`: kept events that come before the new ones."""
        self._send, self._receive = trio.open_memory_channel[Happened](max_events)
        self._wanted = wanted
        self._earlier = deque(earlier)
        self._said_dropped = False
        self.closed = False
        self.cut_off = trio.Event()
        """It was too slow: it gets no new events any more."""

    async def receive(self) -> TailEvent:
        while self._earlier:
            await (
                trio.lowlevel.checkpoint()
            )  # each time: a tail that skips thousands must not hold up other tasks
            event = self._earlier.popleft()
            if self._wanted.fits(event):
                return event.shown
        try:
            return (await self._receive.receive()).shown
        except trio.EndOfChannel:
            if not self.cut_off.is_set() or self._said_dropped:
                raise
        self._said_dropped = True
        why = "the reader was too slow"
        return {"event": "tail.dropped", "level": "warning", "at": moment(time.time()), "why": why}

    def offer(self, event: Happened) -> bool:
        """Queue one event; False when the tail takes no more: it was closed, or is full and now cut off."""
        if not self._wanted.fits(event):
            return not self.closed
        try:
            self._send.send_nowait(event)
        except trio.WouldBlock:
            self.cut_off.set()
            self._send.close()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return False
        return not self.cut_off.is_set()

    def close(self) -> None:
        """End the subscription; what is still queued is gone."""
        self.closed = True
        self._earlier.clear()
        self._send.close()
        self._receive.close()

    async def aclose(self) -> None:
        self.close()
        await trio.lowlevel.checkpoint()


def moment(at_seconds: float) -> str:
    """Unix seconds as people and programs read them."""
    at = datetime.fromtimestamp(at_seconds, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
