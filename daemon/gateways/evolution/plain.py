"""A webhook that brings one typed text and nothing else, as nearly all do, read in one step. Pure.

`payload.py` says what a webhook means. This file only knows a shape of which nothing is left to ask: one message of a
customer with words in it, no quote, no ad, no medium, no change of another message. What is read of it is read by the
same functions.

The laws of this file:
1. It gives exactly what `read_webhook` of `payload.py` gives, or nothing at all: then that reads it. A test compares
   the two.
2. A field, an event or a type that is not declared here is nothing for this file: whoever teaches the other file to
   read one more need not think of this one.
3. Every value is decoded, also those that nobody asks for: bytes that are no JSON are refused in both.
"""

from __future__ import annotations

from functools import lru_cache
from operator import attrgetter
from typing import Annotated, Literal

import msgspec

from actors.identity import MAX_INSTANCE_CHARS
from actors.messages import Message
from actors.text import is_visible
from daemon.gateways.evolution.context import MAX_ID_CHARS
from daemon.gateways.evolution.envelope import account_number, origin
from daemon.gateways.evolution.identity import FIELDS, NotAPerson, Sender, identify
from daemon.gateways.evolution.times import sent_at
from daemon.gateways.lenient import clean, line
from daemon.ingress.inbound import MAX_TEXT_CHARS, Inbound, Link
from daemon.ingress.inline_media import SHORT_BYTES

_REMEMBERED = 4096

_Scalar = str | int | bool | None
_Object = dict[str, _Scalar]
_Jid = Annotated[str, msgspec.Meta(max_length=128)] | None
"""Longer than any real one: what is remembered must not fill the memory."""


class _Declared(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """No other fields."""


class _Key(_Declared, frozen=True):
    id: str
    remoteJid: _Jid = None
    remoteJidAlt: _Jid = None
    senderPn: _Jid = None
    participantPn: _Jid = None
    senderLid: _Jid = None
    previousRemoteJid: _Jid = None
    participant: _Jid = None
    participantAlt: _Jid = None
    fromMe: bool = False
    addressingMode: str | None = None


class _Device(_Declared, frozen=True):
    """Of the writer's telephone. Nobody asks for it."""

    deviceListMetadata: dict[str, _Scalar | _Object] | None = None
    deviceListMetadataVersion: int | None = None
    messageSecret: str | _Object | None = None
    limitSharingV2: _Object | None = None


class _Fading(_Declared, frozen=True):
    """How long the messages of this chat last: it refers to nothing."""

    expiration: int | None = None
    ephemeralSettingTimestamp: int | str | _Object | None = None
    disappearingMode: _Object | None = None


class _Text(_Declared, frozen=True):
    conversation: str
    messageContextInfo: _Device | None = None


class _Item(_Declared, frozen=True):
    key: _Key
    message: _Text
    messageType: Literal["conversation"]
    messageTimestamp: int | str | _Object | None = None
    pushName: str | None = None
    status: str | None = None
    contextInfo: _Fading | None = None
    instanceId: str | None = None
    source: str | None = None


class _Webhook(_Declared, frozen=True):
    event: Literal["messages.upsert"]
    instance: str
    data: _Item
    destination: str | None = None
    date_time: str | None = None
    sender: str | None = None
    server_url: str | None = None
    apikey: str | None = None


_decode = msgspec.json.Decoder(_Webhook).decode
_jids = attrgetter(*FIELDS)


def read_plain(body: bytes, instance: str | None) -> Inbound | None:
    """The webhook, if it is such a one and the payload names the instance of the path, if that names any."""
    if len(body) > SHORT_BYTES:  # decoded for nothing, if it is declined; and media may have been cut from it
        return None
    try:
        webhook = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    name, item, key = webhook.instance, webhook.data, webhook.data.key
    if (
        key.fromMe
        or instance not in (None, name)
        or name != clean(name, MAX_INSTANCE_CHARS).strip()
        or not name
    ):
        return None
    sender, said = _sender(_jids(key)), clean(item.message.conversation, MAX_TEXT_CHARS).strip()
    if isinstance(sender, str) or not is_visible(said) or not key.id or key.id != clean(key.id, MAX_ID_CHARS):
        return None
    message = Message(
        name,
        sender.contact,
        key.id,
        said,
        sent_at(item.messageTimestamp),
        lid=sender.lid,
        push_name=line(item.pushName),
        server_origin=origin(webhook.server_url),
    )
    own_number = account_number(webhook.sender)
    return Inbound(
        name,
        webhook.event,
        messages=(message,),
        links=(Link(name, sender.lid, sender.contact),) if sender.lid else (),
        named=name,
        own_number="" if own_number == sender.contact else own_number,
    )


@lru_cache(maxsize=_REMEMBERED)
def _sender(jids: tuple[str | None, ...]) -> Sender | NotAPerson:
    """Cached: who writes once writes again."""
    return identify(dict(zip(FIELDS, jids, strict=True)))
