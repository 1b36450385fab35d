"""What may be set for an instance: keys, and values as people write them. Pure.

A key is a setting (of `InstanceOverrides`), a column of the shared tables, a feature flag (`flags.cache`) or a secret.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, Field, ValidationError
from pydantic_core import PydanticCustomError

from actors.identity import MAX_INSTANCE_CHARS
from actors.instance import FeatureFlags
from daemon.config import ConfigError
from daemon.config.load import type_at, words_of
from daemon.config.run_time import KEYS, is_known, is_secret, why_not
from daemon.config.sources import read_value
from daemon.schema.fields import Count, Flag, Section, is_web_address

KeyKind = Literal["setting", "column", "flag", "secret"]

COMMAND = "majlis instance set"
MAX_VALUE_CHARS = 16_000
"""Of a value as it is typed."""
MAX_PROMPT_CHARS = 50_000
MAX_KEY_CHARS = 200
"""As many as the tables take. What is like an unknown key is searched for, which costs the square of its length."""
FLAG_PREFIX = "flags."
FLAGS: tuple[str, ...] = FeatureFlags.__struct_fields__
ALIASES = {"model": "responder.providers.0.model"}
"""Short names of keys."""
_NEAREST = 3
_MAX_PLACE = 9
"""Of an entry in a list."""


class Column(NamedTuple):
    """Where the value stands."""

    table: str
    name: str

    def __str__(self) -> str:
        return f"column {self.table}.{self.name}"


COLUMNS = {
    "prompt": Column("whatsapp_ai_config", "system_prompt"),
    "active": Column("whatsapp_instances", "is_active"),
    "escalation.enabled": Column("whatsapp_instances", "escalation_enabled"),
    "escalation.threshold": Column("whatsapp_instances", "escalation_threshold"),
    "escalation.keywords": Column("whatsapp_instances", "escalation_keywords"),
    "escalation.message": Column("whatsapp_instances", "escalated_message"),
    "responder.fallback_message": Column("whatsapp_instances", "fallback_message"),
    "webhook_url": Column("whatsapp_webhook_config", "webhook_url"),
}
CONFIGS = "configs"
"""In a state: false when the rows of whatsapp_ai_config are all switched off."""
CONFIGS_COLUMN = Column("whatsapp_ai_config", "is_active")


def _address(value: str) -> str:
    if not is_web_address(value):
        raise PydanticCustomError("address", "must be an http:// or https:// address")
    return value


_Text = Annotated[str, Field(max_length=MAX_VALUE_CHARS)]
_Word = Annotated[str, Field(min_length=1, max_length=200)]


class _ColumnValues(Section):
    """The values of columns, as the schema of config.yaml has those of settings."""

    prompt: Annotated[str, Field(max_length=MAX_PROMPT_CHARS)] | None = None
    active: Flag = True
    escalation_enabled: Flag | None = None
    escalation_threshold: Annotated[Count, Field(le=1_000)] | None = None
    escalation_keywords: Annotated[tuple[_Word, ...], Field(max_length=500)] | None = None
    escalation_message: _Text | None = None
    responder_fallback_message: _Text | None = None
    webhook_url: Annotated[str, Field(max_length=2_000), BeforeValidator(_address)] | None = None


def canonical(key: str) -> str:
    """The key that a short name stands for."""
    return ALIASES.get(key, key)


@lru_cache(1024)
def is_key(key: str) -> bool:
    """Whether something is set by it; a section of a document is none."""
    is_flag = key.startswith(FLAG_PREFIX) and key.removeprefix(FLAG_PREFIX) in FLAGS
    return len(key) <= MAX_KEY_CHARS and (key in COLUMNS or is_flag or is_secret(key) or is_known(key))


def kind_of(key: str) -> KeyKind:
    """Raises ConfigError for a key that cannot be set for an instance; the text says why, perhaps what was meant."""
    if len(key) > MAX_KEY_CHARS:
        raise ConfigError(f"{key[:40]}…: is longer than any key")
    if key in COLUMNS:
        return "column"
    if key.startswith(FLAG_PREFIX):
        if key.removeprefix(FLAG_PREFIX) in FLAGS:
            return "flag"
        raise ConfigError(f"{key}: there is no such feature flag; allowed: {', '.join(FLAGS)}")
    if is_secret(key):
        return "secret"
    if any(step.isdigit() and int(step) > _MAX_PLACE for step in key.split(".")):
        raise ConfigError(f"{key}: a list has at most {_MAX_PLACE + 1} entries, 0 to {_MAX_PLACE}")
    words = why_not(key, sealed=True)
    if words is None:
        return "setting"
    if "unknown key" not in words:
        raise ConfigError(words)
    known = (*COLUMNS, *ALIASES, *(f"{FLAG_PREFIX}{flag}" for flag in FLAGS), *KEYS)
    near = [found for found in known if found.rpartition(".")[2] == key.rpartition(".")[2]]
    near += [found for found in difflib.get_close_matches(key, known, _NEAREST) if found not in near]
    hint = (
        f"did you mean {' or '.join(near[:_NEAREST])}?" if near else "`majlis instance show NAME` lists all"
    )
    raise ConfigError(f"{key}: unknown key; {hint}")


def sends_away(key: str) -> bool:
    """Whether it is a key or token, or says where such, texts or numbers are sent: for level admin alone."""
    return is_secret(key) or key == _OPENS_DOOR or key.rpartition(".")[2] in _WHERE_TO


_OPENS_DOOR = "ingress.tokens_sha256"
"""No secret, but whoever sets it has the token."""
_WHERE_TO = frozenset({"allowed_origins", "base_url", "notify_numbers", "webhook_url"})


def read(key: str, value: object) -> object:
    """A value as a person typed it, or as JSON: text is read as YAML where the key takes more than text.

    Raises ConfigError.
    """
    if not isinstance(value, str):
        return value
    limit = MAX_PROMPT_CHARS if key == "prompt" else MAX_VALUE_CHARS
    if len(value) > limit:
        raise ConfigError(f"{key}: must be at most {limit:,} characters; it has {len(value):,}")
    return value if _takes_text(key) else read_value(value, tuple(key.split(".")), COMMAND)


def column_value(key: str, value: object) -> object:
    """What is stored in the column, for JSON. Raises ConfigError."""
    name = key.replace(".", "_")
    try:
        found = _ColumnValues.model_validate({name: value})
    except ValidationError as error:
        words = words_of(error.errors(include_url=False)[0])
        shown = (
            ""
            if key == "webhook_url" or (isinstance(value, str) and len(value) > 100)
            else f"; it is {value!r}"
        )
        raise ConfigError(f"{key}: {words}{shown} (from {COMMAND})") from None
    return found.model_dump(mode="json", include={name})[name]


def flag_value(key: str, value: object) -> bool:
    """Raises ConfigError."""
    parsed = getattr(value, "parsed", value)
    if isinstance(parsed, bool):
        return parsed
    raise ConfigError(f"{key}: must be true or false; it is {value!r} (from {COMMAND})")


def name_problem(name: str) -> str | None:
    """Why an instance cannot have this name."""
    if not name or name != name.strip():
        return "An instance's name must not be empty, nor begin or end with a space: write it as the gateway has it."
    if len(name) > MAX_INSTANCE_CHARS:
        return f"An instance's name has at most {MAX_INSTANCE_CHARS} characters; this one has {len(name)}."
    if not name.isprintable():
        return "An instance's name must have no control characters, line breaks or invisible ones."
    if "/" in name:
        return "An instance's name must have no slash: it is written INSTANCE/PHONE elsewhere."
    return None


def _takes_text(key: str) -> bool:
    """Whether every text is meant as it stands."""
    if key in ("prompt", "escalation.message", "responder.fallback_message", "webhook_url"):
        return True
    if key in COLUMNS or key.startswith(FLAG_PREFIX):
        return False
    found = type_at(("instances", "", *key.split(".")))
    kinds = list(_alternatives(found))
    return bool(kinds) and all(kind is str or kind is type(None) for kind in kinds)


def _alternatives(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for inner in get_args(annotation):
            yield from _alternatives(inner)
    elif origin is Literal:
        yield from {type(word) for word in get_args(annotation)}
    elif isinstance(annotation, type) and not issubclass(annotation, BaseModel):
        yield annotation
    else:
        yield object
