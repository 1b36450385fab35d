"""What a message of the business is, as far as its text and its sender tell."""

from __future__ import annotations

import pytest

from actors.instance import OtherSenderPolicy
from daemon.config.sections import TakeoverCommands, TakeoverSettings
from daemon.controls.own_words import OwnVerdict, is_listed, is_personal, verdict_on
from daemon.ingress.inbound import OwnMessage, OwnSender

SETTINGS = TakeoverSettings()


def verdict(
    text: str, sender: OwnSender = "person", settings: TakeoverSettings = SETTINGS
) -> OwnVerdict | None:
    return verdict_on(OwnMessage("demo", "551", "", "H1", text, 0, sender=sender), settings)


@pytest.mark.parametrize(
    ("text", "sender", "wanted"),
    [
        ("I will see to it", "person", "silence"),
        ("", "person", "silence"),
        ("Your order is ready", "program", "history"),
        ("*Sara:*\nLet me check", "chatwoot", "silence"),
        ("#bot", "person", "resume"),
        (" #BOT\n", "person", "resume"),
        ("#human", "person", "pause"),
        ("*Sara:*\n#bot", "chatwoot", "resume"),
        ("#bot", "program", "history"),
        ("write #bot to go on", "person", "silence"),
        ("*Offer:* #bot", "person", "silence"),
        ("#bots", "person", "silence"),
    ],
)
def test_who_wrote_it_and_what_decides(text: str, sender: OwnSender, wanted: OwnVerdict) -> None:
    assert verdict(text, sender) == wanted


@pytest.mark.parametrize("policy", ["history", "takeover", "ignore"])
def test_other_software_and_chatwoot_are_settings_of_their_own(policy: OtherSenderPolicy) -> None:
    wanted = {"history": "history", "takeover": "silence", "ignore": None}[policy]
    others = TakeoverSettings(other_senders=policy, chatwoot="takeover")
    agents = TakeoverSettings(other_senders="history", chatwoot=policy)
    assert (verdict("hello", "program", others), verdict("hello", "chatwoot", others)) == (wanted, "silence")
    assert (verdict("hello", "program", agents), verdict("hello", "chatwoot", agents)) == ("history", wanted)
    assert verdict("hello", "person", others) == "silence"


def test_commands_can_be_changed_and_switched_off() -> None:
    settings = TakeoverSettings(commands=TakeoverCommands(resume="رد آلي", pause=None))
    assert verdict("ردّ آلى", settings=settings) == "resume"
    assert verdict("#human", settings=settings) == verdict("#bot", settings=settings) == "silence"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("We are closed. Back at 9.", True),
        ("we are  closed.\nback at 9.", True),
        ("We are closed. Back at 9. Promise!", False),
        ("Thank you for writing, Huda!", True),
        ("Well, thank you for writing", False),
        ("مغلقون الآن", True),
        ("", False),
    ],
)
def test_an_automatic_text_is_met_whole_or_from_its_beginning(text: str, wanted: bool) -> None:
    listed = ("We are closed. Back at 9.", "Thank you for writing*", "مغلقون الان", "*")
    assert is_listed(text, listed) is wanted
    settings = TakeoverSettings(automatic_texts=listed)
    assert verdict(text, settings=settings) == ("listed" if wanted else "silence")
    assert verdict(text, settings=TakeoverSettings(automatic_texts=listed, automatic=False)) == "silence"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Hi, this is the owner, let me prepare a quote.", True),
        ("Sister, give me a minute", True),
        ("Olá! Sou a Ana, já vejo.", True),
        ("Soy Luis, voy a ver", True),
        ("السلام عليكم معك سارة، دقيقة وأشوف", True),
        ("Thanks for your message! I'll get back to you soon.", False),
        ("Hello! How can I help you?", False),
        ("Olá, obrigado pelo contato, sou o assistente da loja", False),
        ("أهلا وسهلا، معك متجر النور", False),
        ("Open Monday to Friday 08-18", False),
        ("60", False),
        ("I " * 200, False),
    ],
)
def test_some_texts_read_as_if_somebody_had_typed_them(text: str, wanted: bool) -> None:
    assert is_personal(OwnMessage("demo", "551", "", "H1", text, 0)) is wanted


def test_no_greeting_is_a_voice_message() -> None:
    said = "[voice message, 4 s; it cannot be heard here]"
    assert is_personal(OwnMessage("demo", "551", "", "H1", said, 0, kind="voice"))
