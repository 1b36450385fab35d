"""One message of the Evolution gateway: a customer's, the business's own, a change of either, or why it is none. Pure.

Laws of this file:

1. What the business wrote is not to be answered, so it has the reason `own_message`. But the customer read it, so it is
   in `own` as well, with who wrote it: `messages.upsert` is a person on the phone or WhatsApp Web, `send.message`
   whatever was sent through the gateway, our own replies among it. These are not in `own`: what says nothing (a
   reaction, an edit, a call), and what might not be our own.
2. A reaction is an aside: nothing to answer by itself. The header of an album is heard: it says how many follow.
3. A message that says nothing is heard all the same if it refers to an ad or a product.
4. A picture or video that WhatsApp sends again in another quality (HD), or as the moving part of a photo, is no message
   of the customer's: `second_copy`. The first one was.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from actors.messages import Context, Message
from actors.told import stand_in
from daemon.gateways.evolution.amendments import amended, change_in
from daemon.gateways.evolution.context import MAX_ID_CHARS, Author, WhoIs, contexts_of
from daemon.gateways.evolution.digests import media_hash
from daemon.gateways.evolution.identity import NotAPerson, Sender, identify, people_of, person
from daemon.gateways.evolution.parts import album_size, reaction_target
from daemon.gateways.evolution.text import Content, levels_of, read_content
from daemon.gateways.evolution.times import sent_at
from daemon.gateways.lenient import JsonObject, clean, line, mapping, text
from daemon.ingress.inbound import Amendment, Ignored, OwnMessage, OwnSender
from daemon.ingress.inline_media import was_cut

_MAX_JID_CHARS = 128
_IN_ALBUM = frozenset({"MEDIA_ALBUM", "1"})
_MEDIA = frozenset({"image", "video", "audio", "voice", "document", "sticker"})
_SIGNED = re.compile(r"\*[^*\n]{1,64}:\*\n")

_KINDS_OF_PARTS = 100
"""The protocol numbers them; it knows some twenty."""
_COPIES = frozenset(
    {
        "HD_VIDEO_DUAL_UPLOAD",
        "5",
        "HD_IMAGE_DUAL_UPLOAD",
        "10",
        "MOTION_PHOTO",
        "12",
        "HEVC_VIDEO_DUAL_UPLOAD",
        "19",
    }
)
"""How WhatsApp's protocol says that a file is another form of its parent."""

_TELEPHONES = ("android", "ios", "desktop")
_OF_THE_GATEWAY = ("3EB0", "BAE5")
"""So begin the ids that the gateway makes; some versions take the length of such an id for a telephone's."""

Read = Message | OwnMessage | Amendment | Ignored


Unusable = NotAPerson | Literal["own_message", "no_id", "bad_id", "malformed"]
"""Why an item is not a message to answer; what `Unheard` names is why a message says nothing.

Of the chat: `group`, `status_broadcast`, `broadcast`, `newsletter`, `unsupported_sender` (neither a phone
number nor a LID), `no_sender`. Of the message: `own_message` (sent by the account, through the gateway or by
hand), `no_id`, `bad_id` (too long, or not storable), `malformed` (no object, or no key).
"""


class Envelope(msgspec.Struct, frozen=True):
    """What a payload says of all its messages."""

    origin: str = ""
    account: str = ""
    """The business's own number or LID."""
    is_long: bool = False
    """So media may have been cut from it."""


NO_ENVELOPE = Envelope()


def read_item(instance: str, item: JsonObject, envelope: Envelope = NO_ENVELOPE) -> Read:
    """One message, as webhooks bring it and records keep it, or why it is none."""
    key = mapping(item.get("key"))
    if key.get("fromMe") not in (None, False, "false"):
        return read_own(instance, item)
    sender: Sender | Unusable = identify(key) if key else "malformed"
    if isinstance(sender, str):
        return Ignored(sender)
    message_id = text(key.get("id"))
    if not message_id or message_id != clean(message_id, MAX_ID_CHARS):
        return Ignored("bad_id" if message_id else "no_id")
    levels = levels_of(mapping(item.get("message")))
    if (change := change_in(levels)) is not None:
        contact = "" if "@" in sender.contact else sender.contact
        return amended(instance, change, item, contact, message_id)
    content = _read_content(item, levels)
    contexts = contexts_of(item, levels, _who(key, envelope.account))
    if isinstance(content, Ignored):
        words = stand_in(contexts) if content.reason in ("empty_text", "empty_message") else ""
        if not words:
            return content
        content = Content("ad" if contexts[-1].kind == "ad" else "product", words, content.type)
    is_reaction, is_media = content.kind == "reaction", content.kind in _MEDIA
    return Message(
        instance=instance,
        contact=sender.contact,
        id=message_id,
        text=content.text,
        sent_at=sent_at(item.get("messageTimestamp")),
        kind=content.kind,
        lid=sender.lid,
        push_name=line(item.get("pushName")),
        context=(Context("reaction", id=_id(reaction_target(content.part))),) if is_reaction else contexts,
        server_origin=envelope.origin,
        media_inline_dropped=envelope.is_long and _lost_media(mapping(item.get("message"))),
        media_hash=media_hash(content.part) if is_media else "",
        aside="reaction" if is_reaction else "",
        album=message_id if content.kind == "album" else _parent(_IN_ALBUM, item, levels) if is_media else "",
        album_size=album_size(content.part) if content.kind == "album" else 0,
    )


