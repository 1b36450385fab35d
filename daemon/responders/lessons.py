"""What a model turns out not to want: learned from its refusal, once, and kept for the life of the process.

Models differ in what they take: one refuses `max_tokens`, one any `temperature` but its own, one a system message. None
says so before it is asked. So the provider is asked as the settings say, and what the refusal names is left out, or
called by its other name, in that call and all later ones.

Laws of this file:
1. Only what Majlis may do without is ever left out: what a dialect lists in `adaptations`, and the system role, whose
   text then goes before the first message. What `extra_body` adds stays: the settings want it so.
2. A lesson is believed when the request without it was answered. It is reported once, as the event `provider.learned`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from actors.messages import HistoryEntry
from actors.ports import Feed
from actors.prompt import ModelRequest
from daemon.responders.failures import Trouble

SYSTEM_ROLE = "system"
"""The lesson that a model knows no system role."""
MAX_MODELS = 1_000
MAX_LESSONS_PER_CALL = 4

_UNWANTED = frozenset({"unsupported_parameter", "unsupported_value", "unknown_parameter", "extra_forbidden"})
_UNWANTED_SAYS = (
    "unsupported",
    "not supported",
    "not support",
    "n't support",
    "unrecognized",
    "unknown",
    "not permitted",
    "unexpected",
    "not allowed",
    "deprecated",
    "cannot both",
    "may only be set",
    "only the default",
    "cannot find field",
    "not enabled",
    "unavailable",
    "not available",
)
_NO_SYSTEM_SAYS = (
    "system role not supported",
    "system role is not supported",
    "system messages are not supported",
    "does not support system",
    "does not support 'system'",
    "developer instruction is not enabled",
    "only user and assistant roles",
    "roles must alternate",  # they do; a template that counts the system message knows no system role
)


class Adaptation(NamedTuple):
    """How a request does without one of its members."""

    called: tuple[str, ...]
    """What refusals call it, in lower case."""
    instead: str = ""
    """The name that it has elsewhere; empty: it is left out."""
    also: tuple[str, ...] = ()
    """Members that are left out with it."""


class Lessons:
    """What the models were found not to want, by address and model.

    Args:
      feed: None: nothing is reported, e.g. when the doctor asks.
    """

    def __init__(self, feed: Feed | None = None) -> None:
        self._feed = feed
        self._known: dict[tuple[str, str], tuple[str, ...]] = {}

    def of(self, url: str, model: str) -> tuple[str, ...]:
        return self._known.get((url, model), ())

    def learn(self, provider: str, url: str, model: str, lessons: tuple[str, ...]) -> None:
        """Keep `lessons` for that model, in place of what was known."""
        known = self._known.pop((url, model), ())
        while len(self._known) >= MAX_MODELS:
            del self._known[next(iter(self._known))]
        self._known[url, model] = lessons
        for lesson in lessons:
            if lesson not in known and self._feed is not None:
                self._feed.emit("provider.learned", provider=provider, model=model, parameter=lesson)


def lesson_of(
    trouble: Trouble, body: Mapping[str, object], adaptations: Mapping[str, Adaptation], has_system: bool
) -> str | None:
    """Which member of `body` a refusal names, if the request can do without it; else None."""
    if has_system and _is_about_system(trouble):
        return SYSTEM_ROLE
    if not (trouble.words & _UNWANTED or any(says in trouble.message for says in _UNWANTED_SAYS)):
        return None
    there = {path: adaptation for path, adaptation in adaptations.items() if _has(body, path)}
    for path, adaptation in there.items():
        if any(_names(parameter, called) for parameter in trouble.parameters for called in adaptation.called):
            return path
    if any(trouble.parameters):
        return None  # it is about something else
    places = {
        path: min(found)
        for path, adaptation in there.items()
        if (found := [at for each in adaptation.called if (at := trouble.message.find(each)) >= 0])
    }
    return min(places, key=lambda path: places[path]) if places else None


def adapted(
    body: dict[str, object], adaptations: Mapping[str, Adaptation], lessons: Iterable[str]
) -> dict[str, object]:
    """`body` as the model wants it."""
    for lesson in lessons:
        adaptation = adaptations.get(lesson)
        if adaptation is None:
            continue
        value = _without(body, lesson)
        for path in adaptation.also:
            _without(body, path)
        if adaptation.instead and value is not None:
            body[adaptation.instead] = value
    return body


def without_system_role(request: ModelRequest) -> ModelRequest:
    """The system text as the beginning of the first message of the user."""
    if not request.system:
        return request
    first, *others = request.turns
    if first.role == "assistant":
        turns = (HistoryEntry("user", request.system), *request.turns)
    else:
        turns = (HistoryEntry("user", f"{request.system}\n\n{first.text}"), *others)
    return msgspec.structs.replace(request, system="", turns=turns)


def merged(body: Mapping[str, object], extra: Mapping[str, object]) -> dict[str, object]:
    """`extra` over `body`; objects are merged member by member, at any depth that settings have."""
    result = dict(body)
    for name, value in extra.items():
        below = result.get(name)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            result[name] = merged(below, value)
        else:
            result[name] = value
    return result


def _is_about_system(trouble: Trouble) -> bool:
    if any(says in trouble.message for says in _NO_SYSTEM_SAYS):
        return True
    roles = any(parameter.endswith(".role") for parameter in trouble.parameters)
    return roles and bool(trouble.words & _UNWANTED)


def _names(parameter: str, called: str) -> bool:
    return parameter == called or parameter.endswith(f".{called}")


def _has(body: Mapping[str, object], path: str) -> bool:
    inner: object = body
    for step in path.split("."):
        if not isinstance(inner, Mapping) or step not in inner:
            return False
        inner = inner[step]
    return True


def _without(body: dict[str, object], path: str) -> object:
    """Take the member at `path` out of `body`; returns it, or None."""
    *steps, last = path.split(".")
    inner: object = body
    for step in steps:
        inner = inner.get(step) if isinstance(inner, dict) else None
    return inner.pop(last, None) if isinstance(inner, dict) else None
