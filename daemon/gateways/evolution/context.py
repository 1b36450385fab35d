"""What a message refers to: the message it quotes, a status, an ad, a product. Pure and total.

Where WhatsApp writes it (`contextInfo`) differs: beside the message (2.3), in it (WHATSAPP-BUSINESS), in the part that
says something, or within a wrapper; 2.4 leaves it out of plain texts. All of them are read, and the first that says
something counts. The channels of Meta give no more of a quoted message than its id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Literal

from actors.messages import Context, ContextKind
from actors.text import is_visible
from daemon.gateways.evolution.text import levels_of, read_content
from daemon.gateways.lenient import JsonObject, clean, line, mapping, text
from daemon.ingress.inbound import Ignored

MAX_CONTEXT_CHARS = 4_096
MAX_ID_CHARS = 256
_MAX_PLACES = 32
"""So many `contextInfo` of one message are looked at."""
_MAX_WORDS = 1_024
_STATUS = "status@broadcast"

Author = Literal["", "customer", "business"]
WhoIs = Callable[[str], Author]
"""Whose JID it is, where that is known for certain."""


def contexts_of(item: JsonObject, levels: tuple[JsonObject, ...], who_is: WhoIs) -> tuple[Context, ...]:
    """What the message `item` refers to, each kind once."""
    found: dict[str, Context] = {}
    for info in islice(_places(item, levels), _MAX_PLACES):
        for slot, context in (
            ("quoted", _quoted(info, who_is)),
            ("ad", _ad(info)),
            ("product", _product(info)),
        ):
            if context is not None and (slot not in found or (context.text and not found[slot].text)):
                found[slot] = context
    return tuple(found.values())


def _places(item: JsonObject, levels: tuple[JsonObject, ...]) -> Iterator[JsonObject]:
    for holder in (item, *levels):
        for name in ("contextInfo", "context", "referral"):  # the last two as Meta writes them
            if isinstance(info := holder.get(name), dict):
                yield {"referral": info} if name == "referral" else info
    for level in levels:
        for body in level.values():
            if isinstance(body, dict) and isinstance(info := body.get("contextInfo"), dict):
                yield info


def _quoted(info: JsonObject, who_is: WhoIs) -> Context | None:
    quoted_id = text(info.get("stanzaId")) or text(info.get("id"))
    if quoted_id != clean(quoted_id, MAX_ID_CHARS):
        quoted_id = ""
    kind: ContextKind = "quote"
    said = ""
    if isinstance(quoted := info.get("quotedMessage"), dict):
        content = read_content(levels_of(quoted))
        if not isinstance(content, Ignored):
            said = content.text[:MAX_CONTEXT_CHARS].strip()
            kind = "product" if content.kind == "product" else kind
    if _STATUS in (info.get("remoteJid"), info.get("participant")):
        kind = "status"
    if not said and not quoted_id and kind != "status":
        return None
    return Context(kind, said, quoted_id, who_is(text(info.get("participant")) or text(info.get("from"))))


def _ad(info: JsonObject) -> Context | None:
    """Of an ad that opens a chat: headline, text, greeting, and where it stood."""
    shown = mapping(info.get("externalAdReply"))
    older = mapping(info.get("adReply")) or mapping(info.get("quotedAd"))
    referral = mapping(info.get("referral"))
    app = text(shown.get("sourceApp")) or text(info.get("entryPointConversionApp"))
    url = text(shown.get("sourceUrl")) or text(referral.get("source_url"))
    if not (shown or older or referral) and not _came_from_an_ad(info):
        return None
    words = [
        line(shown.get("title")) or line(older.get("advertiserName")) or line(referral.get("headline")),
        line(shown.get("body") or older.get("caption") or referral.get("body"), _MAX_WORDS),
        line(shown.get("greetingMessageBody"), _MAX_WORDS),
    ]
    source = ", ".join(filter(is_visible, (line(app), line(url))))
    words += [f"source: {source}" if source else ""]
    return Context("ad", "\n".join(filter(is_visible, words)))


def _came_from_an_ad(info: JsonObject) -> bool:
    source = text(info.get("entryPointConversionSource"))[:64].lower()
    conversion = text(info.get("conversionSource"))[:64].lower()
    return source.endswith("_ad") or conversion.endswith("_ads") or bool(info.get("ctwaPayload"))


def _product(info: JsonObject) -> Context | None:
    """A product that a text refers to without quoting a message of it."""
    named = mapping(info.get("referred_product"))
    number = line(named.get("product_retailer_id"))
    if number:
        return Context("product", f"[product: number {number}]")
    content = (
        read_content(levels_of({"productMessage": info["productMessage"]}))
        if "productMessage" in info
        else None
    )
    return (
        Context("product", content.text[:MAX_CONTEXT_CHARS])
        if content is not None and not isinstance(content, Ignored)
        else None
    )
