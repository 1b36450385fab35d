"""Active conversations: those with an actor in memory, and what each waits for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Literal

import msgspec
import trio
from msgspec import Meta

from actors.counted import ActorView, Phase
from actors.identity import Conversation
from actors.supervisor import Supervisor
from daemon.operate.call import AdminCall
from daemon.operate.parameters import DEFAULT_LIMIT, Instance, Limit, Offset, Parameters, Reveal
from daemon.operate.route import Route
from daemon.web.http1 import Response

ActorSort = Literal["urgency", "left", "messages", "tries", "instance"]
Sort = Annotated[
    ActorSort,
    Meta(
        description="Sort order: urgency, left (time left), messages, tries (failed attempts) or instance.",
    ),
]

_URGENCY: tuple[Phase, ...] = (
    "parked",
    "holding",
    "retrying",
    "answering",
    "queued",
    "waiting",
    "idle",
)
SORTS: Mapping[ActorSort, Callable[[ActorView], tuple[object, ...]]] = {
    "urgency": lambda view: (_URGENCY.index(view.phase), _left(view)),
    "left": lambda view: (_left(view),),
    "messages": lambda view: (-len(view.waiting) - view.batch_messages, _left(view)),
    "tries": lambda view: (-view.attempts, _left(view)),
    "instance": lambda view: (view.conversation.instance, _left(view)),
}


class ActorRow(msgspec.Struct, frozen=True, kw_only=True):
    conversation: str
    """Its label, as in the logs."""
    instance: str
    contact: str
    state: Phase
    """In order: its window is open; it waits for a free turn; its turn runs; it waits for its next attempt; it waits
    for a gateway, a store or the end of a pause; it has nothing to do; it crashed too often."""
    waiting_messages: int = 0
    closes_in_seconds: float | None = None
    """Until the window closes, or until the next attempt."""
    why: str = ""
    """Why it waits, as a short sentence."""
    tries: int = 0
    batch: int | None = None


class ActorPage(msgspec.Struct, frozen=True, kw_only=True):
    total: int
    matching: int
    actors: list[ActorRow]


class ActorsQuery(Parameters, frozen=True, kw_only=True):
    state: (
        Annotated[
            Phase,
            Meta(
                description="Only this state: waiting, queued, answering, retrying, holding, idle or parked."
            ),
        ]
        | None
    ) = None
    instance: Instance | None = None
    sort: Sort = "urgency"
    offset: Offset = 0
    limit: Limit = DEFAULT_LIMIT
    reveal: Reveal = False


class Actors:
    """Reads the supervisor; every answer is a snapshot."""

    def __init__(self, supervisor: Supervisor, label: Callable[[Conversation], str]) -> None:
        self._supervisor = supervisor
        self._label = label

    async def page(self, asked: ActorsQuery) -> ActorPage:
        await trio.lowlevel.checkpoint()
        views = self._supervisor.views()
        matching = [
            view
            for view in views
            if asked.state in (None, view.phase)
            and (not asked.instance or asked.instance == view.conversation.instance)
        ]
        matching.sort(key=SORTS[asked.sort])
        shown = matching[asked.offset : asked.offset + asked.limit]
        rows = [actor_row(view, self._label(view.conversation)) for view in shown]
        return ActorPage(total=len(views), matching=len(matching), actors=rows)


def actor_row(view: ActorView, label: str) -> ActorRow:
    return ActorRow(
        conversation=label,
        instance=view.conversation.instance,
        contact=view.conversation.contact,
        state=view.phase,
        waiting_messages=len(view.waiting) + view.batch_messages,
        closes_in_seconds=seconds_left(view),
        why=view.why,
        tries=view.attempts,
        batch=view.batch_number,
    )


def seconds_left(view: ActorView) -> float | None:
    """Until something happens by itself. None during a pause: an operator ends it, so the time left says nothing."""
    return None if view.held_by == "pause" else view.seconds_left


def _left(view: ActorView) -> float:
    return float("inf") if view.seconds_left is None else view.seconds_left


async def _list(actors: Actors, call: AdminCall, asked: ActorsQuery) -> Response:
    """Active conversations, the most urgent first."""
    return await call.answer(await actors.page(asked), "actors")


ROUTES = (Route("GET", "/v1/actors", Actors, _list, "read", ActorPage, ActorsQuery),)
