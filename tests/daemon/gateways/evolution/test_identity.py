"""Who wrote a message. The versions' forms are tested through the parser, in test_evolution_payload.py."""

from __future__ import annotations

import pytest

from daemon.gateways.evolution.identity import NotAPerson, Sender, identify


@pytest.mark.parametrize(
    ("key", "sender"),
    [
        ({"remoteJid": "5511@s.whatsapp.net"}, Sender("5511", "")),
        ({"remoteJid": "77@lid"}, Sender("77@lid", "")),
        ({"remoteJid": "77@lid", "participantPn": "5511@s.whatsapp.net"}, Sender("5511", "77@lid")),
        ({"remoteJid": "5511@s.whatsapp.net", "senderLid": "77:3@lid"}, Sender("5511", "77@lid")),
        ({"remoteJid": "5511@hosted", "remoteJidAlt": "77@hosted.lid"}, Sender("5511", "77@lid")),
        (
            {"remoteJid": "77@lid", "remoteJidAlt": None, "senderPn": 7, "participant": ""},
            Sender("77@lid", ""),
        ),
        ({"remoteJid": "", "senderPn": "5511@s.whatsapp.net"}, Sender("5511", "")),
        ({"remoteJid": "77@lid", "remoteJidAlt": "1@g.us"}, Sender("77@lid", "")),
        ({"remoteJid": "77@lid", "remoteJidAlt": "a\x00b@s.whatsapp.net"}, Sender("77@lid", "")),
    ],
)
def test_the_sender_is_the_person_and_the_phone_number_if_known(
    key: dict[str, object], sender: Sender
) -> None:
    assert identify(key) == sender


@pytest.mark.parametrize(
    ("jid", "reason"),
    [
        ("1203@g.us", "group"),
        ("1203@G.US", "group"),
        ("status@broadcast", "status_broadcast"),
        ("1203@broadcast", "broadcast"),
        ("1203@newsletter", "newsletter"),
        ("1203@bot", "unsupported_sender"),
        ("@s.whatsapp.net", "unsupported_sender"),
        ("0@s.whatsapp.net", "unsupported_sender"),
        ("0@c.us", "unsupported_sender"),
        ("0:3@S.whatsapp.net", "unsupported_sender"),
        ("server@c.us", "unsupported_sender"),
        ("16505361212@c.us", "unsupported_sender"),
        ("5 5@s.whatsapp.net", "unsupported_sender"),
        (None, "no_sender"),
    ],
)
def test_a_jid_that_is_not_a_person_has_a_reason(jid: object, reason: NotAPerson) -> None:
    assert identify({"remoteJid": jid}) == reason


def test_a_group_message_is_ignored_whoever_wrote_it() -> None:
    key: dict[str, object] = {
        "remoteJid": "1@g.us",
        "participant": "77@lid",
        "participantPn": "5511@s.whatsapp.net",
    }
    assert identify(key) == "group"


def test_whatsapp_itself_is_nobody_whoever_else_is_named() -> None:
    for jid in ("0@s.whatsapp.net", "13135550002@s.whatsapp.net"):
        assert identify({"remoteJid": jid, "senderPn": "5511@s.whatsapp.net"}) == "unsupported_sender"
    assert identify({"remoteJid": "10@s.whatsapp.net"}) == Sender("10", "")
