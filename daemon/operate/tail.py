"""The stream of events from now on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import trio
from msgspec import Meta

from actors.identity import Conversation
from daemon.observe.events import EVENTS
from daemon.observe.feed import EventFeed, Tail, Wanted
from daemon.operate.call import AdminCall
from daemon.operate.numbers import contact_of
from daemon.operate.parameters import MUST_BE, Parameters
from daemon.operate.route import NDJSON, Route
from daemon.web.http1 import Response

HEARTBEAT_SECONDS = 15.0
_KINDS = tuple(sorted({*EVENTS, *(name.partition(".")[0] for name in EVENTS)}))

ConversationRef = Annotated[
    str,
    Meta(
        pattern=r"^([0-9a-f]{10}|[\s\S]+/[^/]+)$",
        extra={MUST_BE: "a conversation, as its label (ten hexadecimal digits) or as INSTANCE/PHONE"},
    ),
]
_EVENT = {MUST_BE: "an event: a name such as turn.done, or a subject such as turn"}
if TYPE_CHECKING:
    EventKind = str
else:  # exactly these words
    EventKind = Annotated[Literal[_KINDS], Meta(extra=_EVENT)]


class TailQuery(Parameters, frozen=True, kw_only=True):
    instance: Annotated[tuple[str, ...], Meta(description="Only events of these instances.")] = ()
    conversation: Annotated[
        tuple[ConversationRef, ...],
        Meta(description="Only events of these conversations: a label, or INSTANCE/PHONE."),
    ] = ()
    kind: Annotated[
        tuple[EventKind, ...],
        Meta(description="Only events with these names, such as turn.done, or subjects, such as turn."),
    ] = ()


class EventTail:
    """`country` gives that of an instance, for numbers as people write them."""

    def __init__(self, feed: EventFeed, country: Callable[[str], str]) -> None:
        self.feed = feed
        self._country = country

    def meant(self, word: str) -> Conversation | str:
        """The conversation of `INSTANCE/PHONE`, or a label as it is. Raises: Missing."""
        instance, slash, contact = word.rpartition("/")
        return Conversation(instance, contact_of(contact, self._country(instance))) if slash else word


class _Lines(trio.abc.ReceiveChannel[bytes]):
    """A tail as lines. The heartbeat lets the server notice that a reader has left while nothing happens."""

    def __init__(self, tail: Tail) -> None:
        self._tail = tail

    async def receive(self) -> bytes:
        with trio.move_on_after(HEARTBEAT_SECONDS):
            return msgspec.json.encode(await self._tail.receive()) + b"\n"
        return b"\n"

    async def aclose(self) -> None:
        await self._tail.aclose()


async def _follow(events: EventTail, call: AdminCall, asked: TailQuery) -> Response:
    """Every event from now on, one JSON object per line; now and then an empty line while nothing happens."""
    await trio.lowlevel.checkpoint()
    labels = frozenset(call.target(events.meant(word)) for word in asked.conversation)
    wanted = Wanted(frozenset(asked.instance) or None, labels or None, frozenset(asked.kind) or None)
    return Response(200, content_type=NDJSON, stream=_Lines(events.feed.tail(wanted=wanted)))


ROUTES = (
    Route("GET", "/v1/tail", EventTail, _follow, "read", dict[str, Any], TailQuery, content_type=NDJSON),
)
