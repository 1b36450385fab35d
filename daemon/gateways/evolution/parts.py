"""What each type of WhatsApp message says, as text; or why it says nothing. Pure and total.

What a responder cannot see becomes a placeholder in square brackets. Captions and other words of the customer follow
the bracket unchanged; names inside it are cut to one line. For a choice (a button, a list, a form, a poll), the words
that the customer saw are used, and the business's own ids only if there are no words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from daemon.gateways.lenient import JsonObject, NotJson, decode, integer, items, line, mapping, text

_MAX_LISTED = 20
_MAX_VCARD_CHARS = 65_536
_MAX_FIELDS = 50
_MAX_FIELD_CHARS = 4_096
_MAX_PARAMS_CHARS = 65_536
_MACHINE_FIELDS = frozenset({"id", "flow_token", "wa_flow_response_params", "title", "display_text"})

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
"""Why there is nothing in a message to answer."""


def captioned(label: str) -> Callable[[JsonObject], str]:
    return lambda part: _placeholder(label, text(part.get("caption")))


def _placeholder(label: str, rest: str = "") -> str:
    return f"[{label}] {rest}".rstrip()


def _named(label: str, name: str, rest: str = "") -> str:
    return _placeholder(f"{label}: {name}" if name else label, rest)


def sticker(part: JsonObject) -> str:
    return _placeholder("sticker")


def audio(part: JsonObject) -> str:
    label = "voice message" if part.get("ptt") is True else "audio"
    seconds = integer(part.get("seconds"))
    return _placeholder(f"{label}, {seconds} s" if seconds and 0 < seconds < 1_000_000 else label)


def document(part: JsonObject) -> str:
    return _named(
        "document", line(part.get("fileName")) or line(part.get("title")), text(part.get("caption"))
    )


def location(part: JsonObject) -> str:
    place = [line(part.get("name")), line(part.get("address"), 1024), text(part.get("caption"))]
    where = [part.get("degreesLatitude"), part.get("degreesLongitude")]
    numbers = [number for number in where if isinstance(number, float | int) and -180 <= number <= 180]
    name = f"{numbers[0]},{numbers[1]}" if len(numbers) == 2 else ""
    return _named("location", name, ", ".join(word for word in place if word))


def contact(part: JsonObject) -> str:
    phones = [
        entry.rpartition(":")[2]
        for entry in text(part.get("vcard"))[:_MAX_VCARD_CHARS].splitlines()
        if ":" in entry and entry.partition(":")[0].partition(";")[0].rpartition(".")[2].upper() == "TEL"
    ]
    return _named("contact", line(part.get("displayName")), ", ".join(phones[:_MAX_LISTED]))


def contacts(part: JsonObject) -> str:
    return "\n".join(contact(mapping(entry)) for entry in items(part.get("contacts"))[:_MAX_LISTED])


def poll(part: JsonObject) -> str:
    options = [line(mapping(option).get("optionName")) for option in items(part.get("options"))[:_MAX_LISTED]]
    return _named("poll", line(part.get("name")), " / ".join(option for option in options if option))


def product(part: JsonObject) -> str:
    product = mapping(part.get("product"))
    return _named("product", line(product.get("title")), text(part.get("body")))


def order(part: JsonObject) -> str:
    return _named("order", line(part.get("orderTitle")), text(part.get("message")))


def event(part: JsonObject) -> str:
    return _named("event", line(part.get("name")), text(part.get("description")))


def invite(part: JsonObject) -> str:
    return _named("group invite", line(part.get("groupName")), text(part.get("caption")))


def button_reply(part: JsonObject) -> str:
    return text(part.get("selectedDisplayText")) or text(part.get("selectedButtonId"))


def list_reply(part: JsonObject) -> str:
    """The chosen row's title; its description is the business's own words, used when there is no title."""
    row_id = mapping(part.get("singleSelectReply")).get("selectedRowId")
    return text(part.get("title")) or text(part.get("description")) or text(row_id)


def template_reply(part: JsonObject) -> str:
    return text(part.get("selectedDisplayText")) or text(part.get("selectedId"))


def poll_vote(part: JsonObject) -> str:
    """The options now ticked, when the gateway could decrypt the vote; the newer versions can."""
    options = [
        line(option) or line(mapping(option).get("name"))
        for option in items(mapping(part.get("vote")).get("selectedOptions"))[:_MAX_FIELDS]
    ]
    chosen = ", ".join(option for option in options if option)
    return f"[poll vote] {chosen}" if chosen else ""


def flow_reply(part: JsonObject) -> str:
    """A quick reply's words, or a form's body and its fields, one to a line."""
    body = text(mapping(part.get("body")).get("text")).strip()
    params = _params(text(mapping(part.get("nativeFlowResponseMessage")).get("paramsJson")))
    title = text(params.get("display_text")) or text(params.get("title"))
    fields = "\n".join(_fields(params))
    return "\n".join(words for words in (body or title, fields) if words) or text(params.get("id"))


def _params(encoded: str) -> JsonObject:
    if len(encoded) > _MAX_PARAMS_CHARS:
        return {}
    try:
        return mapping(decode(encoded.encode("utf-8", "replace")))
    except NotJson:
        return {}


def _fields(params: JsonObject) -> Iterator[str]:
    for name, value in list(params.items())[:_MAX_FIELDS]:
        words = "" if name in _MACHINE_FIELDS else _words(value)
        if words:
            yield f"{line(name)}: {words}"


def _words(value: object) -> str:
    """A form's field: text, number, tick box, or a list of chosen texts."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return line(str(value))
    if isinstance(value, list):
        return ", ".join(filter(None, map(line, value[:_MAX_FIELDS])))
    return line(value, _MAX_FIELD_CHARS)


