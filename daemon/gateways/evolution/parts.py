"""What each type of WhatsApp message says, as text; or why it says nothing. Pure and total.

What a responder cannot see becomes a placeholder in square brackets, which says so. Captions and other words of the
customer follow the bracket unchanged; names inside it are cut to one line.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Literal

from actors.text import is_visible
from daemon.gateways.evolution import choices, offers, trade
from daemon.gateways.evolution.placeholders import named, placeholder, within
from daemon.gateways.evolution.type_names import in_words
from daemon.gateways.lenient import JsonObject, integer, items, line, mapping, text

_MAX_LISTED = 20
_MAX_VCARD_CHARS = 65_536
_MAX_EMOJI_CHARS = 64
_MAX_DEGREES_CHARS = 32

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
    "menu",
    "poll",
    "poll_vote",
    "product",
    "order",
    "payment",
    "event",
    "invite",
    "album",
    "reaction",
    "ad",
    "unknown",
]

Unheard = Literal[
    "reaction",
    "edited",
    "deleted",
    "unreadable_edit",
    "protocol_message",
    "undecryptable",
    "call",
    "second_copy",
    "empty_text",
    "empty_message",
]
"""Why there is nothing in a message to answer. It is a short list: whatever else a customer sends is heard."""

MOST_IN_AN_ALBUM = 100


def captioned(label: str) -> Callable[[JsonObject], str]:
    return lambda part: placeholder(label, text(part.get("caption")), "seen")


def video(label: str) -> Callable[[JsonObject], str]:
    return lambda part: placeholder(label + _seconds(part), text(part.get("caption")), "seen")


def sticker(part: JsonObject) -> str:
    return placeholder("sticker", cannot_be="seen")


def audio(part: JsonObject) -> str:
    label = "voice message" if part.get("ptt") is True else "audio"
    return placeholder(label + _seconds(part), cannot_be="heard")


def _seconds(part: JsonObject) -> str:
    seconds = integer(part.get("seconds"))
    return f", {seconds} s" if seconds and 0 < seconds < 1_000_000 else ""


def document(part: JsonObject) -> str:
    name = line(part.get("fileName")) or line(part.get("filename")) or line(part.get("title"))
    return named("document", name, text(part.get("caption")), "read")


def album(part: JsonObject) -> str:
    """The header of several pictures and videos, which follow as messages."""
    counts = ((album_count(part, name), word) for name, word in _IN_ALBUMS.items())
    return named(
        "album", ", ".join(f"{count} {word}{'s' if count > 1 else ''}" for count, word in counts if count)
    )


_IN_ALBUMS = {"expectedImageCount": "picture", "expectedVideoCount": "video"}


def album_count(part: JsonObject, name: str) -> int:
    count = integer(part.get(name)) or 0
    return min(max(count, 0), MOST_IN_AN_ALBUM)


def album_size(part: JsonObject) -> int:
    return min(sum(album_count(part, name) for name in _IN_ALBUMS), MOST_IN_AN_ALBUM)


def reaction(part: JsonObject) -> str:
    emoji = line(part.get("text") or part.get("emoji"), _MAX_EMOJI_CHARS)
    return f"[reaction] {emoji}" if is_visible(emoji) else "[reaction taken back]"


def reaction_target(part: JsonObject) -> str:
    """The id of the message that was reacted to."""
    return text(mapping(part.get("key")).get("id")) or text(part.get("message_id"))


def location(part: JsonObject) -> str:
    words = text(part.get("caption")) or text(part.get("comment"))
    place = [line(part.get("name")), line(part.get("address"), 1024), words]
    where = map(_degrees, (part.get("degreesLatitude"), part.get("degreesLongitude")))
    numbers = [number for number in where if number is not None and -180 <= number <= 180]
    name = f"{numbers[0]},{numbers[1]}" if len(numbers) == 2 else ""
    return named("location", name, ", ".join(word for word in place if word))


def _degrees(value: object) -> float | None:
    if isinstance(value, str) and len(value) <= _MAX_DEGREES_CHARS:
        try:
            return float(value)
        except ValueError:
            return None
    return value if isinstance(value, float | int) and not isinstance(value, bool) else None


def live_location(part: JsonObject) -> str:
    return location(part).replace("[location", "[live location", 1)


def contact(part: JsonObject) -> str:
    card = text(part.get("vcard"))[:_MAX_VCARD_CHARS].splitlines()
    name = line(part.get("displayName")) or line("".join(_in_card(card, "FN")[:1]))
    return named("contact", name, within(", ".join(_in_card(card, "TEL"))))


def _in_card(card: list[str], name: str) -> list[str]:
    """The values of a card's lines of this name: `item1.TEL;waid=966…:+966 …`."""
    fields = (entry.partition(":") for entry in card)
    found = (value for field, colon, value in fields if colon and _field_of(field) == name)
    values = (value.rpartition(":")[2].strip() if name == "TEL" else value.strip() for value in found)
    return list(islice(values, _MAX_LISTED))


