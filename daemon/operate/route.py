"""What a route of the admin door is: who may use it, what may be asked, what it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from daemon.operate.call import DEFAULT_LIMIT, MAX_LIMIT, Call, Desk
from daemon.operate.levels import Level
from daemon.web.http1 import Response

JSON = "application/json"
NDJSON = "application/x-ndjson"


class Param(NamedTuple):
    """One name of the query."""

    name: str
    help: str
    schema: Mapping[str, object]


class Route(NamedTuple):
    method: str
    path: str
    run: Callable[[Desk, Call], Awaitable[Response]]
    """The first line of its docstring is its help."""
    level: Level
    answers: Any
    """The type of its answer, or of each line of a stream."""
    query: tuple[Param, ...] = ()
    body: Any = None
    """The type that the request must hold; None: no body."""
    content_type: str = JSON

    @property
    def help(self) -> str:
        return (self.run.__doc__ or "").partition("\n")[0]

    def match(self, segments: tuple[str, ...]) -> dict[str, str] | None:
        """The named pieces of the path, None when it is another path."""
        pattern = self.path.split("/")[1:]
        if len(pattern) != len(segments):
            return None
        pairs = list(zip(pattern, segments, strict=True))
        named = {piece.strip("{}"): segment for piece, segment in pairs if piece.startswith("{")}
        fits = all(piece == segment or piece.startswith("{") for piece, segment in pairs)
        return named if fits and all(named.values()) else None


class RouteView(msgspec.Struct, frozen=True, kw_only=True):
    method: str
    path: str
    level: Level
    """The least that is needed."""
    help: str


class RoutePage(msgspec.Struct, frozen=True):
    routes: list[RouteView]


class Stored(msgspec.Struct, frozen=True):
    stored: int
    """How many chunks."""


def one_of(name: str, help: str, words: tuple[str, ...]) -> Param:
    return Param(name, help, {"type": "string", "enum": list(words)})


def number(name: str, help: str, minimum: int, maximum: int, default: int | None = None) -> Param:
    bounds: dict[str, object] = {"type": "integer", "minimum": minimum, "maximum": maximum}
    return Param(name, help, bounds if default is None else {**bounds, "default": default})


def flag(name: str, help: str) -> Param:
    return Param(name, help, {"type": "boolean", "default": False})


INSTANCE = Param("instance", "Only this instance.", {"type": "string"})
LIMIT = number("limit", "The most to be listed.", 1, MAX_LIMIT, DEFAULT_LIMIT)
OFFSET = number("offset", "How many to leave out at the beginning.", 0, 1_000_000, 0)
REVEAL = flag("reveal", "Show phone numbers and texts; needs level admin, and is recorded.")
