"""Routes that steer instances and the daemon as a whole."""

from __future__ import annotations

from typing import cast, get_args

from daemon.operate.call import BadQuery, Call, Desk
from daemon.operate.control_views import LogLevel
from daemon.operate.routes.change import MAX_PAUSE_SECONDS
from daemon.web.http1 import Response, json_response


async def flush(desk: Desk, call: Call) -> Response:
    """Close every window of the instance, or of all, now; what was put off is tried again."""
    instance = call.named.get("instance")
    await desk.audit(call, "flush", _target(instance))
    return json_response(200, await desk.operations.control.flush(instance))


async def pause(desk: Desk, call: Call) -> Response:
    """No turn of the instance, or of any, begins; messages are acknowledged and wait. Query: seconds."""
    seconds = call.number("seconds", 0, MAX_PAUSE_SECONDS) if "seconds" in call.request.query else None
    instance = call.named.get("instance")
    await desk.audit(call, "pause", _target(instance))
    return json_response(200, await desk.operations.control.pause(instance, seconds))


async def resume(desk: Desk, call: Call) -> Response:
    """Turns of the instance, or of all, begin again."""
    instance = call.named.get("instance")
    await desk.audit(call, "resume", _target(instance))
    return json_response(200, await desk.operations.control.resume(instance))


async def log_level(desk: Desk, call: Call) -> Response:
    """The least that is logged now."""
    return json_response(200, await desk.operations.control.log_level())


async def set_log_level(desk: Desk, call: Call) -> Response:
    """Log from this level on, until the next start: debug, info, warning or error."""
    level = call.named["level"]
    if level not in get_args(LogLevel):
        raise BadQuery(f"a log level is one of {', '.join(get_args(LogLevel))}")
    await desk.audit(call, "log-level", level)
    return json_response(200, await desk.operations.control.set_log_level(cast(LogLevel, level)))


async def drain(desk: Desk, call: Call) -> Response:
    """Stop as SIGTERM does: no new work, running turns are finished, then the daemon ends."""
    await desk.audit(call, "drain", "daemon")
    return json_response(200, await desk.operations.control.drain())


def _target(instance: str | None) -> str:
    return f"instance {instance}" if instance else "all instances"
