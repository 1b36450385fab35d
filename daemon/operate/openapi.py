"""The admin door as an OpenAPI document, made from the routes and from the types that they answer with.

`python -m daemon.operate docs/openapi.json` writes the file that is kept beside the code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from daemon.operate.route import JSON, Param, Route

_REF = "#/components/schemas/{name}"
_PIECE = re.compile(r"{(\w+)}")
_PIECES = {
    "label": "A conversation's label: ten hexadecimal digits, as in the logs.",
    "instance": "The name of an instance.",
    "contact": "A phone number, in any spelling.",
    "id": "A number.",
    "message": "A message's id at the gateway.",
    "level": "debug, info, warning or error.",
    "flag": "The name of a switch.",
    "change": "on, off or clear.",
}
_ABOUT = """HTTP with JSON over the daemon's Unix socket, for `majlis` and for programs of your own:

    curl --unix-socket var/run/admin.sock http://majlis/v1/status

Who is at the other end is told by the kernel. Each operation needs a level (`x-level`): read, operate or admin, each of
which includes those before it. Every change, and every reveal of phone numbers and texts, is recorded with uid and pid.
At most 16 connections are open at once, a request is at most 64 KiB, and an answer takes at most 25 s. A reader of a
stream that is too slow is cut off."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why something was not done."""

    status: str
    """`error`"""
    reason: str
    """A stable word."""
    message: str = ""
    """A sentence that says what to do."""


def document(routes: Sequence[Route]) -> dict[str, object]:
    """The whole interface."""
    types = [kind for route in routes for kind in (route.answers, route.body) if kind is not None]
    schemas, components = msgspec.json.schema_components([*types, Refusal], ref_template=_REF)
    by_type = dict(zip(map(repr, [*types, Refusal]), schemas, strict=True))
    paths: dict[str, dict[str, object]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, by_type)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Majlis: the admin socket", "version": "1", "description": _ABOUT},
        "servers": [{"url": "http://majlis", "description": "Any host name does: the socket decides."}],
        "paths": paths,
        "components": {"schemas": components},
    }


def rendered(routes: Sequence[Route]) -> str:
    """As it stands in `docs/openapi.json`."""
    return msgspec.json.format(msgspec.json.encode(document(routes)), indent=2).decode() + "\n"


def _operation(route: Route, schemas: Mapping[str, object]) -> dict[str, object]:
    pieces = [_piece(name) for name in _PIECE.findall(route.path)]
    answer = {"schema": schemas[repr(route.answers)]}
    operation: dict[str, object] = {
        "operationId": _operation_id(route),
        "summary": route.help,
        "x-level": route.level,
        "parameters": [*pieces, *map(_parameter, route.query)],
        "responses": {
            "200": {"description": "Done.", "content": {route.content_type: answer}},
            "default": {
                "description": "Not done: 400, 403, 404, 405, 409, 413, 500 or 503.",
                "content": {JSON: {"schema": schemas[repr(Refusal)]}},
            },
        },
    }
    if route.body is not None:
        content = {JSON: {"schema": schemas[repr(route.body)]}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _operation_id(route: Route) -> str:
    words = re.sub(r"\W+", "_", route.path.removeprefix("/v1")).strip("_")
    return f"{route.method.lower()}_{words}".rstrip("_")


def _piece(name: str) -> dict[str, object]:
    kind = "integer" if name == "id" else "string"
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": _PIECES[name],
        "schema": {"type": kind},
    }


def _parameter(param: Param) -> dict[str, object]:
    return {"name": param.name, "in": "query", "description": param.help, "schema": dict(param.schema)}
