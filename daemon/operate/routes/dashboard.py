"""The route that lets somebody into the dashboard."""

from __future__ import annotations

from daemon.operate.call import Call, Desk, Forbidden
from daemon.operate.protocol import Conflict
from daemon.web.http1 import Response, json_response


async def log_in(desk: Desk, call: Call) -> Response:
    """A link that opens the dashboard once, with the level of whoever asks."""
    caller, peer = call.caller, call.request.peer
    if caller.origin:  # or a session could have itself prolonged for ever
        raise Forbidden("a link is given out over the admin socket alone: run `majlis dashboard` on the host")
    if desk.links is None:
        raise Conflict("The dashboard is off: set dashboard.listen in config.yaml, and restart.")
    await desk.audit(call, "dashboard-login", f"level {caller.level}")
    return json_response(200, desk.links.new(caller.level, f"uid {peer.uid}"))