def _field_of(field: str) -> str:
    return field.partition(";")[0].rpartition(".")[2].upper()


def contacts(part: JsonObject) -> str:
    return "\n".join(contact(mapping(entry)) for entry in items(part.get("contacts"))[:_MAX_LISTED])


def poll(part: JsonObject) -> str:
    options = [line(mapping(option).get("optionName")) for option in items(part.get("options"))[:_MAX_LISTED]]
    return named("poll", line(part.get("name")), " / ".join(option for option in options if option))


def event(part: JsonObject) -> str:
    return named("event", line(part.get("name")), text(part.get("description")))


def invite(part: JsonObject) -> str:
    return named("group invite", line(part.get("groupName")), text(part.get("caption")))


def newsletter_invite(part: JsonObject) -> str:
    return named(
        "invite to administer a channel", line(part.get("newsletterName")), text(part.get("caption"))
    )


def planned_call(part: JsonObject) -> str:
    return named("planned call", line(part.get("title")))


def sticker_pack(part: JsonObject) -> str:
    return named("sticker pack", line(part.get("name")), text(part.get("caption")), "seen")


def event_response(part: JsonObject) -> str:
    answer = part.get("response")
    words = _ANSWERS.get(answer, "") if isinstance(answer, str | int) else ""
    return named("answer to an event", words)


_ANSWERS: dict[str | int, str] = {
    1: "coming",
    2: "not coming",
    3: "maybe",
    "GOING": "coming",
    "NOT_GOING": "not coming",
    "MAYBE": "maybe",
}


def poll_result(part: JsonObject) -> str:
    votes = (mapping(vote) for vote in items(part.get("pollVotes"))[:_MAX_LISTED])
    said = (f"{line(vote.get('optionName'))}: {integer(vote.get('optionVoteCount')) or 0}" for vote in votes)
    return named("poll result", line(part.get("name")), " / ".join(said))


def not_passed_on(part: JsonObject) -> str:
    """What Meta does not pass on to programs, named if it says what it is."""
    kind = text(part.get("type"))
    return placeholder(in_words(kind) if kind else "message of an unknown type", cannot_be="read")


def protocol_reason(part: JsonObject) -> Unheard:
    """The type of a `protocolMessage`: enum values come as names or as numbers, and 0 may be left out."""
    kind = part.get("type")
    if kind in ("MESSAGE_EDIT", 14, "14") or part.get("editedMessage"):
        return "edited"
    if kind == "REVOKE" or (kind in (0, "0", None) and part.get("key")):
        return "deleted"
    return "protocol_message"


def _at(*path: str) -> Callable[[JsonObject], str]:
    """Reads the text at the end of `path`."""

    def read(part: JsonObject) -> str:
        for name in path[:-1]:
            part = mapping(part.get(name))
        return text(part.get(path[-1]))

    return read


def _always(label: str) -> Callable[[JsonObject], str]:
    return lambda part: placeholder(label)


