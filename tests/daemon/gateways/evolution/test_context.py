"""What a message refers to. The real shapes are fixtures of test_payload.py; here is what is odd."""

from __future__ import annotations

from typing import Any

from actors.messages import Context
from actors.told import stand_in
from daemon.gateways.evolution.context import Author, contexts_of
from daemon.gateways.evolution.text import levels_of


def nobody(jid: str) -> Author:
    return ""


def contexts(message: dict[str, Any], **item: Any) -> tuple[Context, ...]:
    return contexts_of(item, levels_of(message), nobody)


def test_words_are_preferred_to_an_id_wherever_they_stand() -> None:
    quoted = {"stanzaId": "A", "quotedMessage": {"conversation": "Opa"}}
    message = {"extendedTextMessage": {"text": "x", "contextInfo": quoted}, "contextInfo": {"stanzaId": "A"}}
    assert contexts(message, contextInfo={"stanzaId": "A"}) == (Context("quote", "Opa", "A"),)


def test_one_message_may_refer_to_several_things() -> None:
    info = {
        "stanzaId": "A",
        "externalAdReply": {"title": "Ad"},
        "productMessage": {"product": {"title": "P"}},
    }
    assert [context.kind for context in contexts({"conversation": "x"}, contextInfo=info)] == [
        "quote",
        "ad",
        "product",
    ]


def test_an_older_ad_is_read() -> None:
    for name in ("adReply", "quotedAd"):
        info = {name: {"advertiserName": "Shop", "caption": "Half price"}}
        assert contexts({"conversation": "x"}, contextInfo=info) == (Context("ad", "Shop\nHalf price"),)


def test_an_ad_without_a_word_is_an_ad() -> None:
    found = contexts({"conversation": ""}, contextInfo={"conversionSource": "FB_Ads"})
    assert (found, stand_in(found)) == ((Context("ad"),), "[came from an ad]")


def test_an_id_that_cannot_be_stored_is_none() -> None:
    for odd in ("x" * 300, "\x00", 7, ["A"]):
        assert contexts({"conversation": "x"}, contextInfo={"stanzaId": odd}) == ()


def test_a_quote_alone_stands_for_no_text() -> None:
    assert stand_in((Context("quote", "Opa", "A"), Context("status", "new"))) == ""


def test_so_many_places_are_looked_at() -> None:
    message: dict[str, Any] = {f"m{number}": {"contextInfo": {}} for number in range(100)}
    message["last"] = {"contextInfo": {"stanzaId": "A"}}
    assert contexts(message) == ()
