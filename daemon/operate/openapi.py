"""The admin interface as an OpenAPI document, made from what the routes declare.

`python -m daemon.operate docs/openapi.json` writes the file that is kept beside the code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from daemon.operate.parameters import Parameter, parameters
from daemon.operate.route import JSON, Route

_REF = "#/components/schemas/{name}"
_PIECE = re.compile(r"{(\w+)}")
_ABOUT = """HTTP with JSON over the daemon's Unix socket, for `majlis` and for programs of your own:

    curl --unix-socket var/run/admin.sock http://majlis/v1/status

The kernel says who is at the other end. Each operation needs a level (`x-level`): read, operate or admin, each of
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
    declared, pieces = parameters(route.asks), _PIECE.findall(route.path)
    in_query = [parameter for name, parameter in declared.items() if name not in pieces]
    answer = {"schema": schemas[repr(route.answers)]}
    operation: dict[str, object] = {
        "operationId": _operation_id(route),
        "summary": route.help,
        "x-level": route.level,
        "parameters": [
            *({**_parameter(declared[name]), "in": "path", "required": True} for name in pieces),
            *map(_parameter, in_query),
        ],
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


def _parameter(parameter: Parameter) -> dict[str, object]:
    schema: dict[str, Any] = msgspec.json.schema(parameter.type)
    schema.pop("description", None)
    for words in (schema, schema.get("items", {})):
        if "enum" in words:
            words["type"] = "string"
    if parameter.default not in (msgspec.NODEFAULT, None, ()):
        schema["default"] = parameter.default
    described: dict[str, object] = {
        "name": parameter.name,
        "in": "query",
        "description": parameter.help,
        "schema": schema,
    }
    # Several with commas between them.
    return {**described, "style": "form", "explode": False} if parameter.is_list else described
