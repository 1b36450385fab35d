"""What an Evolution message says, as text. Pure.

A WhatsApp message is an object with one key per type. Laws of this file:

1. The first key is not assumed to be the type: metadata may come first. `messageType` is only a hint: for a wrapped
   message it names the wrapper.
2. Text that the customer typed, chose or spoke stays as it is. Anything else becomes a placeholder in square
   brackets, followed by its caption, so that the responder knows that there was something it cannot see.
3. Only the fields named here leave the payload: no media bytes, keys, links or thumbnails.
4. Total: every object yields a `Content` or a named reason; nothing raises, nothing recurses without bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from daemon.gateways.evolution.parts import READERS, SILENT, Kind, Unheard
from daemon.gateways.lenient import JsonObject, clean, mapping, text
from daemon.ingress.inbound import MAX_TEXT_CHARS

MAX_QUOTED_CHARS = 4_096
_MAX_WRAPPERS = 8


class Content(NamedTuple):
    kind: Kind
    text: str
    quoted_text: str = ""


def read_content(message: JsonObject, message_type: str, context: JsonObject) -> Content | Unheard:
    """What `message` says; `context` is the `contextInfo` beside it, which may hold the message it quotes."""
    found = _first_said(message, message_type)
    if isinstance(found, str):
        return found
    kind, said, part = found
    said = clean(said, MAX_TEXT_CHARS).strip()
    if not said:
        return "empty_text"
    return Content(kind, said, _quoted(context) or _quoted(mapping(part.get("contextInfo"))))


def _quoted(context: JsonObject) -> str:
    quoted = _first_said(mapping(context.get("quotedMessage")), "")
    return "" if isinstance(quoted, str) else clean(quoted[1], MAX_QUOTED_CHARS).strip()


def _first_said(message: JsonObject, message_type: str) -> tuple[Kind, str, JsonObject] | Unheard:
    """Kind, text and body of the first part that says something; else why the first one does not."""
    if not message:
        return "empty_message"
    reason: Unheard | None = None
    transcript = ""
    for level in _unwrapped(message):
        transcript = transcript or _transcript(level)
        for name in _types(level, message_type):
            body = level[name]
            part = mapping(body)
            if name in SILENT:
                reason = reason or SILENT[name](part)
                continue
            kind, read = READERS[name]
            said = text(body) or read(part)
            if kind == "audio" and part.get("ptt") is True:
                kind = "voice"
            if kind in ("audio", "voice"):
                said = transcript or said
            if said.strip():
                return kind, said, part
            reason = reason or ("unreadable_vote" if kind == "poll_vote" else "empty_text")
    return reason or "unsupported_message"


def _unwrapped(message: JsonObject) -> Iterator[JsonObject]:
    """`message`, then what its wrappers hold.

    A wrapper is whatever holds a `message`: ephemeralMessage, viewOnceMessage, viewOnceMessageV2,
    viewOnceMessageV2Extension, documentWithCaptionMessage, editedMessage, deviceSentMessage, or new ones.
    """
    for _ in range(_MAX_WRAPPERS):
        yield message
        inner = (mapping(mapping(part).get("message")) for part in message.values())
        message = next(filter(None, inner), {})
        if not message:
            return


def _types(message: JsonObject, message_type: str) -> Iterator[str]:
    """The names of the types in `message` that are known here, the announced one first."""
    for name in (message_type, *(name for name in message if name != message_type)):
        body = message.get(name)
        if (name in READERS or name in SILENT) and (
            isinstance(body, dict) or (name == "conversation" and isinstance(body, str))
        ):
            yield name


def _transcript(message: JsonObject) -> str:
    """What the gateway's own speech recognition made of it."""
    return text(message.get("speechToText")).strip().removeprefix("[audio]").strip()
