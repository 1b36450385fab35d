"""Routes that only look: status, actors, conversations, turns, cost, doctor, and the stream of events."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast, get_args

import msgspec
import trio

from daemon.observe.events import EVENTS
from daemon.observe.feed import Tail, Wanted
from daemon.operate.call import BadQuery, Call, Desk, ref
from daemon.operate.inspect_views import TopSort
from daemon.operate.views import ActorPage, ActorState, ActorView, SilentPage
from daemon.web.http1 import Response, json_response

TAIL_HEARTBEAT_SECONDS = 15.0
NDJSON_TYPE = "application/x-ndjson"
DEFAULT_DAYS = 7
MAX_DAYS = 366

_KINDS = frozenset(EVENTS) | {name.partition(".")[0] for name in EVENTS}
_URGENCY = ("parked", "holding", "retrying", "answering", "queued", "waiting", "idle")
_SORTS: dict[TopSort, Callable[[ActorView], tuple[object, ...]]] = {
    "urgency": lambda actor: (_URGENCY.index(actor.state), actor.closes_in_seconds or 0.0),
    "left": lambda actor: (actor.closes_in_seconds is None, actor.closes_in_seconds or 0.0),
    "messages": lambda actor: (-actor.waiting_messages, actor.conversation),
    "tries": lambda actor: (-actor.tries, actor.conversation),
    "instance": lambda actor: (actor.instance, actor.conversation),
}


async def status(desk: Desk, call: Call) -> Response:
    """Readiness, stores, counts."""
    return json_response(200, await desk.operations.status())


async def actors(desk: Desk, call: Call) -> Response:
    """Active conversations, the most urgent first. Query: state, instance, sort, offset, limit, reveal."""
    state, instance = call.word("state", get_args(ActorState)), call.instance
    sort = cast(TopSort, call.word("sort", get_args(TopSort)) or "urgency")
    offset, limit = call.number("offset", 0, 1_000_000, 0), call.limit()
    found = await desk.operations.actors()
    matching = [
        actor for actor in found if state in (None, actor.state) and instance in (None, actor.instance)
    ]
    matching.sort(key=_SORTS[sort])
    page = ActorPage(total=len(found), matching=len(matching), actors=matching[offset : offset + limit])
    return await desk.answer(call, page, "actors")


async def silent(desk: Desk, call: Call) -> Response:
    """Conversations in which a person speaks: taken over or escalated. Query: instance, limit, reveal."""
    found = [view for view in await desk.operations.silent() if call.instance in (None, view.instance)]
    page = SilentPage(matching=len(found), conversations=found[: call.limit()])
    return await desk.answer(call, page, "silent conversations")


async def conversation(desk: Desk, call: Call) -> Response:
    """One conversation: what waits, what was answered, who speaks in it. Query: reveal."""
    view = await desk.operations.conversation(call.ref)
    return await desk.answer(call, view, view.conversation)


async def turn(desk: Desk, call: Call) -> Response:
    """One turn: its lookups, its responder, its cost, its parts. Query: reveal."""
    number = call.id("a turn is known by its number; see `majlis show` of its conversation")
    return await desk.answer(call, await desk.operations.turn(number), f"turn {number}")


async def cost(desk: Desk, call: Call) -> Response:
    """What was used, by instance and day. Query: instance, days."""
    days = call.number("days", DEFAULT_DAYS, MAX_DAYS)
    return json_response(200, await desk.operations.cost(call.instance, days))


async def doctor(desk: Desk, call: Call) -> Response:
    """Check stores, settings, gateway and responder, and say what to do."""
    return json_response(200, await desk.operations.doctor())


async def tail(desk: Desk, call: Call) -> Response:
    """Every event from now on, one JSON object a line; an empty line now and then while nothing happens.

    Query: instance, conversation, kind; of each several with commas between them.
    """
    await trio.lowlevel.checkpoint()
    named = frozenset(desk.target(ref(word)) for word in call.words("conversation"))
    wanted = Wanted(
        frozenset(call.words("instance")) or None, named or None, frozenset(call.words("kind")) or None
    )
    unknown = sorted((wanted.kinds or frozenset()) - _KINDS)
    if unknown:
        raise BadQuery(f"{unknown[0]} is no event: write a name such as turn.done, or a subject such as turn")
    return Response(200, content_type=NDJSON_TYPE, stream=_Lines(desk.feed.tail(wanted=wanted)))


class _Lines(trio.abc.ReceiveChannel[bytes]):
    """A tail as lines. The heartbeat lets the server notice a reader that went away while nothing happens."""

    def __init__(self, tail: Tail) -> None:
        self._tail = tail

    async def receive(self) -> bytes:
        with trio.move_on_after(TAIL_HEARTBEAT_SECONDS):
            return msgspec.json.encode(await self._tail.receive()) + b"\n"
        return b"\n"

    async def aclose(self) -> None:
        await self._tail.aclose()