READERS: dict[str, tuple[Kind, Callable[[JsonObject], str]]] = {
    "conversation": ("text", _at("text")),
    "extendedTextMessage": ("text", _at("text")),
    "imageMessage": ("image", captioned("image")),
    "videoMessage": ("video", video("video")),
    "ptvMessage": ("video", video("video note")),
    "audioMessage": ("audio", audio),
    "documentMessage": ("document", document),
    "stickerMessage": ("sticker", sticker),
    "stickerPackMessage": ("sticker", sticker_pack),
    "locationMessage": ("location", location),
    "liveLocationMessage": ("location", live_location),
    "contactMessage": ("contact", contact),
    "contactsArrayMessage": ("contact", contacts),
    "buttonsResponseMessage": ("button", choices.button_reply),
    "listResponseMessage": ("list", choices.list_reply),
    "templateButtonReplyMessage": ("template", choices.template_reply),
    "interactiveResponseMessage": ("interactive", choices.flow_reply),
    "pollUpdateMessage": ("poll_vote", choices.poll_vote),
    "pollCreationMessage": ("poll", poll),
    "pollCreationMessageV2": ("poll", poll),
    "pollCreationMessageV3": ("poll", poll),
    "pollCreationMessageV5": ("poll", poll),
    "pollResultSnapshotMessage": ("poll", poll_result),
    "productMessage": ("product", trade.product),
    "orderMessage": ("order", trade.order),
    "order": ("order", trade.order),
    "sendPaymentMessage": ("payment", trade.payment),
    "requestPaymentMessage": ("payment", trade.payment_request),
    "invoiceMessage": ("payment", trade.invoice),
    "paymentInviteMessage": ("payment", _always("payment invitation")),
    "declinePaymentRequestMessage": ("payment", _always("payment request declined")),
    "cancelPaymentRequestMessage": ("payment", _always("payment request cancelled")),
    "eventMessage": ("event", event),
    "eventResponseMessage": ("event", event_response),
    "scheduledCallCreationMessage": ("event", planned_call),
    "groupInviteMessage": ("invite", invite),
    "newsletterAdminInviteMessage": ("invite", newsletter_invite),
    "newsletterFollowerInviteMessage": ("invite", newsletter_invite),
    "albumMessage": ("album", album),
    "reactionMessage": ("reaction", reaction),
    "reaction": ("reaction", reaction),
    "unsupportedMessage": ("unknown", not_passed_on),
    # Sent by the business; a customer may quote or forward them.
    "buttonsMessage": ("menu", offers.buttons),
    "listMessage": ("menu", offers.options),
    "templateMessage": ("menu", offers.template),
    "highlyStructuredMessage": ("menu", offers.structured_text),
    "interactiveMessage": ("menu", offers.interactive),
}
"""The types that say something. To read a new one, add a line here and a fixture."""

_NOT_HEARD_BY_TYPE: dict[str, Unheard] = {
    "reaction": "reaction",
    "edit": "unreadable_edit",
    "pin": "protocol_message",
    "poll_update": "protocol_message",
}
"""Of what Meta names but does not pass on."""


def silent_reason(name: str, part: JsonObject) -> Unheard | None:
    """Why a part of this type says nothing; None: it may say something."""
    if name == "unsupportedMessage":
        return _NOT_HEARD_BY_TYPE.get(text(part.get("type")))
    read = SILENT.get(name)
    return None if read is None else read(part)


SILENT: dict[str, Callable[[JsonObject], Unheard]] = {
    # How WhatsApp's own machines talk.
    "protocolMessage": protocol_reason,
    "senderKeyDistributionMessage": lambda part: "protocol_message",
    "fastRatchetKeySenderKeyDistributionMessage": lambda part: "protocol_message",
    "messageHistoryBundle": lambda part: "protocol_message",
    "messageHistoryNotice": lambda part: "protocol_message",
    "systemMessage": lambda part: "protocol_message",
    "requestWelcomeMessage": lambda part: "protocol_message",
    "statusNotificationMessage": lambda part: "protocol_message",
    "stickerSyncRmrMessage": lambda part: "protocol_message",
    "request_welcomeMessage": lambda part: "protocol_message",
    # What a customer does to the chat, not in it.
    "pinInChatMessage": lambda part: "protocol_message",
    "keepInChatMessage": lambda part: "protocol_message",
    "callLogMesssage": lambda part: "call",  # WhatsApp's protocol spells it this way
    "bcallMessage": lambda part: "call",
    "call": lambda part: "call",
    "scheduledCallEditMessage": lambda part: "call",
    # What nobody can read, and what comes again if it can be read.
    "encReactionMessage": lambda part: "reaction",
    "secretEncryptedMessage": lambda part: "unreadable_edit",
    "placeholderMessage": lambda part: "undecryptable",
}
"""All that is not heard on purpose."""
