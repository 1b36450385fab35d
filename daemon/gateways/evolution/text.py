"""What an Evolution message says, as text. Pure.

A WhatsApp message is an object with one key per type. Laws of this file:

1. The first key is never taken for the type: metadata may come first. `messageType` is a hint, no more: of a
   wrapped message it names the wrapper.
2. Text the customer typed, chose or spoke stands as it is. Anything else becomes a placeholder in square
   brackets, followed by its caption, so that the responder knows that there was something it cannot see.
3. Only the fields named here leave the payload: no media bytes, keys, links or thumbnails.
4. Total: every object gives a `Content` or a named reason; nothing raises, nothing recurses without bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from daemon.gateways.evolution import placeholders
from daemon.gateways.evolution.replies import button_reply, flow_reply, list_reply, poll_vote, template_reply
from daemon.gateways.lenient import JsonObject, clean, mapping, text

MAX_TEXT_CHARS = 65_536
MAX_QUOTED_CHARS = 4_096
_MAX_WRAPPERS = 8

Kind = Literal[
    "text",
    "image",
    "video",
    "audio",
    "voice",
    "document",
    "sticker",
    "location",
    "contact",
    "button",
    "list",
    "template",
    "interactive",
    "poll",
    "poll_vote",
    "product",
    "order",
    "event",
    "invite",
]

Unheard = Literal[
    "reaction",
    "edited",
    "deleted",
    "unreadable_edit",
    "protocol_message",
    "unreadable_vote",
    "album_header",
    "undecryptable",
    "call",
    "empty_text",
    "empty_message",
    "unsupported_message",
]
"""Why a message says nothing that could be answered."""


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


def protocol_reason(part: JsonObject) -> Unheard:
    """What a `protocolMessage` is about: enum values come as names or as numbers, and 0 may be left out."""
    kind = part.get("type")
    if kind in ("MESSAGE_EDIT", 14) or part.get("editedMessage"):
        return "edited"
    if kind == "REVOKE" or (kind in (0, None) and part.get("key")):
        return "deleted"
    return "protocol_message"


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
            if name in _SILENT:
                reason = reason or _SILENT[name](part)
                continue
            kind, read = _READERS[name]
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
        if (name in _READERS or name in _SILENT) and (
            isinstance(body, dict) or (name == "conversation" and isinstance(body, str))
        ):
            yield name


def _transcript(message: JsonObject) -> str:
    """What the gateway's own speech recognition heard."""
    return text(message.get("speechToText")).strip().removeprefix("[audio]").strip()


def _at(*path: str) -> Callable[[JsonObject], str]:
    """Reads the text at the end of `path`."""

    def read(part: JsonObject) -> str:
        for name in path[:-1]:
            part = mapping(part.get(name))
        return text(part.get(path[-1]))

    return read


_READERS: dict[str, tuple[Kind, Callable[[JsonObject], str]]] = {
    "conversation": ("text", _at("text")),
    "extendedTextMessage": ("text", _at("text")),
    "imageMessage": ("image", placeholders.captioned("image")),
    "videoMessage": ("video", placeholders.captioned("video")),
    "ptvMessage": ("video", placeholders.captioned("video note")),
    "audioMessage": ("audio", placeholders.audio),
    "documentMessage": ("document", placeholders.document),
    "stickerMessage": ("sticker", placeholders.sticker),
    "locationMessage": ("location", placeholders.location),
    "liveLocationMessage": ("location", placeholders.location),
    "contactMessage": ("contact", placeholders.contact),
    "contactsArrayMessage": ("contact", placeholders.contacts),
    "buttonsResponseMessage": ("button", button_reply),
    "listResponseMessage": ("list", list_reply),
    "templateButtonReplyMessage": ("template", template_reply),
    "interactiveResponseMessage": ("interactive", flow_reply),
    "pollUpdateMessage": ("poll_vote", poll_vote),
    "pollCreationMessage": ("poll", placeholders.poll),
    "pollCreationMessageV2": ("poll", placeholders.poll),
    "pollCreationMessageV3": ("poll", placeholders.poll),
    "productMessage": ("product", placeholders.product),
    "orderMessage": ("order", placeholders.order),
    "eventMessage": ("event", placeholders.event),
    "groupInviteMessage": ("invite", placeholders.invite),
    # Sent by the business; a customer may quote or forward them.
    "buttonsMessage": ("button", _at("contentText")),
    "listMessage": ("list", _at("description")),
    "templateMessage": ("template", _at("hydratedTemplate", "hydratedContentText")),
    "interactiveMessage": ("interactive", _at("body", "text")),
}
"""What can be heard. To hear a new type of message, add a line here and a fixture."""

_SILENT: dict[str, Callable[[JsonObject], Unheard]] = {
    "reactionMessage": lambda part: "reaction",
    "encReactionMessage": lambda part: "reaction",
    "protocolMessage": protocol_reason,
    "secretEncryptedMessage": lambda part: "unreadable_edit",
    "senderKeyDistributionMessage": lambda part: "protocol_message",
    "pinInChatMessage": lambda part: "protocol_message",
    "keepInChatMessage": lambda part: "protocol_message",
    "albumMessage": lambda part: "album_header",
    "placeholderMessage": lambda part: "undecryptable",
    "callLogMesssage": lambda part: "call",  # spelt so in WhatsApp's protocol
    "bcallMessage": lambda part: "call",
    "call": lambda part: "call",
}
"""What is known to say nothing. Of an album this is the header: its pictures follow by themselves."""
