"""The parameters of a route, declared once as a struct.

The server reads requests by it, the OpenAPI document describes it, and the command line takes its bounds, defaults and
help from it. A field is part of the path if the route's path has its name in braces, else of the query. Its type says
what is allowed, and its `Meta` describes that; a refusal is one sentence made of both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta

from actors.identity import Conversation

MAX_LIMIT = 10_000
"""The most results in one answer: masking and encoding these takes the event loop about 50 ms."""
DEFAULT_LIMIT = 1_000
MAX_ID = 2**63 - 1
MUST_BE = "must_be"
"""A key in a `Meta`'s `extra`: what the value must be, in words, where the type does not say it well enough."""

_WHOLE_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)")


class BadRequest(Exception):
    """The request cannot be understood; the text says what is allowed."""


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of a route that has none."""


ParametersT = TypeVar("ParametersT", bound=Parameters)

Instance = Annotated[str, Meta(description="Only this instance.")]
InstanceName = Annotated[str, Meta(min_length=1, description="The name of an instance.")]
Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT, description="Maximum number of results.")]
Offset = Annotated[int, Meta(ge=0, le=1_000_000, description="Number of results to skip.")]
Reveal = Annotated[
    bool,
    Meta(
        description="Show phone numbers and message texts. Needs level admin; the audit log records who asked."
    ),
]
Label = Annotated[
    str,
    Meta(
        pattern="^[0-9a-f]{10}$",
        max_length=10,
        description="A conversation's label: ten hexadecimal digits, as in the logs.",
        extra={MUST_BE: "ten hexadecimal digits: write a conversation as its label, or as INSTANCE/PHONE"},
    ),
]
Contact = Annotated[
    str,
    Meta(
        pattern=r"\S",
        description="A phone number in any spelling, or the gateway's own id for the contact.",
        extra={MUST_BE: "a phone number"},
    ),
]


class ByLabel(Parameters, frozen=True, kw_only=True):
    """A conversation by its label from the logs."""

    label: Label

    @property
    def ref(self) -> str:
        return self.label


class ByContact(Parameters, frozen=True, kw_only=True):
    """A conversation by its instance and contact."""

    instance: InstanceName
    contact: Contact

    @property
    def ref(self) -> Conversation:
        """As it is written: `Directory.find` knows whom that means."""
        return Conversation(self.instance, self.contact)


class Parameter(NamedTuple):
    """One field of a `Parameters` struct."""

    name: str
    type: Any
    """The type of a value, without the None for one that was not given."""
    meta: Meta
    """The field's first `Meta` with a description."""
    default: Any
    """`msgspec.NODEFAULT`: the parameter is required."""

    @property
    def help(self) -> str:
        return self.meta.description or ""

    @property
    def minimum(self) -> int | None:
        return self._bounds.ge if self._bounds else None  # type: ignore[return-value]

    @property
    def maximum(self) -> int | None:
        return self._bounds.le if self._bounds else None  # type: ignore[return-value]

    @property
    def _bounds(self) -> Meta | None:
        return next((meta for meta in _metas(self.type) if meta.ge is not None), None)

    @property
    def is_list(self) -> bool:
        """Several values, separated by commas."""
        return get_origin(_bare(self.type)) is tuple

    def read(self, text: str) -> Any:
        """Raises: BadRequest."""
        if self.is_list:
            item = get_args(_bare(self.type))[0]
            return tuple(self._convert(word, item) for word in text.split(",") if word)
        return self._convert(text, self.type)

    def _convert(self, text: str, kind: Any) -> Any:
        bare = _bare(kind)
        plain = (bare is not bool or text in ("true", "false")) and (
            bare is not int or _WHOLE_NUMBER.fullmatch(text) is not None
        )
        try:
            if plain:
                return msgspec.convert(text, kind, strict=False)
        except msgspec.ValidationError:
            pass
        raise BadRequest(f"{self.name} must be {_allowed(kind)}")


@cache
def parameters(kind: type[Parameters]) -> Mapping[str, Parameter]:
    """The fields that `kind` declares, by name."""
    found = {}
    for field in msgspec.structs.fields(kind):
        declared = _without_none(field.type)
        metas = [meta for meta in _metas(declared) if meta.description]
        found[field.name] = Parameter(field.name, declared, metas[0], field.default)
    return found


def read(kind: type[ParametersT], path: Mapping[str, str], query: Mapping[str, str]) -> ParametersT:
    """The parameters of one request. Raises: BadRequest."""
    declared = parameters(kind)
    allowed = [name for name in declared if name not in path]
    for name in query:
        if name not in allowed:
            known = f"use {', '.join(allowed)}" if allowed else "it has none"
            raise BadRequest(f"{name} is not a parameter of this request; {known}")
    return kind(**{name: declared[name].read(text) for name, text in {**query, **path}.items()})


def _allowed(kind: Any) -> str:
    """What a value must be, as the words after "must be"."""
    metas = _metas(kind)
    for meta in metas:
        if meta.extra and MUST_BE in meta.extra:
            return str(meta.extra[MUST_BE])
    bare = _bare(kind)
    if bare is bool:
        return "true or false"
    if bare is int:
        (bounds,) = [meta for meta in metas if meta.ge is not None]
        return f"a whole number from {bounds.ge} to {bounds.le}"
    if get_origin(bare) is Literal:
        return f"one of {', '.join(get_args(bare))}"
    return "a text, not empty"


def _without_none(kind: Any) -> Any:
    choices = [choice for choice in get_args(kind) if choice is not type(None)]
    return choices[0] if len(choices) == 1 and type(None) in get_args(kind) else kind


def _metas(kind: Any) -> list[Meta]:
    if get_origin(kind) is not Annotated:
        return []
    return [note for note in kind.__metadata__ if isinstance(note, Meta)]


def _bare(kind: Any) -> Any:
    return kind.__origin__ if get_origin(kind) is Annotated else kind
