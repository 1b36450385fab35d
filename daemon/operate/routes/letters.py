"""Routes of the dead letters."""

from __future__ import annotations

from daemon.operate.call import Call, Desk
from daemon.operate.control_views import Dropped
from daemon.operate.views import DeadLetterPage, Retried
from daemon.web.http1 import Response, json_response

_BY_NUMBER = "a dead letter is known by its number; see `majlis dead list`"


async def list_dead_letters(desk: Desk, call: Call) -> Response:
    """Dead letters, the latest first. Query: limit, all (also the retried and dropped ones), reveal."""
    page: DeadLetterPage = await desk.operations.dead_letters(call.limit(), call.flag("all"))
    return await desk.answer(call, page, "dead letters")


async def show(desk: Desk, call: Call) -> Response:
    """One dead letter with its messages. Query: reveal."""
    letter = await desk.operations.dead_letter(call.id(_BY_NUMBER))
    return await desk.answer(call, letter, f"dead letter {letter.id}")


async def retry(desk: Desk, call: Call) -> Response:
    """Put one dead letter back to be answered."""
    number = call.id(_BY_NUMBER)
    await desk.audit(call, "dead.retry", f"dead letter {number}")
    await desk.operations.retry(number)
    return json_response(200, Retried(retried=1))


async def drop(desk: Desk, call: Call) -> Response:
    """Nobody shall answer one dead letter any more; it is kept, and not open."""
    number = call.id(_BY_NUMBER)
    await desk.audit(call, "dead.drop", f"dead letter {number}")
    await desk.operations.drop(number)
    return json_response(200, Dropped(dropped=number))


async def retry_all(desk: Desk, call: Call) -> Response:
    """Put every open dead letter back to be answered."""
    await desk.audit(call, "dead.retry_all", "dead letters")
    return json_response(200, Retried(retried=await desk.operations.retry_all()))
