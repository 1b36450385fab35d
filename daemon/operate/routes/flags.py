"""Routes of the runtime switches."""

from __future__ import annotations

from daemon.operate.call import BadQuery, Call, Desk
from daemon.operate.reports import FLAGS
from daemon.web.http1 import Response, json_response


async def list_flags(desk: Desk, call: Call) -> Response:
    """Every switch: as configured, as set for this daemon, where instances differ, and what holds."""
    return json_response(200, await desk.operations.flags())


async def change(desk: Desk, call: Call) -> Response:
    """Turn a switch `on` or `off`, or `clear` what was set. Query: instance (else: this daemon)."""
    flag, word = call.named["flag"], call.named["change"]
    if flag not in FLAGS:
        raise BadQuery(f"there is no such flag: it is one of {', '.join(FLAGS)}")
    if word not in ("on", "off", "clear"):
        raise BadQuery("write /on, /off or /clear after the flag")
    place = f"instance {call.instance}" if call.instance else "this daemon"
    await desk.audit(call, f"flags.{'clear' if word == 'clear' else 'set'}", f"{flag} {word}, {place}")
    if word == "clear":
        return json_response(200, await desk.operations.clear_flag(flag, call.instance))
    return json_response(200, await desk.operations.set_flag(flag, word == "on", call.instance))
