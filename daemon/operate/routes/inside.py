"""Routes that look inside: tasks, settings, leases, one message's life, and the page of `majlis top`."""

from __future__ import annotations

from typing import cast, get_args

from actors.text import plain_text
from daemon.operate.call import BadQuery, Call, Desk
from daemon.operate.inspect_views import TopSort
from daemon.web.http1 import Response, json_response

DEFAULT_TASKS = 20
DEFAULT_ROWS = 50
MAX_ROWS = 500
MAX_ID_CHARS = 512


async def tree(desk: Desk, call: Call) -> Response:
    """Every task that runs: who waits for whom, and where in the code. Query: limit (of one kind)."""
    limit = call.number("limit", DEFAULT_TASKS, 1_000)
    return json_response(200, await desk.operations.insight.tree(limit))


async def config(desk: Desk, call: Call) -> Response:
    """Every setting in force, and where it came from; secrets are masked always. Query: reveal (staff numbers)."""
    page = await desk.operations.insight.config(call.reveal)
    return await desk.answer(call, page, "settings")


async def leases(desk: Desk, call: Call) -> Response:
    """Who owns which partition, under which epoch, and for how long still."""
    return json_response(200, await desk.operations.insight.leases())


async def explain(desk: Desk, call: Call) -> Response:
    """The whole life of one message, by its id at the gateway. Query: instance, reveal."""
    message = call.named["message"]
    if len(message) > MAX_ID_CHARS or message != plain_text(message) or not message.isprintable():
        raise BadQuery(f"a message id is at most {MAX_ID_CHARS} printable characters")
    explained = await desk.operations.insight.explain(message, call.instance)
    return await desk.answer(call, explained, f"message {explained.message}")


async def turns(desk: Desk, call: Call) -> Response:
    """The latest turns of all daemons on this database. Query: instance, limit, reveal."""
    page = await desk.operations.insight.turns(call.instance, call.number("limit", DEFAULT_ROWS, MAX_ROWS))
    return await desk.answer(call, page, "turns")


async def top(desk: Desk, call: Call) -> Response:
    """All that is worth watching, and one page of busy conversations. Query: sort, instance, offset, limit, reveal."""
    sort = cast(TopSort, call.word("sort", get_args(TopSort)) or "urgency")
    offset, limit = call.number("offset", 0, 1_000_000, 0), call.number("limit", DEFAULT_ROWS, MAX_ROWS)
    page = await desk.operations.insight.top(sort, call.instance, offset, limit)
    return await desk.answer(call, page, "top")
