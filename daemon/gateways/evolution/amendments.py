"""Edits and deletions, in every shape that a version of the gateway gives them. Pure and total.

| event             | what it is                                                             | the key's view   |
| ----------------- | ---------------------------------------------------------------------- | ---------------- |
| `messages.edited` | a `protocolMessage`: an edit or a deletion (or neither: 2.3 sends all) | its sender's     |
| `messages.upsert` | the same within a message; since 2026 encrypted, without a text        | ours, outside it |
| `messages.delete` | the key of a deleted message, bare or as `key`                         | ours             |
| `messages.update` | 2.4: the edited message; in other gateways a message that is null      | ours             |

Laws of this file:
1. In a one-to-one chat `messages.edited` names the chat and `fromMe` from the side of whoever wrote: a customer's edit
   looks like our own. So a message is found by its id alone, and `contact` is given only where the key is ours.
2. The same change comes in several of these shapes. Its id is made of the target and the new text, so that it is the
   same each time, whatever brings it. Whoever goes back to an earlier text makes the same change at a later time: only
   its own time tells that, which some shapes have (`made_at`); `daemon/ingress/inbox.py` tells the two apart.
3. `messages.update` with the status DELETED is no deletion: up to 2.3.6 that is the word for every status the gateway
   does not know, so for edits, stars and poll votes. A deletion comes as `messages.delete`, and an edit as
   `messages.edited`, in these versions as well.
"""

from __future__ import annotations

from hashlib import blake2s
from typing import NamedTuple

from daemon.gateways.evolution.identity import Sender, identify
from daemon.gateways.evolution.parts import protocol_reason
from daemon.gateways.evolution.text import levels_of, read_content
from daemon.gateways.evolution.times import sent_at
from daemon.gateways.evolution.type_names import bare_name
from daemon.gateways.lenient import JsonObject, clean, mapping, text
from daemon.ingress.inbound import MAX_TEXT_CHARS, Amendment, Ignored

MAX_TARGET_CHARS = 208
"""Of a message's 256: its change is named after it, and after the time if it comes again later."""

_CHATS = ("group", "status_broadcast", "broadcast", "newsletter")


class MessageChange(NamedTuple):
    """What was done to which message."""

    target: str
    text: str = ""
    deleted: bool = False
    sent_at: int = 0


def change_in(levels: tuple[JsonObject, ...]) -> MessageChange | None:
    """The change that a message tells of; None: it is an ordinary message."""
    for level in levels:
        if _CHANGES.keys().isdisjoint(level):
            continue
        for name, read in _CHANGES.items():
            if isinstance(part := level.get(name), dict) and (change := read(part)) is not None:
                return change
    return None


def amended(
    instance: str, change: MessageChange, item: JsonObject, contact: str, origin: str
) -> Amendment | Ignored:
    """The change as an amendment.

    Args:
      contact: whose conversation it is, where that is certain.
      origin: the id of what told of it; tells apart changes that nobody can read.
    """
    target = change.target
    if not target or target != clean(target, MAX_TARGET_CHARS):
        return Ignored("bad_id" if target else "no_id", "deleted" if change.deleted else "edited")
    moment = change.sent_at or sent_at(item.get("messageTimestamp"))
    what = "deleted" if change.deleted else "edited-" + _digest(change.text or origin or str(moment))
    return Amendment(
        instance, f"{target}/{what}", target, contact, change.text, change.deleted, moment, change.sent_at
    )


def edited_event(instance: str, item: JsonObject) -> Amendment | Ignored:
    """An item of `messages.edited`."""
    if isinstance(message := item.get("message"), dict):  # a whole message, as `messages.upsert` has it
        change, contact = change_in(levels_of(message)), _contact(mapping(item.get("key")))
    else:
        change, contact = _protocol(item), ""
    if change is None:
        return Ignored(protocol_reason(item), _protocol_type(item))
    return _other_chat(mapping(item.get("key"))) or amended(instance, change, item, contact, "")


def deleted_event(instance: str, item: JsonObject) -> Amendment | Ignored:
    """An item of `messages.delete`. What was deleted through the gateway's API comes with a row's id beside the key."""
    key = mapping(item.get("key")) or item
    return _other_chat(key) or amended(
        instance, MessageChange(text(key.get("id")), deleted=True), item, _contact(key), ""
    )


def updated_event(instance: str, item: JsonObject) -> Amendment | None:
    """An item of `messages.update`; None: it only tells of a status."""
    update = mapping(item.get("update")) or item
    key = mapping(item.get("key")) or item
    target = text(item.get("keyId")) or text(mapping(item.get("key")).get("id"))
    message = update.get("message")
    if isinstance(message, dict) and isinstance(message.get("editedMessage"), dict):
        change = change_in(levels_of(message)) or MessageChange(target, _words(message))
    elif message is None and update.get("messageStubType") in (1, "REVOKE"):
        change = MessageChange(target, deleted=True)
    else:
        return None
    if _other_chat(key) is not None:
        return None
    found = amended(instance, change, item, _contact(key), "")
    return None if isinstance(found, Ignored) else found


def _protocol(part: JsonObject) -> MessageChange | None:
    reason = protocol_reason(part)
    target = text(mapping(part.get("key")).get("id"))
    moment = sent_at(part.get("timestampMs"))
    if reason == "edited":
        return MessageChange(target, _words(mapping(part.get("editedMessage"))), sent_at=moment)
    return MessageChange(target, deleted=True, sent_at=moment) if reason == "deleted" else None


def _encrypted(part: JsonObject) -> MessageChange | None:
    is_edit = part.get("secretEncType") in (2, "2", "MESSAGE_EDIT")
    return MessageChange(text(mapping(part.get("targetMessageKey")).get("id"))) if is_edit else None


def _edit_of_meta(part: JsonObject) -> MessageChange | None:
    target = text(part.get("original_message_id"))
    return MessageChange(target, _meta_words(mapping(part.get("message")))) if target else None


def _revoke_of_meta(part: JsonObject) -> MessageChange | None:
    target = text(part.get("original_message_id"))
    return MessageChange(target, deleted=True) if target else None


def _meta_words(message: JsonObject) -> str:
    part = mapping(message.get(text(message.get("type"))[:64]))
    said = text(part.get("body")) or text(part.get("caption"))
    return clean(said, MAX_TEXT_CHARS).strip()


_CHANGES = {
    "protocolMessage": _protocol,
    "secretEncryptedMessage": _encrypted,
    "editMessage": _edit_of_meta,
    "edit": _edit_of_meta,
    "revokeMessage": _revoke_of_meta,
    "revoke": _revoke_of_meta,
}


def _words(message: JsonObject) -> str:
    content = read_content(levels_of(message))
    return "" if isinstance(content, Ignored) else content.text


def _protocol_type(item: JsonObject) -> str:
    kind = item.get("type")
    return bare_name(f"protocolMessage.{kind}") if isinstance(kind, str | int) else "protocolMessage"


def _other_chat(key: JsonObject) -> Ignored | None:
    """Why a chat is none with a customer, whoever's view it is."""
    found = identify(key) if key else None
    return Ignored(found) if isinstance(found, str) and found in _CHATS else None


def _contact(key: JsonObject) -> str:
    """The customer of a key that is ours; a LID alone may not be what the conversation is called."""
    found = identify(key) if key.get("fromMe") in (False, "false") else None
    return found.contact if isinstance(found, Sender) and "@" not in found.contact else ""


def _digest(words: str) -> str:
    return blake2s(words.encode("utf-8", "replace"), digest_size=8).hexdigest()
