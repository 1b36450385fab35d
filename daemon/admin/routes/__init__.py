"""Every route of the admin door, in one table. One file per family; a new route is one function and one line here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import trio

from daemon.admin.call import Call, Desk
from daemon.admin.routes import change, flags, letters, library, look
from daemon.http1 import Response, json_response


class Route(NamedTuple):
    method: str
    path: str
    run: Callable[[Desk, Call], Awaitable[Response]]
    """The first line of its docstring is its help."""

    def match(self, segments: tuple[str, ...]) -> dict[str, str] | None:
        """The named pieces of the path, None when it is another path."""
        pattern = self.path.split("/")[1:]
        if len(pattern) != len(segments):
            return None
        pairs = list(zip(pattern, segments, strict=True))
        named = {piece.strip("{}"): segment for piece, segment in pairs if piece.startswith("{")}
        fits = all(piece == segment or piece.startswith("{") for piece, segment in pairs)
        return named if fits and all(named.values()) else None


async def _routes(desk: Desk, call: Call) -> Response:
    """All routes, with what each does."""
    listed = [
        {"method": route.method, "path": route.path, "help": (route.run.__doc__ or "").partition("\n")[0]}
        for route in ROUTES
    ]
    await trio.lowlevel.checkpoint()
    return json_response(200, {"routes": listed})


ROUTES = (
    Route("GET", "/v1", _routes),
    Route("GET", "/v1/status", look.status),
    Route("GET", "/v1/actors", look.actors),
    Route("GET", "/v1/silent", look.silent),
    Route("GET", "/v1/conversations/{label}", look.conversation),
    Route("GET", "/v1/conversations/{instance}/{contact}", look.conversation),
    Route("GET", "/v1/turns/{id}", look.turn),
    Route("GET", "/v1/cost", look.cost),
    Route("GET", "/v1/tail", look.tail),
    Route("GET", "/v1/doctor", look.doctor),
    Route("POST", "/v1/conversations/{label}/flush", change.flush),
    Route("POST", "/v1/conversations/{instance}/{contact}/flush", change.flush),
    Route("POST", "/v1/conversations/{label}/pause", change.pause),
    Route("POST", "/v1/conversations/{instance}/{contact}/pause", change.pause),
    Route("POST", "/v1/conversations/{label}/resume", change.resume),
    Route("POST", "/v1/conversations/{instance}/{contact}/resume", change.resume),
    Route("POST", "/v1/reload", change.reload),
    Route("GET", "/v1/dead", letters.list_letters),
    Route("GET", "/v1/dead/{id}", letters.show),
    Route("POST", "/v1/dead/retry-all", letters.retry_all),
    Route("POST", "/v1/dead/{id}/retry", letters.retry),
    Route("GET", "/v1/flags", flags.list_flags),
    Route("POST", "/v1/flags/{flag}/{change}", flags.change),
    Route("GET", "/v1/knowledge/{instance}", library.list_files),
    Route("POST", "/v1/knowledge/{instance}/files", library.begin),
    Route("POST", "/v1/knowledge/{instance}/files/{id}/chunks", library.put),
    Route("POST", "/v1/knowledge/{instance}/files/{id}/ready", library.commit),
    Route("POST", "/v1/knowledge/{instance}/remove", library.remove),
    Route("GET", "/v1/cache", library.cache_stats),
    Route("POST", "/v1/cache/clear", library.cache_clear),
)