def _who(key: JsonObject, account: str) -> WhoIs:
    def who_is(jid: str) -> Author:
        name = person(jid[:_MAX_JID_CHARS])
        if not name:
            return ""
        return "customer" if name in people_of(key) else "business" if name == account else ""

    return who_is


def _id(found: str) -> str:
    return found if found == clean(found, MAX_ID_CHARS) else ""


def _parent(kinds: frozenset[str], item: JsonObject, levels: tuple[JsonObject, ...]) -> str:
    """The id of the message that a file belongs to in one of these ways: an album, a picture of less quality."""
    infos = (level.get("messageContextInfo") for level in levels)
    for info in map(mapping, (*infos, item.get("messageContextInfo"), item.get("contextInfo"))):
        association = mapping(info.get("messageAssociation"))
        kind = association.get("associationType")
        name = str(kind) if isinstance(kind, int) and 0 < kind < _KINDS_OF_PARTS else text(kind)
        if name in kinds:
            return _id(text(mapping(association.get("parentMessageKey")).get("id")))
    return ""


def _lost_media(message: JsonObject) -> bool:
    """Whether media were cut from it on the way: they stand beside the type of the message, or in it."""
    return any(
        was_cut(value) or (isinstance(value, dict) and any(map(was_cut, value.values())))
        for value in message.values()
    )


def read_own(instance: str, item: JsonObject, by_program: bool = False) -> OwnMessage | Ignored:
    """What is, or might be, the account's own. When in doubt it is, so that we never answer ourselves.

    But a doubtful one does not silence Majlis either.

    Args:
      by_program: it was sent through the gateway's API.
    """
    key = mapping(item.get("key"))
    partner: Sender | Unusable = identify(key, own=True) if key else "malformed"
    if isinstance(partner, str):
        return Ignored(partner)
    message_id = text(key.get("id"))
    levels = levels_of(mapping(item.get("message")))
    content = _read_content(item, levels)
    is_known = bool(message_id) and message_id == clean(message_id, MAX_ID_CHARS)
    if key.get("fromMe") not in (True, "true") or not is_known:
        return Ignored("own_message")
    if isinstance(content, Ignored):
        return Ignored("own_message", content.type)
    if content.kind == "reaction" or change_in(levels) is not None:
        return Ignored("own_message", content.type)
    return OwnMessage(
        instance=instance,
        contact=partner.contact,
        lid=partner.lid,
        id=message_id,
        text=content.text,
        sent_at=sent_at(item.get("messageTimestamp")),
        on_phone=text(item.get("source")) in _TELEPHONES and not message_id.startswith(_OF_THE_GATEWAY),
        sender=_program(content) if by_program else "person",
        kind=content.kind,
    )


def _program(content: Content) -> OwnSender:
    """Evolution sends an agent's words in Chatwoot through itself, and the event has no mark of that but the agent's
    name, which Chatwoot's inbox puts before them (`signMsg`).
    """
    words = text(content.part.get("caption")) or content.text
    return "chatwoot" if _SIGNED.match(words) else "program"


def _read_content(item: JsonObject, levels: tuple[JsonObject, ...]) -> Content | Ignored:
    if not levels and item.get("messageStubType"):  # WhatsApp's stand-in for what could not be decrypted
        return Ignored("undecryptable")
    content = read_content(levels, text(item.get("messageType")))
    if isinstance(content, Content) and content.kind in _MEDIA and _parent(_COPIES, item, levels):
        return Ignored("second_copy", content.type)
    return content
