"""What an Evolution message says, as text. Pure.

A WhatsApp message is an object with one key per type. Laws of this file:

1. The first key is not assumed to be the type: metadata may come first. `messageType` is only a hint: for a wrapped
   message it names the wrapper.
2. Text that the customer typed, chose or spoke stays as it is. Anything else becomes a placeholder in square
   brackets, followed by its caption, so that the responder knows that there was something it cannot see.
3. What is not known is heard as the name of its type. What is not heard on purpose is in one list (`SILENT`).
4. Only the fields that a reader names leave the payload: no media bytes, keys or thumbnails.
5. Total: every object yields a `Content` or an `Ignored`; nothing raises, nothing recurses without bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import msgspec

from actors.text import is_visible
from daemon.gateways.evolution.parts import READERS, Kind, silent_reason
from daemon.gateways.evolution.placeholders import placeholder
from daemon.gateways.evolution.type_names import METADATA, bare_name, in_words, is_type, types_in, wrapped_in
from daemon.gateways.lenient import JsonObject, clean, items, line, mapping, text
from daemon.ingress.inbound import MAX_TEXT_CHARS, Ignored

_MAX_WRAPPERS = 8
_NOTHING: JsonObject = {}


_TAPS: dict[str, Kind] = {"buttonMessage": "button", "interactiveMessage": "interactive"}
"""Meta's channel gives the words of a tap as if they had been typed, and says only here that they were not."""
_TOLD = ("text", "caption", "title", "description", "body", "messageText", "display_text", "name")
"""Where a type that is not known here may have its words."""
_MAX_LOOKED_AT = 64
"""So many objects of it are searched for them."""


class Content(msgspec.Struct, frozen=True):
    kind: Kind
    text: str
    type: str
    """The gateway's name of it."""
    part: JsonObject = _NOTHING
    """The object that says it."""


def levels_of(message: JsonObject) -> tuple[JsonObject, ...]:
    """`message`, then what its wrappers hold, the outermost first; empty: there is no message."""
    found: list[JsonObject] = []
    while message and len(found) < _MAX_WRAPPERS:
        found.append(message)
        message = next(filter(None, map(wrapped_in, message.values())), _NOTHING)
    return tuple(found)


def read_content(levels: tuple[JsonObject, ...], message_type: str = "") -> Content | Ignored:
    """What a message says that has these levels; the first part that says something counts."""
    ignored: Ignored | None = None
    bare: Content | None = None
    transcript = ""
    for level in levels:
        transcript = transcript or _transcript(level)
        for name in _readable(level, message_type):
            body = level[name]
            part = mapping(body)
            reason = silent_reason(name, part)
            if reason is not None:
                ignored = ignored or Ignored(reason, bare_name(name))
                continue
            kind, read = READERS[name]
            said = _typed(body) or read(part)
            if name == "conversation":
                kind = _TAPS.get(message_type, kind)
            if kind == "audio" and part.get("ptt") is True:
                kind = "voice"
            if kind in ("audio", "voice"):
                said = transcript or said
            said = clean(said, MAX_TEXT_CHARS).strip()
            if is_visible(said):
                return Content(kind, said, bare_name(name), part)
            if kind == "text":
                ignored = ignored or Ignored("empty_text", bare_name(name))
            else:
                bare = bare or Content(kind, _named_only(name, part), bare_name(name), part)
    return bare or _unknown(levels, message_type, ignored)


def _unknown(levels: tuple[JsonObject, ...], message_type: str, ignored: Ignored | None) -> Content | Ignored:
    """The first part of an unknown type; where nothing has the name of a type, whatever else there is."""
    for place, level in enumerate(levels, 1):
        is_last = place == len(levels)
        for name in types_in(level):
            if name in READERS or silent_reason(name, mapping(level[name])) is not None:
                continue
            if (ignored is not None and not is_type(name)) or (wrapped_in(level[name]) and not is_last):
                continue
            return Content("unknown", _named_only(name, mapping(level[name])), bare_name(name))
    if ignored is not None:
        return ignored
    return _announced(message_type)


def _announced(message_type: str) -> Content | Ignored:
    """Nothing is in it but what it should have been: some channels leave out what they cannot translate."""
    name = bare_name(message_type)
    reason = silent_reason(name, _NOTHING)
    if reason is not None:
        return Ignored(reason, name)
    kind = READERS[name][0] if name in READERS else "unknown"
    if kind in ("text", "reaction") or not is_type(name):
        return Ignored("empty_message", name)
    return Content("unknown", _named_only(name, _NOTHING), name)


def _named_only(name: str, body: JsonObject) -> str:
    said = text(mapping(body.get("body")).get("text"))
    said = said if is_visible(said) else _words_in(body)
    return placeholder(in_words(name), clean(said, MAX_TEXT_CHARS - 128), "" if said else "read")


def _words_in(body: JsonObject) -> str:
    """The first words in it, the outermost first; what it refers to is none of its own."""
    found: list[object] = [body]
    for place in range(_MAX_LOOKED_AT):
        if place >= len(found):
            break
        part = mapping(found[place])
        said = next(filter(is_visible, (text(part.get(field)) for field in _TOLD)), "")
        if said:
            return said
        inner = (value for name, value in part.items() if name not in METADATA)
        for value in islice(inner, _MAX_LOOKED_AT):
            found += [value] if isinstance(value, dict) else items(value)[:_MAX_LOOKED_AT]
    return ""


def _typed(body: object) -> str:
    """What was typed; a program on the way may have made a number of it."""
    is_number = isinstance(body, int | float) and not isinstance(body, bool)
    return line(str(body)) if is_number else text(body)


def _readable(level: JsonObject, message_type: str) -> Iterator[str]:
    """The names of the types in `level` that are known here, the announced one first."""
    for name in (message_type, *(name for name in level if name != message_type)):
        body = level.get(name)
        if not isinstance(body, dict):
            if name == "conversation" and (isinstance(body, str) or _typed(body)):
                yield name
        elif name in READERS or silent_reason(name, body) is not None:
            yield name


def _transcript(message: JsonObject) -> str:
    """What the gateway's own speech recognition made of it."""
    return text(message.get("speechToText")).strip().removeprefix("[audio]").strip()
