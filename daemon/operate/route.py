"""A route of the admin interface: its parameters, the topic that answers it, and the level that it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from daemon.operate.call import AdminCall
from daemon.operate.levels import Level
from daemon.operate.parameters import Parameters
from daemon.web.http1 import Response

JSON = "application/json"
NDJSON = "application/x-ndjson"

Run = Callable[[Any, AdminCall, Any], Awaitable[Response]]
"""Takes its topic, the call, and the parameters as the struct that the route declares."""


class Route(NamedTuple):
    method: str
    path: str
    topic: type[Any]
    """The class of the object that answers."""
    run: Run
    """The first line of its docstring is its help."""
    level: Level
    answers: Any
    """The type of the answer, or of each line of a stream."""
    asks: type[Parameters] = Parameters
    body: Any = None
    """The type of the request's body; None: no body."""
    content_type: str = JSON

    @property
    def help(self) -> str:
        return (self.run.__doc__ or "").partition("\n")[0]

    def match(self, segments: tuple[str, ...]) -> dict[str, str] | None:
        """The values for the names in the path; None when the path does not match."""
        pattern = self.path.split("/")[1:]
        if len(pattern) != len(segments):
            return None
        pairs = list(zip(pattern, segments, strict=True))
        named = {piece.strip("{}"): segment for piece, segment in pairs if piece.startswith("{")}
        fits = all(piece == segment or piece.startswith("{") for piece, segment in pairs)
        return named if fits and all(named.values()) else None