def protocol_reason(part: JsonObject) -> Unheard:
    """The type of a `protocolMessage`: enum values come as names or as numbers, and 0 may be left out."""
    kind = part.get("type")
    if kind in ("MESSAGE_EDIT", 14) or part.get("editedMessage"):
        return "edited"
    if kind == "REVOKE" or (kind in (0, None) and part.get("key")):
        return "deleted"
    return "protocol_message"


def _at(*path: str) -> Callable[[JsonObject], str]:
    """Reads the text at the end of `path`."""

    def read(part: JsonObject) -> str:
        for name in path[:-1]:
            part = mapping(part.get(name))
        return text(part.get(path[-1]))

    return read


READERS: dict[str, tuple[Kind, Callable[[JsonObject], str]]] = {
    "conversation": ("text", _at("text")),
    "extendedTextMessage": ("text", _at("text")),
    "imageMessage": ("image", captioned("image")),
    "videoMessage": ("video", captioned("video")),
    "ptvMessage": ("video", captioned("video note")),
    "audioMessage": ("audio", audio),
    "documentMessage": ("document", document),
    "stickerMessage": ("sticker", sticker),
    "locationMessage": ("location", location),
    "liveLocationMessage": ("location", location),
    "contactMessage": ("contact", contact),
    "contactsArrayMessage": ("contact", contacts),
    "buttonsResponseMessage": ("button", button_reply),
    "listResponseMessage": ("list", list_reply),
    "templateButtonReplyMessage": ("template", template_reply),
    "interactiveResponseMessage": ("interactive", flow_reply),
    "pollUpdateMessage": ("poll_vote", poll_vote),
    "pollCreationMessage": ("poll", poll),
    "pollCreationMessageV2": ("poll", poll),
    "pollCreationMessageV3": ("poll", poll),
    "productMessage": ("product", product),
    "orderMessage": ("order", order),
    "eventMessage": ("event", event),
    "groupInviteMessage": ("invite", invite),
    # Sent by the business; a customer may quote or forward them.
    "buttonsMessage": ("button", _at("contentText")),
    "listMessage": ("list", _at("description")),
    "templateMessage": ("template", _at("hydratedTemplate", "hydratedContentText")),
    "interactiveMessage": ("interactive", _at("body", "text")),
}
"""The types that say something. To read a new one, add a line here and a fixture."""

SILENT: dict[str, Callable[[JsonObject], Unheard]] = {
    "reactionMessage": lambda part: "reaction",
    "encReactionMessage": lambda part: "reaction",
    "protocolMessage": protocol_reason,
    "secretEncryptedMessage": lambda part: "unreadable_edit",
    "senderKeyDistributionMessage": lambda part: "protocol_message",
    "pinInChatMessage": lambda part: "protocol_message",
    "keepInChatMessage": lambda part: "protocol_message",
    "albumMessage": lambda part: "album_header",
    "placeholderMessage": lambda part: "undecryptable",
    "callLogMesssage": lambda part: "call",  # WhatsApp's protocol spells it this way
    "bcallMessage": lambda part: "call",
    "call": lambda part: "call",
}
"""The types that are known to say nothing. An album is only a header: its pictures follow as messages."""
