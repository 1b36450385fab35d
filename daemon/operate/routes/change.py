"""Routes that change what a conversation does, and the one that reads settings anew."""

from __future__ import annotations

from daemon.operate.call import Call, Desk
from daemon.web.http1 import Response, json_response

MAX_PAUSE_SECONDS = 30 * 86_400


async def flush(desk: Desk, call: Call) -> Response:
    """Close the conversation's window now."""
    await desk.audit(call, "flush", desk.target(call.ref))
    return json_response(200, await desk.operations.flush(call.ref))


async def pause(desk: Desk, call: Call) -> Response:
    """Silence in the conversation for a while, as if a person had taken it over. Query: seconds."""
    seconds = call.number("seconds", 0, MAX_PAUSE_SECONDS) if "seconds" in call.request.query else None
    await desk.audit(call, "pause", desk.target(call.ref))
    return json_response(200, await desk.operations.pause(call.ref, seconds))


async def resume(desk: Desk, call: Call) -> Response:
    """Majlis answers in the conversation again: ends escalation and take-over, wakes a parked or held one."""
    await desk.audit(call, "resume", desk.target(call.ref))
    return json_response(200, await desk.operations.resume(call.ref))


async def reload(desk: Desk, call: Call) -> Response:
    """Read instance settings and flags anew from the database; config.yaml is read at the start alone."""
    await desk.audit(call, "reload", "settings")
    return json_response(200, await desk.operations.reload())
