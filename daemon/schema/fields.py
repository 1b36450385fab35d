"""What sections of the settings are made of, for every room that has settings of its own.

A kind of gateway or provider describes its own keys with these; `daemon/config` puts all sections together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Annotated, Any, Literal, NamedTuple, Protocol, TypeVar, cast
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    SecretStr,
    create_model,
)
from pydantic_core import PydanticCustomError

from actors.identity import MAX_INSTANCE_CHARS

KeyPath = tuple[str, ...]


class Raw(str):
    """A scalar of a credential, the environment or --set that YAML reads as a number or a truth value."""

    parsed: float | bool

    def __new__(cls, spelling: str, parsed: float | bool) -> Raw:
        raw = super().__new__(cls, spelling)
        raw.parsed = parsed
        return raw


def number(value: object) -> object:
    """Numbers of the environment and --set come as `Raw`: text keeps the spelling, numbers the value."""
    return value.parsed if isinstance(value, Raw) else value


def section(value: object) -> object:
    """A section whose keys are all commented out reads as null in YAML: that means its defaults."""
    return {} if value is None else value


def meant_by_false(word: str) -> BeforeValidator:
    """YAML reads `off` and `NO` without quotes as false; where they are words, they are meant as they stand."""
    return BeforeValidator(lambda value: word if value is False else value)


Seconds = Annotated[float, BeforeValidator(number), Field(gt=0, strict=True, allow_inf_nan=False)]
SecondsOrZero = Annotated[float, BeforeValidator(number), Field(ge=0, strict=True, allow_inf_nan=False)]
Count = Annotated[int, BeforeValidator(number), Field(ge=1, strict=True)]
CountOrZero = Annotated[int, BeforeValidator(number), Field(ge=0, strict=True)]
Share = Annotated[float, BeforeValidator(number), Field(ge=0, le=1, strict=True, allow_inf_nan=False)]


def _share_or_auto(value: object) -> object:
    found = number(value)
    if found == "auto":
        return "auto"
    if isinstance(found, int | float) and not isinstance(found, bool) and 0 <= found <= 1:
        return float(found)
    raise PydanticCustomError("share_or_auto", "must be auto, or a number from 0 to 1")


# Not a union: its errors would name pydantic's own validators, and one for each kind.
ShareOrAuto = Annotated[float | Literal["auto"], PlainValidator(_share_or_auto)]


def _date_as_text(value: object) -> object:
    """YAML reads a date without quotes as a date."""
    return value.isoformat() if isinstance(value, date) else value


class OpensDoor:
    """Beside the type of a secret: whoever has it gets in."""


Text = TypeVar("Text", str, SecretStr)


def _visible(value: Text) -> Text:
    """What names or reaches something has a sign that can be seen; where none is meant, null is written."""
    plain = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not plain.strip():
        raise PydanticCustomError("blank", "must not be empty")
    return value


def _said(value: str) -> str:
    """A message of nothing but blanks is not sent, like an empty one."""
    return value if value.strip() else ""


Visible = Annotated[str, AfterValidator(_visible)]
"""Names or reaches something."""
SaidText = Annotated[str, AfterValidator(_said)]
"""A message to a customer; empty: none."""
TextOrDate = Annotated[str, BeforeValidator(_date_as_text), AfterValidator(_visible)]
Flag = Annotated[bool, BeforeValidator(number)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_INSTANCE_CHARS), AfterValidator(_visible)]
Secret = Annotated[SecretStr, Field(min_length=1), AfterValidator(_visible)]
DoorToken = Annotated[Secret, OpensDoor()]
Headers = Annotated[dict[Name, Secret], BeforeValidator(section)]


def _json_object(value: object) -> object:
    """What stands as it is in a request: nothing but what JSON has."""
    if value is None:
        return {}
    plain = _without_raw(value)
    try:
        json.dumps(plain, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise PydanticCustomError("json", "Input should hold nothing but what JSON has") from None
    return plain


def _without_raw(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _without_raw(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_raw(item) for item in value]
    return number(value)


JsonMembers = Annotated[dict[str, Any], BeforeValidator(_json_object)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


SectionT = TypeVar("SectionT", bound=Section)


class Misfit(NamedTuple):
    """One broken rule between settings: the key to change, its value and what is allowed."""

    path: KeyPath
    value: object
    allowed: str


class HasSettings(Protocol):
    """A kind of something, with the section that holds its keys."""

    @property
    def settings(self) -> type[Section]: ...


def with_every_key(common: type[SectionT], kinds: Mapping[str, HasSettings]) -> type[SectionT]:
    """`common` with the keys of every kind, and a `kind` that names one of them.

    One section for all kinds, because an instance may have another kind than the defaults that its own keys are merged
    over: keys that its kind does not use are left alone.

    Raises:
      TypeError: two kinds have a key of the same name and mean different things by it.
    """
    models = list(dict.fromkeys(kind.settings for kind in kinds.values()))
    _agree(models)

    def is_known(value: object) -> object:
        if isinstance(value, str) and value in kinds:
            return value
        # Worded as pydantic words it of a Literal, whose place this takes.
        *others, last = map(repr, kinds)
        words = " or ".join(filter(None, (", ".join(others), last)))
        raise PydanticCustomError("literal_error", "Input should be {words}", {"words": words})

    # The last base counts first, so reversed: keys keep the order of the kinds.
    bases = tuple(model for model in reversed(models) if not any(_is_base(model, other) for other in models))
    field: Any = (Annotated[str, BeforeValidator(is_known)], common.model_fields["kind"])
    made = create_model(
        common.__name__, __base__=bases or (common,), __module__=common.__module__, kind=field
    )
    return cast("type[SectionT]", made)


def _is_base(model: type[Section], other: type[Section]) -> bool:
    return model is not other and issubclass(other, model)


def _agree(models: Iterable[type[Section]]) -> None:
    meanings: dict[str, tuple[object, object]] = {}
    for model in models:
        for key, field in model.model_fields.items():
            meaning = (field.rebuild_annotation(), field.default)
            if meanings.setdefault(key, meaning) != meaning:
                raise TypeError(f"{model.__name__}.{key} differs from another kind's key of that name")


def web_address(path: KeyPath, url: str | None, missing: str, keys: str = "api_key") -> Iterator[Misfit]:
    """What is wrong with the address of a server; `keys` names the setting that a key belongs into."""
    if not url:
        yield Misfit(path, url, missing)
        return
    if not is_web_address(url):
        yield Misfit(path, url, "must be an http:// or https:// address")
        return
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query or parts.fragment:
        yield Misfit(path, url, f"must hold no user, password, query or fragment; keys go into {keys}")


_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]+")
_OWN_HEADERS = frozenset(
    {"accept", "accept-encoding", "connection", "content-length", "content-type", "host", "transfer-encoding"}
)


def unsendable(path: KeyPath, headers: Mapping[str, SecretStr]) -> Iterator[Misfit]:
    """Headers of the settings that cannot be sent. A value is never shown."""
    for name, value in headers.items():
        if _HEADER_NAME.fullmatch(name) is None or name.lower() in _OWN_HEADERS:
            allowed = "must be the name of a header that Majlis does not set itself, e.g. authorization"
            yield Misfit((*path, name), "(hidden)", allowed)
        elif _HEADER_VALUE.fullmatch(value.get_secret_value()) is None:
            yield Misfit((*path, name), "(hidden)", "must be one line of printable ASCII characters")


def is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
