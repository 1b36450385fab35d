"""The tree of Trio's tasks now: which waits for which, and where in the code each is.

It shows only names and places in the code, no values. A conversation's task appears under its label, because its own
name holds a phone number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Annotated

import msgspec
import trio
from msgspec import Meta

from actors.identity import Conversation
from daemon.operate.call import AdminCall
from daemon.operate.parameters import Parameters
from daemon.operate.route import Route
from daemon.web.http1 import Response, json_response

_CONVERSATION = "conversation/"
_OURS = Path(__file__).parents[2]
MAX_DEPTH = 40


class TaskView(msgspec.Struct, frozen=True, kw_only=True):
    """One Trio task, with the tasks that it waits for."""

    task: str
    """Its name; the label for a conversation's task."""
    at: str = ""
    """Where in the code it waits."""
    children: list[TaskView] = []
    more: int = 0
    """Further children, not listed."""


class TreePage(msgspec.Struct, frozen=True, kw_only=True):
    tasks: int
    """How many tasks there are, including those not listed."""
    tree: TaskView


class TreeQuery(Parameters, frozen=True, kw_only=True):
    limit: Annotated[
        int, Meta(ge=1, le=1_000, description="Maximum number of tasks of the same kind under one parent.")
    ] = 20


class TaskTree:
    def __init__(self, label: Callable[[Conversation], str]) -> None:
        self._label = label

    async def page(self, limit: int) -> TreePage:
        """Every task from the root on. At most `limit` of one kind are listed under one parent."""
        await trio.lowlevel.checkpoint()
        root = trio.lowlevel.current_root_task()
        if root is None:
            raise RuntimeError("nothing runs")
        return TreePage(tasks=_count(root), tree=_view(root, self._label, limit, MAX_DEPTH))


def _children(task: trio.lowlevel.Task) -> Iterator[trio.lowlevel.Task]:
    for nursery in task.child_nurseries:
        yield from nursery.child_tasks


def _count(task: trio.lowlevel.Task) -> int:
    found, left = 0, [task]
    while left:
        found += 1
        left.extend(_children(left.pop()))
    return found


def _view(task: trio.lowlevel.Task, label: Callable[[Conversation], str], limit: int, depth: int) -> TaskView:
    listed: list[TaskView] = []
    of_kind: dict[str, int] = {}
    more = 0
    for child in sorted(_children(task), key=lambda child: child.name):
        kind = child.name.partition("/")[0]
        of_kind[kind] = of_kind.get(kind, 0) + 1
        if depth <= 0 or of_kind[kind] > limit:
            more += 1
        else:
            listed.append(_view(child, label, limit, depth - 1))
    return TaskView(task=_name(task.name, label), at=_place(task), children=listed, more=more)


def _name(name: str, label: Callable[[Conversation], str]) -> str:
    if name.startswith(_CONVERSATION):
        try:
            return _CONVERSATION + label(Conversation.from_key(name.removeprefix(_CONVERSATION)))
        except ValueError:
            return _CONVERSATION + "-"
    return re.sub(r"<locals>\.?", "", name)


def _place(task: trio.lowlevel.Task) -> str:
    """The innermost place in our code at which the task waits: `actors/actor.py:183 _sleep`."""
    found = ""
    for code, line in _frames(task.coro):
        path = Path(code.co_filename)
        if path.is_relative_to(_OURS) and "site-packages" not in path.parts:
            found = f"{path.relative_to(_OURS)}:{line} {code.co_name}"
    return found


def _frames(awaited: object) -> Iterator[tuple[CodeType, int]]:
    """From the outermost coroutine to the innermost."""
    for _ in range(100):
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if not isinstance(frame, FrameType):
            return
        yield frame.f_code, frame.f_lineno
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)


async def _page(tasks: TaskTree, call: AdminCall, asked: TreeQuery) -> Response:
    """Every running task: which waits for which, and where in the code."""
    return json_response(200, await tasks.page(asked.limit))


ROUTES = (Route("GET", "/v1/tree", TaskTree, _page, "read", TreePage, TreeQuery),)
