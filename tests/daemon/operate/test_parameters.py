"""The OpenAPI document and the server agree on every parameter of every route.

A value outside its schema is a 400, a value inside never is. The tests iterate over the table of routes, so that a new
route is covered too.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import hypothesis
import pytest
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from daemon.observe import logs
from daemon.operate import ROUTES
from daemon.operate.explain import OneMessage
from daemon.operate.openapi import document
from daemon.operate.parameters import BadRequest, Parameters, parameters, read
from daemon.operate.route import Route
from daemon.web.http1 import Peer, Request
from tests.support.operators import Operators

Schema = dict[str, Any]

DOCUMENT: Any = document(ROUTES)
FITTING = {
    "label": "0123456789",
    "instance": "demo",
    "contact": "5511999990012",
    "id": "17",
    "message": "3EB0C7",
    "level": "debug",
    "flag": "cache",
    "change": "off",
    "session": "a1b2c3",
    "key": "escalation.message",
}
"""For each name in a path, a value that fits."""
HUGE = 10**40


class Asked(NamedTuple):
    """One parameter of one route, as the document has it."""

    route: Route
    name: str
    where: str
    schema: Schema

    def __str__(self) -> str:
        return f"{self.route.method} {self.route.path} {self.name}"


def operation(route: Route) -> Schema:
    found: Schema = DOCUMENT["paths"][route.path][route.method.lower()]
    return found


ASKED = [
    Asked(route, one["name"], one["in"], one["schema"])
    for route in ROUTES
    for one in operation(route)["parameters"]
]


def fits(schema: Schema, text: str) -> bool:
    """Whether the document allows this text."""
    match schema["type"]:
        case "array":
            return all(fits(schema["items"], word) for word in text.split(",") if word)
        case "boolean":
            return text in ("true", "false")
        case "integer":
            return re.fullmatch("-?(0|[1-9][0-9]*)", text) is not None and _valid(schema, int(text))
    return _valid(schema, text)


def _valid(schema: Schema, value: object) -> bool:
    return Draft202012Validator(schema).is_valid(value)


def corners(schema: Schema) -> list[str]:
    """Values at the edges of a schema, inside and outside."""
    numbers = [HUGE, -HUGE, 0, -1, 2**63]
    for bound in (schema.get("minimum"), schema.get("maximum")):
        numbers += [] if bound is None else [bound - 1, bound, bound + 1]
    words = [
        "",
        "x",
        " ",
        "true",
        "false",
        "True",
        "null",
        "1.0",
        "1e3",
        "+1",
        "01",
        "١",
        "0123456789",
        "a/b",
    ]
    words += ["0123456789\n", "M\n", "M" * 600, "a,b", ",", *schema.get("enum", [])[:2]]
    return [*words, *map(str, numbers)]


def texts(schema: Schema) -> st.SearchStrategy[str]:
    plain = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    choices = [plain, st.integers().map(str), st.sampled_from(corners(schema))]
    item = schema.get("items", schema)
    if "pattern" in item:
        choices.append(st.from_regex(item["pattern"]))
    if "maximum" in schema:
        choices.append(st.integers(schema["minimum"], schema["maximum"]).map(str))
    return st.one_of(choices)


def test_every_route_is_in_the_document_with_all_its_parameters() -> None:
    for route in ROUTES:
        named = {one["name"]: one["in"] for one in operation(route)["parameters"]}
        pieces = set(re.findall(r"{(\w+)}", route.path))
        assert named.keys() == parameters(route.asks).keys() and pieces <= FITTING.keys(), route.path
        assert {name for name, where in named.items() if where == "path"} == pieces
        assert all(one["description"] for one in operation(route)["parameters"])


@pytest.mark.parametrize("asked", ASKED, ids=str)
@hypothesis.settings(max_examples=40)
@hypothesis.given(data=st.data())
def test_a_value_is_accepted_exactly_when_the_schema_allows_it(asked: Asked, data: st.DataObject) -> None:
    text = data.draw(texts(asked.schema))
    others = {name: FITTING[name] for name in re.findall(r"{(\w+)}", asked.route.path)}
    path, query = (others | {asked.name: text}, {}) if asked.where == "path" else (others, {asked.name: text})
    try:
        read(asked.route.asks, path, query)
    except BadRequest as refusal:
        assert not fits(asked.schema, text), refusal
        assert str(refusal).startswith(f"{asked.name} must be "), "it names the parameter and what is allowed"
    else:
        assert fits(asked.schema, text)


def test_a_parameter_that_is_not_given_has_the_default_of_the_schema() -> None:
    for asked in ASKED:
        if asked.where == "query":
            others = {name: FITTING[name] for name in re.findall(r"{(\w+)}", asked.route.path)}
            value = getattr(read(asked.route.asks, others, {}), asked.name)
            assert asked.schema.get("default") == (value or asked.schema.get("default")), str(asked)


def test_an_unknown_parameter_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadRequest, match="limt is not a parameter of this request; it has none"):
        read(Parameters, {}, {"limt": "3"})


async def answer(
    operators: Operators, route: Route, path: Mapping[str, str], query: Mapping[str, str], body: object
) -> tuple[int, str]:
    pieces = tuple(path.get(piece.strip("{}"), piece) for piece in route.path.split("/")[1:])
    content = b"" if body is None else json.dumps(body).encode()
    peer = Peer("unix", pid=1, uid=os.geteuid())
    response = await operators.api.handle(
        Request(route.method, "/".join(pieces), pieces, query, {}, content, peer)
    )
    if response.stream is not None:
        await response.stream.aclose()
    return response.status, response.body.decode()


@pytest.fixture
def log_level() -> Iterator[None]:
    before = logs.level()
    yield
    logs.set_level(before)


@pytest.mark.usefixtures("log_level")
async def test_the_server_refuses_what_the_document_forbids_and_never_fails(
    operators: Operators,
) -> None:
    """While all stores work, no value of a parameter causes a 500 or a 503."""
    for asked in ASKED:
        route = asked.route
        others = {name: FITTING[name] for name in re.findall(r"{(\w+)}", route.path)}
        body = _example(_schema_of(route)) if route.body is not None else None
        for text in dict.fromkeys(corners(asked.schema)):
            if asked.where == "path" and not text:
                continue  # another path
            in_path = {asked.name: text} if asked.where == "path" else {}
            in_query = {} if in_path else {asked.name: text}
            status, said = await answer(operators, route, others | in_path, in_query, body)
            assert status in ((200, 404, 409) if fits(asked.schema, text) else (400,)), (asked, text, said)


async def test_a_body_that_its_schema_forbids_is_refused(operators: Operators) -> None:
    """Each value of a fitting body is replaced by others, in turn."""
    for route in [route for route in ROUTES if route.body is not None]:
        schema, others = (
            _schema_of(route),
            {name: FITTING[name] for name in re.findall(r"{(\w+)}", route.path)},
        )
        validator = Draft202012Validator({**schema, "components": DOCUMENT["components"]})
        for body in [_example(schema), *_variations(_example(schema))]:
            status, said = await answer(operators, route, others, {}, body)
            allowed = (200, 404, 409) if validator.is_valid(body) else (400,)
            assert status in allowed, (route.path, body, said)


def _schema_of(route: Route) -> Schema:
    found: Schema = operation(route)["requestBody"]["content"]["application/json"]["schema"]
    return found


def _example(schema: Schema) -> Any:
    """A value that fits."""
    schema = schema["anyOf"][0] if "anyOf" in schema else schema
    if "$ref" in schema:
        return _example(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    match schema["type"]:
        case "object":
            return {name: _example(one) for name, one in schema.get("properties", {}).items()}
        case "array":
            return [_example(schema["items"])]
        case "integer":
            return schema.get("minimum", 0)
        case "boolean":
            return False
    return "x"


def _variations(value: Any) -> Iterator[Any]:
    """The value with one of its leaves replaced."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from ({**value, name: other} for other in _variations(item))
            yield {key: kept for key, kept in value.items() if key != name}
    elif isinstance(value, list):
        yield from ([other] for other in _variations(value[0]))
        yield []
    else:
        yield from (None, "x", "", 0, -1, 1.5, True, [], {}, 2**31 - 1, 2**31, 2**63 - 1, 2**63, HUGE, -HUGE)


def test_a_message_id_has_no_line_break_at_its_end() -> None:
    """Python's `$` would let one through, and with it a second line into the audit log."""
    with pytest.raises(BadRequest, match="printable"):
        read(OneMessage, {"message": "3EB0C7\n"}, {})
